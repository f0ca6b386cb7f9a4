"""Sparse and parametric enumeration: a beam search over sets of candidate terms in the integral form.

Each candidate brings its column and the derivatives of that column by its inner constants; a set is scored by
the residual that remains when both are fitted, which is what refining the inner constants would leave, to
first order.  All columns are first reduced by one QR factorisation to as many rows as there are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.fitting.integral_form import IntegralForm
from jaxllc.terms import SELF, Term


@dataclass
class Reduced:
    """Columns of all candidates and targets of all equations after the QR factorisation."""

    terms: list[Term]
    columns: np.ndarray  # (row, column), each of unit norm
    first: np.ndarray  # (term,) position of its own column
    width: np.ndarray  # (term,) one plus its inner constants
    targets: np.ndarray  # (row, equation)
    outside: np.ndarray  # (equation,) squared norm of the target outside the span of all columns
    num_rows: np.ndarray  # (equation,)


@dataclass(frozen=True)
class Proposal:
    """A set of candidate terms for one equation: positions in the list of candidates, and its score."""

    positions: tuple[int, ...]
    score: float
    residual: float


def reduce_columns(form: IntegralForm, terms: Sequence[Term], variable: int = 0) -> Reduced:
    """Evaluate, integrate and factorise the columns of all candidates (rows: what a variable shows)."""
    blocks, first, width, kept = [], [], [], []
    position = 0
    for term in terms:
        with np.errstate(all="ignore"):
            block = form.column_and_derivatives(term, variable)
            norm = np.sqrt((block**2).sum(axis=0))
        if not np.all(np.isfinite(norm)) or norm[0] == 0:
            continue
        block = block / np.where(norm > 0, norm, 1.0)
        blocks.append(block)
        first.append(position)
        width.append(block.shape[1])
        kept.append(term)
        position += block.shape[1]
    targets = np.stack([form.target(v) for v in range(len(form.variables))], axis=1)
    matrix = np.concatenate([*blocks, targets], axis=1)
    if matrix.shape[0] < matrix.shape[1]:
        matrix = np.concatenate(
            [matrix, np.zeros((matrix.shape[1] - matrix.shape[0], matrix.shape[1]))]
        )
    upper: np.ndarray = np.asarray(np.linalg.qr(matrix, mode="r"))
    return Reduced(
        kept,
        upper[:position, :position],
        np.array(first),
        np.array(width),
        upper[:position, position:],
        (upper[position:, position:] ** 2).sum(axis=0),
        np.array([form.num_rows(v) for v in range(len(form.variables))]),
    )


def information_criterion(residual, num_rows: int, num_constants, floor: float):
    """BIC with an absolute error floor on the mean squared residual."""
    return num_rows * np.log(np.maximum(residual, 0) / num_rows + floor) + num_constants * np.log(
        num_rows
    )


class _State:
    """A partial set: an orthonormal basis of its columns, what of the target is left, all columns' shares."""

    def __init__(self, positions, basis, rest, constants, shares) -> None:
        self.positions, self.basis, self.rest = positions, basis, rest
        self.constants, self.shares = constants, shares


class _Groups:
    """Positions and mutual products of each candidate's column and derivatives."""

    def __init__(self, reduced: Reduced) -> None:
        columns, first, width = reduced.columns, reduced.first, reduced.width
        self.own = first
        self.levels = []
        for level in (1, 2):
            members = np.flatnonzero(width > level)
            at = first[members] + level
            products = [
                (columns[:, first[members] + earlier] * columns[:, at]).sum(axis=0)
                for earlier in range(level)
            ]
            self.levels.append((members, at, products))


