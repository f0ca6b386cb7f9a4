"""Constants of a law and both noises by the likelihood of the filter: Fisher scoring.

The derivatives of the errors and of their variances by the constants are differences of filters that run
side by side. Steps end where the likelihood no longer grows; a variance stays at zero where it would fall
below.
Source: Gupta and Mehra, IEEE Transactions on Automatic Control 19, 774 (1974).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.running.time_limit import check_time
from jaxllc.transitions.batched_law import BatchedLaw
from jaxllc.transitions.state_filter import Filtered, Segments, filtered

# Differences, in standard errors of a constant and as a share of a variance; of a constant at least.
_STEP, _LEAST_STEP = 1e-2, 1e-8
# Change of -2 log L at which constants rest; times a step is halved.
_RESTS, _HALVINGS = 1e-3, 4
# Errors squared over their variances, or its inverse, from which on both noises are scaled first.
_FAR_OFF = 3.0
# Numbers that one round of the filter may hold at once.
_MOST_NUMBERS = 30_000_000
# Variances, relative to that of the states, below which there is none.
_FLOOR = 1e-20
# Factor by which a variance changes at once, share of both from which it may grow at once, and below which it
# may go to none.
_DEGREE, _SOME, _NEARLY = 10.0, 0.02, 1e-7


@dataclass(frozen=True)
class FilterProblem:
    """Samples, network and how steps are made, for the fits of many laws."""

    data: Segments
    network: Network
    variables: tuple[str, ...]
    features: dict[str, np.ndarray]
    is_map: bool
    substeps: int
    with_process: bool = True

    def of(self, data: Segments) -> FilterProblem:
        """The same of other pieces."""
        return replace(self, data=data)

    def with_substeps(self, substeps: int) -> FilterProblem:
        """The same with so many Runge-Kutta steps between two samples."""
        return replace(self, substeps=substeps)

    @cached_property
    def weights(self) -> Float[np.ndarray, "node piece"]:
        """One for what a law is asked to explain."""
        shape = (len(self.data.held), len(self.data.runs))
        return np.broadcast_to(np.where(self.data.held, 0.0, 1.0)[:, None], shape)

    @cached_property
    def num_samples(self) -> int:
        """Samples that are forecast, of nodes that are explained."""
        return int(self.data.observed[:, ~self.data.held][..., 1:].sum())


@dataclass(frozen=True)
class FilterFit:
    """A law with both noises, after a fit.

    cost: -2 log L; measurement, process: (variable,) variances sigma^2 and q^2. scores, information: of the
    constants (as `law.vector()` has them) and then of the variances, for each node and piece; None where they
    were not asked for. expected, means: (time, variable, node, piece) states before and after each sample;
    errors: samples minus the former.
    """

    law: CandidateLaw
    cost: float
    measurement: np.ndarray
    process: np.ndarray
    converged: bool
    scores: Float[np.ndarray, "node piece parameter"]
    information: Float[np.ndarray, "node piece parameter parameter"]
    outcome: Filtered

    @property
    def finite(self) -> bool:
        """Whether the likelihood is a number."""
        return bool(np.isfinite(self.cost))

    @property
    def promise(self) -> float:
        """What -2 log L would fall by in a further step, as far as it is a parabola."""
        whole, score = self.information.sum(axis=(0, 1)), self.scores.sum(axis=(0, 1))
        if not (np.isfinite(whole).all() and np.isfinite(score).all()):
            return 0.0
        return float(score @ _solved(whole, score, np.diag(whole) > 0))

    def costs(self, data: Segments) -> Float[np.ndarray, "node piece"]:
        """-2 log L of each node in each piece."""
        seen = np.moveaxis(data.observed, -1, 0)[1:]
        error, variance = self.outcome.errors[1:], self.outcome.variances[1:]
        return np.sum(seen * (np.log(variance) + error**2 / variance), axis=(0, 1))

    def misfit(self, data: Segments, variances: np.ndarray) -> float:
        """Mean square of the errors of nodes that are explained, over some variances of them."""
        seen = np.moveaxis(data.observed, -1, 0)[1:] & ~data.held[:, None]
        return float(np.mean((self.outcome.errors[1:] ** 2 / variances[1:])[seen]))

    @cached_property
    def covariance(self) -> Float[np.ndarray, "constant constant"]:
        """Of `law.vector()`, the noises estimated as well."""
        whole = self.information.sum(axis=(0, 1))
        free = np.diag(whole) > 0
        result = np.full(whole.shape, np.nan)
        scale = np.sqrt(np.where(free, np.diag(whole), 1.0))
        scaled = (whole / scale[:, None] / scale)[np.ix_(free, free)]
        size, axes = np.linalg.eigh(scaled)
        open_ones = size <= 1e-13 * size.max(initial=0.0)
        inverse = (axes / np.where(open_ones, np.inf, size)) @ axes.T
        unknown = (axes[:, open_ones] ** 2).sum(axis=1) > 1e-6
        inverse[unknown] = inverse[:, unknown] = np.nan
        place = np.flatnonzero(free)
        result[np.ix_(place, place)] = inverse / np.outer(scale[free], scale[free])
        count = len(self.law.vector())
        return result[:count, :count]


class FilterFitter:
    """Fits laws to the samples of a problem."""

    def __init__(self, problem: FilterProblem) -> None:
        self.problem = problem
        self.floor = _FLOOR * problem.data.spread**2

    def fit(
        self,
        law: CandidateLaw,
        measurement: np.ndarray,
        process: np.ndarray,
        rounds: int = 12,
        sizes: np.ndarray | None = None,
    ) -> FilterFit:
        """The law of the largest likelihood near a law.

        sizes: about the standard errors of `law.vector()`.
        """
        batched = BatchedLaw(
            law, self.problem.network, self.problem.variables, self.problem.features
        )
        if sizes is None:
            sizes = 1e-3 * np.maximum(np.abs(law.vector()), 1e-3)
        at = self._linearised(batched, law, measurement, process, sizes)
        for _ in range(rounds):
            check_time()
            if not at.finite:
                break
            moved = self._scaled(batched, at, sizes) or self._step(batched, at, sizes)
            if moved is None:
                at = replace(at, converged=True)
                break
            gained, at = at.cost - moved.cost, moved
            errors = np.sqrt(np.diag(at.covariance))
            sizes = np.where(np.isfinite(errors) & (errors > 0), errors, sizes)
            if gained < _RESTS:
                at = replace(at, converged=True)
                break
        return at

    def _scaled(self, batched: BatchedLaw, at: FilterFit, sizes: np.ndarray) -> FilterFit | None:
        """The fit with both noises as much larger or smaller as the errors are, where that is a lot and makes
        the likelihood larger."""
        ratio = at.misfit(self.problem.data, at.outcome.variances)
        if 1.0 / _FAR_OFF < ratio < _FAR_OFF:
            return None
        variances = (at.measurement * ratio, at.process * ratio)
        moved = self._linearised(batched, at.law, *variances, sizes)
        return moved if moved.cost < at.cost - 1.0 else None

    def _step(self, batched: BatchedLaw, at: FilterFit, sizes: np.ndarray) -> FilterFit | None:
        """The fit after a step that makes the likelihood larger; None where none does."""
        whole = at.information.sum(axis=(0, 1))
        score = at.scores.sum(axis=(0, 1))
        count = len(at.law.vector())
        variances = np.concatenate([at.measurement, at.process])
        floors = np.concatenate([self.floor, self.floor])
        # What lies on its bound and would go beyond stays there.
        low, high = at.law.limits()
        vector = at.law.vector()
        total = np.tile(at.measurement + at.process, 2)
        # The information on a small variance is large: from a large one it is reached by degrees.
        least = np.where(variances > _NEARLY * total, variances / _DEGREE, floors)
        most = _DEGREE * variances + _SOME * total
        low, high = np.concatenate([low, least]), np.concatenate([high, most])
        place = np.concatenate([vector, variances])
        stuck = ((place <= low) & (score < 0)) | ((place >= high) & (score > 0))
        stuck |= np.diag(whole) <= 0
        step = _solved(whole, score, ~stuck)
        beyond = (place[count:] + step[count:] < low[count:]) & ~stuck[count:]
        if beyond.any():
            # To its bound, the others accordingly.
            held = np.concatenate([np.zeros(count, dtype=bool), beyond])
            given = np.where(held, low - place, 0.0)
            step = _solved(whole, score - whole @ given, ~(stuck | held)) + given
        for _ in range(_HALVINGS):
            law = at.law.with_vector(vector + step[:count])
            values = np.clip(variances + step[count:], least, most)
            moved = self._linearised(
                batched, law, values[: len(values) // 2], values[len(values) // 2 :], sizes
            )
            if moved.cost < at.cost:
                return moved
            step = step / 4.0
        return None

    def _linearised(
        self,
        batched: BatchedLaw,
        law: CandidateLaw,
        measurement: np.ndarray,
        process: np.ndarray,
        sizes: np.ndarray,
    ) -> FilterFit:
        """The likelihood, its derivative by every parameter and the information, of each node and piece."""
        problem, data = self.problem, self.problem.data
        vector, pieces = law.vector(), len(data.runs)
        measurement = np.maximum(measurement, self.floor)
        process = np.maximum(process, self.floor)
        if not problem.with_process:
            process = self.floor.copy()
        constants, noises, moves = [law.values()], [np.concatenate([measurement, process])], [1.0]
        steps = np.maximum(_STEP * sizes, _LEAST_STEP * np.abs(vector))
        for k in range(len(vector)):
            other = vector.copy()
            other[k] += steps[k]
            constants.append(law.with_vector(other).values())
            # On a bound the step goes the other way.
            if np.array_equal(constants[-1], constants[0]):
                other[k] -= 2 * steps[k]
                constants[-1] = law.with_vector(other).values()
            noises.append(noises[0])
            moves.append(other[k] - vector[k])
        total = noises[0][: len(measurement)] + noises[0][len(measurement) :]
        fixed = [*([False] * len(vector)), *([False] * len(total))]
        fixed += [not problem.with_process] * len(total)
        for k in range(2 * len(total)):
            constants.append(constants[0])
            moves.append(_STEP * total[k % len(total)])
            noises.append(noises[0] + moves[-1] * np.eye(2 * len(total))[k])
        sets = len(moves)
        outcomes = self._filtered(batched, np.array(constants), np.array(noises), len(total))
        errors, variances = (
            a.reshape(*a.shape[:3], sets, pieces) for a in (outcomes.errors, outcomes.variances)
        )
        seen = np.moveaxis(data.observed, -1, 0)[1:]
        weights = problem.weights * seen
        with np.errstate(all="ignore"):
            error, variance = errors[1:, :, :, 0], variances[1:, :, :, 0]
            cost = np.sum(weights * (np.log(variance) + error**2 / variance))
            if not np.isfinite(cost) or not np.isfinite(errors).all():
                cost = np.inf
            by = np.array(moves[1:])[:, None]
            slopes = (errors[1:, :, :, 1:] - error[:, :, :, None]) / by
            spread = (variances[1:, :, :, 1:] - variance[:, :, :, None]) / by
            slopes = slopes * np.sqrt(weights / variance)[:, :, :, None]
            spread = spread * (np.sqrt(weights) / variance)[:, :, :, None]
            left = (error / np.sqrt(variance) * np.sqrt(weights))[:, :, :, None]
            surplus = (np.sqrt(weights) * (error**2 / variance - 1.0))[:, :, :, None]
            scores = np.sum(0.5 * spread * surplus - slopes * left, axis=(0, 1))
            information = np.einsum("tvnap,tvnbp->npab", slopes, slopes, optimize=True)
            information += 0.5 * np.einsum("tvnap,tvnbp->npab", spread, spread, optimize=True)
        scores = scores.transpose(0, 2, 1)
        away = np.array(fixed)
        scores[..., away] = 0.0
        information[..., away, :] = 0.0
        information[..., :, away] = 0.0
        first = Filtered(*(a.reshape(*a.shape[:3], sets, pieces)[:, :, :, 0] for a in outcomes))
        return FilterFit(law, float(cost), measurement, process, False, scores, information, first)

    def _filtered(
        self, batched: BatchedLaw, constants: np.ndarray, noises: np.ndarray, count: int
    ) -> Filtered:
        """The filter for all sets, in parts that fit in memory."""
        problem = self.problem
        held = 4 * problem.data.samples.size
        most = max(1, _MOST_NUMBERS // max(held, 1))
        parts = [
            filtered(
                batched,
                problem.data,
                constants[k : k + most],
                noises[k : k + most, :count],
                noises[k : k + most, count:],
                problem.substeps,
                problem.is_map,
            )
            for k in range(0, len(constants), most)
        ]
        return parts[0] if len(parts) == 1 else Filtered(*map(_joined, zip(*parts, strict=True)))


def _joined(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate(parts, axis=-1)


def _solved(matrix: np.ndarray, right: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The solution with those that are not free at zero; directions without information stay, too."""
    found = np.zeros(len(right))
    if not free.any():
        return found
    scale = np.sqrt(np.diag(matrix)[free])
    size, axes = np.linalg.eigh(matrix[np.ix_(free, free)] / np.outer(scale, scale))
    inverse = np.where(size > 1e-12 * size.max(), 1.0 / np.where(size > 0, size, 1.0), 0.0)
    found[free] = axes @ (inverse * (axes.T @ (right[free] / scale))) / scale
    return found
