"""Random skeletons of the forms that laws are written in, drawn as arrays.

What a group may hold is told by patterns, such as "v" over "1 + v" with 1/(...) for a Hill function, in
the roles v, u, w; each draw gives the roles to variables at random. Weights are for what the literature
of network dynamics writes: few terms often, many now and then.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KIND, KINDS, LENGTH, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    MOST_CONSTANTS,
    Structures,
    canonical,
    empty,
    family,
    num_constants,
)
from jaxllc.pretrained.skeletons.strings import lengths

_ROLES = "vuw"
_HELD_OUT = 40  # one family of skeletons in so many is never trained on

_VARIABLES = (0.34, 0.46, 0.20)
_NUM_GROUPS = (0.26, 0.52, 0.19, 0.03)
# Monomials of P0, by the number of groups beside it; a polynomial alone may have many.
_BASE_SIZES = (
    (0.0, 0.2, 0.25, 0.22, 0.16, 0.1, 0.07),
    (0.42, 0.27, 0.17, 0.09, 0.05, 0.0, 0.0),
    (0.5, 0.32, 0.18, 0.0, 0.0, 0.0, 0.0),
    (0.75, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0),
)
_MONOMIAL_WEIGHT = {0: 1.2, 1: 1.6, 2: 1.0, 3: 0.5, 4: 0.15}  # by degree
_TWO_FACTORS = 0.13
_NESTED = 0.09
# Of all groups this share has chance monomials in place of a pattern, so that no form is out of the question.
_LOOSE = 0.12
_LOOSE_ARGUMENT = (0.0, 0.35, 0.4, 0.25)  # by the number of monomials
_LOOSE_OUTER = (0.0, 0.75, 0.25)

# Sums that products and powers of sums leave, and that single draws hardly hit.
_POLYNOMIALS = {
    "v + v2": 3.0,
    "v + v2 + v3": 1.5,
    "1 + v + v2 + v3": 0.7,
    "u + uv": 2.0,
    "1 + u + v + uv": 1.0,
    "v2 + uv + u2": 0.8,
    "v3 + v2u + vu2 + u3": 0.5,
    "v + v3": 0.8,
    "1 + u + v": 1.0,
    "u + v + w": 0.8,
    "u + v2u": 0.7,
    "uv + uw": 0.4,
    "v2u + vu2": 0.3,
    "u + v + v3": 0.4,
}
_ARGUMENTS = {
    "sin": {
        "v": 2.0, "1 + v": 1.2, "u + v": 1.6, "1 + u + v": 0.6, "v2": 0.15, "1 + v2": 0.3,
        "uv": 0.3, "1 + uv": 0.3, "u + v + w": 0.1,
    },
    "cos": {"v": 0.9, "u + v": 0.6, "uv": 0.2, "v2": 0.2},
    "exp": {"v": 2.0, "u + v": 0.6, "v2": 0.8, "v + v2": 0.25, "uv": 0.3, "u2 + v2": 0.2},
    "log": {"v": 0.6, "1 + v": 1.0, "1 + v2": 0.6, "u + v": 0.3, "1 + u + v": 0.4, "1 + uv": 0.2},
    "sqrt": {
        "v": 1.0, "1 + v": 0.7, "1 + v2": 0.5, "u + v": 0.3, "u2 + v2": 0.4, "1 + u + v": 0.2,
        "uv": 0.2,
    },
    "abs": {
        "1 + v": 1.4, "u + v": 1.2, "1 + u + v": 0.6, "v": 0.5, "1 + v2": 0.3, "v + uv": 0.25,
        "1 + uv": 0.2, "v + v2": 0.15,
    },
    "tanh": {"v": 1.2, "1 + v": 0.8, "u + v": 1.0, "1 + u + v": 0.3, "uv": 0.2},
    "sigmoid": {
        "1 + v": 1.6, "v": 0.6, "u + v": 0.7, "1 + u + v": 0.8, "1 + uv": 0.2, "1 + v2": 0.3,
        "uv": 0.1,
    },
    "reciprocal": {
        "1 + v": 2.0, "1 + v2": 1.6, "1 + v3": 0.5, "1 + v4": 0.2, "v": 0.6, "v2": 0.25,
        "1 + u + v": 0.7, "u + v": 0.35, "1 + u2 + v2": 0.4, "1 + uv": 0.4, "1 + v + v2": 0.4,
        "1 + u + v2": 0.1, "1 + u + v + w": 0.1, "1 + u + v + uv": 0.15, "u2 + v2": 0.1,
    },
    "power": {"v": 1.0},
}  # fmt: skip
_KIND_WEIGHT = {
    "sin": 1.7, "cos": 0.7, "exp": 1.3, "log": 0.6, "sqrt": 0.45, "abs": 0.9, "tanh": 1.0,
    "sigmoid": 1.6, "reciprocal": 2.6, "power": 0.25,
}  # fmt: skip
_INNER_WEIGHT = {
    "sin": 1.2, "cos": 1.2, "exp": 1.2, "log": 0.6, "sqrt": 0.5, "abs": 0.6, "tanh": 0.6,
    "reciprocal": 0.7,
}  # fmt: skip
# What stands beside an inner function.
_BESIDE = {
    "sin": {"v": 1.0, "1": 0.4, "u": 0.6},
    "exp": {"": 1.0, "v": 0.4, "u": 0.4},
    "log": {"1": 1.0},
    "sqrt": {"1": 1.0, "v2": 0.3},
    "abs": {"v": 1.0, "1": 0.7, "u": 0.7},
    "tanh": {"v": 0.5, "u": 0.5, "": 0.4},
    "sigmoid": {"1": 1.0, "u": 0.5},
    "reciprocal": {"1": 1.2, "u": 0.5, "1 + v": 0.4},
}
_OUTER = {
    "1": 5.0, "v": 1.4, "u": 1.8, "v2": 0.4, "u2": 0.35, "uv": 0.7, "v3": 0.2, "u3": 0.15,
    "1 + v": 0.4, "1 + u": 0.6, "u + v": 0.6, "w": 0.5, "u + uv": 0.2, "uw": 0.15, "1 + u2": 0.15,
    "v2u": 0.1, "1 + v2": 0.1, "v2 + uv + u2": 0.1, "v + v2": 0.1,
}  # fmt: skip
# P and Q of P/Q: saturation, Hill functions, inhibition, rates of several.
_RATIOS = {
    ("v", "1 + v"): 1.6, ("v2", "1 + v2"): 1.6, ("v3", "1 + v3"): 0.7, ("v4", "1 + v4"): 0.3,
    ("uv", "1 + v"): 1.4, ("uv2", "1 + v2"): 0.9, ("uv", "1 + u + v"): 0.8, ("u", "1 + v"): 0.9,
    ("u", "1 + v2"): 0.5, ("v", "1 + v2"): 0.7, ("v", "1 + v + v2"): 0.3, ("v2", "1 + v"): 0.5,
    ("v2", "1 + v + v2"): 0.2, ("v3", "1 + v2"): 0.2, ("v", "1 + v3"): 0.2, ("uv", "u + v"): 0.4,
    ("v", "1 + u + v"): 0.5, ("uv", "1 + u + v + uv"): 0.3, ("u2v", "1 + v"): 0.2, ("u", "v"): 0.5,
    ("u2", "v"): 0.2, ("v2", "1 + u2 + v2"): 0.2, ("uv", "1 + uv"): 0.3, ("u", "v2"): 0.2,
    ("u + v", "1 + v"): 0.2, ("w", "1 + u + v"): 0.15, ("u2", "1 + v2"): 0.2, ("1", "1 + u + v"): 0.2,
}  # fmt: skip
_OF_RATIOS = 0.55  # of all reciprocals


# --- patterns ------------------------------------------------------------------------------------


def _monomials_of(pattern: str) -> list[dict[str, int]]:
    """ "1 + uv2" as the powers of each role in each monomial."""
    found = []
    for monomial in filter(None, (part.strip() for part in pattern.split("+"))):
        powers: dict[str, int] = {}
        for k, letter in enumerate(monomial):
            if letter in _ROLES:
                digit = monomial[k + 1 : k + 2]
                powers[letter] = int(digit) if digit.isdigit() else 1
        found.append(powers)
    return found


def _needs(pattern: str) -> int:
    """How many variables a pattern takes."""
    return max(
        (_ROLES.index(r) + 1 for powers in _monomials_of(pattern) for r in powers), default=0
    )


class _Patterns:
    """Rows of monomials for patterns, by who has which role, and weights by the number of variables."""

    def __init__(self, weights: dict[str, float], symbols: Alphabet):
        n = symbols.num_variables
        self.rows = np.zeros((len(weights), n**3, symbols.num_monomials), bool)
        for p, pattern in enumerate(weights):
            for code, roles in enumerate(product(range(n), repeat=3)):
                for powers in _monomials_of(pattern):
                    exponents = [0] * n
                    for role, power in powers.items():
                        exponents[roles[_ROLES.index(role)]] += power
                    place = symbols.index.get(tuple(exponents))
                    if place is not None:
                        self.rows[p, code, place] = True
        needs = np.array([_needs(pattern) for pattern in weights])
        self.weights = np.array(list(weights.values())) * (needs <= np.arange(4)[:, None])

    def draw(self, rng: np.random.Generator, available: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Rows of monomials, (k, m), for so many available variables and these roles, (k,) each."""
        return self.rows[_choice(rng, self.weights[np.minimum(available, 3)]), code]


