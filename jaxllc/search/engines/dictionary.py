"""A dictionary of features of one term's inputs: monomials, functions on grids of inner constants, products.

A feature is a function without a coefficient; its column holds its values at the samples. The grids are
coarse, since whatever set of features is chosen is refitted afterwards; a family is a feature up to its grid.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.equations.skeletons import made
from jaxllc.search.forms.function_atoms import Argument, Atom, atoms_of, coarser, varies
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import spend
from jaxllc.search.forms.term_samples import Samples

_LARGEST = 1e12
# Groups whose columns are asked for several times.
_OFTEN = (None, "none")
_RATIOS = (0.35, 0.6, 1.0, 1.7, 3.0)
# The same where all pairs of features are looked at.
_FEW_RATIOS = (0.5, 2.0)


@dataclass
class Dictionary:
    """Columns of all features, (feature, n), their families, and how to write each one down."""

    blocks: list[np.ndarray] = field(default_factory=list)
    writers: list[Callable[[int], sympy.Expr]] = field(default_factory=list)
    families: list[np.ndarray] = field(default_factory=list)
    costs: list[np.ndarray] = field(default_factory=list)
    kinds: list[frozenset[str]] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    _names: dict[str, int] = field(default_factory=dict)
    _joined: dict[str | None, Features] = field(default_factory=dict)
    _good: dict[int, np.ndarray] = field(default_factory=dict)
    _written: dict[int, sympy.Expr] = field(default_factory=dict)

    def add(
        self,
        values: np.ndarray,
        write: Callable[[int], sympy.Expr],
        names: Sequence[str],
        costs: Sequence[float] | np.ndarray,
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        """Columns (feature, n); write: position among them -> expression; for each a family's name, and
        about how many nats it takes to write it down; kinds: names of the groups its functions are in."""
        spend("cells", values.size)
        self._joined.clear()
        self.blocks.append(values)
        self.writers.append(write)
        ids = [self._names.setdefault(name, len(self._names)) for name in names]
        self.families.append(np.array(ids, dtype=np.int64))
        self.costs.append(np.asarray(costs, dtype=float))
        self.kinds.append(kinds)
        self.starts.append(self.starts[-1] + len(values))

    def expression(self, position: int) -> sympy.Expr:
        """The feature at a position."""
        if position not in self._written:
            block, place = self._place(position)
            self._written[position] = self.writers[block](place)
        return self._written[position]

    def constants(self, positions: Sequence[int]) -> int:
        """How many decimal numbers stand in some features."""
        numbers = (self.expression(p).atoms(sympy.Float) for p in positions)
        return len(set().union(*numbers))

    def columns(self, group: str | None = None) -> Features:
        """The usable features, all or those without functions of other groups; not to be written to."""
        if group not in self._joined:
            found = self._columns(group)
            if group not in _OFTEN:
                return found
            self._joined[group] = found
        return self._joined[group]

    def _columns(self, group: str | None) -> Features:
        chosen = [k for k, kinds in enumerate(self.kinds) if group is None or kinds <= {group}]
        values = np.concatenate([self.blocks[k] for k in chosen])
        places = [np.arange(self.starts[k], self.starts[k + 1]) for k in chosen]
        good = np.concatenate([self._usable(k) for k in chosen])
        family = np.concatenate([self.families[k] for k in chosen])
        cost = np.concatenate([self.costs[k] for k in chosen])
        features = Features(values, family, cost, np.concatenate(places))
        return features if good.all() else Features(*(part[good] for part in features))

    def _usable(self, block: int) -> np.ndarray:
        """Which columns of a block are neither nought nor out of all range, (feature,)."""
        if block not in self._good:
            values = self.blocks[block]
            with np.errstate(all="ignore"):
                size = np.maximum(values.max(axis=1), -values.min(axis=1))
            # False also for nan, which a maximum hands on.
            self._good[block] = (size > 1e-12) & (size < _LARGEST)
        return self._good[block]

    def values(self, position: int) -> np.ndarray:
        """The column of the feature at a position, (n,)."""
        block, place = self._place(position)
        return self.blocks[block][place]

    def _place(self, position: int) -> tuple[int, int]:
        """The block that a position lies in, and its place there."""
        block = bisect_right(self.starts, position) - 1
        return block, position - self.starts[block]


class Features(NamedTuple):
    """Columns (feature, n); family, cost and position in the dictionary of each."""

    values: np.ndarray
    family: np.ndarray
    cost: np.ndarray
    positions: np.ndarray


def build_dictionary(samples: Samples, grammar: Grammar) -> Dictionary:
    """All features of the inputs of some samples that a grammar allows."""
    singles = single_inputs(samples)
    found = Dictionary()
    monomials = monomial_features(singles, grammar)
    values = np.stack([m.values for m in monomials])
    found.add(
        values,
        lambda k: monomials[k].expression,
        [m.name for m in monomials],
        [m.cost for m in monomials],
    )
    simple = [
        m for m in monomials if _total_degree(m.expression) <= (2 if len(singles) <= 3 else 1)
    ]
    linear = [m for m in simple if _total_degree(m.expression) <= 1]
    own = [list(atoms_of(u, grammar)) for u in singles]
    for atoms in own:
        for atom in atoms:
            _add_multiples(found, atom, simple)
    for argument in compound_arguments(singles, grammar):
        for atom in atoms_of(argument, grammar, coarse=len(singles) > 1):
            multiples = {1: simple, 2: simple, 3: linear}.get(len(singles), linear[:1])
            _add_multiples(found, atom, multiples)
    if len(singles) <= 4:
        for first, second in itertools.combinations(own, 2):
            _add_products(found, [coarser(a) for a in first], [coarser(a) for a in second])
    if len(singles) <= 2:
        _add_richer_products(found, singles, own, linear, grammar)
    for a, b in itertools.combinations(singles, 2):
        _add_extremes(found, a, b, grammar)
    return found


def _add_richer_products(
    found: Dictionary,
    singles: Sequence[Argument],
    own: Sequence[Sequence[Atom]],
    linear: Sequence[Argument],
    grammar: Grammar,
) -> None:
    """Products of two functions of one input, and of the inputs' difference with functions of either."""
    for atoms in own:
        coarse = [coarser(a, 12 if a.group == "wave" else 4) for a in atoms]
        for k, first in enumerate(coarse):
            others = [a for a in coarse[k + 1 :] if a.group != first.group]
            _add_products(found, [first], others, linear)
    if len(singles) == 2:
        a, b = singles
        gap = Argument(a.expression - b.expression, a.values - b.values, 3.0)
        between = [coarser(atom, 6) for atom in atoms_of(gap, grammar, coarse=True)]
        for k, first in enumerate(between):
            others = [x for x in between[k + 1 :] if x.group != first.group]
            _add_products(found, [first], others)
        for atoms in own:
            _add_products(found, between, [coarser(atom, 4) for atom in atoms])


