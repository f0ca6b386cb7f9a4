"""Skeletons as arrays, many at once, and the one form in which each function is written.

Rules bring what is the same function for other constants to one form: a cosine with a phase is a sine, a
hyperbolic tangent beside its own factor a sigmoid, P/(1 + m) loses the terms that division leaves in P0.
Rules read arrays of truth values, so that a million skeletons need no symbolic algebra.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KIND, Alphabet

MOST_CONSTANTS = 9

_SIN, _COS, _EXP, _LOG = (KIND[name] for name in ("sin", "cos", "exp", "log"))
_SQRT, _ABS, _TANH, _SIGMOID = (KIND[name] for name in ("sqrt", "abs", "tanh", "sigmoid"))
_RECIPROCAL, _POWER = KIND["reciprocal"], KIND["power"]
# Their argument's scale goes into the coefficient of the group.
_SCALE_FREE = (_SQRT, _ABS, _RECIPROCAL)


class Structures(NamedTuple):
    """Skeletons: which monomials and functions each holds; b: skeleton, g: group, f: factor, m: monomial.

    base: (b, m) the polynomial P0; outer: (b, g, m) that of a group; kind: (b, g, f), 0 for none;
    argument: (b, g, f, m); inner_kind: (b, g, f), 0 for none; inner: (b, g, f, m) its argument.
    """

    base: np.ndarray
    outer: np.ndarray
    kind: np.ndarray
    argument: np.ndarray
    inner_kind: np.ndarray
    inner: np.ndarray

    def __len__(self) -> int:
        return len(self.base)

    def taken(self, rows: np.ndarray) -> Structures:
        """Some of the skeletons."""
        return Structures(*(part[rows] for part in self))


def empty(count: int, num_monomials: int) -> Structures:
    """Skeletons without any term."""
    groups, factors = (count, GROUPS), (count, GROUPS, FACTORS)
    return Structures(
        np.zeros((count, num_monomials), bool),
        np.zeros((*groups, num_monomials), bool),
        np.zeros(factors, np.int8),
        np.zeros((*factors, num_monomials), bool),
        np.zeros(factors, np.int8),
        np.zeros((*factors, num_monomials), bool),
    )


def renamed(structures: Structures, places: np.ndarray) -> Structures:
    """Each monomial m moved to places[m], as when variables are renamed; the form need not be canonical."""
    back = np.argsort(places)
    base, outer, kind, argument, inner_kind, inner = structures
    return Structures(
        base[..., back],
        outer[..., back],
        kind,
        argument[..., back],
        inner_kind,
        inner[..., back],
    )


def joined(parts: list[Structures]) -> Structures:
    """Several arrays of skeletons, one after the other."""
    return Structures(*(np.concatenate(part) for part in zip(*parts, strict=True)))


# --- the canonical form --------------------------------------------------------------------------


def canonical(structures: Structures, symbols: Alphabet) -> tuple[Structures, np.ndarray]:
    """The form in which each skeleton is written, and (b,) whether it is a skeleton at all.

    What is no skeleton holds a function of nothing, an empty group, or a function that another form tells
    better, such as the square root of a square.
    """
    parts = Structures(*(part.copy() for part in structures))
    base, outer, kind, argument, inner_kind, inner = parts
    with_inner = inner_kind > 0
    # A phase makes a cosine a sine; a constant in an exponential is a coefficient.
    kind[(kind == _COS) & argument[..., 0]] = _SIN
    inner_kind[(inner_kind == _COS) & inner[..., 0]] = _SIN
    argument[..., 0] &= kind != _EXP
    inner[..., 0] &= inner_kind != _EXP
    # 1/(1 + exp u) is a sigmoid.
    logistic = (
        (kind == _RECIPROCAL) & (inner_kind == _EXP) & argument[..., 0] & ~argument[..., 1:].any(-1)
    )
    argument[logistic] = inner[logistic]
    argument[logistic, 0] = True
    inner[logistic] = False
    kind[logistic], inner_kind[logistic] = _SIGMOID, 0
    # A constant beside tanh u makes it a sigmoid.
    inner_kind[(inner_kind == _TANH) & argument[..., 0]] = _SIGMOID
    alone = (kind > 0).sum(-1) == 1
    within = ~(outer & ~base[:, None]).any(-1)
    first = kind[..., 0]
    first[(first == _TANH) & alone & within] = _SIGMOID
    _simple_logarithms(kind, argument, with_inner, symbols)
    _divided(parts, symbols)
    good = _is_skeleton(parts, symbols)
    _sort(parts)
    return parts, good


def _simple_logarithms(kind, argument, with_inner, symbols: Alphabet) -> None:
    """The logarithm of a power is that of its variable."""
    single = (kind == _LOG) & ~with_inner & (argument.sum(-1) == 1)
    place = argument.argmax(-1)
    exponents = symbols.exponents
    for m in np.flatnonzero((exponents.max(1) == exponents.sum(1)) & (exponents.sum(1) > 1)):
        rows = single & (place == m)
        if rows.any():
            argument[rows] = False
            argument[rows, symbols.index[tuple((exponents[m] > 0).astype(int).tolist())]] = True


def _divided(parts: Structures, symbols: Alphabet) -> None:
    """P/(1 + m) with p = m q in P and q in P0: p/(1 + m) = q - q/(1 + m), so q stands in P for p."""
    base, outer, kind, argument, inner_kind, _ = parts
    simple = (
        (kind[..., 0] == _RECIPROCAL)
        & ((kind > 0).sum(-1) == 1)
        & (inner_kind[..., 0] == 0)
        & argument[..., 0, 0]
        & (argument[..., 0, :].sum(-1) == 2)
    )
    b, g = np.nonzero(simple)
    if not len(b):
        return
    divisor = argument[b, g, 0, 1:].argmax(1) + 1
    above, below = outer[b, g], base[b]
    rows = np.arange(len(b))
    for p in range(symbols.num_monomials - 1, 0, -1):
        q = symbols.quotient[p, divisor]
        move = above[:, p] & (q >= 0) & below[rows, q]
        above[move, p] = False
        above[rows[move], q[move]] = True
    outer[b, g] = above


def _is_skeleton(parts: Structures, symbols: Alphabet) -> np.ndarray:
    base, outer, kind, argument, inner_kind, inner = parts
    there, with_inner = kind > 0, inner_kind > 0
    varies = argument[..., 1:].any(-1)
    good = ~(there & ~varies & ~with_inner).any((1, 2))
    good &= ~(with_inner & ~inner[..., 1:].any(-1)).any((1, 2))
    good &= ~np.any(there.any(-1) & ~outer.any(-1), axis=1)
    good &= base.any(1) | there.any((1, 2))
    good &= ~(inner_kind == _POWER).any((1, 2))
    # Roots and magnitudes of one power are written otherwise, and so is the logarithm of an exponential.
    degree = symbols.exponents.sum(1)
    single = argument.sum(-1) == 1
    of_power = (single & (argument @ degree > 1) & ~with_inner) & ((kind == _SQRT) | (kind == _ABS))
    good &= ~of_power.any((1, 2))
    bare = with_inner & ~argument.any(-1)
    good &= ~(bare & (kind == _LOG) & (inner_kind == _EXP)).any((1, 2))
    good &= ~(bare & (kind == _RECIPROCAL) & (inner_kind != _COS) & (inner_kind != _SIN)).any(
        (1, 2)
    )
    linear_only = single & (argument @ degree == 1) & ~with_inner
    good &= ~((kind == _POWER) & ~linear_only).any((1, 2))
    # A polynomial over one monomial is a sum of monomials and negative powers, each in its place.
    plain = (kind[..., 0] == _RECIPROCAL) & single[..., 0] & ~with_inner[..., 0] & there.any(-1)
    divisor = argument[:, :, 0].argmax(-1)
    possible = (symbols.quotient[:, divisor] >= 0).transpose(1, 2, 0)
    good &= ~(plain & (outer & possible).any(-1)).any(1)
    # Twice the same factor is another form of one, but for powers of a reciprocal.
    same = (
        (kind[..., 0] == kind[..., 1])
        & (argument[..., 0, :] == argument[..., 1, :]).all(-1)
        & (inner_kind[..., 0] == inner_kind[..., 1])
        & (inner[..., 0, :] == inner[..., 1, :]).all(-1)
        & there[..., 1]
    )
    exponentials = there[..., 1] & (kind == _EXP).all(-1)
    good &= ~((same & (kind[..., 0] != _RECIPROCAL)) | exponentials).any(1)
    return good


def _sort(parts: Structures) -> None:
    """Factors within a group and groups by kind, then by their monomials; what is empty goes last."""
    _, outer, kind, argument, inner_kind, inner = parts
    key = _factor_keys(parts)
    order = np.argsort(key, axis=-1, kind="stable")
    for part in (kind, inner_kind):
        part[...] = np.take_along_axis(part, order, -1)
    for part in (argument, inner):
        part[...] = np.take_along_axis(part, order[..., None], -2)
    key = np.take_along_axis(key, order, -1)
    tail = _mixed(_masks(outer), 1) + _mixed(key[..., 1], 2)
    # The first factor's kind and monomials lead; the rest of the group breaks ties.
    group = (key[..., 0] & ~np.uint64(0xFFFFFF)) | (tail >> np.uint64(40))
    group[kind[..., 0] == 0] = np.iinfo(np.uint64).max
    order = np.argsort(group, axis=-1, kind="stable")
    outer[...] = np.take_along_axis(outer, order[..., None], -2)
    for part in (kind, inner_kind):
        part[...] = np.take_along_axis(part, order[..., None], -2)
    for part in (argument, inner):
        part[...] = np.take_along_axis(part, order[..., None, None], -3)


def _factor_keys(parts: Structures) -> np.ndarray:
    """(b, g, f) numbers that order factors: kind, first monomial, and a hash of all of it."""
    kind, argument = parts.kind, parts.argument
    lead = (kind.astype(np.uint64) << np.uint64(7)) | argument.argmax(-1).astype(np.uint64)
    rest = _mixed(_masks(argument), 3) + _mixed(_masks(parts.inner), 4)
    rest = _mixed(rest + parts.inner_kind.astype(np.uint64), 5)
    key = (lead << np.uint64(52)) | (rest >> np.uint64(12))
    return np.where(kind > 0, key, np.iinfo(np.uint64).max)


# --- hashes --------------------------------------------------------------------------------------


def _mixed(numbers: np.ndarray, stream: int) -> np.ndarray:
    """Well mixed 64-bit numbers (the finalizer of splitmix64; Steele, Lea and Flood 2014)."""
    z = numbers.astype(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (stream + 1)) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _masks(sets: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """A hash of each set of monomials, (..., m) -> (...): a sum, so that the order has no part in it."""
    weights = _mixed(np.arange(sets.shape[-1]), 7)
    if places is not None:
        weights = weights[places]
    return sets.astype(np.uint64) @ weights


def identity(structures: Structures, places: np.ndarray | None = None) -> np.ndarray:
    """(b,) a 64-bit hash of each skeleton in its canonical form, whatever the order of its groups.

    places: (m,) where each monomial goes, for the hash after variables were renamed.
    """
    base, outer, kind, argument, inner_kind, inner = structures
    factor = _mixed(_masks(argument, places), 3) + _mixed(_masks(inner, places), 4)
    factor = _mixed(
        factor + kind.astype(np.uint64) * np.uint64(31) + inner_kind.astype(np.uint64), 5
    )
    factor = np.where(kind > 0, factor, np.uint64(0)).sum(-1, dtype=np.uint64)
    group = _mixed(factor + _mixed(_masks(outer, places), 1), 6)
    group = np.where(kind[..., 0] > 0, group, np.uint64(0)).sum(-1, dtype=np.uint64)
    return _mixed(group + _mixed(_masks(base, places), 2), 8)


def family(structures: Structures, symbols: Alphabet) -> np.ndarray:
    """(b,) a 64-bit hash that skeletons share which differ in the names of their variables only."""
    hashes = [identity(structures, places) for places in symbols.permutations]
    return np.min(hashes, axis=0)


# --- what a skeleton costs and holds -------------------------------------------------------------


def num_constants(structures: Structures) -> np.ndarray:
    """(b,) how many constants each skeleton leaves open."""
    base, outer, kind, argument, inner_kind, inner = structures
    there = kind > 0
    scale_free = np.isin(kind, _SCALE_FREE) & (argument.any(-1) | (inner_kind > 0))
    # A power has its exponent; the scale of its variable goes into the coefficient.
    of_factor = (
        argument.sum(-1) + inner.sum(-1) + (inner_kind > 0)
        - scale_free
        - (np.isin(inner_kind, _SCALE_FREE) & (inner_kind > 0))
    )  # fmt: skip
    return base.sum(-1) + (outer.sum(-1) * there.any(-1)).sum(-1) + (of_factor * there).sum((1, 2))


def variables_in(structures: Structures, symbols: Alphabet) -> np.ndarray:
    """(b, variable) whether a skeleton depends on a variable."""
    monomials = (
        structures.base
        | structures.outer.any(1)
        | structures.argument.any((1, 2))
        | structures.inner.any((1, 2))
    )
    return monomials @ (symbols.exponents > 0)
