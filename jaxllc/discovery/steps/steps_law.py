"""From the law that the filter chose to a Law: last fit, errors, intervals, rivals and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.assemble import (
    constants_of,
    equations_of,
    rivals_of,
    undetermined_notes,
)
from jaxllc.discovery.prior_checks import bound_notes
from jaxllc.fit.bounded_step import on_bound
from jaxllc.judge.bootstrap import REPLICATES, draw_weights, replicated, term_frequencies
from jaxllc.law.law import FrontRow, Law
from jaxllc.law.record import Confidence
from jaxllc.law.skill import NO_CHANGE, step_skill
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.transitions.filter_fit import FilterFit, FilterFitter, FilterProblem
from jaxllc.transitions.law_choice import Compared, LawChoice
from jaxllc.transitions.step_search import StepLaws

# Rounds of the last fit; gain of -2 log L that it takes for a law at all.
_ROUNDS, _GAIN = 12, 15.0
# Shares of the spread of a variable below which a measurement noise was not told from none, and is none.
_NO_NOISE, _NONE = 1e-6, 1e-9
_LEVELS = (2.5, 97.5)
_LISTED = 8


@dataclass(frozen=True, eq=False)
class StepsFound:
    """What a discovery by steps came to.

    choice, best: of the laws, on pieces of the runs; whole: the problem of the runs as they are; follows:
    (node,) probability of each node, nan where it was not asked; places: of each run, the places of its
    samples among the steps.
    """

    search: SearchProblem
    options: Sequence[StepLaws]
    choice: LawChoice
    best: Compared
    whole: FilterProblem
    follows: np.ndarray
    places: Sequence[np.ndarray]
    runs: Sequence[Trajectories]
    step: float
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether all searches came to their ends."""
        return all(one.search.finished for one in self.options)


def steps_law(found: StepsFound, settings: DiscoverSettings, seed: int, limit: TimeLimit) -> Law:
    """The Law of what was found; its seconds are not known yet."""
    problem, variables = found.whole, found.search.variables
    dynamics = settings.dynamics
    best, fit = found.best, _last_fit(found)
    law = fit.law
    errors = np.sqrt(np.diag(fit.covariance)) * np.abs(law.slopes())
    errors = np.where(on_bound(law), np.nan, errors)
    constants = constants_of(law, errors, variables, found.search.prior.units)
    weights, parts = _weights(fit, problem, seed)
    confidence, compared = _confidence(found, fit, weights, parts, seed)
    expected = _expected(found, fit)
    skill = step_skill(expected, found.runs)
    doubt = _doubt(found, fit, skill)
    notes = [*found.notes, *_notes(found, fit), *bound_notes(law, constants, dynamics)]
    notes += [*undetermined_notes(law, constants, dynamics), *limit.notes(not found.finished)]
    slopes, spread = law.slopes(), found.whole.data.spread
    return Law(
        equations=equations_of(law, variables),
        constants=tuple(constants),
        front=() if doubt else _front(found),
        adjusted_r2=_adjusted_r2(found, fit, expected),
        skill=skill,
        noise=dict(zip(variables, _sizes(fit.measurement, spread), strict=True)),
        process_noise=dict(zip(variables, _sizes(fit.process, spread), strict=True)),
        feature_names=tuple(found.search.data.features),
        converged=fit.converged,
        finished=not limit.ended,
        doubt=doubt,
        notes=(*([doubt] if doubt else []), *notes),
        settings={"seed": seed, **asdict(settings)},
        network=found.search.network,
        data=tuple(found.runs),
        fitted_states=tuple(expected),
        covariance=fit.covariance * np.outer(slopes, slopes),
        confidence=confidence,
        rivals=() if doubt else tuple(rivals_of(best, compared, variables)),
        follows=found.follows if problem.data.held.any() and _some_follow(found) else None,
        dynamics=dynamics,
        step=found.step,
    )


def _sizes(variances: np.ndarray, spread: np.ndarray) -> list[float]:
    """Standard deviations; 0 of those that lie on their bound."""
    return np.where(variances > (_NONE * spread) ** 2, np.sqrt(variances), 0.0).tolist()


