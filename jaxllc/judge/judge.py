"""The judge: the likelihood of the data decides between candidate laws.

Candidates of all engines are screened by one step of the trajectory fit each, the best are fitted, and the
winner is varied by drop, add and swap moves until the information criterion no longer falls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxllc.dynamics.terms import TermFamily
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.fit.criterion import information_criterion
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories, screen
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.price import Prices
from jaxllc.running.time_limit import clock, current_limit, time_is_over

# Error of the steps, in units of the noise, from which on finer ones are taken.
_ROUGH = 0.3


@dataclass
class Judged:
    """A fitted law and its criterion."""

    fit: TrajectoryFit
    criterion: float

    @property
    def law(self) -> CandidateLaw:
        return self.fit.law


@dataclass
class Judge:
    """Fits candidate laws and remembers the best fit of each skeleton.

    problem: of the samples, with the noise that the judge now takes them to have.
    floor: (equation,) error of a sample that is not held against a law: what the grid and the solver leave.
    max_terms: largest number of terms in an equation; deadline: `time.perf_counter()` after which no
        further candidate is tried, beside the `TimeLimit` of a search.
    restart: gives constants for an equation's families from the integral form, where a law met by a move
        may have got stuck with those of the law it came from.
    accepts: whether a law is one at all; others get an infinite criterion. largest: a constant beyond it
        comes of functions that cancel, and makes no law either. prices: of the terms of a law.
    """

    problem: TrajectoryProblem
    floor: np.ndarray
    progress: Callable[[str], None] | None = None
    deadline: float = np.inf
    max_terms: int = 8
    restart: Callable[[int, Sequence[TermFamily]], ProposedEquation | None] | None = None
    seen: dict[tuple, Judged] = field(default_factory=dict)
    replacements: Callable[[int, list[TermFamily], str], list[ProposedEquation]] | None = None
    accepts: Callable[[CandidateLaw], bool] | None = None
    largest: float = np.inf
    prices: Prices = field(default_factory=Prices)
    _restarted: dict = field(default_factory=dict)

    @property
    def num_samples(self) -> float:
        return float(self.problem.counts.sum())

    @property
    def penalty(self) -> float:
        """Cost of one constant."""
        return float(np.log(self.num_samples))

    @property
    def floor_ratio(self) -> float:
        counts = self.problem.counts
        return float((counts * (self.floor / self.problem.noise) ** 2).sum() / counts.sum())

    def criterion(self, merit: float, num_constants: int) -> float:
        """The information criterion by chi2 / n, with the floor; each constant costs ln n."""
        if not np.isfinite(merit):
            return np.inf
        n, cost = self.num_samples, num_constants * self.penalty
        return float(information_criterion(merit / n, n, cost, self.floor_ratio))

    def criterion_of(self, law: CandidateLaw, merit: float) -> float:
        """The criterion of a law that leaves a chi-squared, what its terms cost included."""
        return self.criterion(merit, law.num_constants) + self.prices.of(law)

    def merit(self, fit: TrajectoryFit) -> float:
        return float((fit.squared_residual / self.problem.noise**2).sum())

    def fitted(self, law: CandidateLaw, states=None, iterations: int = 6) -> Judged:
        """Fit a law; a skeleton seen before keeps its better fit."""
        begun, limit = clock(), current_limit()
        fit = fit_trajectories(self.problem, law, states, iterations)
        if limit is not None:
            limit.fitted(clock() - begun)
        judged, key = self.judged(fit), fit.law.key()
        if key not in self.seen or judged.criterion < self.seen[key].criterion:
            self.seen[key] = judged
        if self.progress:
            self.progress(f"fitted {len(self.seen)} candidate laws")
        return self.seen[key]

    def judged(self, fit: TrajectoryFit) -> Judged:
        """A fit with its criterion, which is infinite for what is no law."""
        is_law = self._is_law(fit.law)
        return Judged(fit, self.criterion_of(fit.law, self.merit(fit)) if is_law else np.inf)

    def settled(self, fit: TrajectoryFit) -> Judged:
        """As `judged`; the skeleton is known by this fit from now on."""
        self.seen[fit.law.key()] = judged = self.judged(fit)
        return judged

    def near(self, best: Judged, units: float, most: int) -> list[Judged]:
        """Other laws whose criterion is above that of the best one by less than so many units, best first."""
        found = [
            j
            for j in self.seen.values()
            if j is not best and j.fit.finite and j.criterion < best.criterion + units
        ]
        return sorted(found, key=lambda j: j.criterion)[:most]

    def _is_law(self, law: CandidateLaw) -> bool:
        values = law.values()
        beyond = len(values) > 0 and not np.abs(values).max() <= self.largest
        return not beyond and (self.accepts is None or self.accepts(law))

    def moved(self, law: CandidateLaw, states: np.ndarray, iterations: int = 6) -> Judged:
        """Fit a law met by a move, from its own constants or from new ones, whichever promise more."""
        best_law, best_merit = law, None
        for equation, terms in enumerate(law.terms):
            if self.restart is None or not any(t.inner for t in terms):
                continue
            key = (equation, frozenset(t.family for t in terms))
            if key not in self._restarted:
                self._restarted[key] = self.restart(equation, [t.family for t in terms])
            start = self._restarted[key]
            if start is None:
                continue
            other = best_law.replaced(equation, start.terms, start.coefficients)
            if best_merit is None:
                best_merit = screen(self.problem, best_law, states)
            merit = screen(self.problem, other, states)
            if merit < best_merit:
                best_law, best_merit = other, merit
        return self.fitted(best_law, states, iterations)

    def variance(self, judged: Judged) -> float:
        """Variance of a sample in units of the noise, the floor included."""
        return self.merit(judged.fit) / self.num_samples + self.floor_ratio

    @property
    def late(self) -> bool:
        """Whether the time for trying candidates is over; whoever asks tries no more then."""
        return time.perf_counter() > self.deadline or time_is_over()

    def at_floor(self, judged: Judged) -> bool:
        """Whether a law explains the samples as far as the grid and the solver can tell."""
        return judged.fit.finite and self.variance(judged) < 1.2 * self.floor_ratio

    def recalibrated(self, best: Judged) -> Judged:
        """Where the smoothing overestimated the noise, take it from the residual instead, and judge anew."""
        counts = np.maximum(self.problem.counts, 1.0)
        actual = np.sqrt(best.fit.squared_residual / counts)
        if not best.fit.finite or np.all(actual > 0.7 * self.problem.noise):
            return best
        noise = np.minimum(self.problem.noise, np.maximum(actual, self.floor))
        if np.allclose(noise, self.problem.noise):
            return best
        self.problem = self.problem.with_noise(noise)
        if np.all(noise <= 3 * self.floor):
            self.problem = self.problem.with_known_start()
        self.seen.clear()
        try:
            return self.fitted(best.law, best.fit.states)
        except BaseException:  # an interrupt, or the end of the time: the law stays known
            self.settled(best.fit)
            raise

    def with_fine_steps(self, best: Judged) -> Judged:
        """A law in steps that are fine enough for it; functions with a kink, for one, need finer ones."""
        error = self.problem.step_error(best.law, self.problem.substeps)
        if not np.any(error > _ROUGH * self.problem.noise):
            return best
        self.problem = self.problem.with_substeps_for(best.law)
        return self.fitted(best.law, best.fit.states)

    # -- choosing between proposals ---------------------------------------------------------------

    def choose(
        self,
        proposals: Sequence[Sequence[ProposedEquation]],
        start: CandidateLaw,
        num_fits: int,
        rounds: int = 2,
    ) -> Judged:
        """Best law among proposals of each equation, one equation after the other, worst explained first."""
        best = self.recalibrated(self.fitted(start))
        for _ in range(rounds):
            before = best.criterion
            for equation in self._by_misfit(best):
                if self.at_floor(best) or self.late:
                    break
                best = self._best_option(best, equation, proposals[equation], num_fits)
            if self.at_floor(best) or best.criterion >= before:
                break
        if self.at_floor(best):
            for equation, alternatives in enumerate(proposals):
                best = self._smaller(best, equation, alternatives, num_fits)
        return best

    def _by_misfit(self, best: Judged) -> list[int]:
        share = best.fit.squared_residual / (
            self.problem.noise**2 * np.maximum(self.problem.counts, 1)
        )
        return [int(o) for o in np.argsort(-share)]

    def _start(self, best: Judged):
        """States to start other laws from: the best law's if they explain the samples, else None."""
        good = best.fit.finite and self.merit(best.fit) < 2 * self.num_samples
        return best.fit.states if good else None

    def _best_option(self, best: Judged, equation: int, alternatives, num_fits: int) -> Judged:
        states, limit = self._start(best), current_limit()
        left = np.inf if limit is None else limit.left()
        screened: list[tuple[float, int, CandidateLaw]] = []
        for option in _shortlist(alternatives):
            if screened and limit is not None and limit.half_over(left):
                break
            law = best.law.replaced(equation, option.terms, option.coefficients)
            if law.key() not in self.seen:
                merit = screen(self.problem, law, states)
                screened.append((self.criterion_of(law, merit), option.num_constants, law))
        screened.sort(key=lambda s: s[0])
        tries = screened[:num_fits]
        if self.floor_ratio > 0.5:
            # Clean data: a law is right or far off, whatever one step promises; small ones are cheap to try.
            tries += sorted(screened[num_fits:], key=lambda s: s[1])[:num_fits]
        for score, _, law in tries:
            if (
                score > best.criterion + 10 * self.penalty
                and best.fit.finite
                and self.floor_ratio <= 0.5
            ):
                break
            candidate = self.fitted(law, states)
            if candidate.criterion < best.criterion:
                best = candidate
            if self.at_floor(best) or self.late:
                break
        return best

    def fit_small(
        self, best: Judged, proposals: Sequence[Sequence[ProposedEquation]], largest: int = 4
    ) -> None:
        """Fit the best proposals of few terms in each equation, so that simple laws stand on the front."""
        for equation, alternatives in enumerate(proposals):
            by_size: dict[int, list[ProposedEquation]] = {}
            for option in sorted(alternatives, key=lambda a: a.residual):
                if len(option.terms) <= largest:
                    by_size.setdefault(len(option.terms), []).append(option)
            for options in by_size.values():
                for option in options[:2]:
                    law = best.law.replaced(equation, option.terms, option.coefficients)
                    if law.key() not in self.seen and not self.late:
                        self.fitted(law)

    def _smaller(self, best: Judged, equation: int, alternatives, num_fits: int) -> Judged:
        """Where the best law meets the data exactly, only a smaller one can be better."""
        current = sum(t.num_constants for t in best.law.terms[equation])
        limit = 100 * min(a.residual for a in alternatives)
        good = [a for a in alternatives if a.residual <= limit]
        for option in sorted(good, key=lambda a: (a.num_constants, a.residual))[:num_fits]:
            if option.num_constants >= current:
                break
            law = best.law.replaced(equation, option.terms, option.coefficients)
            if law.key() in self.seen or self.late:
                continue
            candidate = self.fitted(law, best.fit.states)
            if candidate.criterion < best.criterion:
                return candidate
        return best


def _shortlist(
    alternatives: Sequence[ProposedEquation], per_size: int = 3
) -> list[ProposedEquation]:
    """The best few of each number of constants, and the best by score."""
    chosen: dict[int, list[ProposedEquation]] = {}
    for option in sorted(alternatives, key=lambda a: a.residual):
        chosen.setdefault(option.num_constants, []).append(option)
    kept = [o for options in chosen.values() for o in options[:per_size]]
    extra = [o for o in sorted(alternatives, key=lambda a: a.score)[:8] if o not in kept]
    return kept + extra
