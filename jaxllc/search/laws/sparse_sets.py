"""Sparse and parametric enumeration: a beam search over sets of candidate terms in the integral form.

Each candidate brings its column and the derivatives of that column by its inner constants; a set is scored by
the residual that remains when both are fitted, which is what refining the inner constants would leave, to
first order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtri

from jaxllc.dynamics.terms import SELF, Term
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.criterion import information_criterion
from jaxllc.running.time_limit import check_time
from jaxllc.search.laws.reduced_columns import Groups, Reduced


@dataclass(frozen=True)
class Proposal:
    """A set of candidate terms for one equation: positions in the list of candidates, and its score."""

    positions: tuple[int, ...]
    score: float
    residual: float


def criterion_of_sets(residual, num_rows: int, num_constants, floor: float):
    """The information criterion of sets that leave a squared residual, with a floor of its mean."""
    cost = num_constants * np.log(num_rows)
    return information_criterion(residual / num_rows, num_rows, cost, floor)


@dataclass
class _State:
    """A partial set: an orthonormal basis of its columns, and what is left outside its span.

    rest: of the target; left: (column,) squared norm of each column; products: those of `Groups`.
    """

    positions: tuple[int, ...]
    basis: np.ndarray
    rest: np.ndarray
    constants: int
    left: np.ndarray
    products: tuple[np.ndarray, ...]


def _gains(state: _State, slope: np.ndarray, groups: Groups) -> np.ndarray:
    """Reduction of the squared residual by each candidate together with its derivatives, (term,).

    Gram-Schmidt within each candidate, from products alone. slope: (column,) product with what is left of the
    target.
    """
    left, own = state.left, groups.own
    norm = left[own]
    good = norm > 1e-10
    norm = np.where(good, norm, 1.0)
    first = np.where(good, slope[own], 0.0)
    gain = first**2 / norm
    cross, to_own, to_second = state.products
    members, at = groups.with_slope, groups.slope
    if not len(members):
        return gain
    cross = np.where(good[members], cross, 0.0)
    second_norm = left[at] - cross**2 / norm[members]
    second = slope[at] - cross / norm[members] * first[members]
    fine = second_norm > 1e-8
    second_norm = np.where(fine, second_norm, 1.0)
    second = np.where(fine, second, 0.0)
    gain[members] += second**2 / second_norm
    last, at_last, place = groups.with_two, groups.second_slope, groups.place
    if not len(last):
        return gain
    to_own = np.where(good[last], to_own, 0.0)
    to_second = to_second - cross[place] * to_own / norm[last]
    to_second = np.where(fine[place], to_second, 0.0)
    third_norm = left[at_last] - to_own**2 / norm[last] - to_second**2 / second_norm[place]
    third = slope[at_last] - to_own / norm[last] * first[last]
    third = third - to_second / second_norm[place] * second[place]
    gain[last] += np.where(
        third_norm > 1e-8, third**2 / np.where(third_norm > 1e-8, third_norm, 1.0), 0.0
    )
    return gain


def _started(reduced: Reduced, target: np.ndarray, positions: Sequence[int] | np.ndarray) -> _State:
    """The set of given candidates."""
    basis, shares = reduced.span(positions)
    groups = reduced.groups
    return _State(
        tuple(int(p) for p in positions),
        basis,
        target - basis @ (basis.T @ target),
        int(sum(reduced.width[p] for p in positions)),
        1.0 - (shares**2).sum(axis=0),
        tuple(a - b for a, b in zip(groups.products, groups.products_of(shares), strict=True)),
    )


def _extended(chosen: Sequence[tuple[_State, int]], reduced: Reduced) -> list[_State]:
    """Each set with one more candidate; one product with all columns serves all of them."""
    groups = reduced.groups
    bases = []
    for state, position in chosen:
        start = reduced.first[position]
        basis = state.basis
        for column in reduced.columns[:, start : start + reduced.width[position]].T:
            for _ in range(2):
                column = column - basis @ (basis.T @ column)
            norm = np.linalg.norm(column)
            if norm > 1e-5:
                basis = np.concatenate([basis, (column / norm)[:, None]], axis=1)
        bases.append(basis)
    pairs = list(zip(chosen, bases, strict=True))
    new = [basis[:, state.basis.shape[1] :] for (state, _), basis in pairs]
    shares = np.concatenate(new, axis=1).T @ reduced.columns
    edges = np.cumsum([n.shape[1] for n in new])[:-1]
    states = []
    for ((state, position), basis), own, share in zip(
        pairs, new, np.split(shares, edges), strict=True
    ):
        taken = groups.products_of(share)
        states.append(
            _State(
                (*state.positions, position),
                basis,
                state.rest - own @ (own.T @ state.rest),
                state.constants + int(reduced.width[position]),
                state.left - (share**2).sum(axis=0),
                tuple(a - b for a, b in zip(state.products, taken, strict=True)),
            )
        )
    return states


def _record(found: dict, state: _State, family, outside: float, rows: int, floor: float) -> None:
    residual = outside + float(state.rest @ state.rest)
    score = float(criterion_of_sets(residual, rows, state.constants, floor))
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
    late: Callable[[], bool] = lambda: False,
) -> list[Proposal]:
    """Sets of candidate terms for one equation, best first; at most one member of a family in a set.

    floor: mean squared error that no set is expected to undercut (noise, smoothing and quadrature).
    base: candidates that every set starts with; allowed: (term,) candidates that may be added; late: whether
    sets of more terms are left out.
    """
    target = reduced.targets[:, equation]
    outside, rows = float(reduced.outside[equation]), int(reduced.num_rows[equation])
    family, groups = reduced.family, reduced.groups
    start = _started(reduced, target, base)
    barred = np.zeros(len(family), dtype=bool) if allowed is None else ~allowed
    states = [start]
    found: dict[frozenset[int], Proposal] = {}
    best, stale = np.inf, 0
    if len(base):
        _record(found, start, family, outside, rows, floor)
    for _ in range(max_terms):
        check_time()
        moves: dict[tuple[int, ...], tuple[float, _State, int]] = {}
        slopes = np.stack([state.rest for state in states]) @ reduced.columns
        for state, slope in zip(states, slopes, strict=True):
            residual = outside + float(state.rest @ state.rest)
            gain = _gains(state, slope, groups)
            used = np.zeros(len(family), dtype=bool)
            used[family[list(state.positions)]] = True
            gain[used[family] | barred] = -np.inf
            remaining = residual - gain
            score = criterion_of_sets(remaining, rows, state.constants + reduced.width, floor)
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
            by_family.setdefault(frozenset(family[list(key)].tolist()), (key, value))
            if len(by_family) == beam:
                break
        chosen = dict(ranked[: beam // 3])
        for key, value in by_family.values():
            chosen.setdefault(key, value)
        states = _extended([(state, position) for _, state, position in chosen.values()], reduced)
        for state in states:
            _record(found, state, family, outside, rows, floor)
        top = min(p.score for p in found.values())
        stale = 0 if top < best - 1e-9 else stale + 1
        best = min(best, top)
        if stale >= patience or late():
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
    residual = max(beyond, 0.0)
    path = [proposal]
    base = np.isin(positions, known)
    for _ in range(int((~base).sum()) - (0 if base.any() else 1)):
        costs = _removal_costs(upper, inside, owner)
        alive = np.unique(owner)
        costs[base[alive]] = np.inf
        kept = owner != alive[int(np.argmin(costs))]
        part, upper = np.linalg.qr(upper[:, kept])
        before, owner = inside, owner[kept]
        inside = part.T @ before
        rest = before - part @ inside
        residual += float(rest @ rest)
        score = float(criterion_of_sets(residual, rows, len(owner), floor))
        chosen = tuple(sorted(int(p) for p in positions[np.unique(owner)]))
        path.append(Proposal(chosen, score, residual))
    return path


def _removal_costs(upper: np.ndarray, inside: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For each term of a set what its removal adds to the squared residual, per column, (term,).

    upper, inside: triangular factor of the columns, and the target in its basis; owner: (column,) the term of
    each, in ascending order.
    """
    diagonal = np.abs(np.diag(upper))
    if len(upper) == len(owner) and diagonal.min() > 1e-10 * diagonal.max():
        inverse = dtrtri(upper)[0]
    else:
        inverse = np.linalg.pinv(upper, rcond=1e-12)
    coefficients = inverse @ inside
    _, first, widths = np.unique(owner, return_index=True, return_counts=True)
    costs = np.zeros(len(first))
    for width in np.unique(widths):
        # A term with inner constants must earn them.
        terms = np.flatnonzero(widths == width)
        own = first[terms][:, None] + np.arange(width)
        rows, values = inverse[own], coefficients[own]
        covariance = rows @ rows.transpose(0, 2, 1)
        block = np.linalg.pinv(covariance, rcond=1e-10) if width > 1 else 1 / covariance
        costs[terms] = np.einsum("ti,tij,tj->t", values, block, values) / width
    return costs