def _some_follow(found: StepsFound) -> bool:
    """Whether there are nodes that were asked and do not follow."""
    return bool(np.any(found.follows < 0.5))


def _last_fit(found: StepsFound) -> FilterFit:
    """The fit to the runs as they are, from that to their pieces."""
    before = found.best.fit
    errors = np.sqrt(np.diag(before.covariance))
    known = np.isfinite(errors) & (errors > 0)
    sizes = np.where(known, errors, 1e-3 * np.maximum(np.abs(before.law.vector()), 1e-3))
    fitter = FilterFitter(found.whole)
    fit = fitter.fit(before.law, before.measurement, before.process, _ROUNDS, sizes)
    return fit if fit.finite else before


def _weights(fit: FilterFit, problem: FilterProblem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (replicate, part), and which nodes the parts are of: a part is a node in a run."""
    nodes = np.flatnonzero(~problem.data.held)
    count = len(nodes) * fit.scores.shape[1]
    return draw_weights(count, REPLICATES, [seed, 20]), nodes


def _confidence(
    found: StepsFound, fit: FilterFit, weights: np.ndarray, nodes: np.ndarray, seed: int
) -> tuple[Confidence, list[tuple[Compared, float]]]:
    """How often terms come back among the laws compared, and the intervals of the constants."""
    laws = [found.best]
    laws += sorted(
        (c for c in found.choice.seen.values() if c is not found.best and np.isfinite(c.criterion)),
        key=lambda c: c.criterion,
    )
    data = found.choice.problem.data
    own = draw_weights(len(nodes) * len(data.runs), REPLICATES, [seed, 21])
    totals = []
    for one in laws:
        cost = one.fit.costs(data)[nodes]
        totals.append(own @ cost.ravel() + one.criterion - cost.sum())
    share = np.bincount(np.argmin(totals, axis=0), minlength=len(laws)) / REPLICATES
    variables = found.search.variables
    confidence = Confidence(
        float(share[0]),
        term_frequencies(laws, share, variables),
        _intervals(fit, weights, nodes),
        REPLICATES,
        weights.shape[1],
        len(laws),
    )
    order = np.argsort(-share, kind="stable")
    return confidence, [(laws[k], float(share[k])) for k in order]


def _intervals(
    fit: FilterFit, weights: np.ndarray, nodes: np.ndarray
) -> tuple[tuple[float, float], ...]:
    """2.5 and 97.5 percentiles of the constants; nan where the data leave one open."""
    law, vector = fit.law, fit.law.vector()
    size = fit.scores.shape[-1]
    scores = fit.scores[nodes].reshape(-1, size)
    information = fit.information[nodes].reshape(-1, size, size)
    free = np.diag(information.sum(axis=0)) > 0
    free[: len(vector)] &= ~on_bound(law)
    found = np.full((len(vector), 2), np.nan)
    places = np.flatnonzero(free[: len(vector)])
    if not len(places):
        return tuple((np.nan, np.nan) for _ in vector)
    drawn = replicated(scores[:, free], information[:, free][:, :, free], weights)
    known = len(places)
    # A few parts that hold most of the information spread less than a normal distribution would.
    wider = stdtrit(drawn.parts, _LEVELS[1] / 100) / ndtri(_LEVELS[1] / 100)
    moves = np.percentile(drawn.changes[:, :known] * wider[:known], _LEVELS, axis=0)
    ends = np.tile(vector, (2, 1))
    ends[:, places] += moves
    values = np.stack([law.with_vector(end).values() for end in ends], axis=1)
    determined = places[drawn.determined[:known]]
    found[determined] = values[determined]
    return tuple((float(low), float(high)) for low, high in found)


def _expected(found: StepsFound, fit: FilterFit) -> list[np.ndarray]:
    """What was expected of each sample from those before, (time, node, variable) of each run; nan of the
    nodes that are given, and the first state itself."""
    states = np.array(fit.outcome.expected)
    states[:, :, found.whole.data.held] = np.nan
    return [
        states[: places[-1] + 1, :, :, run].transpose(0, 2, 1)[places]
        for run, places in enumerate(found.places)
    ]


def _adjusted_r2(
    found: StepsFound, fit: FilterFit, expected: Sequence[np.ndarray]
) -> dict[str, float]:
    result = {}
    for v, name in enumerate(found.search.variables):
        seen, left = [], []
        for run, states in zip(found.runs, expected, strict=True):
            known = np.isfinite(states[1:, :, v]) & run.observed[1:, :, v]
            seen.append(run.states[1:, :, v][known])
            left.append(run.states[1:, :, v][known] - states[1:, :, v][known])
        values, errors = np.concatenate(seen), np.concatenate(left)
        total = float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
        constants = sum(t.num_constants for t in fit.law.terms[v])
        share = float((errors**2).sum()) / max(total, 1e-300)
        result[name] = 1.0 - share * (len(values) - 1) / max(len(values) - constants - 1, 1)
    return result


def _front(found: StepsFound) -> tuple[FrontRow, ...]:
    """The best law of each number of constants, each better than those of fewer."""
    data = found.choice.problem.data
    variances = found.best.fit.outcome.variances
    rows: list[FrontRow] = []
    least = np.inf
    for one in sorted(found.choice.seen.values(), key=lambda c: (c.law.num_constants, c.criterion)):
        if not np.isfinite(one.criterion):
            continue
        misfit = one.fit.misfit(data, variances)
        if misfit >= least and one is not found.best:
            continue
        least = min(least, misfit)
        texts = {v: e.to_text() for v, e in equations_of(one.law, found.search.variables).items()}
        chosen = one is found.best
        row = FrontRow(one.law.num_constants, misfit, one.criterion, np.nan, texts, chosen)
        rows.append(row)
    return tuple(rows)


def _doubt(found: StepsFound, fit: FilterFit, skill: dict[str, dict[str, float]]) -> str:
    """Why the law is not to be trusted; empty where nothing speaks against it."""
    reason = ""
    if not fit.finite:
        reason = "its likelihood is no number"
    for one, name in zip(found.options, found.search.variables, strict=True):
        if one.search.fitter.cap.sum() - one.best.criterion < _GAIN:
            reason = f"too few nodes follow its equation of {name}"
        elif not found.search.data.num_times:
            reason = "there is no sample"
        elif skill[name][NO_CHANGE] == -np.inf:
            reason = f"its forecasts of {name} are no numbers"
    if not reason:
        return ""
    return (
        f"No law was found that can be trusted: {reason}. This is the best one by the criterion, and not a "
        "finding. Look whether the network and the times are right, and whether something that is not in the "
        "data drives the nodes."
    )


def _notes(found: StepsFound, fit: FilterFit) -> list[str]:
    """How the law was read, for people."""
    names = found.search.variables
    notes = [
        "The law is that of steps from one sample to the next: R2 and skill are those of forecasts one "
        "sample ahead, and the fitted states are these forecasts."
    ]
    spread = found.whole.data.spread
    none = [
        name
        for name, value, size in zip(names, fit.measurement, spread, strict=True)
        if value < (_NO_NOISE * size) ** 2
    ]
    if none:
        notes.append(
            f"No measurement noise of {', '.join(none)} was told from the process noise: it is reported as 0 "
            "or nearly so."
        )
    away = np.flatnonzero(found.follows < 0.5)
    if len(away) and found.whole.data.held[away].any():
        nodes = found.runs[0].node_names
        which = ", ".join(nodes[n] for n in away[:_LISTED]) + (
            ", ..." if len(away) > _LISTED else ""
        )
        asked = int(np.isfinite(found.follows).sum())
        notes.append(
            f"{asked - len(away)} of {asked} nodes follow the law. The others ({which}) do not: edges into "
            "them may be wrong, lost or of other weights, nodes that were not seen may act on them, or they "
            "are of another kind. The law was fitted to those that follow; law.follows holds the probability "
            "of each node."
        )
    if not fit.converged:
        notes.append(
            "The last fit did not converge within its steps; the constants may still move: start again with "
            "more samples, or with fewer terms (max_terms)."
        )
    return notes