def _choice(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """A column for each row of weights (k, c), by their proportion."""
    total = np.cumsum(weights, axis=1)
    drawn = rng.random(len(weights)) * total[:, -1]
    return (total <= drawn[:, None]).sum(1)


class _Tables:
    """The patterns above for an alphabet."""

    def __init__(self, symbols: Alphabet):
        self.arguments = {name: _Patterns(_ARGUMENTS[name], symbols) for name in KINDS}
        self.beside = {name: _Patterns(weights, symbols) for name, weights in _BESIDE.items()}
        self.outer = _Patterns(_OUTER, symbols)
        self.polynomials = _Patterns(_POLYNOMIALS, symbols)
        above = dict.fromkeys(dict.fromkeys(p for p, _ in _RATIOS), 1.0)
        below = dict.fromkeys(dict.fromkeys(q for _, q in _RATIOS), 1.0)
        self.above, self.below = _Patterns(above, symbols), _Patterns(below, symbols)
        places = [(list(above).index(p), list(below).index(q)) for p, q in _RATIOS]
        self.ratios = np.array(places)
        needs = np.array([max(_needs(p), _needs(q)) for p, q in _RATIOS])
        self.ratio_weights = np.array(list(_RATIOS.values())) * (needs <= np.arange(4)[:, None])
        degree = symbols.exponents.sum(1)
        self.monomials = np.array([_MONOMIAL_WEIGHT[int(d)] for d in degree])
        # Of all the monomials of a degree, those of several variables would be most.
        several = (symbols.exponents > 0).sum(1)
        self.monomials /= np.maximum(several, 1) ** 1.5


@lru_cache(maxsize=4)
def _tables(symbols: Alphabet) -> _Tables:
    return _Tables(symbols)


# --- drawing -------------------------------------------------------------------------------------


def draw_structures(rng: np.random.Generator, count: int, symbols: Alphabet) -> Structures:
    """At most `count` random skeletons in canonical form, held-out ones among them.

    Draws that are no skeletons, or too long to be written or to be fitted, are left out.
    """
    tables = _tables(symbols)
    n = symbols.num_variables
    share = np.array(_VARIABLES[: min(n, 3)])
    available = 1 + rng.choice(len(share), count, p=share / share.sum())
    order = np.argsort(rng.random((count, n)), axis=1)
    present = np.zeros((count, n), bool)
    np.put_along_axis(present, order, np.arange(n) < available[:, None], axis=1)
    num_groups = rng.choice(len(_NUM_GROUPS), count, p=_NUM_GROUPS)
    found = empty(count, symbols.num_monomials)
    absent = (~present).astype(int) @ (symbols.exponents > 0).T > 0
    found.base[...] = _base(rng, tables, num_groups, absent, available, order)
    _groups(rng, tables, found, num_groups, available, order)
    _loosen(rng, tables, found, absent)
    found, good = canonical(found, symbols)
    good &= (num_constants(found) <= MOST_CONSTANTS) & (lengths(found) <= LENGTH)
    return found.taken(np.flatnonzero(good))


def held_out(structures: Structures, symbols: Alphabet) -> np.ndarray:
    """(b,) whether a skeleton is never trained on; the same for all names of its variables."""
    return family(structures, symbols) % np.uint64(_HELD_OUT) == 0


def _roles(rng: np.random.Generator, available: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Codes of roles v, u, w given to the available variables in random order, (k,)."""
    n = order.shape[1]
    key = rng.random((len(available), n))
    key[np.arange(n) >= available[:, None]] += 1.0
    roles = np.take_along_axis(order, np.argsort(key, axis=1), axis=1)[:, np.arange(3) % n]
    return (roles[:, 0] * n + roles[:, 1]) * n + roles[:, 2]


def _ranked(rng, tables: _Tables, absent: np.ndarray) -> np.ndarray:
    """(k, m) the place of each monomial in a random order, likely ones early and absent ones last."""
    # The largest of weights with Gumbel noise are a weighted draw without replacement.
    key = np.log(tables.monomials) + rng.gumbel(size=absent.shape)
    key[absent] = -np.inf
    return np.argsort(np.argsort(-key, axis=1), axis=1)


def _loosen(rng, tables: _Tables, found: Structures, absent: np.ndarray) -> None:
    """Put chance monomials into some groups, in place of those of patterns."""
    b, g = np.nonzero((found.kind[:, :, 0] > 0) & (rng.random((len(found), GROUPS)) < _LOOSE))
    places: list[tuple[np.ndarray, ...]] = [
        (b[rows], g[rows], np.full(rows.sum(), f))
        for f in range(FACTORS)
        for rows in [
            (found.kind[b, g, f] > 0)
            & (found.kind[b, g, f] != KIND["power"])
            & (found.inner_kind[b, g, f] == 0)
        ]
    ]
    for part, shares, spots in (
        (found.outer, _LOOSE_OUTER, [(b, g)]),
        (found.argument, _LOOSE_ARGUMENT, places),
    ):
        for spot in spots:
            out = absent[spot[0]]
            size = rng.choice(len(shares), len(out), p=shares)
            part[spot] = (_ranked(rng, tables, out) < size[:, None]) & ~out


def _base(rng, tables: _Tables, num_groups, absent, available, order):
    count = len(absent)
    size = _choice(rng, np.array(_BASE_SIZES)[num_groups])
    ranked = _ranked(rng, tables, absent)
    base = (ranked < size[:, None]) & ~absent
    shaped = (size > 1) & (rng.random(count) < 0.3)
    pattern = tables.polynomials.draw(rng, available, _roles(rng, available, order))
    # Beside a constant of its own now and then, and beside one more monomial.
    one_more = ranked < (rng.random(count) < 0.3)[:, None]
    base[shaped] = (pattern | one_more)[shaped] & ~absent[shaped]
    return base


def _groups(rng, tables: _Tables, found: Structures, num_groups, available, order) -> None:
    b, g = np.nonzero(np.arange(GROUPS) < num_groups[:, None])
    if not len(b):
        return
    free, code = available[b], _roles(rng, available[b], order[b])
    # A second wave of the same argument makes a harmonic sum.
    again = (g > 0) & (rng.random(len(b)) < 0.12)
    found.outer[b, g] = tables.outer.draw(rng, free, code)
    weights = np.array([_KIND_WEIGHT[name] for name in KINDS])
    for f in range(FACTORS):
        rows = np.arange(len(b)) if f == 0 else np.flatnonzero(rng.random(len(b)) < _TWO_FACTORS)
        kind = 1 + rng.choice(len(KINDS), len(rows), p=weights / weights.sum())
        # The second function reads the same or another variable.
        roles = code[rows] if f == 0 else _roles(rng, free[rows], order[b[rows]])
        nested = rng.random(len(rows)) < _NESTED
        for name in KINDS:
            mine = np.flatnonzero(kind == KIND[name])
            if not len(mine):
                continue
            at = rows[mine]
            found.kind[b[at], g[at], f] = KIND[name]
            patterns = tables.arguments[name]
            found.argument[b[at], g[at], f] = patterns.draw(rng, free[at], roles[mine])
            inside = mine[nested[mine]]
            if name in _BESIDE and len(inside):
                at = rows[inside]
                beside = tables.beside[name].draw(rng, free[at], roles[inside])
                found.argument[b[at], g[at], f] = beside
                _inner(rng, tables, found, (b[at], g[at], f), free[at], order[b[at]])
    single = (found.kind[b, g, 1] == 0) & (found.inner_kind[b, g, 0] == 0)
    ratio = np.flatnonzero(
        (found.kind[b, g, 0] == KIND["reciprocal"]) & single & (rng.random(len(b)) < _OF_RATIOS)
    )
    if len(ratio):
        chosen = tables.ratios[_choice(rng, tables.ratio_weights[np.minimum(free[ratio], 3)])]
        found.outer[b[ratio], g[ratio]] = tables.above.rows[chosen[:, 0], code[ratio]]
        found.argument[b[ratio], g[ratio], 0] = tables.below.rows[chosen[:, 1], code[ratio]]
    waves = again & np.isin(found.kind[b, g - 1, 0], [KIND["sin"], KIND["cos"]])
    for part in found[1:]:
        part[b[waves], g[waves]] = part[b[waves], g[waves] - 1]


def _inner(rng, tables: _Tables, found: Structures, place, free, order) -> None:
    names = list(_INNER_WEIGHT)
    weights = np.array(list(_INNER_WEIGHT.values()))
    chosen = rng.choice(len(names), len(free), p=weights / weights.sum())
    roles = _roles(rng, free, order)
    b, g, f = place
    for k, name in enumerate(names):
        mine = np.flatnonzero(chosen == k)
        if len(mine):
            found.inner_kind[b[mine], g[mine], f] = KIND[name]
            drawn = tables.arguments[name].draw(rng, free[mine], roles[mine])
            found.inner[b[mine], g[mine], f] = drawn