def _gains(state: _State, reduced: Reduced, groups: _Groups) -> np.ndarray:
    """Reduction of the squared residual by each candidate together with its derivatives, (term,).

    Gram-Schmidt within each candidate, from products alone.
    """
    slope = state.rest @ reduced.columns
    shares = state.shares
    left = 1.0 - (shares**2).sum(axis=0)
    own = groups.own
    norm = left[own]
    good = norm > 1e-10
    norm = np.where(good, norm, 1.0)
    first = np.where(good, slope[own], 0.0)
    gain = first**2 / norm
    members, at, (product,) = groups.levels[0]
    if not len(members):
        return gain
    cross = product - (shares[:, own[members]] * shares[:, at]).sum(axis=0)
    cross = np.where(good[members], cross, 0.0)
    second_norm = left[at] - cross**2 / norm[members]
    second = slope[at] - cross / norm[members] * first[members]
    fine = second_norm > 1e-8
    second_norm = np.where(fine, second_norm, 1.0)
    second = np.where(fine, second, 0.0)
    gain[members] += second**2 / second_norm
    last, at_last, (with_own, with_second) = groups.levels[1]
    if not len(last):
        return gain
    place = np.searchsorted(members, last)
    to_own = with_own - (shares[:, own[last]] * shares[:, at_last]).sum(axis=0)
    to_own = np.where(good[last], to_own, 0.0)
    to_second = with_second - (shares[:, at[place]] * shares[:, at_last]).sum(axis=0)
    to_second = to_second - cross[place] * to_own / norm[last]
    to_second = np.where(fine[place], to_second, 0.0)
    third_norm = left[at_last] - to_own**2 / norm[last] - to_second**2 / second_norm[place]
    third = slope[at_last] - to_own / norm[last] * first[last]
    third = third - to_second / second_norm[place] * second[place]
    gain[last] += np.where(
        third_norm > 1e-8, third**2 / np.where(third_norm > 1e-8, third_norm, 1.0), 0.0
    )
    return gain


def _extend(state: _State, position: int, reduced: Reduced) -> _State:
    start = reduced.first[position]
    block = reduced.columns[:, start : start + reduced.width[position]]
    basis = state.basis
    for column in block.T:
        for _ in range(2):
            column = column - basis @ (basis.T @ column)
        norm = np.linalg.norm(column)
        if norm > 1e-5:
            basis = np.concatenate([basis, (column / norm)[:, None]], axis=1)
    new = basis[:, state.basis.shape[1] :]
    rest = state.rest - new @ (new.T @ state.rest)
    return _State(
        (*state.positions, position),
        basis,
        rest,
        state.constants + int(reduced.width[position]),
        np.concatenate([state.shares, new.T @ reduced.columns]),
    )


def _record(found: dict, state: _State, family, outside: float, rows: int, floor: float) -> None:
    residual = outside + float(state.rest @ state.rest)
    score = float(information_criterion(residual, rows, state.constants, floor))
    key = frozenset(int(f) for f in family[list(state.positions)])
    if key not in found or score < found[key].score:
        found[key] = Proposal(tuple(sorted(state.positions)), score, residual)


