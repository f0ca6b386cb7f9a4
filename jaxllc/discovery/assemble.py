"""From the judged candidate to a Law: final fit, standard errors, adjusted R2, front and notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import sympy

from jaxllc.data.drivers.forcing import FORCING
from jaxllc.data.drivers.input_course import TIME
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.needed_forcing import found_forcing
from jaxllc.discovery.prior_checks import bound_notes, misfit_notes
from jaxllc.dynamics.terms import SELF
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories
from jaxllc.judge.bootstrap import bootstrapped
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.number_check import checked_numbers
from jaxllc.judge.number_choice import by_numbers
from jaxllc.judge.pareto import FrontMember, choice, explained, pareto_front
from jaxllc.judge.solver_choice import finished_choice, finished_fit
from jaxllc.judge.standard_errors import reported_covariance, standard_errors
from jaxllc.judge.standing import fault, standing_laws
from jaxllc.judge.twins import are_twins, same_form_of
from jaxllc.knowledge.forcing_terms import ForcingFamily, is_forcing, written_constants
from jaxllc.knowledge.known_terms import KnownFamily
from jaxllc.knowledge.units import Units
from jaxllc.law.confidence import OFTEN, percent
from jaxllc.law.law import Constant, FrontRow, Law
from jaxllc.law.plain_time import with_plain_time
from jaxllc.law.record import Confidence, Rival
from jaxllc.law.skill import skill
from jaxllc.law.writing.law_text import equation_line
from jaxllc.law.writing.term_text import left_side
from jaxllc.metrics import skeleton_equal
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.settings.discover_settings import DiscoverSettings, through_solver
from jaxllc.smoothing.gauge import undetermined_constants

# Difference of the information criterion up to which evidence between two laws is not strong
# (Kass and Raftery 1995).
AS_GOOD = 6.0
# Rivals that are kept, beside those that the bootstrap often chooses.
_MOST_RIVALS = 5


def equations_of(law: CandidateLaw, variables: tuple[str, ...]) -> dict[str, Equation]:
    """Sympy equations of a candidate law."""
    equations = {}
    for name, terms, coefficients in zip(variables, law.terms, law.coefficients, strict=True):
        forcing = {t.family.forcing for t in terms if isinstance(t.family, ForcingFamily)}
        own = sympy.Add(*map(sympy.Symbol, forcing))
        sides: dict[bool, sympy.Expr] = {True: own, False: sympy.Integer(0)}
        for term, coefficient in zip(terms, coefficients, strict=True):
            if is_forcing(term.family):
                continue
            factor = sympy.Integer(1) if term.family.held else sympy.Float(coefficient)
            sides[term.family.side == SELF] += factor * term.sympy()
        equations[name] = Equation(sides[True], sides[False])
    return equations


def constants_of(
    law: CandidateLaw, errors: np.ndarray, variables: tuple[str, ...], units: Units | None
) -> list[Constant]:
    """The rows of the table of constants, without a forcing; errors: (constant,) of `law.values()`."""
    rows = []
    position = 0
    for name, terms, coefficients in zip(variables, law.terms, law.coefficients, strict=True):
        for term, coefficient in zip(terms, coefficients, strict=True):
            if is_forcing(term.family):
                position += term.num_constants
                continue
            text = term.family.text
            side = term.family.side
            roles = ["coefficient", *(f"w{k}" for k in range(len(term.inner)))]
            if isinstance(term.family, KnownFamily):
                text, roles = term.family.text, list(term.family.constants)
            values = [*([] if term.family.held else [coefficient]), *term.inner]
            given = [""] * len(values)
            if units is not None:
                given = [str(unit) for unit in units.of_constants(term.family, name)]
            for role, value, unit in zip(roles, values, given, strict=True):
                error = float(errors[position])
                rows.append(Constant(name, side, text, role, float(value), error, unit))
                position += 1
    return rows


def undetermined_notes(
    law: CandidateLaw, constants: Sequence[Constant], dynamics: str = "flow"
) -> list[str]:
    """A sentence for each constant that the data leave open."""
    notes = []
    values = np.array([c.value for c in constants])
    errors = np.array([c.standard_error for c in constants])
    open_ones = undetermined_constants(values, errors) | (
        np.isnan(errors) & ~on_bound(law)[written_constants(law.terms)]
    )
    for c, uncertain in zip(constants, open_ones, strict=True):
        if not uncertain:
            continue
        role = "" if c.role == "coefficient" else f" {c.role}"
        error = "no standard error"
        if math.isfinite(c.standard_error):
            error = f"{c.value:.3g} +- {c.standard_error:.2g}"
        notes.append(
            f"The constant{role} of the term {c.term} in {left_side(c.variable, dynamics)} is not determined "
            f"by these data ({error}); more samples or an earlier start would fix it."
        )
    return notes


def _adjusted_r2(judge: Judge, fit: TrajectoryFit, law: CandidateLaw) -> list[float]:
    problem = judge.problem
    values = []
    for v, terms in enumerate(law.terms):
        count = problem.counts[v]
        seen = problem.samples[v][problem.mask[v] > 0]
        total = float(((seen - seen.mean()) ** 2).sum())
        constants = sum(t.num_constants for t in terms)
        share = fit.squared_residual[v] / max(total, 1e-300)
        values.append(float(1 - share * (count - 1) / max(count - constants - 1, 1)))
    return values


def _same_form(a: Any, b: Any) -> bool | None:
    """Whether two laws or equations have one skeleton; None where that cannot be said."""
    try:
        return skeleton_equal(a, b)
    except InputError:
        return None


def rivals_of(
    best: Any, compared: Sequence[tuple[Any, float]], variables: tuple[str, ...]
) -> list[Rival]:
    """Other laws that the samples leave possible, by criterion or by bootstrap, the likeliest first.

    best, compared: anything with a `law` and a `criterion`, and how often a replicate chooses it.
    """
    own = equations_of(best.law, variables)
    near = [
        (j, frequency)
        for j, frequency in compared
        if j is not best and (j.criterion < best.criterion + AS_GOOD or frequency > OFTEN)
    ]
    rivals: list[Rival] = []
    for judged, frequency in sorted(near, key=lambda n: n[0].criterion):
        if len(rivals) >= _MOST_RIVALS and frequency <= OFTEN:
            continue
        other = equations_of(judged.law, variables)
        if _same_form(other, own) is not False:
            continue
        texts = {v: e.to_text() for v, e in other.items()}
        if all(_same_form(Equation.from_text(*texts[v]), own[v]) for v in variables):
            continue
        difference = float(judged.criterion - best.criterion)
        rivals.append(Rival(texts, judged.law.num_constants, difference, frequency))
    return rivals


def _rival_note(
    rivals: Sequence[Rival], law: CandidateLaw, confidence: Confidence, variables: tuple[str, ...]
) -> list[str]:
    """The law and the other one that explains the samples about as well, if there is one."""
    if not rivals:
        return []
    rival = rivals[0]
    own = equations_of(law, variables)
    other = {v: Equation.from_text(*texts) for v, texts in rival.equations.items()}
    changed = [v for v in variables if not _same_form(other[v], own[v])]
    texts, own_texts = (
        "; ".join(equation_line(v, both[v]) for v in changed) for both in (other, own)
    )
    return [
        f"Another law explains these samples about as well (information criterion "
        f"{rival.criterion_difference:+.1f}; the best in {percent(rival.frequency)} of bootstrap "
        f"replicates): {texts}. The law given here, {own_texts}, is the best in "
        f"{percent(confidence.law_frequency)}. More samples, or samples elsewhere, would tell them apart."
    ]


def _fitted_states(judge: Judge, fit: TrajectoryFit) -> tuple[np.ndarray, ...]:
    """The law's own trajectories at the sample times of each run, (time, node, variable); nan where the
    states were given."""
    problem = judge.problem
    states = np.array(fit.states.reshape(problem.samples.shape))
    states[:, list(problem.held)] = np.nan
    return tuple(
        states[:, :, r, where].transpose(2, 1, 0) for r, where in enumerate(problem.sample_index)
    )


def _without(run: Trajectories, held: Sequence[int]) -> Trajectories:
    """A run without the samples of nodes that a law does not explain."""
    if not held:
        return run
    states = np.array(run.states)
    states[:, list(held)] = np.nan
    return replace(run, states=states)


def _last_fit(judge: Judge, best: Judged) -> TrajectoryFit:
    """The fit that is reported, with the covariance of its constants."""
    known = judge.problem.initial_known
    fit = fit_trajectories(
        judge.problem,
        best.law,
        best.fit.states,
        iterations=3 if known else 12,
        tolerance=1e-3 if known else 1e-5,
        exact=True,
    )
    return fit if fit.finite else best.fit


class _Chosen(NamedTuple):
    """What is reported: the law with its last fit, the front, and why it is not to be trusted, if so."""

    judge: Judge
    best: Judged
    fit: TrajectoryFit
    members: list[FrontMember]
    doubt: str


def _chosen(
    judge: Judge,
    best: Judged,
    std: np.ndarray,
    twins: Callable,
    slack: float,
    rows: Callable,
    solver: bool,
) -> _Chosen:
    """The law to report: the best one, or where that does not stand on its own samples another that does.

    solver: whether the fits of the best laws are finished through it.
    """
    fits: dict[int, tuple[Judged, TrajectoryFit]] = {}

    def last_fit(judge: Judge, judged: Judged) -> TrajectoryFit:
        if judged.fit.covariance is not None:  # finished already
            return judged.fit
        if id(judged) not in fits:
            fits[id(judged)] = judged, _last_fit(judge, judged)
        return fits[id(judged)][1]

    if explained(judge, best):
        if solver:
            best = finished_choice(judge, best, last_fit, twins)
        if not judge.problem.held:  # errors of given states move numbers a little
            best = by_numbers(judge, best, last_fit, rows)
    members = pareto_front(judge, best, std, twins=twins)
    best = choice(judge, best, members, slack)
    fit = last_fit(judge, best)
    if not (reason := fault(judge, fit)):
        if solver and fit is not best.fit:
            fit = finished_fit(judge, fit)
        return _Chosen(judge, best, fit, members, "")
    for standing in standing_laws(judge, best, std):
        fit = _last_fit(standing.judge, standing.best)
        if not fault(judge, fit):
            break
    what = "the law with the best forecasts among those that do stand"
    if not any(standing.best.law.terms):
        what = "dx/dt = 0"
    doubt = (
        f"No law was found that can be trusted. The best one by the criterion does not stand: {reason}. "
        f"Instead this is {what}, and not a finding. Look whether the network and the times are right, "
        f"whether something that is not in the data drives the nodes, and whether the samples are dense "
        f"enough."
    )
    return _Chosen(standing.judge, standing.best, fit, standing.members, doubt)


class Found(NamedTuple):
    """What a search came to.

    runs: as they were searched; measured: as they were given; cut: samples on a bound were drawn anew beyond
    it; cut_short: a search of expressions came to its limit of time.
    """

    judge: Judge
    best: Judged
    search: SearchProblem
    runs: Sequence[Trajectories]
    measured: Sequence[Trajectories]
    cut: bool
    cut_short: bool


def assemble_law(
    found: Found, seed: int, settings: DiscoverSettings, limit: TimeLimit, notes: list[str]
) -> Law:
    """The Law of what was found; its seconds are not known yet."""
    judge, best, search = found.judge, found.best, found.search
    variables = search.variables
    same_form = same_form_of(lambda judged: equations_of(judged.law, variables))
    twins = partial(are_twins, judge, same_form=same_form)
    # What stands for samples that were cut off agrees with the law a little too well.
    slack = AS_GOOD if found.cut else 0.0
    rows = partial(constants_of, variables=variables, units=search.prior.units)
    judge, best, fit, members, doubt = _chosen(
        judge,
        best,
        search.std,
        twins,
        slack,
        rows,
        through_solver(settings) and not (search.held or search.inputs),
    )
    law = fit.law
    confidence, rivals = None, []
    if not doubt:
        confidence, compared = bootstrapped(judge, best, fit, variables, seed, twins=twins)
        rivals = rivals_of(best, compared, variables)
    errors = standard_errors(fit)
    constants = rows(law, errors)
    notes = [doubt] * bool(doubt) + [*notes, *bound_notes(law, constants)]
    if not (judge.late or doubt):
        with limit.may_give_up():
            notes += misfit_notes(search, judge, best, settings.max_terms, settings.num_fits)
    notes += undetermined_notes(law, constants)
    notes += limit.notes(found.cut_short)
    if not (fit.converged or limit.cut):
        notes.append(
            "The last fit did not converge within its steps; the constants may still move: start again with "
            "more samples in the fast part, or with fewer terms (max_terms)."
        )
    if not (doubt or explained(judge, best)):
        left = judge.merit(fit) / judge.num_samples
        known = any(np.isfinite(m.held_out_error) for m in members)
        how = "It was chosen for its forecasts within the runs; its" if known else "Its"
        notes.append(
            f"The law does not explain the samples up to their noise: it leaves {left**0.5:.1f} times the "
            f"estimated noise. {how} standard errors are too small."
        )
    elif confidence is not None:
        notes += _rival_note(rivals, law, confidence, variables)
    front = []
    for member in members:
        texts = {v: e.to_text() for v, e in equations_of(member.judged.law, variables).items()}
        front.append(
            FrontRow(
                member.num_constants,
                member.chi_squared,
                member.criterion,
                member.held_out_error,
                texts,
                member.judged is best,
            )
        )
    of_all, own = reported_covariance(judge, fit), written_constants(law.terms)
    covariance = None if of_all is None else of_all[np.ix_(own, own)]
    forcing = found_forcing(law, of_all, search)
    rms = np.sqrt(fit.squared_residual / np.maximum(judge.problem.counts, 1))
    fitted = _fitted_states(judge, fit)
    found_law = Law(
        equations=equations_of(law, variables),
        constants=tuple(constants),
        front=tuple(front),
        adjusted_r2=dict(zip(variables, _adjusted_r2(judge, fit, law), strict=True)),
        skill=skill(fitted, [_without(run, search.held) for run in found.runs]),
        noise=dict(zip(variables, map(float, rms), strict=True)),
        feature_names=tuple(search.data.features),
        held=settings.held,
        inputs={n: TIME if known.step else "" for n, known in search.open_inputs.items()}
        | {one.name: FORCING for one in forcing},
        forcing=forcing,
        converged=fit.converged,
        finished=not limit.ended,
        doubt=doubt,
        notes=tuple(notes),
        settings={"seed": seed, **asdict(settings)},
        network=search.network,
        data=tuple(found.measured),
        fitted_states=fitted,
        covariance=covariance,
        confidence=confidence,
        rivals=tuple(rivals),
        snapping=None if doubt else checked_numbers(judge, fit, constants, of_all),
    )
    return with_plain_time(found_law)
