"""Functions of one argument on grids of their constants: what a dictionary of features is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy

from jaxllc.equations.function_table import DEFAULT_FUNCTIONS, TABLE
from jaxllc.equations.functions import FUNCTIONS, sigmoid
from jaxllc.equations.skeletons import made
from jaxllc.search.forms.grammar import Grammar

# Searched apart as well as together: where functions of all kinds are at hand, some set of them often
# imitates a plainer truth before the grids are refined.
GROUPS = {
    "exponential": ("exp", "bell", "rise"),
    "wave": ("sin", "cos"),
    "step": ("sigmoid", "tanh", "odd tanh"),
    "root": ("log", "log of 1", "sqrt", "power"),
    "ratio": ("over", "over2", "over3", "over4", "hill1", "hill2", "hill3", "hill4"),
    "kink": ("abs", "min", "max"),
}
# Exponents of a power law, away from those of monomials; the nearest one is refitted.
_EXPONENTS, _INVERSE_EXPONENTS = (0.25, 0.7, 1.3, 1.7, 2.4), (-0.4, -1.5)
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


@dataclass(frozen=True, eq=False)
class Argument:
    """What a function is applied to."""

    expression: sympy.Expr
    values: np.ndarray
    cost: float = 1.0

    @cached_property
    def name(self) -> str:
        return str(self.expression)


@dataclass(frozen=True, eq=False)
class Atom:
    """A function of one argument on a grid of its constants.

    build: constants -> sympy expression; values: (grid, n); grid: (grid, constant); cost: nats, about.
    bands: (grid,) parts of the grid of which one sum may hold one each, as two harmonics; all one by default.
    """

    family: str
    group: str
    cost: float
    build: Callable[[np.ndarray], sympy.Expr]
    grid: np.ndarray
    values: np.ndarray
    bands: np.ndarray


def _turns(step: float, lowest: float = 1.5, highest: float = 25.0) -> np.ndarray:
    """Turns of a wave over the inputs' range: neighbours differ by at most a quarter, and by at most `step`
    radians, beyond which a wave between two of the grid is like neither."""
    found = [lowest]
    while found[-1] < highest:
        found.append(found[-1] + min(step, 0.25 * found[-1]))
    return np.array(found)


def varies(values: np.ndarray) -> bool:
    return bool(np.std(values) > 1e-9 * np.abs(values).max())


def atoms_of(u: Argument, grammar: Grammar, coarse: bool = False) -> Iterator[Atom]:
    """All functions of an argument that a grammar allows, on full or coarse grids."""
    x, v = u.expression, u.values
    if not varies(v):
        return
    spread, low, high = float(np.std(v)), float(v.min()), float(v.max())
    width = high - low
    allowed = set(grammar.functions)
    single = x.is_Symbol

    def atom(name: str, grid, evaluate, write, bands=None, group: str = "") -> Atom:
        grid = np.asarray(grid, dtype=float)
        grid = grid[:, None] if grid.ndim == 1 else grid
        with np.errstate(all="ignore"):
            values = np.stack([evaluate(v, *row) for row in grid])
        cost = 3.0 + 2.5 * grid.shape[1] + u.cost
        return Atom(
            f"{name}({u.name})",
            group or _GROUP_OF[name],
            cost,
            lambda row: write(x, *map(sympy.Float, row)),
            grid,
            values,
            np.zeros(len(grid), int) if bands is None else bands,
        )

    if "exp" in allowed:
        rates = np.geomspace(0.35, 7.0, 5 if coarse else 8) / spread
        grid = np.concatenate([-rates, rates])
        grid = grid[np.maximum(grid * low, grid * high) < 12]
        if len(grid):
            yield atom(
                "exp", grid, lambda v, a: np.exp(a * v), lambda x, a: made(sympy.exp, [a * x])
            )
        rises = rates[rates * low > -12]
        if len(rises):
            yield atom(
                "rise",
                rises,
                lambda v, a: -np.expm1(-a * v),
                lambda x, a: 1 - made(sympy.exp, [-a * x]),
            )
    turns = _turns(2.0 if coarse else 1.2) / width
    octaves = np.floor(np.log2(turns / turns[0]) + 1e-9).astype(int)
    if "sin" in allowed:
        # Not nought, or the phase would vanish from the expression.
        phases = np.pi * np.array([0.003, 0.5] if coarse else [0.003, 0.25, 0.5, 0.75])
        waves = [(w, p) for w in turns for p in phases]
        yield atom(
            "sin",
            waves,
            lambda v, w, p: np.sin(w * v + p),
            lambda x, w, p: made(sympy.sin, [w * x + p]),
            np.repeat(octaves, len(phases)),
        )
    elif "cos" in allowed:
        yield atom(
            "cos",
            turns,
            lambda v, w: np.cos(w * v),
            lambda x, w: made(sympy.cos, [w * x]),
            octaves,
        )
    if "sigmoid" in allowed or "tanh" in allowed:
        slopes = np.array([2.0, 6.0, 18.0] if coarse else [1.2, 2.5, 5.0, 10.0, 25.0]) / spread
        middles = np.quantile(
            v, [0.15, 0.5, 0.85] if coarse else [0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92]
        )
        if coarse and low < 0 < high:
            # Of a difference, nought is the likeliest middle.
            middles = np.append(middles, 0.0)
        steps = [(a, c) for a in slopes for c in middles]
        if "sigmoid" in allowed:
            yield atom(
                "sigmoid",
                steps,
                lambda v, a, c: 0.5 + 0.5 * np.tanh(0.5 * a * (v - c)),
                lambda x, a, c: made(sigmoid, [a * x - a * c]),
            )
        if "tanh" in allowed and not coarse:
            yield atom(
                "tanh",
                [(0.5 * a, c) for a, c in steps],
                lambda v, a, c: np.tanh(a * (v - c)),
                lambda x, a, c: made(sympy.tanh, [a * x - a * c]),
            )
    if "tanh" in allowed:
        # Apart from those with an offset, which have a constant more.
        yield atom(
            "odd tanh",
            np.geomspace(0.4, 15.0, 5 if coarse else 8) / float(np.sqrt(np.mean(v**2))),
            lambda v, a: np.tanh(a * v),
            lambda x, a: made(sympy.tanh, [a * x]),
        )
    above = -low + width * np.geomspace(0.01, 3.0, 4 if coarse else 7)
    if low > 0:
        above = np.concatenate([[0.0], above[above > 0]]) if not coarse else np.append(above, 0.0)
    if "log" in allowed:
        yield atom("log", above, lambda v, c: np.log(v + c), lambda x, c: made(sympy.log, [x + c]))
        if low > -0.1 * high:
            # With one constant, where log(x + c) beside a constant has two.
            scales = np.geomspace(0.3, 8.0, 3 if coarse else 5) / high
            yield atom(
                "log of 1",
                scales,
                lambda v, a: np.log1p(a * v),
                lambda x, a: made(sympy.log, [1 + a * x]),
            )
    if "sqrt" in allowed:
        if low > 0:
            exponents = _EXPONENTS + (_INVERSE_EXPONENTS if grammar.division else ())
            yield atom(
                "power",
                exponents[1:4] if coarse else exponents,
                lambda v, p: np.power(v, p),
                lambda x, p: x**p,
            )
        yield atom("sqrt", above, lambda v, c: np.sqrt(v + c), lambda x, c: sympy.sqrt(x + c))
    if grammar.division:
        below = -high - width * np.geomspace(0.02, 3.0, 3 if coarse else 5)
        if not coarse:
            above = np.concatenate([above, below])
        yield atom("over", above[above != 0], lambda v, c: 1 / (v + c), lambda x, c: 1 / (x + c))
        largest = max(abs(low), abs(high))
        for power in (2, 3, 4) if single and not coarse else (2,):
            if power % 2 and low < 0:
                continue
            halves = (largest * np.geomspace(0.06, 1.0, 4 if coarse else 6)) ** power
            if single:
                yield atom(
                    f"hill{power}",
                    halves,
                    lambda v, c, n=power: v**n / (v**n + c),
                    lambda x, c, n=power: x**n / (x**n + c),
                )
            yield atom(
                f"over{power}",
                halves,
                lambda v, c, n=power: c / (v**n + c),
                lambda x, c, n=power: 1 / (x**n / c + 1),
            )
    if "exp" in allowed and not coarse:
        yield atom(
            "bell",
            np.geomspace(0.1, 6.0, 6) / spread**2,
            lambda v, a: np.exp(-a * v * v),
            lambda x, a: made(sympy.exp, [-a * x**2]),
        )
    kinks = np.quantile(v, [0.2, 0.5, 0.8] if coarse else [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9])
    if low < 0 < high:
        kinks = np.append(kinks, 0.0)
    if "abs" in allowed:
        yield atom("abs", kinks, lambda v, c: np.abs(v - c), lambda x, c: made(sympy.Abs, [x - c]))
    if "max" in allowed:
        yield atom(
            "max", kinks, lambda v, c: np.maximum(v, c), lambda x, c: made(sympy.Max, [x, c])
        )
    if "min" in allowed:
        yield atom(
            "min", kinks, lambda v, c: np.minimum(v, c), lambda x, c: made(sympy.Min, [x, c])
        )
    # Functions without grids of their own, which are searched where they are asked for.
    more = [name for name in grammar.functions if name not in DEFAULT_FUNCTIONS]
    slopes = np.array([0.5, 2.0, 6.0] if coarse else [0.4, 1.0, 2.5, 5.0, 10.0]) / spread
    for name in more:
        record, value, function = TABLE[name], TABLE[name].exact_value, FUNCTIONS[name]
        rates = slopes if record.parity else np.concatenate([slopes, -slopes])
        middles = np.quantile(v, [0.15, 0.5, 0.85] if coarse else [0.08, 0.2, 0.35, 0.5, 0.65, 0.8])
        yield atom(
            f"plain {name}",
            rates,
            lambda v, a, value=value: value(a * v),
            lambda x, a, function=function: made(function, [a * x]),
            group=record.group,
        )
        yield atom(
            name,
            [(a, c) for a in rates for c in middles],
            lambda v, a, c, value=value: value(a * (v - c)),
            lambda x, a, c, function=function: made(function, [a * x - a * c]),
            group=record.group,
        )


def coarser(atom: Atom, count: int = 5) -> Atom:
    """The atom on at most `count` points of its grid."""
    if len(atom.grid) <= count:
        return atom
    kept = np.unique(np.linspace(0, len(atom.grid) - 1, count).astype(int))
    return replace(atom, grid=atom.grid[kept], values=atom.values[kept], bands=atom.bands[kept])