def single_gains(reduced: Reduced, equation: int, positions: Sequence[int]) -> np.ndarray:
    """Reduction of the squared residual by each candidate added to a set, (term,)."""
    target = reduced.targets[:, equation]
    state = _started(reduced, target, positions)
    return _gains(state, state.rest @ reduced.columns, reduced.groups)


def best_beside(target: np.ndarray, others: np.ndarray, columns: np.ndarray) -> int:
    """Which of some columns (row, column) explains most of a target beside others (row, k), all free."""
    lengths = (columns**2).sum(axis=0)
    if others.shape[1]:
        basis = np.linalg.qr(others)[0]
        target = target - basis @ (basis.T @ target)
        columns = columns - basis @ (basis.T @ columns)
    squared = (columns**2).sum(axis=0)
    usable = squared > 1e-12 * lengths
    gain = np.where(usable, (target @ columns) ** 2 / np.where(usable, squared, 1.0), 0.0)
    return int(np.argmax(gain))


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
            members = np.flatnonzero(reduced.family == reduced.family[positions[k]])
            columns = reduced.columns[:, reduced.first[members]]
            positions[k] = int(members[best_beside(target, reduced.columns[:, others], columns)])
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
    late: Callable[[], bool] = lambda: False,
) -> list[Proposal]:
    """Proposals for one equation, at most max_terms terms each besides those of `base`, which all hold.

    late: whether what was found has to do.

    A beam over all candidates; and beams that start from a complete polynomial, of the node or of node and
    edges, from which backward elimination then removes what is not needed.
    """
    # A function of the sum over neighbours is what an interaction is: what the beams look for.
    self_side = np.array(
        [t.family.side == SELF and not sums_in(t.family.expression) for t in reduced.terms]
    )
    plain = np.array([not t.inner for t in reduced.terms])
    own_polynomial = self_side & np.array([_is_polynomial(t) for t in reduced.terms])
    known = np.array([t.family.known for t in reduced.terms], dtype=bool)
    self_side, plain = self_side | known, plain & ~known
    own_polynomial &= ~known
    found: dict[frozenset, Proposal] = {}
    eliminated: set[tuple[int, ...]] = set()

    def record(proposal: Proposal) -> None:
        # One start of the inner constants for each set of families: the best.
        key = frozenset(reduced.terms[p].family for p in proposal.positions)
        if key not in found or proposal.residual < found[key].residual:
            found[key] = proposal

    def descend(
        start: np.ndarray, allowed: np.ndarray, largest: int, beam: int, paths: int
    ) -> None:
        if found and late():
            return
        at = np.union1d(np.flatnonzero(start), base).astype(int)
        grown = beam_search(reduced, equation, floor, largest, beam, 2, at, allowed, late)
        of_size: dict[int, int] = {}
        for proposal in grown:
            record(proposal)
            size = len(proposal.positions)
            of_size[size] = of_size.get(size, 0) + 1
            if of_size[size] <= paths and proposal.positions not in eliminated:
                eliminated.add(proposal.positions)
                for step in eliminate(reduced, equation, proposal, floor, base):
                    record(step)

    for proposal in beam_search(reduced, equation, floor, max_terms, base=base, late=late):
        record(proposal)
    descend(own_polynomial, ~self_side, 4, 12, num_paths)
    descend(own_polynomial, ~self_side & plain, 4, 12, num_paths)
    everything = own_polynomial | (plain & ~self_side & ~_dependent(reduced.terms))
    descend(everything, ~self_side & ~plain, 2, 6, 2)
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
