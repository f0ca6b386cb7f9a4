"""Terms that the library of the first search lacks, which the regression around a law can afford.

A second family of a function, in another range of its inner constant, lets a law hold two of a kind: two
waves, two decays, two saturations of different halves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, inner_symbol
from jaxllc.search.laws.library import Scale, families, function_atoms, geometric
from jaxllc.search.laws.search_problem import SearchProblem

_W0 = inner_symbol(0)


def listed_terms(search: SearchProblem, equation: int) -> list[Term]:
    """All terms that libraries list for an equation, without functions of sums if these are not searched."""
    return [*search.candidates(equation), *wide_terms(search, equation)]


def wide_terms(search: SearchProblem, equation: int) -> list[Term]:
    """Terms beyond the library that an equation may hold."""
    terms: list[Term] = []
    for name in search.variables:
        own, other = sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")
        scale = search.scales[name]
        for atom in function_atoms(own, scale, (1, 2), rich=False):
            terms += atom.terms(SELF, own)
        for side, x in ((SELF, own), (INTERACTION, other)):
            terms += _waves_and_decays(side, x, scale)
        for x, y in ((own, other), (other, own)):
            terms += _bent(x, y, scale)
    listed = {t.family for t in search.library}
    allowed = search.allowed([t for t in terms if t.family not in listed])
    return [t for t in allowed if not search.prior.holds(equation, t.family)]


def _waves_and_decays(side: str, x: sympy.Symbol, scale: Scale) -> Iterator[Term]:
    turns = [t / scale.width for t in geometric(2.0, 14.0, 1.6)]
    decays = geometric(0.7 / scale.width, 6.0 / scale.middle_width, 1.5)
    yield from families(side, sympy.cos(_W0 * x), [(t,) for t in turns], (True,))
    fast = turns[len(turns) // 2 :]
    yield from families(side, sympy.sin(_W0 * x), [(t,) for t in fast], (True,), 1.3)
    yield from families(side, x * sympy.exp(-_W0 * x), [(r,) for r in decays], (True,))
    half = len(decays) // 2
    for part in (decays[:half], decays[half:]):
        yield from families(side, sympy.exp(-_W0 * x), [(r,) for r in part], (True,), 1.3)
    if not scale.positive:
        return
    lowest = np.clip(0.4 * scale.quantiles[0], 0.005 * scale.high, 0.1 * scale.high)
    halves = geometric(float(max(lowest, 3 * scale.dip)), scale.high, 1.9)
    for part in (halves[: len(halves) // 2], halves[len(halves) // 2 :]):
        for power in (1, 2):
            raised = x**power
            grid = [(float(h**power),) for h in part]
            reach = 1.4**power
            yield from families(side, raised / (raised + _W0), grid, (True,), reach)


def _bent(x: sympy.Symbol, y: sympy.Symbol, scale: Scale) -> Iterator[Term]:
    """x tanh(w y), where y takes both signs or not."""
    slopes = geometric(1.0 / scale.size, 8.0 / scale.middle_width, 2.2)
    yield from families(INTERACTION, x * sympy.tanh(_W0 * y), [(t,) for t in slopes], (True,))
