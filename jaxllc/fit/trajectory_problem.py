"""The samples of all runs on one time grid, the flow of a law over it, and the flow's derivatives.

States are arrays (variable, node, run * grid time), so that all steps of all runs are evaluated side by side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from jaxllc.dynamics.terms import Stage, Term, needs_edges
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.interval_jacobians import IntervalJacobians
from jaxllc.running.time_limit import clock

# Numbers in an array of a part of the flow.
_PART_SIZE = 80_000


@dataclass
class Partials:
    """A law's derivative and its partial derivatives at every grid point.

    own, edge: {(equation, variable): values} by the receiver's and, on edges, by the sender's state.
    by_constant: (constant, node, time); equation_of: (constant,).
    """

    value: np.ndarray
    own: dict[tuple[int, int], np.ndarray]
    edge: dict[tuple[int, int], np.ndarray]
    by_constant: np.ndarray
    equation_of: np.ndarray


class TrajectoryProblem:
    """Samples, mask, grid and network: all that does not depend on the law.

    grids: a time grid for each run that holds its sample times; states: smoothed states on it, (time, node,
    variable); noise: (variable,) standard deviation of a sample; substeps: Runge-Kutta steps in a grid
    interval; initial_known: take the first samples as exact while candidates are compared (clean data).
    """

    def __init__(
        self,
        runs: Sequence,
        network,
        features: dict[str, np.ndarray],
        grids: Sequence[np.ndarray],
        states: Sequence[np.ndarray],
        noise: np.ndarray,
        substeps: int = 1,
        initial_known: bool = False,
    ) -> None:
        self.variables = runs[0].variables
        self.network, self.features = network, features
        self.num_runs, self.num_nodes = len(runs), network.num_nodes
        self.dimension = len(self.variables) * self.num_nodes
        self.grid_length = max(len(g) for g in grids)
        self.substeps = substeps
        shape = (len(self.variables), self.num_nodes, self.num_runs, self.grid_length)
        self.samples, self.mask = np.zeros(shape), np.zeros(shape)
        self.sample_index: list[np.ndarray] = []
        initial = np.zeros(shape)
        self.steps = np.zeros((self.num_runs, self.grid_length - 1))
        for r, (run, grid, state) in enumerate(zip(runs, grids, states, strict=True)):
            where = np.searchsorted(grid, run.times - 1e-10 * (grid[-1] - grid[0]))
            self.sample_index.append(where)
            self.samples[:, :, r, where] = np.nan_to_num(run.states).transpose(2, 1, 0)
            self.mask[:, :, r, where] = run.observed.transpose(2, 1, 0)
            initial[:, :, r, : len(grid)] = state.transpose(2, 1, 0)
            initial[:, :, r, len(grid) :] = state[-1].T[:, :, None]
            self.steps[r, : len(grid) - 1] = np.diff(grid)
        self.initial_known = False
        if initial_known:
            self.trust_initial_samples()
        if self.initial_known:
            initial[..., 0] = self.samples[..., 0]
        self.smoothed = initial.reshape(len(self.variables), self.num_nodes, -1)
        self.counts = self.mask.sum(axis=(1, 2, 3))
        self.set_noise(noise)
        self.sampled = self.mask.any(axis=(0, 1, 2))
        self._stage = Stage(network, self._named(self.smoothed), features)

    def set_noise(self, noise: np.ndarray) -> None:
        """Set the standard deviation of a sample of each variable."""
        self.noise = noise
        self.weight = self.mask / noise[:, None, None, None]

    def trust_initial_samples(self) -> None:
        """Take the first samples as exact while candidates are compared, where all were observed."""
        self.initial_known = bool(self.mask[..., 0].all())

    @contextmanager
    def masked(self, mask: np.ndarray) -> Iterator[None]:
        """Within the context only the samples of another mask count, (variable, node, run, grid time)."""
        kept = self.mask, self.counts, self.sampled
        self.mask, self.counts = mask, mask.sum(axis=(1, 2, 3))
        self.sampled = mask.any(axis=(0, 1, 2))
        self.set_noise(self.noise)
        try:
            yield
        finally:
            self.mask, self.counts, self.sampled = kept
            self.set_noise(self.noise)

    def stage(self, states: np.ndarray) -> Stage:
        """Stage on other states, (variable, node, time)."""
        return self._stage.moved(self._named(states))

    def _named(self, states: np.ndarray) -> dict[str, np.ndarray]:
        return {name: states[v] for v, name in enumerate(self.variables)}

    def derivative(self, law: CandidateLaw, states: np.ndarray) -> np.ndarray:
        """Time derivative of the states under the law, (variable, node, time)."""
        stage = self.stage(states)
        result = np.zeros_like(states)
        for v, (terms, coefficients) in enumerate(zip(law.terms, law.coefficients, strict=True)):
            for term, coefficient in zip(terms, coefficients, strict=True):
                result[v] += coefficient * stage.evaluator(term.inner).value(term.family)
        return result

    def flow(self, law: CandidateLaw, states: np.ndarray, substeps: int) -> np.ndarray:
        """States at the end of each grid interval, (variable, node, run * interval).

        Source: the classical Runge-Kutta method of order four.
        """
        grid = states.reshape(*states.shape[:2], self.num_runs, self.grid_length)
        state = np.ascontiguousarray(grid[..., :-1]).reshape(*states.shape[:2], -1)
        step = self.steps.reshape(1, 1, -1) / substeps
        # In parts whose arrays stay in the processor's cache: several times faster where terms act on edges.
        on_edges = any(needs_edges(t.family) for terms in law.terms for t in terms)
        rows = self.network.num_edges if on_edges else self.num_nodes
        count = -(-state.shape[2] // max(16, _PART_SIZE // rows))
        bounds = np.linspace(0, state.shape[2], count + 1).astype(int)
        for start, stop in itertools.pairwise(bounds):
            part = slice(start, stop)
            state[..., part] = self._stepped(law, state[..., part], step[..., part], substeps)
        return state

    def _stepped(
        self, law: CandidateLaw, state: np.ndarray, step: np.ndarray, substeps: int
    ) -> np.ndarray:
        for _ in range(substeps):
            k1 = self.derivative(law, state)
            k2 = self.derivative(law, state + step / 2 * k1)
            k3 = self.derivative(law, state + step / 2 * k2)
            k4 = self.derivative(law, state + step * k3)
            state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return state

    def simulated(self, law: CandidateLaw, initial: np.ndarray, substeps: int) -> np.ndarray:
        """Trajectories from initial states (variable, node, run), one grid interval after the other.

        Laid out like the samples, (variable, node, run, grid time); not finite after a divergence.
        """
        states = np.empty(self.samples.shape)
        states[..., 0] = initial
        for k in range(self.grid_length - 1):
            step = self.steps[None, None, :, k] / substeps
            states[..., k + 1] = self._stepped(law, states[..., k], step, substeps)
            if not np.isfinite(states[..., k + 1]).any():
                states[..., k + 2 :] = np.nan
                break
        return states

    def ahead(self, law: CandidateLaw, states: np.ndarray, share: float) -> np.ndarray:
        """Trajectories beyond the ends of the runs, for a share of each, from states (variable, node, run).

        As `simulated`, in steps of the mean length of each run's.
        """
        count = max(1, round(share * (self.grid_length - 1)))
        length = self.steps.sum(axis=1) * share / count / self.substeps
        found = np.empty((*states.shape, count))
        for k in range(count):
            states = self._stepped(law, states, length[None, None], self.substeps)
            found[..., k] = states
        return found

    def seconds_of_simulation(self, law: CandidateLaw) -> float:
        """About how long `simulated` takes, by its first interval."""
        begun = clock()
        first = self.smoothed.reshape(self.samples.shape)[..., 0]
        with np.errstate(all="ignore"):
            self._stepped(law, first, self.steps[None, None, :, 0] / self.substeps, self.substeps)
        return (clock() - begun) * (self.grid_length - 1)

    def defects(self, law: CandidateLaw, states: np.ndarray) -> np.ndarray:
        """Flow over each grid interval minus the next state, (interval, run, variable * node)."""
        end = self.flow(law, states, self.substeps)
        shape = (*states.shape[:2], self.num_runs, -1)
        grid = states.reshape(*shape[:3], self.grid_length)
        gap = end.reshape(shape) - grid[..., 1:]
        return gap.transpose(3, 2, 0, 1).reshape(self.grid_length - 1, self.num_runs, -1)

    def step_error(self, law: CandidateLaw, substeps: int) -> np.ndarray:
        """Root mean square error that a number of substeps leaves over a run, (variable,)."""
        with np.errstate(all="ignore"):
            gap = self.flow(law, self.smoothed, substeps)
            gap -= self.flow(law, self.smoothed, 2 * substeps)
            gap = gap.reshape(*gap.shape[:2], self.num_runs, -1)
            # Local errors of one sign would add up over the run; half of that is a fair guess.
            return np.sqrt((np.abs(gap).sum(axis=3) ** 2).mean(axis=(1, 2))) / 2

    def set_substeps(self, law: CandidateLaw) -> None:
        """As many steps in a grid interval as the flow of a law asks for at this noise."""
        for substeps in (1, 2, 4, 8, 16):
            self.substeps = substeps
            if np.all(self.step_error(law, substeps) < 0.02 * self.noise):
                break

    def squared_residual(self, states: np.ndarray) -> np.ndarray:
        """Sum over samples of (y - X)^2 for each equation."""
        with np.errstate(all="ignore"):  # states that have run away
            rest = (self.samples - states.reshape(self.samples.shape)) * self.mask
            return (rest**2).sum(axis=(1, 2, 3))

    def weighted_residual(self, states: np.ndarray) -> np.ndarray:
        """(y - X) / sigma where sampled, else zero, (grid time, run, variable * node)."""
        rest = (self.samples - states.reshape(self.samples.shape)) * self.weight
        return rest.transpose(3, 2, 0, 1).reshape(self.grid_length, self.num_runs, -1)

    def sample_weight(self) -> np.ndarray:
        """1 / sigma where sampled, else zero, (grid time, run, variable * node)."""
        return self.weight.transpose(3, 2, 0, 1).reshape(self.grid_length, self.num_runs, -1)

    def partials(
        self, law: CandidateLaw, states: np.ndarray, extra: Sequence[tuple[int, Term]] = ()
    ) -> Partials:
        """Partial derivatives of a law; `extra` terms (equation, term) count as constants of value zero."""
        stage = self.stage(states)
        value = np.zeros_like(states)
        own: dict[tuple[int, int], np.ndarray] = {}
        edge: dict[tuple[int, int], np.ndarray] = {}
        columns: list[np.ndarray] = []
        equation_of: list[int] = []
        for o, (terms, coefficients) in enumerate(zip(law.terms, law.coefficients, strict=True)):
            for term, coefficient in zip(terms, coefficients, strict=True):
                at = stage.evaluator(term.inner)
                term_value = at.value(term.family)
                value[o] += coefficient * term_value
                if not term.family.held:
                    columns.append(term_value)
                for k, (w, positive) in enumerate(
                    zip(term.inner, term.family.positive, strict=True)
                ):
                    slope = at.inner_derivative(term.family, k)
                    columns.append(coefficient * slope * (w if positive else 1.0))
                equation_of += [o] * term.num_constants
                for v, name in enumerate(self.variables):
                    by_own = at.receiver_derivative(term.family, name)
                    if by_own is not None:
                        own[o, v] = own.get((o, v), 0.0) + coefficient * by_own
                    by_sender = at.sender_derivative(term.family, name)
                    if by_sender is not None:
                        edge[o, v] = edge.get((o, v), 0.0) + coefficient * by_sender
        for o, term in extra:
            columns.append(stage.evaluator(term.inner).value(term.family))
            equation_of.append(o)
        shape = (len(columns), *states.shape[1:])
        by_constant = np.stack(columns) if columns else np.zeros(shape)
        return Partials(value, own, edge, by_constant, np.array(equation_of, dtype=int))

    def jacobians(self, partials: Partials, with_edges: bool = True) -> IntervalJacobians:
        """Mean Jacobian over each interval, block diagonal over runs, (run * state, run * state)."""
        n, runs, size = self.num_nodes, self.num_runs, self.dimension
        rows, columns, data = [], [], []
        for (o, v), values in partials.own.items():
            rows.append(o * n + np.arange(n))
            columns.append(v * n + np.arange(n))
            data.append(values)
        for (o, v), values in partials.edge.items() if with_edges else ():
            rows.append(o * n + self._stage.receivers)
            columns.append(v * n + self._stage.senders)
            data.append(values)
        if not data:
            nothing = np.zeros(0, dtype=np.int32)
            pointer = np.zeros(runs * size + 1, dtype=np.int32)
            return IntervalJacobians(np.zeros((self.grid_length - 1, 0)), nothing, pointer)
        row, column = np.concatenate(rows), np.concatenate(columns)
        order = np.lexsort((column, row))
        row, column = row[order], column[order]
        entries = np.concatenate(data)[order].reshape(len(row), runs, self.grid_length)
        entries = 0.5 * (entries[..., 1:] + entries[..., :-1])
        intervals = entries.shape[2]
        rates = np.ascontiguousarray(entries.transpose(2, 1, 0)).reshape(intervals, -1)
        offset = size * np.arange(runs)
        column = (column[None] + offset[:, None]).ravel().astype(np.int32)
        row = (row[None] + offset[:, None]).ravel()
        pointer = np.searchsorted(row, np.arange(runs * size + 1)).astype(np.int32)
        return IntervalJacobians(rates, column, pointer)
