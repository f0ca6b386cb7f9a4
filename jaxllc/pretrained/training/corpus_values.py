"""Constants for random skeletons, and their values at points; what cannot be told apart there is refused.

Constants are drawn in units of the points' spread, so that functions bend within them. A set of values is
refused where a function has a pole or is not defined, hardly varies, or is so nearly linear or constant
in its argument that another skeleton says the same: training on it would be training on a wrong label.
"""

from __future__ import annotations

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KIND, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.training.corpus_inputs import log_uniform, signs

_BENT = 0.02  # least share of a function's spread that no line in its argument explains
_POSITIVE = [KIND[name] for name in ("log", "sqrt", "reciprocal", "power")]
_SPREAD = {  # standard deviation of an argument, lowest and highest
    "sin": (0.5, 4.0), "cos": (0.6, 4.0), "exp": (0.25, 1.8), "tanh": (0.5, 3.5),
    "sigmoid": (0.8, 8.0), "abs": (1.0, 1.0),
}  # fmt: skip


def monomials_at(points: np.ndarray, symbols: Alphabet) -> np.ndarray:
    """(set, monomial, point) the monomials at points (set, variable, point)."""
    count, _, size = points.shape
    values = np.empty((count, symbols.num_monomials, size), points.dtype)
    values[:, 0] = 1.0
    for m, exponents in enumerate(symbols.exponents[1:], start=1):
        variable = int(np.flatnonzero(exponents)[0])
        before = exponents.copy()
        before[variable] -= 1
        place = symbols.index.get(tuple(map(int, before)))
        assert place is not None  # a power of one variable has all lower ones
        np.multiply(values[:, place], points[:, variable], out=values[:, m])
    return values


def function_values(
    kind: int, argument: np.ndarray, exponent: np.ndarray | None = None
) -> np.ndarray:
    """A function of KINDS at arguments; a power takes its exponents, broadcast."""
    if kind == KIND["sin"]:
        return np.sin(argument)
    if kind == KIND["cos"]:
        return np.cos(argument)
    if kind == KIND["exp"]:
        return np.exp(np.clip(argument, -30, 30))
    if kind == KIND["log"]:
        return np.log(argument)
    if kind == KIND["sqrt"]:
        return np.sqrt(argument)
    if kind == KIND["abs"]:
        return np.abs(argument)
    if kind == KIND["tanh"]:
        return np.tanh(argument)
    if kind == KIND["sigmoid"]:
        return 0.5 + 0.5 * np.tanh(0.5 * argument)
    if kind == KIND["reciprocal"]:
        return 1.0 / argument
    assert kind == KIND["power"]
    assert exponent is not None
    return argument**exponent


def draw_values(
    rng: np.random.Generator, structures: Structures, points: np.ndarray, symbols: Alphabet
) -> tuple[np.ndarray, np.ndarray]:
    """Values of skeletons with random constants, (b, n), and (b,) which of them to keep.

    points: (b, variable, n), each variable of root mean square 1.
    """
    with np.errstate(all="ignore"):
        return _drawn(rng, structures, points, symbols)