def beam_search(
    reduced: Reduced,
    equation: int,
    floor: float,
    max_terms: int = 8,
    beam: int = 24,
    patience: int = 3,
    base: Sequence[int] | np.ndarray = (),
    allowed: np.ndarray | None = None,
) -> list[Proposal]:
    """Sets of candidate terms for one equation, best first; at most one member of a family in a set.

    floor: mean squared error that no set is expected to undercut (noise, smoothing and quadrature).
    base: candidates that every set starts with; allowed: (term,) candidates that may be added.
    """
    target = reduced.targets[:, equation]
    outside, rows = float(reduced.outside[equation]), int(reduced.num_rows[equation])
    family_ids: dict = {}
    family = np.array([family_ids.setdefault(t.family, len(family_ids)) for t in reduced.terms])
    groups = _Groups(reduced)
    empty = np.zeros((0, reduced.columns.shape[1]))
    start = _State((), np.zeros((len(target), 0)), target, 0, empty)
    for position in base:
        start = _extend(start, position, reduced)
    barred = np.zeros(len(family), dtype=bool) if allowed is None else ~allowed
    states = [start]
    found: dict[frozenset[int], Proposal] = {}
    best, stale = np.inf, 0
    if len(base):
        _record(found, start, family, outside, rows, floor)
    for _ in range(max_terms):
        moves: dict[tuple[int, ...], tuple[float, _State, int]] = {}
        for state in states:
            residual = outside + float(state.rest @ state.rest)
            gain = _gains(state, reduced, groups)
            gain[np.isin(family, family[list(state.positions)]) | barred] = -np.inf
            remaining = residual - gain
            score = information_criterion(remaining, rows, state.constants + reduced.width, floor)
            score[~np.isfinite(gain)] = np.inf
            for position in np.argsort(score)[: 2 * beam]:
                if not np.isfinite(score[position]):
                    break
                key = tuple(sorted((*state.positions, int(position))))
                if key not in moves or score[position] < moves[key][0]:
                    moves[key] = (float(score[position]), state, int(position))
        if not moves:
            break
        # Half of the beam by score alone, half one for each set of families.
        ranked = sorted(moves.items(), key=lambda item: item[1][0])
        by_family: dict[frozenset[int], tuple] = {}
        for key, value in ranked:
            by_family.setdefault(frozenset(family[list(key)]), (key, value))
        chosen = dict(ranked[: beam // 3])
        for key, value in list(by_family.values())[:beam]:
            chosen.setdefault(key, value)
        states = [_extend(state, position, reduced) for _, state, position in chosen.values()]
        for state in states:
            _record(found, state, family, outside, rows, floor)
        top = min(p.score for p in found.values())
        stale = 0 if top < best - 1e-9 else stale + 1
        best = min(best, top)
        if stale >= patience:
            break
    return sorted(found.values(), key=lambda p: p.score)


def eliminate(
    reduced: Reduced,
    equation: int,
    proposal: Proposal,
    floor: float,
    known: Sequence[int] = (),
) -> list[Proposal]:
    """Backward elimination of all but known ones in the integral form: the sets met on the way."""
    rows = int(reduced.num_rows[equation])
    positions = np.array(proposal.positions)
    columns = np.concatenate([np.arange(reduced.width[p]) + reduced.first[p] for p in positions])
    owner = np.repeat(np.arange(len(positions)), reduced.width[positions])
    # All further sets lie in the span of the first: only its triangular factor is needed.
    basis, upper = np.linalg.qr(reduced.columns[:, columns])
    target = reduced.targets[:, equation]
    inside = basis.T @ target
    beyond = float(reduced.outside[equation]) + float(target @ target - inside @ inside)
    alive = np.arange(len(positions))
    path = [proposal]
    base = np.isin(positions, known)
    while (~base[alive]).sum() > (0 if base.any() else 1):
        kept = np.flatnonzero(np.isin(owner, alive))
        inverse = np.linalg.pinv(upper[:, kept], rcond=1e-12)
        coefficients = inverse @ inside
        covariance = inverse @ inverse.T
        costs = []
        for term in alive:
            if base[term]:
                costs.append(np.inf)
                continue
            own = np.flatnonzero(owner[kept] == term)
            block = np.linalg.pinv(covariance[np.ix_(own, own)], rcond=1e-10)
            # A term with inner constants must earn them.
            costs.append(float(coefficients[own] @ block @ coefficients[own]) / len(own))
        alive = np.delete(alive, int(np.argmin(costs)))
        kept = np.flatnonzero(np.isin(owner, alive))
        part = np.linalg.qr(upper[:, kept])[0]
        rest = inside - part @ (part.T @ inside)
        residual = max(beyond, 0.0) + float(rest @ rest)
        score = float(information_criterion(residual, rows, len(kept), floor))
        chosen = tuple(sorted(int(p) for p in positions[alive]))
        path.append(Proposal(chosen, score, residual))
    return path


def single_gains(reduced: Reduced, equation: int, positions: Sequence[int]) -> np.ndarray:
    """Reduction of the squared residual by each candidate added to a set, (term,)."""
    target = reduced.targets[:, equation]
    empty = np.zeros((0, reduced.columns.shape[1]))
    state = _State((), np.zeros((len(target), 0)), target, 0, empty)
    for position in positions:
        state = _extend(state, position, reduced)
    return _gains(state, reduced, _Groups(reduced))


def best_start(
    reduced: Reduced, equation: int, positions: Sequence[int], sweeps: int = 2
) -> list[int]:
    """Grid points of the inner constants that fit best by themselves, one family after the other.

    Derivatives by the inner constants, which rank sets of families well, may point far outside their range.
    """
    target = reduced.targets[:, equation]
    positions = list(positions)
    inner = [k for k, p in enumerate(positions) if reduced.width[p] > 1]
    for _ in range(sweeps if len(inner) > 1 else 1):
        before = list(positions)
        for k in inner:
            others = [reduced.first[p] for i, p in enumerate(positions) if i != k]
            family = reduced.terms[positions[k]].family
            members = np.array([i for i, t in enumerate(reduced.terms) if t.family == family])
            columns = reduced.columns[:, reduced.first[members]]
            rest = target
            if others:
                basis = np.linalg.qr(reduced.columns[:, others])[0]
                rest = target - basis @ (basis.T @ target)
                columns = columns - basis @ (basis.T @ columns)
            squared = (columns**2).sum(axis=0)
            gain = np.where(
                squared > 1e-12, (rest @ columns) ** 2 / np.maximum(squared, 1e-12), 0.0
            )
            positions[k] = int(members[np.argmax(gain)])
        if positions == before:
            break
    return positions


def propose(
    reduced: Reduced,
    equation: int,
    floor: float,
    num_paths: int = 2,
    max_terms: int = 8,
    base: Sequence[int] = (),
) -> list[Proposal]:
    """Proposals for one equation, at most max_terms terms each besides those of `base`, which all hold.

    A beam over all candidates; and beams that start from a complete polynomial, of the node or of node and
    edges, from which backward elimination then removes what is not needed.
    """
    self_side = np.array([t.family.side == SELF for t in reduced.terms])
    plain = np.array([not t.inner for t in reduced.terms])
    own_polynomial = self_side & np.array([_is_polynomial(t) for t in reduced.terms])
    known = np.array([t.family.known for t in reduced.terms], dtype=bool)
    self_side, plain = self_side | known, plain & ~known
    own_polynomial &= ~known
    found: dict[frozenset, Proposal] = {}

    def record(proposal: Proposal) -> None:
        # One start of the inner constants for each set of families: the best.
        key = frozenset(reduced.terms[p].family for p in proposal.positions)
        if key not in found or proposal.residual < found[key].residual:
            found[key] = proposal

    def descend(
        start: np.ndarray, allowed: np.ndarray, largest: int, beam: int, paths: int
    ) -> None:
        at = np.union1d(np.flatnonzero(start), base).astype(int)
        grown = beam_search(reduced, equation, floor, largest, beam, 2, at, allowed)
        of_size: dict[int, int] = {}
        for proposal in grown:
            record(proposal)
            size = len(proposal.positions)
            of_size[size] = of_size.get(size, 0) + 1
            if of_size[size] <= paths:
                for step in eliminate(reduced, equation, proposal, floor, base):
                    record(step)

    for proposal in beam_search(reduced, equation, floor, max_terms, base=base):
        record(proposal)
    descend(own_polynomial, ~self_side, 4, 12, num_paths)
    descend(own_polynomial, ~self_side & plain, 4, 12, num_paths)
    everything = own_polynomial | (plain & ~self_side & ~_dependent(reduced.terms))
    for terms in (0, 1, 2):
        descend(everything, ~self_side & ~plain, terms, 6, 2)
    small = [p for p in found.values() if len(p.positions) <= max_terms + len(base)]
    return sorted(small, key=lambda p: p.score)


def _dependent(terms: Sequence[Term]) -> np.ndarray:
    """Interactions that are sums of other ones, such as x_j - x_i beside x_j and x_i, (term,) of bool."""
    known = {t.family.expression for t in terms if t.family.side != SELF}
    return np.array(
        [
            t.family.expression.is_Add
            and all(p.as_coeff_Mul()[1] in known for p in t.family.expression.args)
            for t in terms
        ]
    )


def _is_polynomial(term: Term) -> bool:
    return not term.inner and all(
        s.name.endswith("_i") for s in term.family.expression.free_symbols
    )
