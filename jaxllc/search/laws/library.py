"""Candidate terms: families of the field's self and interaction terms with grids of inner constants.

The grids are coarse (ratio about two): the search carries each term's derivative by its inner constants
along, so a term stands for its whole neighbourhood and is refined later.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.equations.functions import sigmoid

_W0, _W1 = inner_symbol(0), inner_symbol(1)
_ONE = sympy.Integer(1)
# Noise, relative to the standard deviation, below which data count as clean.
CLEAN = 3e-4
# How far below zero, relative to its size, a variable may dip that still counts as positive.
_DIP = 0.12


class Scale:
    """Range of one variable over the data, from which the grids of inner constants are made.

    noise: standard deviation of the noise of its samples.
    """

    def __init__(self, values: np.ndarray, noise: float = 0.0) -> None:
        finite = values[np.isfinite(values)]
        self.low, self.high = (float(q) for q in np.quantile(finite, [0.005, 0.995]))
        self.std = float(max(np.std(finite), 1e-300))
        self.noisy = noise > CLEAN * self.std
        self.size = float(max(abs(self.low), abs(self.high), 1e-300))
        self.width = max(self.high - self.low, 1e-300)
        quarter = np.quantile(finite, [0.25, 0.75])
        self.middle_width = min(max(float(quarter[1] - quarter[0]), 0.02 * self.width), self.width)
        self.quantiles = np.quantile(finite, [0.05, 0.25, 0.5, 0.75, 0.95])
        # A smoothed state may dip below zero where the state does not. What a denominator needs is that its
        # constant lies well beyond the dip.
        self.dip = float(max(0.0, -np.quantile(finite, 5e-4)))
        self.positive = self.high > 0 and self.dip < _DIP * self.size
        self.strictly_positive = self.positive and not (
            np.min(finite) < -0.02 * self.size or np.quantile(finite, 0.002) < -1e-3 * self.size
        )


def families(
    side: str,
    expression: sympy.Expr,
    grid: Sequence[tuple[float, ...]],
    positive: tuple[bool, ...],
    reach: float = 1.6,
) -> list[Term]:
    """A term for each point of a grid of inner constants, which are kept in a range a little wider.

    reach: by what the range of a positive constant goes beyond the grid, as a factor.
    """
    # Just beyond the grid: outside it these functions are straight lines, powers or steps on the data.
    bounds = []
    for k, logarithmic in enumerate(positive):
        values = [inner[k] for inner in grid]
        low, high = float(min(values)), float(max(values))
        margin = 0.3 * (high - low)
        bounds.append((low / reach, high * reach) if logarithmic else (low - margin, high + margin))
    family = TermFamily(side, expression, positive, tuple(bounds))
    return [Term(family, tuple(float(w) for w in inner)) for inner in grid]


def geometric(low: float, high: float, ratio: float) -> np.ndarray:
    """Values from low to at least high with about a ratio between neighbours."""
    count = max(2, 1 + int(np.ceil(np.log(max(high / low, 1.001)) / np.log(ratio))))
    return np.geomspace(low, high, count)


def _plain(side: str, expression: sympy.Expr) -> list[Term]:
    return [Term(TermFamily(side, expression))]


def _monomials(symbols: Sequence[sympy.Symbol], degree: int) -> list[sympy.Expr]:
    found: list[sympy.Expr] = []
    for total in range(degree + 1):
        for chosen in itertools.combinations_with_replacement(symbols, total):
            found.append(sympy.Mul(*chosen))
    return found


@dataclass(frozen=True)
class _Atom:
    """A parametric function of one variable with a grid of its inner constants."""

    expression: sympy.Expr
    grid: Sequence[tuple[float, ...]]
    positive: tuple[bool, ...]
    reach: float = 1.6

    def terms(self, side: str, factor: sympy.Expr = _ONE) -> list[Term]:
        return families(side, factor * self.expression, self.grid, self.positive, self.reach)


def function_atoms(
    symbol: sympy.Symbol, scale: Scale, hill_powers: Sequence[int], rich: bool
) -> list[_Atom]:
    """The parametric functions of one variable; rich: also sigmoids, and finer grids."""
    atoms: list[_Atom] = []
    turns = geometric(2.0, 22.0, 1.5) if rich else np.array([3.0, 6.0, 12.0])
    atoms.append(_Atom(sympy.sin(_W0 * symbol), [(t / scale.width,) for t in turns], (True,)))
    rates = geometric(1.0 / scale.width, 4.0 / scale.middle_width, 2.5)
    atoms.append(_Atom(sympy.exp(-_W0 * symbol), [(r,) for r in rates], (True,)))
    if scale.noisy and scale.low < -0.1 * scale.size and scale.high > 0.1 * scale.size:
        # A sigmoid imitates it with two constants more; in clean data these are told apart, and what is
        # steep between zero and linear stands before the truth in searches of many variables.
        slopes = geometric(1.0 / scale.size, 8.0 / scale.middle_width, 2.2)
        atoms.append(_Atom(sympy.tanh(_W0 * symbol), [(r,) for r in slopes], (True,)))
    if rich:
        # Steeper is a step, and beyond 250 / size its exponent would overflow.
        steepest = max(min(40.0 / scale.middle_width, 250.0 / scale.size), 6.0 / scale.width)
        steep = geometric(3.0 / scale.width, steepest, 2.2)
        linear = scale.low + scale.width * np.array([0.05, 0.5, 0.9])
        middles = _distinct(np.concatenate([scale.quantiles, linear]), 0.08 * scale.middle_width)
        grid = [(t, m) for t in steep for m in middles]
        atoms.append(_Atom(sigmoid(_W0 * symbol - _W0 * _W1), grid, (True, False)))
    if scale.positive:
        lowest = np.clip(0.4 * scale.quantiles[0], 0.005 * scale.high, 0.1 * scale.high)
        halves = geometric(float(max(lowest, 3 * scale.dip)), scale.high, 1.9)
        for power in hill_powers:
            raised = symbol**power
            powers = [(float(k**power),) for k in halves]
            atoms.append(_Atom(raised / (raised + _W0), powers, (True,), 1.8**power))
    return atoms


def _distinct(values: np.ndarray, gap: float) -> list[float]:
    kept: list[float] = []
    for value in np.sort(values):
        if not kept or value - kept[-1] > gap:
            kept.append(float(value))
    return kept


def candidate_terms(
    variables: Sequence[str],
    feature_names: Sequence[str],
    scales: Mapping[str, Scale],
    differences: Mapping[str, Scale],
    regular_network: bool,
    normalised: bool,
) -> list[Term]:
    """All candidate terms, the same for each equation.

    scales, differences: ranges of each variable over nodes and of x_j - x_i over edges.
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
        for atom in function_atoms(own[v], scales[v], (1, 2), rich=False):
            terms += atom.terms(SELF)
    for v in variables:
        terms += _interactions(
            v, variables, own, other, scales[v], differences[v], regular_network, normalised
        )
    for u, w in itertools.combinations(variables, 2):
        terms += _plain(INTERACTION, other[u] * other[w])
    if not regular_network:
        terms += _plain(INTERACTION, _ONE)
    for name in feature_names:
        for feature in (sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")):
            for v in variables:
                for part in (other[v], own[v] * other[v], other[v] - own[v]):
                    terms += _plain(INTERACTION, sympy.expand(feature * part))
    return terms


def _interactions(
    v: str,
    variables: Sequence[str],
    own: Mapping[str, sympy.Symbol],
    other: Mapping[str, sympy.Symbol],
    scale: Scale,
    gap: Scale,
    regular_network: bool,
    normalised: bool,
) -> list[Term]:
    """Interaction terms in which the sender acts through variable v."""
    degree = sympy.Symbol("k_i")
    x_i, x_j = own[v], other[v]
    difference = x_j - x_i
    terms = _plain(INTERACTION, difference)
    polynomial = [x_j**2, x_j**3, x_i * x_j**2, x_i**2 * x_j]
    if not regular_network:
        polynomial += [x_j, x_i, x_i**2]
    polynomial += [own[u] * x_j for u in variables]
    polynomial += [own[u] * own[w] * x_j for u, w in itertools.combinations(variables, 2)]
    for expression in polynomial:
        terms += _plain(INTERACTION, expression)
    turns = [(t / gap.width,) for t in geometric(2.4, 20.0, 1.6)]
    sine = sympy.sin(_W0 * x_j - _W0 * x_i)
    terms += families(INTERACTION, sine, turns, (True,))
    terms += families(INTERACTION, sympy.cos(_W0 * x_j - _W0 * x_i), turns, (True,))
    steep = [(t,) for t in geometric(2.0 / gap.width, 10.0 / gap.middle_width, 2.0)]
    terms += families(INTERACTION, sympy.tanh(_W0 * difference), steep, (True,))
    # sigmoid(u) = 1/2 + tanh(u/2)/2, so on a regular network it is not told from a tanh.
    if not regular_network:
        terms += families(INTERACTION, sigmoid(_W0 * difference), steep, (True,))
    for atom in function_atoms(x_j, scale, (1, 2, 3, 4), rich=True):
        terms += atom.terms(INTERACTION)
        terms += atom.terms(INTERACTION, x_i)
    if scale.positive:
        sizes = geometric(0.15, 6.0, 3.5) / scale.high
        both = [(e, h) for e in sizes for h in sizes]
        saturating = x_i * x_j / (1 + _W0 * x_i + _W1 * x_j)
        terms += families(INTERACTION, saturating, both, (True, True))
        terms += families(INTERACTION, x_i * x_j / (1 + _W0 * x_i), [(e,) for e in sizes], (True,))
    if normalised:
        terms += _plain(INTERACTION, sympy.expand(difference / degree))
        terms += _plain(INTERACTION, x_i * x_j / degree)
        terms += families(INTERACTION, sine / degree, turns[1::2], (True,))
    return terms


# --- functions of the sum over neighbours -------------------------------------------------------


def sum_terms(
    variables: Sequence[str],
    feature_names: Sequence[str],
    inputs: Mapping[sympy.Expr, Scale],
    scales: Mapping[str, Scale],
    normalised: bool,
) -> list[Term]:
    """Candidate terms that the library of sums of terms lacks, the same for each equation.

    Functions of the total input x_s = sum_j A_ij x_j and of the mean input x_s/k_i, alone and times the
    node's variables; of inputs to which node features are added; and responses to x_s and x_i together.
    inputs: these arguments with their ranges (see `input_arguments`). normalised: also interactions divided
    by k_i, beyond those of `candidate_terms`.
    """
    features = {sympy.Symbol(f"{name}_i") for name in feature_names}
    terms: list[Term] = []
    for argument, scale in inputs.items():
        plain = not (argument.free_symbols & features)
        # With many variables products of all with all would be too many.
        read = [v for v in variables if argument.has(sympy.Symbol(f"{v}_s"))]
        factors = (variables if len(variables) <= 2 else read) if plain else ()
        for atom in _input_atoms(argument, scale, plain):
            terms += atom.terms(SELF)
            for v in factors:
                terms += atom.terms(SELF, sympy.Symbol(f"{v}_i"))
    for v in variables:
        x_i, x_s = sympy.Symbol(f"{v}_i"), sympy.Symbol(f"{v}_s")
        if x_s in inputs and inputs[x_s].positive and scales[v].positive:
            # A sum ranges far where hubs are: most nodes know only its small values.
            both = [
                (a / scales[v].high, b / inputs[x_s].high)
                for a in geometric(0.15, 6.0, 4.0)
                for b in geometric(0.3, 60.0, 4.0)
            ]
            for above in (x_s, x_i * x_s):
                shared = above / (1 + _W0 * x_i + _W1 * x_s)
                terms += families(SELF, shared, both, (True, True))
    if normalised:
        degree = sympy.Symbol("k_i")
        for v in variables:
            x_j = sympy.Symbol(f"{v}_j")
            terms += _plain(INTERACTION, x_j / degree)
            for atom in function_atoms(x_j, scales[v], (1, 2), rich=True):
                terms += atom.terms(INTERACTION, 1 / degree)
    return terms


def input_arguments(
    variables: Sequence[str], feature_names: Sequence[str], normalised: bool
) -> list[sympy.Expr]:
    """Arguments of functions of the input: sums, means, and sums with one or all features added."""
    features = [sympy.Symbol(f"{name}_i") for name in feature_names]
    arguments: list[sympy.Expr] = []
    for v in variables:
        total = sympy.Symbol(f"{v}_s")
        arguments.append(total)
        if normalised:
            arguments.append(total / sympy.Symbol("k_i"))
        for feature in features:
            arguments += [total + feature, total - feature]
        if len(features) > 1:
            arguments.append(sympy.Add(total, *features))
    return arguments


def saturating_activation(z: sympy.Expr) -> sympy.Expr:
    """The MML function of LEMBAS: 0.01 z below 0, z up to 1/2, 1 - 1/(4 z) above."""
    half = sympy.Rational(1, 2)
    leaky = sympy.Max(sympy.Float(0.01) * z, z, evaluate=False)
    saturated = 1 - 1 / (4 * sympy.Max(z, half, evaluate=False))
    return sympy.Min(leaky, saturated, evaluate=False)


def _input_atoms(z: sympy.Expr, scale: Scale, plain: bool) -> list[_Atom]:
    """Functions of one input, on grids coarser than those of `_atoms`; fewer where it holds a feature."""
    rates = [(t,) for t in geometric(1.0 / scale.size, 8.0 / scale.middle_width, 2.5)]
    atoms = [_Atom(sympy.tanh(_W0 * z), rates, (True,))]
    atoms.append(_Atom(saturating_activation(z), [()], ()))
    span = scale.low + scale.width * np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    middles = _distinct(span, 0.1 * scale.middle_width)
    atoms.append(_Atom(sympy.Max(z, sympy.Integer(0)), [()], ()))
    atoms.append(_Atom(sympy.Max(z - _W0, sympy.Integer(0)), [(m,) for m in middles], (False,)))
    steepest = max(min(30.0 / scale.middle_width, 250.0 / scale.size), 6.0 / scale.width)
    steep = geometric(2.0 / scale.width, steepest, 3.0)
    grid = [(t, m) for t in steep for m in middles]
    atoms.append(_Atom(sigmoid(_W0 * z - _W0 * _W1), grid, (True, False)))
    if scale.positive:
        lowest = np.clip(0.4 * scale.quantiles[0], 0.005 * scale.high, 0.1 * scale.high)
        halves = geometric(float(max(lowest, 3 * scale.dip)), scale.high, 2.4)
        for power in (1, 2, 3, 4) if plain else (1, 2):
            powers = [(float(h**power),) for h in halves]
            atoms.append(_Atom(z**power / (z**power + _W0), powers, (True,), 2.0**power))
    decays = geometric(1.0 / scale.width, 4.0 / scale.middle_width, 2.5)
    atoms.append(_Atom(sympy.exp(-_W0 * z), [(r,) for r in decays], (True,)))
    if not plain:
        return atoms
    turns = [(t / scale.width,) for t in (3.0, 6.0, 12.0)]
    atoms.append(_Atom(sympy.sin(_W0 * z), turns, (True,)))
    atoms += [_Atom(z**power, [()], ()) for power in (2, 3)]
    if scale.low > 0.01 * scale.high:
        atoms.append(_Atom(sympy.sqrt(z), [()], ()))
    if scale.strictly_positive:
        growths = [(r,) for r in geometric(0.3 / scale.high, 30.0 / scale.high, 3.0)]
        atoms.append(_Atom(sympy.log(1 + _W0 * z), growths, (True,)))
    return atoms
