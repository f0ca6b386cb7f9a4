"""Skeletons beside one that was fitted: a term, a factor, an argument or a function more, fewer or other.

Each comes with constants for its functions, taken over from the fit or out of a table of drawn functions, and
with what the best coefficients outside of functions leave (variable projection; Golub and Pereyra 1973): a
rough figure, at a small part of the price of a fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import GROUPS, KIND, KINDS, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.fitted_skeleton import (
    RIDGE,
    FittedSkeleton,
    Neighbour,
    Place,
    starts_of,
)
from jaxllc.pretrained.skeletons.function_table import FunctionTable
from jaxllc.pretrained.skeletons.skeleton_draws import Factor, Frame, factor_of, taken
from jaxllc.pretrained.training.corpus_inputs import log_uniform, signs
from jaxllc.pretrained.training.corpus_values import function_values
from jaxllc.search.forms.search_work import spend

_TRIED = 24  # of those of a function whose argument or kind changes
_KEPT = 2  # of these draws
# How many of each way of changing a skeleton are kept, the best by what they leave.
_BUILT = 4
_ADDED, _EXCHANGED, _NEW_GROUPS, _OTHER_GROUPS, _PRODUCTS, _INNER = 8, 8, 10, 5, 4, 4


class Neighbours(FittedSkeleton):
    """The neighbours of a fitted skeleton.

    table: of functions to extend it with; allowed: (symbol,) which symbols may be written.
    """

    def __init__(
        self,
        structure: Structures,
        values: Sequence[float],
        frame: Frame,
        table: FunctionTable,
        allowed: np.ndarray,
        rng: np.random.Generator,
    ):
        super().__init__(structure, values, frame)
        self.table, self.rng = table, rng
        self.symbols: Alphabet = frame.symbols
        count = self.symbols.num_monomials
        self.monomials = np.flatnonzero(allowed[:count])
        self.kinds = [k for k in range(1, len(KINDS) + 1) if allowed[count + k - 1]]

    @np.errstate(all="ignore")
    def all(self) -> list[Neighbour]:
        """All kinds of neighbours, the best of each by what they leave."""
        found = [self._linear(), self._other_groups(), *map(self._changed, self.factors)]
        return self._listed([*found, *map(self._multiplied, self.groups), self._odd()])

    @np.errstate(all="ignore")
    def fewer(self) -> list[Neighbour]:
        """Those with fewer constants."""
        changed = [self._changed(place, only_fewer=True) for place in self.factors]
        return self._listed([self._linear(only_fewer=True), *changed, self._odd()])

    def _listed(self, ways: list[Iterator[Neighbour]]) -> list[Neighbour]:
        if not all(np.isfinite(product).all() for product in self.products.values()):
            return []
        return [neighbour for way in ways for neighbour in way]

    # -- terms ------------------------------------------------------------------------------------

    def _linear(self, only_fewer: bool = False) -> Iterator[Neighbour]:
        """One monomial more, fewer or another, in the polynomial or beside a group."""
        frame, monomials = self.frame, self.monomials
        owners = [-1, *self.groups]
        parts = [frame.monomials[monomials]]
        parts += [self.products[g] * frame.monomials[monomials] for g in self.groups]
        columns = np.concatenate(parts) * frame.weight
        size = np.sqrt(np.mean(columns**2, axis=1, keepdims=True)) + 1e-300
        columns = columns / size
        gram = columns @ columns.T / frame.count
        right = columns @ self.target / frame.count
        whole = float(np.mean(self.target**2))
        held = [self.structure.base[0, monomials]]
        held += [self.structure.outer[0, g, monomials] for g in self.groups]
        now = np.flatnonzero(np.concatenate(held))
        free = np.setdiff1d(np.arange(len(columns)), now)

        def left(sets: np.ndarray) -> np.ndarray:
            if not sets.size:
                return np.full(len(sets), whole)
            matrix = gram[sets[:, :, None], sets[:, None, :]] + RIDGE * np.eye(sets.shape[1])
            solved = np.linalg.solve(matrix, right[sets][..., None])[..., 0]
            return np.maximum(whole - np.sum(solved * right[sets], axis=1), 0.0)

        def with_each(some: np.ndarray) -> np.ndarray:
            rows = np.broadcast_to(some, (len(free), len(some)))
            return np.concatenate([rows, free[:, None]], axis=1)

        fewer = [np.delete(now, k) for k in range(len(now))]
        fewer += [now[now // len(monomials) != k] for k in range(1, len(owners))]
        choices: list[tuple[np.ndarray, int, str]] = []
        if not only_fewer:
            choices.append((with_each(now), _ADDED, "more"))
        if len(now) > 1:
            choices += [(some[None], 1, "fewer") for some in fewer if len(some)]
        if len(now) > 1 and not only_fewer:
            choices.append(
                (
                    np.concatenate([with_each(some) for some in fewer[: len(now)]]),
                    _EXCHANGED,
                    "exchanged",
                )
            )
        for sets, kept, way in choices:
            found = left(sets)
            for k in np.argsort(found)[:kept]:
                yield self._with_columns(sets[k], owners, float(found[k]), way)
        if only_fewer or not self.groups:
            return
        # Each group and all of them with another polynomial, a monomial at a time (Pati et al. 1993).
        owner = now // len(monomials)
        kept_groups = [owner > 0] + [owner == k for k in range(1, len(owners)) if len(owners) > 2]
        for held_now in kept_groups:
            chosen = now[held_now]
            for _ in range(_BUILT):
                others = np.setdiff1d(np.arange(len(columns)), chosen)
                rows = np.broadcast_to(chosen, (len(others), len(chosen)))
                sets = np.concatenate([rows, others[:, None]], axis=1)
                found = left(sets)
                k = int(found.argmin())
                chosen = sets[k]
                yield self._with_columns(chosen, owners, float(found[k]), "built")

    def _with_columns(
        self, chosen: np.ndarray, owners: Sequence[int], left: float, way: str
    ) -> Neighbour:
        new = self.copied()
        new.base[0] = False
        new.outer[0] = False
        for column in chosen:
            owner, m = (
                owners[column // len(self.monomials)],
                self.monomials[column % len(self.monomials)],
            )
            if owner < 0:
                new.base[0, m] = True
            else:
                new.outer[0, owner, m] = True
        factors = dict(self.factors)
        for g in self.groups:
            if not new.outer[0, g].any():
                _emptied(new, g)
                factors = {place: f for place, f in factors.items() if place[0] != g}
        return Neighbour(new, factors, left, way)

    # -- groups -----------------------------------------------------------------------------------

    def _other_groups(self) -> Iterator[Neighbour]:
        """A group more, or in place of another."""
        table = self.table
        if not len(table.factors):
            return
        for without in [-1, *self.groups]:
            if without < 0 and len(self.groups) == GROUPS:
                continue
            basis, rest = self.left_by(self.columns(without))
            left, _ = self.with_column(table.columns, table.sizes, table.good, basis, rest)
            draw = left.argmin(1)  # (function, outer)
            best = left.min(1)
            kept = _NEW_GROUPS if without < 0 else _OTHER_GROUPS
            for number in np.argsort(best, axis=None)[:kept]:
                k, o = np.unravel_index(number, best.shape)
                if not np.isfinite(best[k, o]):
                    break
                new, factors = self.copied(), dict(self.factors)
                if without >= 0:
                    _emptied(new, without)
                    factors = {place: f for place, f in factors.items() if place[0] != without}
                g = next(g for g in range(GROUPS) if not new.kind[0, g].any())
                factor = table.factors[k]
                new.kind[0, g, 0] = KIND[factor.kind]
                new.argument[0, g, 0] = table.arguments[k]
                new.outer[0, g, table.outer[o]] = True
                factors[g, 0] = taken(factor, draw[k, o : o + 1])
                yield Neighbour(
                    new, factors, float(best[k, o]), "group" if without < 0 else "other group"
                )

    def _multiplied(self, g: int) -> Iterator[Neighbour]:
        """A second function in a group of one."""
        table = self.table
        if (g, 1) in self.factors or (g, 0) not in self.factors or not len(table.factors):
            return
        basis, rest = self.left_by(self.columns(g))
        columns = table.values * (self.weighted_outer(g) * self.products[g])
        sizes = np.einsum("kdn,kdn->kd", columns, columns)
        left, _ = self.with_column(columns, sizes, table.good, basis, rest)
        for k in np.argsort(left.min(1))[:_PRODUCTS]:
            d = int(left[k].argmin())
            if np.isfinite(left[k, d]):
                new, factors = self.copied(), dict(self.factors)
                new.kind[0, g, 1] = KIND[table.factors[k].kind]
                new.argument[0, g, 1] = table.arguments[k]
                factors[g, 1] = taken(table.factors[k], np.array([d]))
                yield Neighbour(new, factors, float(left[k, d]), "product")

    # -- functions --------------------------------------------------------------------------------

    def _changed(self, place: Place, only_fewer: bool = False) -> Iterator[Neighbour]:
        """A function with another argument or of another kind, left out, or with a function inside."""
        g, f = place
        basis, rest = self.left_by(self.columns(g))
        outer = np.flatnonzero(self.structure.outer[0, g])
        others = [x.values[0] for (h, k), x in self.factors.items() if h == g and k != f]
        beside = np.prod(others, axis=0) if others else np.ones(self.frame.count)
        columns = self.frame.monomials[outer] * beside * self.frame.weight

        def judged(factor: Factor) -> tuple[np.ndarray, np.ndarray]:
            """The best draws, and what they leave."""
            spend("cells", factor.values.size)
            joint = factor.values[:, None] * columns
            good = np.isfinite(joint).all((1, 2))
            joint = np.where(good[:, None, None], joint, 1.0)
            joint = joint - (joint @ basis) @ basis.T
            size = np.sqrt(np.mean(joint**2, axis=2, keepdims=True)) + 1e-300
            joint = joint / size
            gram = joint @ joint.transpose(0, 2, 1) / len(rest)
            gram = gram + RIDGE * np.eye(gram.shape[1])
            right = joint @ rest / len(rest)
            solved = np.linalg.solve(gram, right[..., None])[..., 0]
            found = np.mean((rest - (solved[:, None] @ joint)[:, 0]) ** 2, axis=1)
            found = np.where(good, found, np.inf)
            order = np.argsort(found)[:_KEPT]
            return order, found[order]

        for kind, argument, inner_kind, inner, factor in self._functions(place, only_fewer):
            draws, left = judged(factor)
            draws = draws[np.isfinite(left)]
            if len(draws):
                new, factors = self.copied(), dict(self.factors)
                new.kind[0, g, f], new.argument[0, g, f] = kind, argument
                new.inner_kind[0, g, f], new.inner[0, g, f] = inner_kind, inner
                factors[place] = taken(factor, draws)
                yield Neighbour(
                    new,
                    factors,
                    float(left[0]),
                    "argument" if kind == self.structure.kind[0, g, f] else "kind",
                )
        if others:
            without = replace(self.factors[place], values=np.ones((1, len(rest))))
            lone = float(judged(without)[1][0])
            new, factors = self.copied(), dict(self.factors)
            for part in (new.kind, new.argument, new.inner_kind, new.inner):
                part[0, g, 0], part[0, g, 1] = part[0, g, 1 - f], 0
            factors[g, 0] = factors.pop((g, 1 - f))
            factors.pop((g, 1), None)
            yield Neighbour(new, factors, lone, "fewer")
        if not only_fewer:
            yield from self._nested(place, beside)

    def _functions(self, place: Place, only_fewer: bool):
        """What may stand in place of a function: kind, argument, inner kind and argument, and draws."""
        g, f = place
        old = self.factors[place]
        kind = int(self.structure.kind[0, g, f])
        argument = self.structure.argument[0, g, f]
        inner_kind = int(self.structure.inner_kind[0, g, f])
        inner = self.structure.inner[0, g, f]
        nothing = np.zeros_like(inner)
        if old.kind != "power":
            for m in self.monomials:
                if only_fewer and not argument[m]:
                    continue
                other = argument.copy()
                other[m] ^= True
                if other[1:].any() or inner_kind:
                    factor = self._redrawn(old, kind, other, inner_kind, inner, int(m))
                    yield kind, other, inner_kind, inner, factor
        if inner_kind:
            for m in self.monomials:
                if only_fewer and not inner[m]:
                    continue
                other = inner.copy()
                other[m] ^= True
                if other[1:].any():
                    factor = self._drawn(kind, argument, inner_kind, other)
                    yield kind, argument, inner_kind, other, factor
            for k in self.kinds:
                if not only_fewer and k not in (inner_kind, KIND["power"]):
                    yield kind, argument, k, inner, self._drawn(kind, argument, k, inner)
            if argument[1:].any():
                without = self._drawn(kind, argument, 0, nothing)
                without.weights[: _TRIED // 2] = old.weights
                without.weights[1 : _TRIED // 2] *= np.exp(
                    0.3 * self.rng.standard_normal((_TRIED // 2 - 1, len(argument)))
                )
                parts = (without.weights, without.share, without.exponent, None)
                yield kind, argument, 0, nothing, factor_of(without.kind, *parts, self.frame)
        for k in self.kinds:
            if k == kind or (only_fewer and (kind, k) != (KIND["sin"], KIND["cos"])):
                continue
            if k == KIND["power"]:
                bare = argument.copy()
                bare[0] = False
                if not inner_kind and self.symbols.exponents[bare].sum() == 1:
                    yield k, bare, 0, nothing, self._drawn(k, bare, 0, nothing)
                continue
            for constant in (False, True):
                other = argument.copy()
                other[0] = constant
                if KINDS[k - 1] in ("exp", "cos") and constant:
                    continue
                yield k, other, inner_kind, inner, self._drawn(k, other, inner_kind, inner)

    def _odd(self) -> Iterator[Neighbour]:
        """A hyperbolic tangent for a sigmoid whose constant the polynomial may have held."""
        sigmoid, tanh = KIND["sigmoid"], KIND["tanh"]
        for g in self.groups:
            outer, base = self.structure.outer[0, g], self.structure.base[0]
            alone = (g, 0) in self.factors and (g, 1) not in self.factors
            if alone and self.structure.kind[0, g, 0] == sigmoid and not (outer & ~base).any():
                old, new = self.factors[g, 0], self.copied()
                new.kind[0, g, 0] = tanh
                new.base[0] &= ~outer
                # sigmoid(u) = 1/2 + tanh(u/2)/2
                halved = factor_of(
                    "tanh", 0.5 * old.weights, 0.5 * old.share, old.exponent, old.inner, self.frame
                )
                factors = {**self.factors, (g, 0): halved}
                one, joint, draws = starts_of(Neighbour(new, factors, 0.0, "odd"), self.frame)
                yield Neighbour(new, factors, float(one.solved(joint, draws)[1][0]), "odd")

    def _drawn(self, kind, argument, inner_kind, inner) -> Factor:
        return self.one.factor(self.rng, kind, argument, inner_kind, inner, _TRIED)

    def _redrawn(self, old: Factor, kind, argument, inner_kind, inner, m: int) -> Factor:
        """A function with one monomial more or fewer, in part with the constants that it had."""
        cold = self._drawn(kind, argument, inner_kind, inner)
        warm = 2 * _TRIED // 3
        rng, frame = self.rng, self.frame
        weights = np.repeat(old.weights * argument, warm, axis=0)
        weights[warm // 2 :] *= np.exp(0.3 * rng.standard_normal((warm - warm // 2, len(argument))))
        if argument[m]:
            size = (old.weights[0] @ frame.monomials).std() or 1.0
            if m == 0 and old.kind in ("sin", "cos"):
                weights[:, 0] = rng.uniform(-np.pi, np.pi, warm)
            else:
                step = log_uniform(rng, 0.03, 3.0, warm) * size / frame.spread[m]
                weights[:, m] = signs(rng, warm) * step
        cold.weights[:warm] = weights
        if old.inner is not None:
            cold.share[:warm] = old.share
            zero = np.zeros(warm, int)
            assert cold.inner is not None
            for name in ("weights", "share", "exponent", "values"):
                getattr(cold.inner, name)[:warm] = getattr(taken(old.inner, zero), name)
        return factor_of(cold.kind, cold.weights, cold.share, cold.exponent, cold.inner, frame)

    def _nested(self, place: Place, beside: np.ndarray) -> Iterator[Neighbour]:
        """A function inside, by what the slope of the outer one makes of it."""
        old, table = self.factors[place], self.table
        if old.inner is not None or old.kind == "power" or not len(table.factors):
            return
        g, f = place
        at = (old.weights @ self.frame.monomials)[0]
        step = 1e-5 * (at.std() + 1e-12)
        up, down = (function_values(KIND[old.kind], at + s) for s in (step, -step))
        slope = (up - down) / (2 * step) * beside * self.weighted_outer(g)
        if not np.isfinite(slope).all():
            return
        columns = table.values * slope
        sizes = np.einsum("kdn,kdn->kd", columns, columns)
        basis, rest = self.left_by(self.columns())
        left, share = self.with_column(columns, sizes, table.good, basis, rest)
        found = 0
        for k in np.argsort(left.min(1)):
            d = int(left[k].argmin())
            inner = table.factors[k]
            if not np.isfinite(left[k, d]) or found == _INNER:
                break
            if inner.kind == "power":
                continue
            new, factors = self.copied(), dict(self.factors)
            new.inner_kind[0, g, f] = KIND[inner.kind]
            new.inner[0, g, f] = table.arguments[k]
            factors[place] = factor_of(
                old.kind, old.weights, share[k, d : d + 1], old.exponent,
                taken(inner, np.array([d])), self.frame,
            )  # fmt: skip
            found += 1
            yield Neighbour(new, factors, float(left[k, d]), "nested")


def _emptied(structure: Structures, g: int) -> None:
    for part in structure[1:]:
        part[0, g] = 0