def single_functions(samples: Samples, grammar: Grammar) -> Dictionary:
    """Features that are no products: one input, a function of one argument, a sum of two inputs."""
    singles = single_inputs(samples)
    found = factor_features(samples, grammar)
    for m in monomial_features(singles, grammar):
        if m.cost > 0 and len(m.expression.free_symbols) == 1:
            found.add(m.values[None], partial(_itself, m), [m.name], [m.cost])
    one = Argument(sympy.Integer(1), np.ones(len(samples.values)), 0.0)
    for u in singles:
        for atom in atoms_of(u, grammar):
            # x/(x + c) and x exp(c x) are one factor, not two.
            twice = atom.family in (f"over({u.name})", f"exp({u.name})")
            _add_multiples(found, atom, [one, u] if twice else [one])
    for u in compound_arguments(singles, grammar, _FEW_RATIOS):
        for atom in atoms_of(u, grammar, coarse=len(singles) > 1):
            _add_multiples(found, atom, [one])
    return found


def factor_features(samples: Samples, grammar: Grammar) -> Dictionary:
    """What besides functions may be a factor: sums of two inputs, and an input plus a constant."""
    singles = single_inputs(samples)
    found = Dictionary()
    for u in compound_arguments(singles, grammar):
        if u.expression.is_Add:
            found.add(u.values[None], partial(_itself, u), [f"({u.name})"], [u.cost])
    for u in singles:
        width = np.ptp(u.values)
        low, high = float(u.values.min()), float(u.values.max())
        shifts = np.concatenate(
            [
                low - width * np.geomspace(0.02, 3.0, 6),
                np.linspace(low, high, 9),
                high + width * np.geomspace(0.02, 3.0, 6),
            ]
        )
        found.add(
            u.values - shifts[:, None],
            partial(_shifted, u, shifts),
            [f"({u.name}+c)"] * len(shifts),
            [3.5] * len(shifts),
        )
    return found