def _drawn(rng, structures: Structures, points: np.ndarray, symbols: Alphabet):
    monomials = monomials_at(points, symbols)
    mean = monomials.mean(2)
    size = np.sqrt(np.mean(monomials * monomials, axis=2)) + 1e-12
    spread = np.sqrt(np.maximum(size**2 - mean**2, 1e-12))
    spread[:, 0] = 1.0
    good = np.ones(len(points), bool)

    def factors(kind: np.ndarray, sets: np.ndarray, at: np.ndarray, inner: np.ndarray | None):
        """Values of functions, one a row; `at`: the skeleton of each, (k,)."""
        values, fine = _function(rng, kind, sets, monomials, at, size, spread, symbols, inner)
        good[at[~fine]] = False
        return values

    b, g, f = np.nonzero(structures.kind)
    product = np.ones((len(points), GROUPS, points.shape[2]), np.float32)
    if len(b):
        inner = np.zeros((len(b), points.shape[2]), np.float32)
        inside = structures.inner_kind[b, g, f]
        nested = np.flatnonzero(inside)
        if len(nested):
            at = b[nested]
            of = structures.inner[at, g[nested], f[nested]]
            values = factors(inside[nested], of, at, None)
            inner[nested] = _scaled(values)
        kind = structures.kind[b, g, f]
        values = factors(kind, structures.argument[b, g, f], b, inner)
        for k in range(FACTORS):
            rows = f == k
            product[b[rows], g[rows]] *= values[rows]
    total = np.zeros((len(points), points.shape[2]), np.float32)
    groups = np.argwhere(structures.kind[:, :, 0] > 0)
    if len(groups):
        b, g = groups.T
        weights = _polynomial(rng, structures.outer[b, g], size[b], 0.35, 2.8)
        part = _combined(weights, monomials, b) * product[b, g]
        deviation = part.std(1)
        good[b[~(deviation > 1e-5)]] = False
        part *= (signs(rng, len(b)) * log_uniform(rng, 0.3, 2.0, len(b)) / deviation)[:, None]
        for k in range(GROUPS):
            rows = g == k
            total[b[rows]] += part[rows]
    base = _polynomial(rng, structures.base, spread, 0.12, 2.2)
    constant = base[:, 0].copy()
    base[:, 0] = 0.0
    total += _combined(base, monomials, None)
    deviation = total.std(1)
    total += (constant * np.where(deviation > 1e-6, deviation, 1.0))[:, None].astype(np.float32)
    return total, good & _well_spread(total, structures)


def _well_spread(total: np.ndarray, structures: Structures) -> np.ndarray:
    """Neither constant, unless the skeleton is, nor with nearly all of its spread in a few points."""
    constant = ~structures.kind.any((1, 2)) & ~structures.base[:, 1:].any(1)
    deviation = total.std(1)
    size = np.where(deviation > 1e-6, deviation, np.abs(total).mean(1))
    centred = np.abs(total - total.mean(1, keepdims=True)).max(1)
    fine = (deviation > 1e-3 * np.abs(total).mean(1)) & (centred < 9 * deviation)
    return np.isfinite(deviation) & (fine | constant) & (np.abs(total).max(1) < 40 * size)


def _polynomial(rng, sets: np.ndarray, unit: np.ndarray, low: float, high: float) -> np.ndarray:
    """Coefficients of sets of monomials, (k, m), in units of one over `unit`; tied in some rows."""
    weights = signs(rng, sets.shape) * log_uniform(rng, low, high, sets.shape) / unit
    tied = np.flatnonzero((rng.random(len(sets)) < 0.2) & (sets.sum(1) > 1))
    if len(tied):
        # Equal but for the sign, in the units of the variables, as x (1 - x) and x_j - x_i are.
        weights[tied] = (
            signs(rng, (len(tied), sets.shape[1])) / np.median(unit[tied], axis=1)[:, None]
        )
    return (weights * sets).astype(np.float32)


def _combined(weights: np.ndarray, monomials: np.ndarray, at: np.ndarray | None) -> np.ndarray:
    values = monomials if at is None else monomials[at]
    return (weights[:, None, :] @ values)[:, 0]


def _scaled(values: np.ndarray) -> np.ndarray:
    return values / (values.std(1, keepdims=True) + 1e-9)


def _function(rng, kind, sets, monomials, at, size, spread, symbols: Alphabet, inner):
    """Values of functions with random constants inside, (k, n), and (k,) whether to keep them."""
    count = len(kind)
    positive = np.isin(kind, _POSITIVE)
    argument = np.empty((count, monomials.shape[2]), np.float32)
    with_inner = np.zeros(count, bool) if inner is None else inner.any(1)
    for chosen, draw in ((~positive, _free_argument), (positive, _positive_argument)):
        rows = np.flatnonzero(chosen)
        if len(rows):
            nested = None if inner is None or not with_inner[rows].any() else inner[rows]
            where = at[rows]
            argument[rows] = draw(
                rng,
                kind[rows],
                sets[rows],
                monomials[where],
                size[where],
                spread[where],
                nested,
                symbols,
            )
    low, high = argument.min(1), argument.max(1)
    fine = np.isfinite(low) & np.isfinite(high)
    near = np.minimum(np.abs(low), np.abs(high)) < 0.02 * np.maximum(np.abs(low), np.abs(high))
    reciprocal = kind == KIND["reciprocal"]
    fine &= ~(reciprocal & (near | (low * high <= 0)))
    fine &= ~(positive & ~reciprocal & (low < 1e-3 * high))
    folded = kind == KIND["abs"]
    above = (argument > 0).mean(1)
    fine &= ~(folded & ((above < 0.06) | (above > 0.94)))
    exponent = np.round(signs(rng, count) * log_uniform(rng, 0.3, 3.5, count), 2)
    exponent[exponent == np.round(exponent)] += 0.4
    values = np.zeros_like(argument)
    for k in np.unique(kind):
        rows = np.flatnonzero(kind == k)
        values[rows] = function_values(
            int(k), argument[rows], exponent[rows, None].astype(np.float32)
        )
    return values, fine & _bent(argument, values)


