"""Sums of two functions whose constants lie between the points of their grids.

A pair on a grid leaves its own coarseness, more than many an imitation does. A function between two
neighbours of a grid is nearly a combination of both, so each function is looked at as the span of two
neighbours: what two such spans leave ranks pairs of functions whatever their constants, and the shares of the
neighbours say where between them the constants are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.search.engines.dictionary import compound_arguments, monomial_features, single_inputs
from jaxllc.search.engines.subset_beam import fitted_sum, mixed
from jaxllc.search.forms.function_atoms import Argument, Atom, atoms_of
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import spend
from jaxllc.search.forms.term_samples import Samples

_MOST_INPUTS = 3
_ROWS = 64
# Pairs of a block of rows that are looked at closer, and how far beyond its neighbours a function may lie.
_CLOSER, _BEYOND = 24, 0.5
# What is left of a neighbour beside the other, relative to it, when it counts as the same.
_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class _Function:
    """A multiple of an atom, or a monomial alone; cost: nats, about."""

    multiple: Argument
    atom: Atom | None
    cost: float

    def at(self, constant: float) -> sympy.Expr:
        if self.atom is None:
            return self.multiple.expression
        return self.multiple.expression * self.atom.build(np.array([constant]))


@dataclass(frozen=True, eq=False)
class Spans:
    """Functions between two neighbours of their grids.

    functions; of: (span,) the function of each; ends: (span, 2) constants of the neighbours; values:
    (span, 2, n) of both, the second nought for what has no constant.
    """

    functions: list[_Function]
    of: np.ndarray
    ends: np.ndarray
    values: np.ndarray


def function_spans(samples: Samples, grammar: Grammar) -> Spans:
    """Functions with one constant of one or two inputs, times monomials, and monomials alone."""
    singles = single_inputs(samples)
    one = Argument(sympy.Integer(1), np.ones(len(samples.values)), 0.0)
    monomials = monomial_features(singles, grammar)
    low = [one, *singles]
    squares = [m for m in monomials if m.cost == 2.0] if len(singles) < _MOST_INPUTS else []
    functions = [_Function(m, None, m.cost) for m in monomials]
    of, ends = list(range(len(functions))), [(0.0, 0.0)] * len(functions)
    nothing = np.zeros_like(one.values)
    values = [np.stack([m.values, nothing]) for m in monomials]
    arguments = [(u, False, [*low, *squares]) for u in singles]
    arguments += [(u, True, low) for u in compound_arguments(singles, grammar, ())]
    for argument, coarse, multiples in arguments:
        for atom in atoms_of(argument, grammar, coarse=coarse and len(singles) > 1):
            if atom.grid.shape[1] != 1:
                continue
            grid = atom.grid[:, 0]
            order = np.argsort(grid)
            for m in multiples:
                functions.append(_Function(m, atom, m.cost + atom.cost + (m.cost > 0)))
                for a, b in itertools.pairwise(order):
                    if grid[a] * grid[b] > 0:
                        of.append(len(functions) - 1)
                        ends.append((grid[a], grid[b]))
                        values.append(atom.values[[a, b]] * m.values)
    stacked = np.stack(values)
    good = np.isfinite(stacked).all(axis=(1, 2)) & (np.abs(stacked[:, 0]).max(axis=1) > 1e-12)
    return Spans(functions, np.array(of)[good], np.array(ends)[good], stacked[good])


def pair_sums(
    samples: Samples, grammar: Grammar, base: Sequence[sympy.Expr], count: int, independent: float
) -> Iterator[sympy.Expr]:
    """The best sums of two functions beside those of `base`, which are constants or inputs.

    count: how many; independent: as in the judge.
    """
    if samples.num_inputs > _MOST_INPUTS:
        return
    spans = function_spans(samples, grammar)
    spend("cells", spans.values.size)
    target, weight = samples.values, 1.0 / samples.error
    columns = samples.columns
    beside = [columns.get(e, np.full(len(target), 1.0)) for e in base]
    pairs = _closer(
        _best_pairs(spans, target * weight, weight, beside), spans, target, weight, beside
    )
    left = np.array([p[0] for p in pairs])
    cost = np.array([spans.functions[p[1]].cost + spans.functions[p[2]].cost for p in pairs])
    score = 0.5 * independent * np.log1p(left / len(target)) + cost
    seen: set[tuple[int, int]] = set()
    for place in mixed(left, score):
        _, first, second, *constants = pairs[place]
        if (first, second) in seen:
            continue
        seen.add((first, second))
        parts = [spans.functions[f].at(c) for f, c in zip((first, second), constants, strict=True)]
        memo = [np.broadcast_to(_values(e, samples), target.shape) for e in parts]
        if all(np.isfinite(v).all() for v in memo):
            yield fitted_sum([*parts, *base], [*memo, *beside], target, weight)
        if len(seen) >= count:
            break


def _best_pairs(
    spans: Spans, target: np.ndarray, weight: np.ndarray, beside: Sequence[np.ndarray]
) -> np.ndarray:
    """Pairs of spans, (pair, 2), that leave the least of a weighted target beside some columns."""
    basis = np.zeros((0, len(target)))
    if beside:
        basis = np.linalg.qr(np.stack([b * weight for b in beside], axis=1))[0].T
    rest = target - (basis @ target) @ basis
    length = np.linalg.norm(rest)
    rest = (rest / (length if length > 0 else 1.0)).astype(np.float32)
    near, far = _orthonormal(spans.values * weight, basis)
    by_near, by_far = near @ rest, far @ rest
    alone = by_near**2 + by_far**2
    constant = (np.abs(far).max(axis=1) == 0).astype(np.float32)
    count = len(near)
    spend("pairs", 2 * count * near.size)
    found = []
    for start in range(0, count, _ROWS):
        rows, later = slice(start, start + _ROWS), slice(start, None)
        first, second = near[rows], far[rows]
        other, beyond = near[later].T, far[later].T
        a, b, c, d = first @ other, first @ beyond, second @ other, second @ beyond
        one, two = by_near[rows, None], by_far[rows, None]
        # What the other's directions see of the rest, and their Gram matrix, beside the first function.
        h = by_near[later] - a * one - c * two
        k = by_far[later] - b * one - d * two
        p = 1.0 - a * a - c * c
        q = 1.0 - b * b - d * d
        r = -(a * b + c * d)
        determinant = p * q - r * r
        alone_there = (determinant < 1e-4) | (constant[later] > 0)
        with np.errstate(all="ignore"):
            gain = (q * h * h - 2 * r * h * k + p * k * k) / determinant
            gain = np.where(alone_there, h * h / p, gain)
        gain[~((p > 1e-3) & np.isfinite(gain))] = 0.0
        gain += alone[rows, None]
        square = gain[:, : len(gain)]
        square[np.tri(*square.shape) > 0] = 0.0
        most = min(_CLOSER, gain.size - 1)
        flat = np.argpartition(-gain.ravel(), most)[:most]
        found.append(start + np.column_stack(np.divmod(flat, count - start)))
    return np.concatenate(found)


def _orthonormal(values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two orthonormal directions of each span beside a basis; the second is nought where there is one."""

    def of_length_one(rows: np.ndarray, before: np.ndarray) -> np.ndarray:
        size = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where(size > _SAME * before, rows / np.where(size > 0, size, 1.0), 0.0)

    first, second = values[:, 0], values[:, 1]
    sizes = [np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
    first = of_length_one(first - (first @ basis.T) @ basis, sizes[0])
    second = second - (second @ basis.T) @ basis
    second = of_length_one(second - (second * first).sum(axis=1, keepdims=True) * first, sizes[1])
    return first.astype(np.float32), second.astype(np.float32)


def _closer(
    pairs: np.ndarray,
    spans: Spans,
    target: np.ndarray,
    weight: np.ndarray,
    beside: Sequence[np.ndarray],
) -> list[tuple[float, int, int, float, float]]:
    """What pairs leave, in units of the error, their functions and the constants of both; pairs with a
    constant that does not lie near its neighbours are left out."""
    found = []
    base = [b * weight for b in beside]
    for places in pairs:
        columns = [*(spans.values[places].reshape(4, -1) * weight), *base]
        matrix = np.stack(columns, axis=1)
        size = np.sqrt((matrix**2).sum(axis=0))
        used = size > 0
        matrix = matrix[:, used] / size[used]
        solved, *_ = np.linalg.lstsq(matrix, target * weight, rcond=1e-9)
        rest = target * weight - matrix @ solved
        shares = np.zeros(len(size))
        shares[used] = solved / size[used]
        ends = spans.ends[places]
        one, two = _between(ends[0], shares[:2]), _between(ends[1], shares[2:4])
        if np.isfinite(one) and np.isfinite(two):
            first, second = spans.of[places]
            found.append((float(rest @ rest), int(first), int(second), one, two))
    return found


def _between(ends: np.ndarray, shares: np.ndarray) -> float:
    """The constant between two neighbours by their shares; nan where it is none."""
    if ends[0] == ends[1]:
        return float(ends[0])
    total = shares.sum()
    share = shares[1] / total if total else np.nan
    if not -_BEYOND <= share <= 1 + _BEYOND:
        return np.nan
    return float(ends[0] * (ends[1] / ends[0]) ** np.clip(share, 0.0, 1.0))


def _values(expression: sympy.Expr, samples: Samples) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(evaluate(expression, dict(samples.columns)), float)