def _itself(u: Argument, _: int) -> sympy.Expr:
    return u.expression


def _shifted(u: Argument, shifts: np.ndarray, k: int) -> sympy.Expr:
    return u.expression - sympy.Float(float(shifts[k]))


def single_inputs(samples: Samples) -> list[Argument]:
    """The inputs that vary; a constant one has no features of its own."""
    found = [
        Argument(sympy.Symbol(name), samples.points[:, k]) for k, name in enumerate(samples.names)
    ]
    return [u for u in found if varies(u.values)] or found[:1]


def monomial_columns(samples: Samples, grammar: Grammar) -> tuple[list[sympy.Expr], np.ndarray]:
    """The polynomial part alone: expressions and columns (feature, n)."""
    singles = single_inputs(samples)
    chosen = [m for m in monomial_features(singles, grammar) if _is_polynomial(m.expression)]
    return [m.expression for m in chosen], np.stack([m.values for m in chosen])


def _total_degree(e: sympy.Expr) -> int:
    if e.is_Symbol:
        return 1
    if e.is_Mul:
        return sum(_total_degree(a) for a in e.args)
    if e.is_Pow:
        return int(abs(2 * e.exp)) * _total_degree(e.base) if e.exp != 2 else 2
    return 0


def _is_polynomial(e: sympy.Expr) -> bool:
    return all(p.exp.is_Integer and p.exp > 0 for p in e.atoms(sympy.Pow))


def monomial_features(singles: Sequence[Argument], grammar: Grammar) -> list[Argument]:
    count = len(singles)
    degree = min(grammar.largest_power, {1: 5, 2: 4, 3: 4, 4: 3}.get(count, 2)) if count else 0
    degree = max(degree, 2)
    ones = Argument(sympy.Integer(1), np.ones(len(singles[0].values)), 0.0)
    found = [ones]
    for total in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(singles, total):
            found.append(_product(chosen))
    if count > 4:
        # Cubes of single variables are common in models of neurons.
        found += [_product([u] * 3) for u in singles]
    roots: list[Argument] = []
    for u in singles:
        away = u.values.min() > 0 or u.values.max() < 0
        others = [ones, *(v for v in singles if v is not u)]
        if u.values.min() >= 0 and "sqrt" in grammar.functions:
            root = Argument(sympy.sqrt(u.expression), np.sqrt(np.maximum(u.values, 0)), 2.5)
            found += [_product([root, v]) for v in others]
            found.append(_product([root, u]))
            found += [_product([other, root]) for other in roots]
            roots.append(root)
        if away and grammar.division:
            for power in (1, 2):
                inverse = Argument(u.expression**-power, u.values ** -float(power), 1.5)
                found += [_product([inverse, v]) for v in others]
                found += [_product([inverse, v, v]) for v in singles if v is not u]
    return found


def _product(arguments: Sequence[Argument]) -> Argument:
    expression = sympy.Mul(*(a.expression for a in arguments))
    cost = sum(a.cost for a in arguments)
    return Argument(expression, np.prod([a.values for a in arguments], axis=0), cost)