def _bent(argument: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether functions vary, and not as a line in their argument does."""
    a = argument - argument.mean(1, keepdims=True)
    v = values - values.mean(1, keepdims=True)
    va, vv, aa = (v * a).mean(1), (v * v).mean(1), (a * a).mean(1)
    deviation = np.sqrt(vv)
    rest = 1.0 - va**2 / np.maximum(vv * aa, 1e-30)
    return np.isfinite(deviation) & (deviation > 0.03 * np.abs(values).max(1)) & (rest > _BENT**2)


def _free_argument(
    rng, kind, sets, monomials, size, spread, inner, symbols: Alphabet
) -> np.ndarray:
    """Arguments of functions that are defined everywhere: spread as the function needs it, then shifted."""
    count = len(kind)
    weights = signs(rng, sets.shape) * log_uniform(rng, 0.4, 2.5, sets.shape) / spread
    linear = symbols.exponents.sum(1) == 1
    pair = np.flatnonzero((sets[:, linear].sum(1) == 2) & (rng.random(count) < 0.55))
    if len(pair):
        # The difference of two variables, in the units that they share.
        sign = np.where(np.cumsum(sets[pair] & linear, axis=1) == 1, 1.0, -1.0)
        weights[pair] = np.where(linear, sign, weights[pair])
    weights = weights * sets
    weights[:, 0] = 0.0
    argument = _combined(weights.astype(np.float32), monomials, None)
    if inner is not None:
        unit = np.where(sets[:, 1:].any(1), argument.std(1), 1.0)
        share = signs(rng, count) * log_uniform(rng, 0.4, 2.5, count) * unit
        argument += share[:, None].astype(np.float32) * inner
    wanted = np.ones(count)
    for name, (low, high) in _SPREAD.items():
        rows = kind == KIND[name]
        wanted[rows] = log_uniform(rng, low, high, int(rows.sum()))
    argument *= (wanted / (argument.std(1) + 1e-9))[:, None]
    mean, deviation = argument.mean(1), argument.std(1)
    centre = -(mean + rng.uniform(-1.2, 1.2, count) * deviation)
    phase = signs(rng, count) * rng.uniform(0.3, 2.8, count)
    periodic = (kind == KIND["sin"]) | (kind == KIND["cos"])
    shift = np.where(periodic, phase, centre) * sets[:, 0]
    return argument + shift[:, None].astype(np.float32)


def _positive_argument(
    rng, kind, sets, monomials, size, spread, inner, symbols: Alphabet
) -> np.ndarray:
    """Arguments of functions with a pole or an end: mostly positive coefficients."""
    count = len(kind)
    sign = np.where(rng.random(sets.shape) < 0.15, -1.0, 1.0)
    weights = sets * sign * log_uniform(rng, 0.2, 5.0, sets.shape) / size
    weights[:, 0] = sets[:, 0] * log_uniform(rng, 0.1, 3.0, count)
    # One coefficient is free to be taken out, so it may be as it stands; a power is of its variable alone.
    lone = (sets.sum(1) == 1) & (kind != KIND["log"])
    if inner is not None:
        lone &= ~inner.any(1)
    weights[lone] = sets[lone]
    argument = _combined(weights.astype(np.float32), monomials, None)
    if inner is not None:
        low = inner.min(1)
        share = np.where(rng.random(count) < 0.3, -1.0, 1.0) * log_uniform(rng, 0.2, 2.0, count)
        # Waves need a constant that keeps the sum positive.
        lifted = np.where(sets[:, 0], np.maximum(-low, 0.0) * rng.uniform(1.05, 2.0, count), 0.0)
        argument += share[:, None].astype(np.float32) * (inner + lifted[:, None].astype(np.float32))
    return argument
