"""Condensing: the linearised flow over the whole grid, reduced to initial states and constants.

    dX_{k+1} = Phi_k dX_k + Psi_k dc + defect_k,     Phi ~ I + h J + (h J)^2 / 2 + (h J)^3 / 6

Three ways: with every initial state acting on every node (`FULL`); on its own node only (`OWN`), which is
what remains affordable above some hundred states, where the constants still act through the whole network;
or with the initial states known (`KNOWN`), which clean data allow.
Source: multiple shooting with condensing (Bock and Plitt 1984), the lifted Newton method (Albersmeyer and
Diehl 2010).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Integer

from jaxllc.dynamics.terms import Term
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.interval_jacobians import IntervalJacobians
from jaxllc.fit.normal_equations import Initial, Normal
from jaxllc.fit.trajectory_problem import Defects, States, TrajectoryProblem

FULL, OWN, KNOWN = "full", "own", "known"

# Longest step, relative to the fastest rate, of the Taylor polynomial; most parts of one interval.
_LONGEST_STEP = 1.0
_MOST_PARTS = 40


class Forcing:
    """What the constants add to the change of the states over one part of each interval.

    by_constant: derivative of an equation's right side by its constants; equation_of: of each constant;
    spans: length of a part.
    """

    def __init__(
        self,
        by_constant: Float[np.ndarray, "constant node time"],
        equation_of: Integer[np.ndarray, " constant"],
        spans: Float[np.ndarray, "interval run"],
        num_variables: int,
    ) -> None:
        count, n = by_constant.shape[:2]
        self.num_constants, self._num_intervals = count, len(spans)
        self.shape = (spans.shape[1], num_variables, n)
        # Constants of one equation that stand side by side act on the same rows: one block.
        edges = np.flatnonzero(np.diff(equation_of)) + 1
        bounds = [0, *(int(e) for e in edges), count] if count else [0]
        self._blocks: list[tuple[int, slice, np.ndarray]] = []
        for start, stop in itertools.pairwise(bounds):
            grid = by_constant[start:stop].reshape(stop - start, n, spans.shape[1], -1)
            mean = grid[..., 1:] + grid[..., :-1]
            mean *= 0.5 * spans.T
            values = np.ascontiguousarray(mean.transpose(3, 2, 1, 0))
            self._blocks.append((int(equation_of[start]), slice(start, stop), values))

    @no_type_check
    def add_to(self, rate: Float[np.ndarray, "row column"], interval: int, first: int) -> None:
        """Add to a matrix of the states of all runs whose columns from `first` on are the constants."""
        rows = rate.reshape(*self.shape, -1)
        for equation, columns, values in self._blocks:
            rows[:, equation, :, first + columns.start : first + columns.stop] += values[interval]

    def along(self, change: Float[np.ndarray, " constant"]) -> Float[np.ndarray, "interval row"]:
        """For a change of all constants."""
        total = np.zeros((self._num_intervals, *self.shape))
        for equation, columns, values in self._blocks:
            total[:, :, equation] += values @ change[columns]
        return total.reshape(self._num_intervals, -1)


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Normal equations around a law and states, and the linear flow that they come from.

    normal: with the defects closed. jacobians: times the length of a part of the interval. defects: of the
    states of all runs; parts: into how many an interval is divided for its exponential.
    """

    normal: Normal
    jacobians: IntervalJacobians
    forcing: Forcing
    defects: Float[np.ndarray, "interval row"]
    parts: Integer[np.ndarray, " interval"]


def linearise(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    states: States,
    mode: str,
    extra: Sequence[tuple[int, Term]] = (),
    defects: Defects | None = None,
    mutual: bool = False,
    nodes: Integer[np.ndarray, " chosen"] | None = None,
) -> Linearisation:
    """Condense the problem around a law and states; `extra` terms enter with coefficient zero.

    mutual: whether all products between extra terms are formed, not only those of a term with itself. nodes:
    those whose samples count, all by default; others by mode `OWN` only.
    """
    partials = problem.partials(law, states, extra)
    if defects is None:
        defects = problem.defects(law, states)
    plain = problem.jacobians(partials)
    parts = _parts(problem, plain)
    spans = problem.steps.T / parts[:, None]
    jacobians = plain.scaled(spans)
    forcing = Forcing(partials.by_constant, partials.equation_of, spans, len(problem.variables))
    gap = defects.reshape(len(parts), -1)
    apart = 0 if mutual else len(extra)
    if mode == FULL:
        normal = _condense_full(problem, jacobians, parts, forcing, gap, states, apart)
    elif mode == KNOWN:
        normal = _condense_known(problem, jacobians, parts, forcing, gap, states, apart)
    else:
        own = problem.jacobians(partials, with_edges=False).scaled(spans)
        normal = _condense_own(problem, jacobians, own, parts, forcing, gap, states, apart, nodes)
    return Linearisation(normal, jacobians, forcing, gap, parts)