def compound_arguments(
    singles: Sequence[Argument], grammar: Grammar, relative: Sequence[float] = _RATIOS
) -> Iterator[Argument]:
    """Arguments of two inputs, and squares; relative: coefficients of the second of two, in their spreads."""
    for u in singles:
        yield _product([u, u])
    for a, b in itertools.combinations(singles, 2):
        names = {a.name[:-2], b.name[:-2]}
        sides = {a.name[-2:], b.name[-2:]} == {"_i", "_j"}
        if len(singles) > 4 and not (sides and len(names) == 1):
            continue
        scale = np.std(a.values) / max(np.std(b.values), 1e-300)
        ratios = [1.0, *(r * scale for r in relative if abs(r * scale - 1) > 0.1)]
        for ratio in ratios:
            for sign in (1, -1):
                share = sympy.Integer(sign) if ratio == 1 else sympy.Float(sign * ratio)
                expression = a.expression + share * b.expression
                cost = 3.0 if ratio == 1 else 5.0
                yield Argument(expression, a.values + sign * ratio * b.values, cost)
        yield _product([a, b])
        if len(singles) <= 3:
            if grammar.division:
                for top, below in ((a, b), (b, a)):
                    if below.values.min() > 0 or below.values.max() < 0:
                        ratio_ = top.expression / below.expression
                        yield Argument(ratio_, top.values / below.values, 3.0)
            yield Argument(a.expression**2 + b.expression**2, a.values**2 + b.values**2, 5.0)


def _add_multiples(found: Dictionary, atom: Atom, monomials: Sequence[Argument]) -> None:
    count = len(atom.grid)
    values = np.concatenate([atom.values * m.values for m in monomials])

    def write(k: int) -> sympy.Expr:
        return monomials[k // count].expression * atom.build(atom.grid[k % count])

    families = [f"{atom.family}{band or ''}" for band in atom.bands]
    names = [f"{m.name}*{family}" for m in monomials for family in families]
    costs = np.repeat([m.cost + atom.cost + (m.cost > 0) for m in monomials], count)
    found.add(values, write, names, costs, frozenset({atom.group}))


def _add_products(
    found: Dictionary,
    first: Sequence[Atom],
    second: Sequence[Atom],
    monomials: Sequence[Argument] = (),
) -> None:
    """Products of an atom of each list, and these times the monomials that are not one."""
    factors = [None, *(m for m in monomials if m.cost > 0)]
    for a in first:
        for b in second:
            values = (a.values[:, None] * b.values[None]).reshape(-1, a.values.shape[1])
            kinds = frozenset({a.group, b.group})
            for m in factors:
                name = f"{a.family}*{b.family}" + (f"*{m.name}" if m is not None else "")
                cost = a.cost + b.cost + 1 + (m.cost + 1 if m is not None else 0)
                found.add(
                    values if m is None else values * m.values,
                    partial(_product_of, a, b, m),
                    [name] * len(values),
                    np.full(len(values), cost),
                    kinds,
                )


def _product_of(a: Atom, b: Atom, m: Argument | None, k: int) -> sympy.Expr:
    count = len(b.grid)
    both = a.build(a.grid[k // count]) * b.build(b.grid[k % count])
    return both if m is None else m.expression * both


def _add_extremes(found: Dictionary, a: Argument, b: Argument, grammar: Grammar) -> None:
    """min and max of two inputs."""
    scale = np.std(a.values) / max(np.std(b.values), 1e-300)
    ratios = [
        1.0,
        *(s * r * scale for s in (1, -1) for r in _RATIOS if abs(s * r * scale - 1) > 0.1),
    ]
    for name, function, numeric in (("min", sympy.Min, np.minimum), ("max", sympy.Max, np.maximum)):
        if name in grammar.functions:
            values = np.stack([numeric(a.values, r * b.values) for r in ratios])

            def write(k: int, function=function) -> sympy.Expr:
                share = sympy.Integer(1) if k == 0 else sympy.Float(ratios[k])
                return made(function, [a.expression, share * b.expression])

            names = [f"{name}({a.name},{b.name})"] * len(ratios)
            found.add(values, write, names, np.full(len(ratios), 7.0), frozenset({"kink"}))
