"""Skeletons at samples: random constants inside their functions, the best coefficients outside of them.

The coefficients outside of functions are linear, so each draw of those inside is judged by one small
least-squares problem (variable projection; Golub and Pereyra 1973).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import Skeleton, constant
from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KIND, KINDS, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.training.corpus_inputs import log_uniform, signs
from jaxllc.pretrained.training.corpus_values import function_values, monomials_at
from jaxllc.search.forms.term_samples import Samples, scale_of

_SYMPY = {
    **{name: getattr(sympy, name) for name in ("sin", "cos", "exp", "log", "sqrt", "tanh")},
    "abs": sympy.Abs,
    "sigmoid": sigmoid,
}
_SCALE_FREE = ("sqrt", "abs", "reciprocal")
_POSITIVE = ("log", "sqrt", "reciprocal", "power")


class Frame:
    """Samples in the units of the corpus, and what leads back to their own."""

    def __init__(self, samples: Samples, symbols: Alphabet):
        self.symbols, self.count = symbols, len(samples.values)
        missing = symbols.num_variables - samples.num_inputs
        points = np.pad(samples.points.T, ((0, missing), (0, 0)))
        size = np.sqrt(np.mean(points**2, axis=1))
        self.size = np.where(size > 0, size, 1.0)
        self.unit = scale_of(samples.values)
        self.values = samples.values / self.unit
        self.monomials = monomials_at((points / self.size[:, None])[None], symbols)[0]
        self.weight = 1.0 / (samples.error / self.unit)
        mean = self.monomials.mean(1)
        self.rms = np.sqrt(np.mean(self.monomials**2, axis=1)) + 1e-12
        self.spread = np.sqrt(np.maximum(self.rms**2 - mean**2, 1e-12))
        self.spread[0] = 1.0
        self.scales = np.prod(self.size**symbols.exponents, axis=1)  # of each monomial
        names = [sympy.Symbol(name) for name in samples.names]
        names += [sympy.Symbol("absent")] * missing
        self.products = [
            sympy.Mul(*(x ** int(e) for x, e in zip(names, row, strict=True)))
            for row in symbols.exponents
        ]


@dataclass
class Factor:
    """A function with drawn constants: weights (draw, monomial), share (draw,) of the inner function,
    exponent (draw,) of a power, values (draw, n)."""

    kind: str
    weights: np.ndarray
    share: np.ndarray
    exponent: np.ndarray
    inner: Factor | None
    values: np.ndarray


def factor_of(
    name: str,
    weights: np.ndarray,
    share: np.ndarray,
    exponent: np.ndarray,
    inner: Factor | None,
    frame: Frame,
) -> Factor:
    """A function with its values at the points of a frame."""
    argument = weights @ frame.monomials
    if inner is not None:
        argument = argument + share[:, None] * inner.values
    values = function_values(KIND[name], argument, exponent[:, None])
    return Factor(name, weights, share, exponent, inner, values)


def taken(factor: Factor, draws: np.ndarray) -> Factor:
    """Some of the draws of a function."""
    inner = None if factor.inner is None else taken(factor.inner, draws)
    weights, share, exponent = factor.weights[draws], factor.share[draws], factor.exponent[draws]
    return Factor(factor.kind, weights, share, exponent, inner, factor.values[draws])


def _pivot(name: str, monomials: Sequence[int] | np.ndarray) -> int:
    """The monomial whose coefficient goes into that of the group, -1 for none."""
    if name not in (*_SCALE_FREE, "power") or not len(monomials):
        return -1
    # A constant may be nought in a magnitude, where it is a place, and elsewhere not.
    return int(monomials[-1 if name == "abs" else 0])


class OneSkeleton:
    """One skeleton at samples."""

    def __init__(self, structure: Structures, frame: Frame):
        self.frame = frame
        self.base = np.flatnonzero(structure.base[0])
        self.groups = []
        # The place (group, factor) of each function in the arrays of the skeleton.
        self.places: list[list[tuple[int, int]]] = []
        for g in range(GROUPS):
            parts = [
                (
                    int(structure.kind[0, g, f]),
                    structure.argument[0, g, f],
                    int(structure.inner_kind[0, g, f]),
                    structure.inner[0, g, f],
                )
                for f in range(FACTORS)
                if structure.kind[0, g, f]
            ]
            if parts:
                self.groups.append((parts, np.flatnonzero(structure.outer[0, g])))
                self.places.append([(g, f) for f in range(FACTORS) if structure.kind[0, g, f]])

    def skeletons(self, rng: np.random.Generator, draws: int, kept: int) -> list[Skeleton]:
        """The skeleton with the constants of the best draws."""
        factors, coefficients, misfit = self.draws(rng, draws)
        return self.best(factors, coefficients, misfit, kept)

    def draws(
        self, rng: np.random.Generator, draws: int
    ) -> tuple[list[list[Factor]], np.ndarray, np.ndarray]:
        """Functions with random constants, the best coefficients outside of them, and what these leave."""
        if not self.groups:
            draws = 1
        with np.errstate(all="ignore"):
            factors = [[self.factor(rng, *part, draws) for part in p] for p, _ in self.groups]
            return factors, *self.solved(factors, draws)

    def best(
        self,
        factors: Sequence[Sequence[Factor]],
        coefficients: np.ndarray,
        misfit: np.ndarray,
        kept: int,
    ) -> list[Skeleton]:
        """The skeleton with the best of the draws of constants inside functions."""
        return [
            self._skeleton(factors, coefficients[s], int(s))
            for s in np.argsort(misfit)[:kept]
            if np.isfinite(misfit[s])
        ]

    def read(self, values: Sequence[float]) -> list[list[Factor]]:
        """The functions of the skeleton with constants as `skeletons` writes them: one draw."""
        frame, rest = self.frame, iter(values[len(self.base) :])

        def function(kind: int, of: np.ndarray, inner_kind: int, inner_of: np.ndarray) -> Factor:
            name, exponent = KINDS[kind - 1], np.ones(1)
            weights, share, inner = np.zeros((1, len(of))), np.zeros(1), None
            place = _pivot(name, np.flatnonzero(of))
            if name == "power":
                exponent[0] = next(rest)
                weights[0, place] = frame.scales[place]
            else:
                for m in np.flatnonzero(of):
                    weights[0, m] = (1.0 if m == place else next(rest)) * frame.scales[m]
                if inner_kind:
                    share[0] = next(rest)
                    inner = function(inner_kind, inner_of, 0, inner_of)
            return factor_of(name, weights, share, exponent, inner, frame)

        found = []
        with np.errstate(all="ignore"):
            for parts, outer in self.groups:
                found.append([function(*part) for part in parts])
                for _ in outer:
                    next(rest)
        return found

    def solved(self, factors: Sequence[Sequence[Factor]], draws: int):
        """The best coefficients outside of functions, (draw, coefficient), and what they leave, (draw,)."""
        with np.errstate(all="ignore"):
            return self._solved(factors, draws)

    def _solved(self, factors: Sequence[Sequence[Factor]], draws: int):
        frame = self.frame
        columns = [np.broadcast_to(frame.monomials[m], (draws, frame.count)) for m in self.base]
        for group, (_, outer) in zip(factors, self.groups, strict=True):
            product = np.prod([factor.values for factor in group], axis=0)
            columns += [product * frame.monomials[m] for m in outer]
        joint = np.stack(columns, axis=1) * frame.weight
        target = frame.values * frame.weight
        size = np.sqrt(np.mean(joint**2, axis=2))
        good = np.isfinite(size).all(1) & (size > 0).all(1)
        joint = np.where(good[:, None, None], joint, 1.0)
        size = np.where(good[:, None], size, 1.0)
        joint = joint / size[..., None]
        gram = joint @ joint.transpose(0, 2, 1) / frame.count
        diagonal = np.arange(gram.shape[1])
        gram[:, diagonal, diagonal] += 1e-10
        right = joint @ target / frame.count
        solved = np.linalg.solve(gram, right[..., None])[..., 0]
        rest = target - (solved[:, None, :] @ joint)[:, 0]
        misfit = np.where(good, np.mean(rest**2, axis=1), np.inf)
        return solved / size, misfit

    # -- drawing ----------------------------------------------------------------------------------

    def factor(self, rng, kind: int, of, inner_kind: int, inner_of, draws: int) -> Factor:
        name = KINDS[kind - 1]
        inner = None
        if inner_kind:
            inner = self.factor(rng, inner_kind, inner_of, 0, None, draws)
        positive = name in _POSITIVE
        draw = self._positive if positive else self._free
        weights, share = draw(rng, name, of, inner, draws)
        exponent = signs(rng, draws) * rng.uniform(0.3, 3.5, draws)
        return factor_of(name, weights, share, exponent, inner, self.frame)

    def _free(self, rng, name: str, of, inner: Factor | None, draws: int):
        frame = self.frame
        weights = signs(rng, (draws, len(of))) * log_uniform(rng, 0.4, 2.5, (draws, len(of)))
        weights = weights / frame.spread * of
        linear = np.flatnonzero(of & (frame.symbols.exponents.sum(1) == 1))
        if len(linear) == 2:
            # The difference of two variables in their own units, in half of the draws.
            half = draws // 2
            weights[:half, linear[0]] = frame.scales[linear[0]]
            weights[:half, linear[1]] = -frame.scales[linear[1]]
        weights[:, 0] = 0.0
        argument = weights @ frame.monomials
        share = np.zeros(draws)
        if inner is not None:
            alone = argument.std(1)
            share = signs(rng, draws) * log_uniform(rng, 0.4, 2.5, draws)
            share *= np.where(alone > 0, alone, 1.0) / (inner.values.std(1) + 1e-12)
            argument = argument + share[:, None] * inner.values
        factor = log_uniform(rng, 0.25, 6.0, draws) / (argument.std(1) + 1e-12)
        weights, share = weights * factor[:, None], share * factor
        argument = argument * factor[:, None]
        if of[0]:
            centre = -(argument.mean(1) + rng.uniform(-1.4, 1.4, draws) * argument.std(1))
            periodic = name in ("sin", "cos")
            weights[:, 0] = rng.uniform(-np.pi, np.pi, draws) if periodic else centre
        return weights, share

    def _positive(self, rng, name: str, of, inner: Factor | None, draws: int):
        sign = np.where(rng.random((draws, len(of))) < 0.1, -1.0, 1.0)
        weights = sign * log_uniform(rng, 0.05, 20.0, (draws, len(of))) / self.frame.rms * of
        first = np.flatnonzero(of)[:1]
        if name != "log" or inner is not None or of.sum() > 1:
            # One coefficient goes into that of the group.
            weights[:, first] = 1.0
        share = np.zeros(draws)
        if inner is not None:
            share = log_uniform(rng, 0.05, 20.0, draws) * np.where(
                rng.random(draws) < 0.3, -1.0, 1.0
            )
        return weights, share

    # -- writing ----------------------------------------------------------------------------------

    def _skeleton(self, factors, coefficients: np.ndarray, draw: int) -> Skeleton:
        frame, values = self.frame, []

        def number(value: float) -> sympy.Symbol:
            values.append(float(value))
            return constant(len(values) - 1)

        def weights_of(factor: Factor) -> dict[int, float]:
            row = factor.weights[draw]
            return {int(m): float(row[m] / frame.scales[m]) for m in np.flatnonzero(row)}

        def pivot(factor: Factor) -> tuple[int, float]:
            """The monomial whose coefficient goes into that of the group, and that coefficient."""
            found = weights_of(factor)
            place = _pivot(factor.kind, list(found))
            return place, found.get(place, 1.0)

        def taken_out(factor: Factor) -> float:
            """What taking that coefficient out multiplies the function by."""
            coefficient = pivot(factor)[1]
            if factor.kind == "reciprocal":
                return 1.0 / coefficient
            power = {"sqrt": 0.5, "power": factor.exponent[draw]}.get(factor.kind, 1.0)
            return float(abs(coefficient) ** power)

        def written(factor: Factor) -> sympy.Expr:
            place, coefficient = pivot(factor)
            if factor.kind == "power":
                return frame.products[place] ** number(factor.exponent[draw])
            terms = [
                frame.products[m] if m == place else number(w / coefficient) * frame.products[m]
                for m, w in weights_of(factor).items()
            ]
            if factor.inner is not None:
                share = factor.share[draw] / coefficient * taken_out(factor.inner)
                terms.append(number(share) * written(factor.inner))
            argument = sympy.Add(*terms)
            return 1 / argument if factor.kind == "reciprocal" else _SYMPY[factor.kind](argument)

        rest = iter(coefficients)
        terms = [
            number(next(rest) * frame.unit / frame.scales[m]) * frame.products[m] for m in self.base
        ]
        for group, (_, outer) in zip(factors, self.groups, strict=True):
            product = sympy.Mul(*(written(factor) for factor in group))
            size = np.prod([taken_out(factor) for factor in group]) * frame.unit
            weights = [
                number(next(rest) * size / frame.scales[m]) * frame.products[m] for m in outer
            ]
            terms.append(sympy.Add(*weights) * product)
        return Skeleton(sympy.Add(*terms), tuple(values))