def _parts(
    problem: TrajectoryProblem, jacobians: IntervalJacobians
) -> Integer[np.ndarray, " interval"]:
    """Parts of each interval short enough for a Taylor polynomial of the exponential, also if stiff."""
    rows = jacobians.row_sums().reshape(problem.grid_length - 1, problem.num_runs, -1)
    stiffness = (rows.max(axis=2) * problem.steps.T).max(axis=1)
    needed = np.ceil(np.where(np.isfinite(stiffness), stiffness, 0.0) / _LONGEST_STEP)
    return np.clip(needed, 1, _MOST_PARTS).astype(int)


def propagate(
    problem: TrajectoryProblem,
    line: Linearisation,
    change: Float[np.ndarray, " constant"] | None,
    initial: Initial,
) -> States:
    """Change of all states from changes of constants (None: none) and initial states.

    The defects are closed.
    """
    runs, size = problem.num_runs, problem.dimension
    if len(initial) == 0:
        initial = np.zeros((runs, size))
    elif initial.shape[0] != runs:  # (run * node, variable)
        initial = initial.reshape(runs, problem.num_nodes, -1).transpose(0, 2, 1)
    result = np.empty((problem.grid_length, runs * size))
    result[0] = initial.reshape(-1)
    forcing = None if change is None else line.forcing.along(change)
    for k in range(problem.grid_length - 1):
        current = result[k + 1]
        current[:] = result[k]
        for _ in range(line.parts[k]):
            rate = line.jacobians.times(k, current)
            if forcing is not None:
                rate += forcing[k]
            current += _third_order(line.jacobians, k, rate)
        current += line.defects[k]
    shape = (problem.grid_length, runs, len(problem.variables), problem.num_nodes)
    return result.reshape(shape).transpose(2, 3, 1, 0).reshape(problem.smoothed.shape)


def close(
    problem: TrajectoryProblem, line: Linearisation, states: States, defects: Defects
) -> States:
    """States with given defects closed along a linearisation."""
    moved = replace(line, defects=defects.reshape(line.defects.shape))
    start = np.zeros((problem.num_runs, problem.dimension))
    return states + propagate(problem, moved, None, start)


@no_type_check  # as `IntervalJacobians.times`
def _third_order(jacobians: IntervalJacobians, k: int, rate: np.ndarray) -> np.ndarray:
    """Change over a part of an interval, to third order, from its first-order term."""
    second = jacobians.times(k, rate)
    second *= 1 / 3
    second += rate
    third = jacobians.times(k, second)
    third *= 0.5
    third += rate
    return third


@no_type_check
def _advance(
    jacobians: IntervalJacobians,
    parts: np.ndarray,
    k: int,
    sensitivity: np.ndarray,
    forcing: Forcing | None = None,
    gap: np.ndarray | None = None,
) -> None:
    """One interval, in place; with forcing, the last columns are the constants and the defect."""
    for _ in range(parts[k]):
        rate = jacobians.times(k, sensitivity)
        if forcing is not None:
            forcing.add_to(rate, k, rate.shape[1] - 1 - forcing.num_constants)
        sensitivity += _third_order(jacobians, k, rate)
    if gap is not None:
        sensitivity[:, -1] += gap[k]


@no_type_check
def _add_products(normal: np.ndarray, weighted: np.ndarray, num_extra: int) -> None:
    """Add the products of columns (..., row, column); the extra columns stand before the last one."""
    turned = np.swapaxes(weighted, -1, -2)
    if not num_extra:
        normal += turned @ weighted
        return
    first = weighted.shape[-1] - 1 - num_extra
    extra = slice(first, -1)
    rows = turned[..., :first, :] @ weighted
    last = turned[..., -1:, :] @ weighted
    normal[..., :first, :] += rows
    normal[..., extra, :first] += np.swapaxes(rows[..., extra], -1, -2)
    normal[..., -1:, :] += last
    normal[..., extra, -1:] += np.swapaxes(last[..., extra], -1, -2)
    diagonal = np.arange(first, first + num_extra)
    normal[..., diagonal, diagonal] += (weighted[..., extra] ** 2).sum(axis=-2)


