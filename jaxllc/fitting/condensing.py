"""Condensing: the linearised flow over the whole grid, reduced to initial states and constants.

    dX_{k+1} = Phi_k dX_k + Psi_k dc + defect_k,     Phi ~ I + h J + (h J)^2 / 2 + (h J)^3 / 6

Three ways: with every initial state acting on every node (`FULL`); on its own node only (`OWN`), which is
what remains affordable above some hundred states, where the constants still act through the whole network;
or with the initial states known (`KNOWN`), which clean data allow.
Source: multiple shooting with condensing (Bock and Plitt 1984), the lifted Newton method (Albersmeyer and
Diehl 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse

from jaxllc.fitting.bounded_step import bounded_minimum
from jaxllc.fitting.candidate_law import CandidateLaw
from jaxllc.fitting.trajectory_problem import TrajectoryProblem
from jaxllc.terms import Term

FULL, OWN, KNOWN = "full", "own", "known"

# Longest step, relative to the fastest rate, of the Taylor polynomial; most parts of one interval.
_LONGEST_STEP = 1.0
_MOST_PARTS = 40


@dataclass
class Linearisation:
    """Normal equations of initial states (in blocks that do not mix) and constants, around a law and states.

    merit: squared weighted residual once the defects are closed.
    """

    blocks: np.ndarray  # (block, s, s)
    mixed: np.ndarray  # (block, s, constant)
    constants: np.ndarray  # (constant, constant)
    gradient_initial: np.ndarray  # (block, s)
    gradient: np.ndarray  # (constant,)
    merit: float
    jacobians: list[sparse.csr_array]
    response: np.ndarray  # (interval, run * state, constant): mean derivative by the constants
    defects: np.ndarray  # (interval, run * state)
    parts: np.ndarray  # (interval,) into how many parts its exponential is divided

    def reduced(self, damping: float = 0.0):
        """Initial states eliminated: their solved blocks, normal matrix and gradient of the constants."""
        if len(self.blocks) == 0:
            return np.zeros((0, 0, len(self.gradient) + 1)), self.constants, self.gradient
        size = self.blocks.shape[1]
        diagonal = np.einsum("bii->bi", self.blocks)
        shift = damping * diagonal + 1e-13 * diagonal.mean() + 1e-300
        blocks = self.blocks + shift[:, :, None] * np.eye(size)[None]
        right = np.concatenate([self.mixed, self.gradient_initial[:, :, None]], axis=2)
        solved = np.linalg.solve(blocks, right)
        normal = self.constants - np.einsum("bsp,bsq->pq", self.mixed, solved[:, :, :-1])
        gradient = self.gradient - np.einsum("bsp,bs->p", self.mixed, solved[:, :, -1])
        return solved, normal, gradient

    def step(self, damping: float, room: tuple[np.ndarray, np.ndarray] | None = None):
        """Gauss-Newton step: change of constants, of initial states, and the merit it predicts.

        room: smallest and largest change of each constant, where they are bounded.
        """
        solved, normal, gradient = self.reduced(damping)
        scale = np.sqrt(np.maximum(np.diag(self.constants), 1e-300))
        scaled = normal / scale[:, None] / scale[None]
        scaled = scaled + damping * np.diag(np.diag(scaled))
        if not np.all(np.isfinite(scaled)) or not np.all(np.isfinite(gradient)):
            raise np.linalg.LinAlgError("the normal equations are not finite")
        if room is None:
            change = np.linalg.lstsq(scaled, gradient / scale, rcond=1e-13)[0] / scale
            predicted = self.merit - gradient @ change
        else:
            change = bounded_minimum(scaled, gradient / scale, *(r * scale for r in room)) / scale
            predicted = self.merit - (2 * gradient - normal @ change) @ change
        initial = solved[:, :, -1] - solved[:, :, :-1] @ change
        if len(self.blocks) == 0:
            return change, initial, float(max(predicted, 0.0))
        predicted -= float((self.gradient_initial * solved[:, :, -1]).sum())
        return change, initial, float(max(predicted, 0.0))


def linearise(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    states: np.ndarray,
    mode: str,
    extra: Sequence[tuple[int, Term]] = (),
    defects: np.ndarray | None = None,
) -> Linearisation:
    """Condense the problem around a law and states; `extra` terms enter with coefficient zero."""
    partials = problem.partials(law, states, extra)
    if defects is None:
        defects = problem.defects(law, states)
    runs, n = problem.num_runs, problem.num_nodes
    count, intervals = len(partials.by_constant), problem.grid_length - 1
    mean = partials.by_constant.reshape(count, n, runs, problem.grid_length)
    mean = 0.5 * (mean[..., 1:] + mean[..., :-1])
    response = np.zeros((intervals, runs, len(problem.variables), n, count))
    for c in range(count):
        response[:, :, partials.equation_of[c], :, c] = mean[c].transpose(2, 1, 0)
    response = response.reshape(intervals, runs * problem.dimension, count)
    jacobians = problem.jacobians(partials)
    parts = _parts(problem, jacobians)
    gap = defects.reshape(intervals, -1)
    normal: tuple[Any, ...]  # the first six fields of the result
    if mode == FULL:
        normal = _condense_full(problem, jacobians, parts, response, gap, states)
    elif mode == KNOWN:
        normal = _condense_known(problem, jacobians, parts, response, gap, states)
    else:
        own = problem.jacobians(partials, with_edges=False)
        normal = _condense_own(problem, jacobians, own, parts, response, gap, states)
    return Linearisation(*(*normal, jacobians, response, gap, parts))


def _parts(problem: TrajectoryProblem, jacobians: list[sparse.csr_array]) -> np.ndarray:
    """Parts of each interval short enough for a Taylor polynomial of the exponential, also if stiff."""
    parts = np.ones(len(jacobians), dtype=int)
    for k, jacobian in enumerate(jacobians):
        rows = np.asarray(abs(jacobian).sum(axis=1)).reshape(problem.num_runs, -1)
        stiffness = float((rows.max(axis=1) * problem.steps[:, k]).max())
        if np.isfinite(stiffness):
            parts[k] = min(max(1, int(np.ceil(stiffness / _LONGEST_STEP))), _MOST_PARTS)
    return parts


def propagate(
    problem: TrajectoryProblem, line: Linearisation, change: np.ndarray, initial: np.ndarray
) -> np.ndarray:
    """Change of all states from changes of constants and initial states, (variable, node, time).

    The defects are closed.
    """
    runs, size = problem.num_runs, problem.dimension
    if len(initial) == 0:
        initial = np.zeros((runs, size))
    elif initial.shape[0] != runs:  # (run * node, variable)
        initial = initial.reshape(runs, problem.num_nodes, -1).transpose(0, 2, 1)
    current = initial.reshape(runs * size)
    result = [current]
    for k in range(problem.grid_length - 1):
        step = np.repeat(problem.steps[:, k], size)
        rate = line.response[k] @ change
        current = _taylor(line.jacobians[k], current, rate, step, line.parts[k]) + line.defects[k]
        result.append(current)
    shape = (problem.grid_length, runs, len(problem.variables), problem.num_nodes)
    return np.stack(result).reshape(shape).transpose(2, 3, 1, 0).reshape(problem.smoothed.shape)


def close(
    problem: TrajectoryProblem, line: Linearisation, states: np.ndarray, defects: np.ndarray
) -> np.ndarray:
    """States with given defects closed along a linearisation."""
    moved = replace(line, defects=defects.reshape(line.defects.shape))
    start = np.zeros((problem.num_runs, problem.dimension))
    return states + propagate(problem, moved, np.zeros(line.response.shape[2]), start)


def _taylor(jacobian, current, forcing, step, parts):
    """Solution of dS/dt = J S + F over a step, to third order in each of its parts."""
    step = step / parts
    for _ in range(parts):
        rate = jacobian @ current
        if forcing is not None:
            rate = rate + forcing
        second = step * (jacobian @ rate)
        third = step * (jacobian @ second)
        current = current + step * (rate + second / 2 + third / 6)
    return current


def _advance(problem, jacobians, parts, k, sensitivity, response, gap):
    """One interval for a matrix whose last columns are the constants and the defect."""
    step = np.repeat(problem.steps[:, k], problem.dimension)[:, None]
    forcing = None
    if response is not None:
        forcing = np.zeros_like(sensitivity)
        forcing[:, -1 - response.shape[2] : -1] = response[k]
    sensitivity = _taylor(jacobians[k], sensitivity, forcing, step, parts[k])
    if gap is not None:
        sensitivity[:, -1] += gap[k]
    return sensitivity


def _condense_full(problem, jacobians, parts, response, gap, states):
    runs, size, count = problem.num_runs, problem.dimension, response.shape[2]
    width = size + count + 1
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    sensitivity = np.zeros((runs, size, width))
    sensitivity[:, np.arange(size), np.arange(size)] = 1.0
    sensitivity = sensitivity.reshape(runs * size, width)
    normal = np.zeros((runs, width, width))
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            weighted = sensitivity.reshape(runs, size, width) * weight[k][:, :, None]
            weighted[:, :, -1] = rest[k] - weighted[:, :, -1]
            normal += weighted.transpose(0, 2, 1) @ weighted
        if k < problem.grid_length - 1:
            sensitivity = _advance(problem, jacobians, parts, k, sensitivity, response, gap)
    initial, rows = slice(0, size), slice(size, width - 1)
    return (
        normal[:, initial, initial],
        normal[:, initial, rows],
        normal[:, rows, rows].sum(axis=0),
        normal[:, initial, -1],
        normal[:, rows, -1].sum(axis=0),
        float(normal[:, -1, -1].sum()),
    )


def _condense_own(problem, jacobians, own_jacobians, parts, response, gap, states):
    runs, n, variables = problem.num_runs, problem.num_nodes, len(problem.variables)
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    own = np.zeros((runs, variables, n, variables))
    for v in range(variables):
        own[:, v, :, v] = 1.0
    own = own.reshape(runs * problem.dimension, variables)
    shared = np.zeros((runs * problem.dimension, response.shape[2] + 1))
    own_all, shared_all = [], []
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            scale = weight[k].reshape(-1, 1)
            own_all.append(own * scale)
            weighted = shared * scale
            weighted[:, -1] = rest[k].reshape(-1) - weighted[:, -1]
            shared_all.append(weighted)
        if k < problem.grid_length - 1:
            own = _advance(problem, own_jacobians, parts, k, own, None, None)
            shared = _advance(problem, jacobians, parts, k, shared, response, gap)
    by_node = (len(own_all), runs, variables, n, -1)
    initial = np.stack(own_all).reshape(by_node).transpose(1, 3, 4, 0, 2)
    initial = initial.reshape(runs * n, variables, -1)
    everything = np.stack(shared_all)
    others = everything.reshape(by_node).transpose(1, 3, 0, 2, 4)
    others = others.reshape(runs * n, initial.shape[2], -1)
    mixed = initial @ others
    flat = everything.reshape(-1, everything.shape[-1])
    normal = flat.T @ flat
    return (
        initial @ initial.transpose(0, 2, 1),
        mixed[:, :, :-1],
        normal[:-1, :-1],
        mixed[:, :, -1],
        normal[:-1, -1],
        float(normal[-1, -1]),
    )


def _condense_known(problem, jacobians, parts, response, gap, states):
    weight, rest = problem.sample_weight(), problem.weighted_residual(states)
    count = response.shape[2]
    shared = np.zeros((problem.num_runs * problem.dimension, count + 1))
    normal = np.zeros((count + 1, count + 1))
    for k in range(problem.grid_length):
        if problem.sampled[k]:
            weighted = shared * weight[k].reshape(-1, 1)
            weighted[:, -1] = rest[k].reshape(-1) - weighted[:, -1]
            normal += weighted.T @ weighted
        if k < problem.grid_length - 1:
            shared = _advance(problem, jacobians, parts, k, shared, response, gap)
    nothing = np.zeros((0, 0, count)), np.zeros((0, 0))
    return (
        np.zeros((0, 0, 0)),
        nothing[0],
        normal[:-1, :-1],
        nothing[1],
        normal[:-1, -1],
        float(normal[-1, -1]),
    )
