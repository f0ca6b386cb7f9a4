"""A forcing that acts on all nodes alike: which variables have one, and what the law says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxllc.data.drivers.forcing import DEGREES, Forcing
from jaxllc.dynamics.terms import Term
from jaxllc.errors import listed
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.forcing_terms import (
    ForcingFamily,
    is_forcing,
    richer_forcing,
    without_forcing,
)
from jaxllc.law.law import Law
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_sets import criterion_of_sets

# Other laws that are looked at without the forcing that one law has no need of: how near, and how many.
_NEAR, _RIVALS = 30.0, 4
# Polynomials beyond those that are asked for beside plain terms, which may leave more than a law does; size
# from which a combination of columns is none.
_MORE, _ALIKE = 3, 1e-6


def with_rich_forcing(search: SearchProblem) -> SearchProblem:
    """The problem with forcings of as many polynomials as the samples ask for beside plain terms.

    One of too few makes other terms bend to what it leaves, so that a law may imitate it.
    """
    inputs = search.data.inputs[0] if search.data.inputs else {}
    for variable in _forced(search):
        rich = richer_forcing(search.prior, inputs, variable, len(inputs))
        shapes = [Term(f) for f in rich.of_variable(variable) if is_forcing(f)]
        degrees = max(DEGREES, _asked_for(search, variable, shapes) + _MORE)
        prior = richer_forcing(search.prior, inputs, variable, degrees)
        search = replace(search, prior=prior)
    return search


def _asked_for(search: SearchProblem, variable: int, shapes: Sequence[Term]) -> int:
    """How many polynomials pay for themselves in the integral form beside all plain terms."""
    form = search.forms[0]
    plain = [t for t in search.library if not t.inner]
    with np.errstate(all="ignore"):
        columns = np.stack([form.column(t, variable) for t in plain], axis=1)
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    sizes = np.linalg.norm(columns, axis=0)
    basis, values, _ = np.linalg.svd(columns / np.where(sizes > 0, sizes, 1.0), full_matrices=False)
    basis = basis[:, values > _ALIKE * values[0]]
    target = form.target(variable)
    target = target - basis @ (basis.T @ target)
    waves = np.stack([form.column(t, variable) for t in shapes], axis=1)
    waves = waves / np.linalg.norm(waves, axis=0)
    taken = (np.linalg.qr(waves - basis @ (basis.T @ waves))[0].T @ target) ** 2
    left = target @ target - np.concatenate([[0.0], np.cumsum(taken)])
    floor, rows = search.mean_square_floor(variable), form.num_rows(variable)
    costs = [
        float(criterion_of_sets(max(rest, 0.0), rows, basis.shape[1] + k, floor))
        for k, rest in enumerate(left)
    ]
    return int(np.argmin(costs))


def with_needed_forcing(
    search: SearchProblem, judge: Judge, best: Judged
) -> tuple[SearchProblem, list[CandidateLaw]] | None:
    """The problem without the forcing of variables whose criterion does not ask for one, and laws to begin
    with there, the best first; None where all are asked for."""
    kept, law = search, best
    for variable in _forced(search):
        if judge.late:
            break
        other = judge.fitted(_without(law.law, variable), law.fit.states)
        if other.criterion < law.criterion:
            law = other
            kept = replace(kept, prior=without_forcing(kept.prior, variable))
    if kept is search:
        return None
    gone = [v for v in _forced(search) if v not in _forced(kept)]
    laws = [law.law]
    for one in judge.near(best, _NEAR, _RIVALS):
        near = one.law
        for variable in gone:
            near = _without(near, variable)
        laws.append(near)
    if not _forced(kept):
        inputs = tuple({n: c for n, c in run.items() if not c.is_shape} for run in kept.data.inputs)
        kept = replace(kept, data=replace(kept.data, inputs=inputs))
    return kept, laws


def _forced(search: SearchProblem) -> list[int]:
    return [v for v, families in enumerate(search.prior.known) if any(map(is_forcing, families))]


def _without(law: CandidateLaw, variable: int) -> CandidateLaw:
    pairs = zip(law.terms[variable], law.coefficients[variable], strict=True)
    kept = [(t, c) for t, c in pairs if not is_forcing(t.family)]
    return law.replaced(variable, [t for t, _ in kept], [c for _, c in kept])


def found_forcing(
    law: CandidateLaw, covariance: np.ndarray | None, search: SearchProblem
) -> tuple[Forcing, ...]:
    """The forcing of each variable of a law, by the clock of the first run; covariance: of all constants."""
    count = law.num_constants
    covariance = np.full((count, count), np.nan) if covariance is None else covariance
    place, found = 0, []
    for variable, terms, coefficients in zip(
        search.variables, law.terms, law.coefficients, strict=True
    ):
        parts: list[tuple[int, int, float]] = []
        for term, coefficient in zip(terms, coefficients, strict=True):
            if isinstance(term.family, ForcingFamily):
                parts.append((term.family.degree, place, coefficient))
                one = term.family
            place += term.num_constants
        if not parts:
            continue
        times = search.data.inputs[0][str(one.coefficient)].times
        _, places, values = zip(*sorted(parts), strict=True)
        found.append(
            Forcing(
                variable,
                one.forcing,
                float(times[0]),
                float(times[-1]),
                np.array(values),
                covariance[np.ix_(places, places)],
            )
        )
    return tuple(found)


def forcing_notes(law: Law) -> list[str]:
    """What is said of the forcing that a law has, or of that which was not asked for."""
    notes = [_note(law, one) for one in law.forcing]
    having = {one.variable for one in law.forcing}
    if without := [v for v in law.variables if v not in having and not law.doubt]:
        notes.append(
            f"The samples of {listed(without)} do not ask for a forcing that all nodes share: the law is as "
            "good without one."
        )
    return notes


def _note(law: Law, one: Forcing) -> str:
    constant = law.equations[one.variable].self_term.as_coeff_Add()[0]
    held = (
        f"the constant {float(constant):.4g} of this law" if constant else "a constant of the law"
    )
    return (
        f"{one.name}(t) is what drives {one.variable} at all nodes alike, known from {one.start:.6g} to "
        f"{one.stop:.6g} and not outside that time; law.forcing_table() holds it with its 95 % band. Its "
        f"mean over that time is not determined: no samples tell it from {held}. It was set to 0, so that "
        "such a constant holds the sum of both."
    )