def _condense_full(
    problem: TrajectoryProblem,
    jacobians: IntervalJacobians,
    parts: np.ndarray,
    forcing: Forcing,
    gap: np.ndarray,
    states: States,
    num_extra: int,
) -> Normal:
    runs, size, count = problem.num_runs, problem.dimension, forcing.num_constants
    width = size + count + 1
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    sensitivity = np.zeros((runs, size, width))
    # States that are given do not move.
    free = np.isin(np.tile(np.arange(problem.num_nodes), len(problem.variables)), problem.free)
    sensitivity[:, np.arange(size), np.arange(size)] = free
    sensitivity = sensitivity.reshape(runs * size, width)
    normal = np.zeros((runs, width, width))
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            weighted = sensitivity.reshape(runs, size, width) * weight[k][:, :, None]
            weighted[:, :, -1] = rest[k] - weighted[:, :, -1]
            _add_products(normal, weighted, num_extra)
        if k < problem.grid_length - 1:
            _advance(jacobians, parts, k, sensitivity, forcing, gap)
    initial, rows = slice(0, size), slice(size, width - 1)
    return Normal(
        normal[:, initial, initial],
        normal[:, initial, rows],
        normal[:, rows, rows].sum(axis=0),
        normal[:, initial, -1],
        normal[:, rows, -1].sum(axis=0),
        float(normal[:, -1, -1].sum()),
    )


def _condense_own(
    problem: TrajectoryProblem,
    jacobians: IntervalJacobians,
    own_jacobians: IntervalJacobians,
    parts: np.ndarray,
    forcing: Forcing,
    gap: np.ndarray,
    states: States,
    num_extra: int,
    nodes: np.ndarray | None = None,
) -> Normal:
    runs, n, variables = problem.num_runs, problem.num_nodes, len(problem.variables)
    count: int = n
    kept: slice | np.ndarray = slice(None)
    if nodes is not None:
        # (run, variable, node) as the rows of the sensitivities have them.
        count = len(nodes)
        kept = np.arange(runs * variables * n).reshape(runs * variables, n)[:, nodes].ravel()
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    unit = np.zeros((runs, variables, n, variables))
    for v in range(variables):
        unit[:, v, problem.free, v] = 1.0
    own = unit.reshape(runs * problem.dimension, variables)
    shared = np.zeros((runs * problem.dimension, forcing.num_constants + 1))
    own_all, shared_all = [], []
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            scale = weight[k].reshape(-1, 1)
            own_all.append(own[kept] * scale[kept])
            weighted = shared[kept] * scale[kept]
            weighted[:, -1] = rest[k].reshape(-1)[kept] - weighted[:, -1]
            shared_all.append(weighted)
        if k < problem.grid_length - 1:
            _advance(own_jacobians, parts, k, own)
            _advance(jacobians, parts, k, shared, forcing, gap)
    by_node = (len(own_all), runs, variables, count, -1)
    by_own = np.stack(own_all).reshape(by_node).transpose(1, 3, 4, 0, 2)
    initial = by_own.reshape(runs * count, variables, -1)
    everything = np.stack(shared_all)
    by_others = everything.reshape(by_node).transpose(1, 3, 0, 2, 4)
    others = by_others.reshape(runs * count, initial.shape[2], -1)
    mixed = initial @ others
    flat = everything.reshape(-1, everything.shape[-1])
    normal = np.zeros((flat.shape[1], flat.shape[1]))
    _add_products(normal, flat, num_extra)
    return Normal(
        initial @ initial.transpose(0, 2, 1),
        mixed[:, :, :-1],
        normal[:-1, :-1],
        mixed[:, :, -1],
        normal[:-1, -1],
        float(normal[-1, -1]),
    )


def _condense_known(
    problem: TrajectoryProblem,
    jacobians: IntervalJacobians,
    parts: np.ndarray,
    forcing: Forcing,
    gap: np.ndarray,
    states: States,
    num_extra: int,
) -> Normal:
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    count = forcing.num_constants
    shared = np.zeros((problem.num_runs * problem.dimension, count + 1))
    normal = np.zeros((count + 1, count + 1))
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            weighted = shared * weight[k].reshape(-1, 1)
            weighted[:, -1] = rest[k].reshape(-1) - weighted[:, -1]
            _add_products(normal, weighted, num_extra)
        if k < problem.grid_length - 1:
            _advance(jacobians, parts, k, shared, forcing, gap)
    nothing = np.zeros((0, 0, count)), np.zeros((0, 0))
    return Normal(
        np.zeros((0, 0, 0)),
        nothing[0],
        normal[:-1, :-1],
        nothing[1],
        normal[:-1, -1],
        float(normal[-1, -1]),
    )
