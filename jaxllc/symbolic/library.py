"""Candidate terms: families of the field's self and interaction terms with grids of inner constants.

The grids are coarse (ratio about two): the search carries each term's derivative by its inner constants
along, so a term stands for its whole neighbourhood and is refined later.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from jaxllc.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol, sigmoid

_W0, _W1 = inner_symbol(0), inner_symbol(1)


class Scale:
    """Range of one variable over the data, from which the grids of inner constants are made."""

    def __init__(self, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)]
        self.low, self.high = (float(q) for q in np.quantile(finite, [0.005, 0.995]))
        self.std = float(max(np.std(finite), 1e-300))
        self.size = float(max(abs(self.low), abs(self.high), 1e-300))
        self.width = max(self.high - self.low, 1e-300)
        self.positive = bool(np.min(finite) >= -1e-3 * self.size) and self.high > 0


def _families(side: str, expression: sympy.Expr, grid: Sequence[tuple[float, ...]], positive: tuple[bool, ...]):
    # Just beyond the grid: outside it these functions are straight lines, powers or steps on the data.
    bounds = []
    for k, logarithmic in enumerate(positive):
        values = [inner[k] for inner in grid]
        low, high = min(values), max(values)
        reach = 0.3 * (high - low)
        bounds.append((low / 1.6, high * 1.6) if logarithmic else (low - reach, high + reach))
    family = TermFamily(side, expression, positive, tuple(bounds))
    return [Term(family, tuple(float(w) for w in inner)) for inner in grid]


def _plain(side: str, expression: sympy.Expr) -> list[Term]:
    return [Term(TermFamily(side, expression))]


def _monomials(symbols: Sequence[sympy.Symbol], degree: int) -> list[sympy.Expr]:
    found: list[sympy.Expr] = []
    for total in range(degree + 1):
        for chosen in itertools.combinations_with_replacement(symbols, total):
            found.append(sympy.Mul(*chosen))
    return found


def _atoms(symbol: sympy.Symbol, scale: Scale, hill_powers: Sequence[int], rich: bool):
    """Parametric functions of one variable: (expression, grid, positive) triples."""
    atoms = []
    turns = np.array([1.0, 1.5, 2.2, 3.3, 5.0, 7.5, 11.0] if rich else [1.5, 3.0, 6.0])
    atoms.append((sympy.sin(_W0 * symbol), [(t / scale.width,) for t in 2 * turns], (True,)))
    atoms.append((sympy.exp(-_W0 * symbol), [(t / scale.width,) for t in (1.0, 2.5, 6.0)], (True,)))
    if rich:
        steep = np.array([3.0, 6.0, 12.0, 24.0, 48.0])
        middle = scale.low + scale.width * np.array([0.05, 0.15, 0.3, 0.5, 0.7, 0.9])
        atoms.append(
            (
                sigmoid(_W0 * symbol - _W0 * _W1),
                [(t / scale.width, m) for t in steep for m in middle],
                (True, False),
            )
        )
    if scale.positive:
        halves = scale.high * np.array([0.05, 0.12, 0.25, 0.5, 1.0])
        for power in hill_powers:
            raised = symbol**power
            atoms.append((raised / (raised + _W0), [(float(k**power),) for k in halves], (True,)))
    return atoms


def candidate_terms(
    variables: Sequence[str],
    feature_names: Sequence[str],
    scales: Mapping[str, Scale],
    regular_network: bool,
    normalised: bool,
) -> list[Term]:
    """All candidate terms, the same for each equation.

    regular_network: every node has the same total input weight, so that terms of the receiver alone and the
        plain x_j are left out of the interaction (they are not identifiable beside the self term).
    normalised: also terms divided by the receiver's total input weight k_i.
    """
    own = {v: sympy.Symbol(f"{v}_i") for v in variables}
    other = {v: sympy.Symbol(f"{v}_j") for v in variables}
    terms: list[Term] = []
    for monomial in _monomials(list(own.values()), 3):
        terms += _plain(SELF, monomial)
    for name in feature_names:
        feature = sympy.Symbol(f"{name}_i")
        for monomial in _monomials(list(own.values()), 2):
            terms += _plain(SELF, feature * monomial)
    for v in variables:
        for expression, grid, positive in _atoms(own[v], scales[v], (1, 2), rich=False):
            terms += _families(SELF, expression, grid, positive)
    terms += _interactions(variables, own, other, scales, regular_network, normalised)
    for name in feature_names:
        for feature in (sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")):
            for v in variables:
                for part in (other[v], own[v] * other[v], other[v] - own[v]):
                    terms += _plain(INTERACTION, sympy.expand(feature * part))
    return terms


def _interactions(variables, own, other, scales, regular_network, normalised) -> list[Term]:
    terms: list[Term] = []
    degree = sympy.Symbol("k_i")
    for v in variables:
        x_i, x_j, scale = own[v], other[v], scales[v]
        difference = x_j - x_i
        terms += _plain(INTERACTION, difference)
        polynomial = [x_j**2, x_j**3, x_i * x_j**2, x_i**2 * x_j]
        if not regular_network:
            polynomial += [x_j, x_i, x_i**2]
        terms += [t for p in polynomial for t in _plain(INTERACTION, p)]
        terms += [t for u in variables for t in _plain(INTERACTION, own[u] * x_j)]
        for u, w in itertools.combinations(variables, 2):
            terms += _plain(INTERACTION, own[u] * own[w] * x_j)
        turns = np.array([1.2, 1.8, 2.7, 4.0, 6.0, 9.0]) / scale.width
        terms += _families(
            INTERACTION, sympy.sin(_W0 * x_j - _W0 * x_i), [(2 * t,) for t in turns], (True,)
        )
        terms += _families(
            INTERACTION, sympy.cos(_W0 * x_j - _W0 * x_i), [(2 * t,) for t in turns], (True,)
        )
        steep = [(t / scale.width,) for t in (2.0, 4.0, 8.0, 16.0)]
        terms += _families(INTERACTION, sympy.tanh(_W0 * difference), steep, (True,))
        # sigmoid(u) = 1/2 + tanh(u/2)/2, so on a regular network it is not told from a tanh.
        if not regular_network:
            terms += _families(INTERACTION, sigmoid(_W0 * difference), steep, (True,))
        for expression, grid, positive in _atoms(x_j, scale, (1, 2, 3, 4), rich=True):
            terms += _families(INTERACTION, expression, grid, positive)
            terms += _families(INTERACTION, x_i * expression, grid, positive)
        if scale.positive:
            sizes = np.array([0.15, 0.5, 1.7, 6.0]) / scale.high
            terms += _families(
                INTERACTION,
                x_i * x_j / (1 + _W0 * x_i + _W1 * x_j),
                [(e, h) for e in sizes for h in sizes],
                (True, True),
            )
            terms += _families(
                INTERACTION, x_i * x_j / (1 + _W0 * x_i), [(e,) for e in sizes], (True,)
            )
        if normalised:
            terms += _plain(INTERACTION, sympy.expand(difference / degree))
            terms += _plain(INTERACTION, x_i * x_j / degree)
            terms += _families(
                INTERACTION,
                sympy.sin(_W0 * x_j - _W0 * x_i) / degree,
                [(2 * t,) for t in turns[1::2]],
                (True,),
            )
    for u, w in itertools.combinations(variables, 2):
        terms += _plain(INTERACTION, other[u] * other[w])
    if not regular_network:
        terms += _plain(INTERACTION, sympy.Integer(1))
    return terms
