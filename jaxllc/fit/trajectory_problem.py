"""The samples of all runs on one time grid, the flow of a law over it, and the flow's derivatives.

States are arrays (variable, node, time), time being all grid times of the first run, then those of the next,
so that all steps of all runs are evaluated side by side.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Stage, needs_edges
from jaxllc.dynamics.terms import Term
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.given_states import Given, GivenInputs, paths_between
from jaxllc.fit.interval_jacobians import IntervalJacobians, Partials, mean_jacobians
from jaxllc.running.time_limit import clock
from jaxllc.smoothing.grid_data import GridData

Grid = Float[np.ndarray, "variable node run grid"]
States = Float[np.ndarray, "variable node time"]
Values = Float[np.ndarray, "_variable _node _time"]
Defects = Float[np.ndarray, "interval run state"]  # a state of a run: (variable, node) in one

# Numbers in an array of a part of the flow.
_PART_SIZE = 80_000


@dataclass(frozen=True, eq=False)
class TrajectoryProblem:
    """Samples, mask, grid and network: all that does not depend on the law. A value: it never changes.

    mask: which samples count; sample_index: of each run, their places in its grid; steps: between grid times,
    0 where a run has none left; smoothed: states on the grid. noise: standard deviation of a sample;
    substeps: Runge-Kutta steps in a grid interval; initial_known: the first samples are taken as exact while
    candidates are compared (clean data). held: nodes that the law does not explain: their smoothed states are
    given, act on the others, and none of their samples counts. inputs: what drives the nodes, if anything.
    """

    variables: tuple[str, ...]
    network: Network
    features: dict[str, Float[np.ndarray, " node"]]
    samples: Grid
    mask: Grid
    sample_index: tuple[Integer[np.ndarray, " _"], ...]
    steps: Float[np.ndarray, "run interval"]
    smoothed: States
    noise: Float[np.ndarray, " variable"]
    substeps: int = 1
    initial_known: bool = False
    held: tuple[int, ...] = ()
    inputs: GivenInputs | None = None

    @classmethod
    def of(
        cls,
        data: GridData,
        network: Network,
        noise: Float[np.ndarray, " variable"],
        substeps: int = 1,
        initial_known: bool = False,
        held: Sequence[int] = (),
    ) -> TrajectoryProblem:
        """The problem of the runs of a discovery, padded to one length.

        initial_known: take the first samples as exact, where all were observed. held: nodes whose states are
        given.
        """
        count = max(len(grid) for grid in data.grid_times)
        shape = (data.num_variables, network.num_nodes, data.num_runs, count)
        samples, mask, initial = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        steps = np.zeros((data.num_runs, count - 1))
        runs = zip(
            data.samples,
            data.observed,
            data.sample_index,
            data.grid_times,
            data.states,
            strict=True,
        )
        for r, (values, observed, where, grid, states) in enumerate(runs):
            samples[:, :, r, where] = values
            mask[:, :, r, where] = observed
            initial[:, :, r, : len(grid)] = states
            initial[:, :, r, len(grid) :] = states[..., -1:]
            steps[r, : len(grid) - 1] = np.diff(grid)
        held = tuple(int(node) for node in held)
        mask[:, held] = 0.0
        free = np.setdiff1d(np.arange(network.num_nodes), held)
        known = initial_known and bool(mask[:, free, :, 0].all())
        if known:
            initial[:, free, :, 0] = samples[:, free, :, 0]
        smoothed = initial.reshape(*shape[:2], -1)
        return cls(
            data.variables,
            network,
            data.features,
            samples,
            mask,
            data.sample_index,
            steps,
            smoothed,
            noise,
            substeps,
            known,
            held,
            GivenInputs.of(data, count) if data.input_names else None,
        )

    @property
    def num_runs(self) -> int:
        return len(self.steps)

    @property
    def num_nodes(self) -> int:
        return self.samples.shape[1]

    @property
    def dimension(self) -> int:
        """Numbers in the state of a run."""
        return len(self.variables) * self.num_nodes

    @property
    def grid_length(self) -> int:
        return self.samples.shape[3]

    @cached_property
    def counts(self) -> Float[np.ndarray, " variable"]:
        """Samples of each variable."""
        return self.mask.sum(axis=(1, 2, 3))

    @cached_property
    def sampled(self) -> Bool[np.ndarray, " grid"]:
        """Grid times at which anything was sampled."""
        return np.asarray(self.mask.any(axis=(0, 1, 2)))

    @cached_property
    def weight(self) -> Grid:
        """1 / sigma where sampled, else zero."""
        return self.mask / self.noise[:, None, None, None]

    def with_noise(self, noise: Float[np.ndarray, " variable"]) -> TrajectoryProblem:
        """The problem with another standard deviation of a sample of each variable."""
        return self._changed(noise=noise)

    def with_mask(self, mask: Grid) -> TrajectoryProblem:
        """The problem in which other samples count."""
        return self._changed(mask=mask)

    def with_known_start(self) -> TrajectoryProblem:
        """The first samples taken as exact while candidates are compared, where all were observed."""
        return self._changed(initial_known=bool(self.mask[:, self.free, :, 0].all()))

    def with_substeps_for(self, *laws: CandidateLaw) -> TrajectoryProblem:
        """As many steps in a grid interval as the flows of some laws ask for at this noise."""
        return self._changed(substeps=max(map(self._substeps_of, laws)))

    def _substeps_of(self, law: CandidateLaw) -> int:
        for substeps in (1, 2, 4, 8):
            if np.all(self.step_error(law, substeps) < 0.02 * self.noise):
                return substeps
        return 16

    def _changed(self, **fields: Any) -> TrajectoryProblem:
        other = replace(self, **fields)
        # The same states on the same network, which take longer to lay out than all the rest.
        other.__dict__["_stage"] = self._stage
        other.__dict__["_paths"] = self._paths
        return other

    @cached_property
    def free(self) -> Integer[np.ndarray, " node"]:
        """The nodes that the law explains."""
        return np.setdiff1d(np.arange(self.num_nodes), np.array(self.held, dtype=int))

    @cached_property
    def _paths(self) -> dict[int, Given]:
        return {}

    def _path(self, substeps: int) -> Given:
        """What is given over each grid interval, at the ends and in the middle of each step."""
        if substeps not in self._paths:
            held, inputs = None, {}
            if self.held:
                states = self.smoothed.reshape(self.samples.shape)[:, list(self.held)]
                held = paths_between(states, self.steps, 2 * substeps)
            if self.inputs is not None:
                inputs = self.inputs.between(self.steps, substeps)
            self._paths[substeps] = Given(held, inputs)
        return self._paths[substeps]

    @property
    def inputs_on_grid(self) -> Mapping[str, Float[np.ndarray, "node time"]]:
        """The inputs at the times of the states, by name."""
        return {} if self.inputs is None else self.inputs.on_grid

    @cached_property
    def _stage(self) -> Stage:
        return Stage(self.network, self._named(self.smoothed), self.features)

    def stage(self, states: Values, inputs: Mapping[str, np.ndarray] | None = None) -> Stage:
        """Stage on other states, at the grid times, or at any times with the inputs there."""
        return self._stage.moved(self._named(states, inputs))

    def _named(
        self, states: Values, inputs: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        given = self.inputs_on_grid if inputs is None else inputs
        return {**dict(zip(self.variables, states, strict=True)), **given}

    def derivative(
        self, law: CandidateLaw, states: Values, inputs: Mapping[str, np.ndarray] | None = None
    ) -> Values:
        """Time derivative of states under the law, at the grid times, or at any with the inputs there."""
        stage = self.stage(states, inputs)
        result = np.zeros_like(states)
        for v, (terms, coefficients) in enumerate(zip(law.terms, law.coefficients, strict=True)):
            for term, coefficient in zip(terms, coefficients, strict=True):
                result[v] += coefficient * stage.evaluator(term.inner).value(term.family)
        return result

    def flow(self, law: CandidateLaw, states: States, substeps: int) -> Values:
        """States at the end of each grid interval, those of the first run first.

        Source: the classical Runge-Kutta method of order four.
        """
        grid = states.reshape(*states.shape[:2], self.num_runs, self.grid_length)
        state = np.ascontiguousarray(grid[..., :-1]).reshape(*states.shape[:2], -1)
        step, path = self.steps.reshape(1, 1, -1) / substeps, self._path(substeps)
        # In parts whose arrays stay in the processor's cache: several times faster where terms act on edges.
        on_edges = any(needs_edges(t.family) for terms in law.terms for t in terms)
        rows = self.network.num_edges if on_edges else self.num_nodes
        count = -(-state.shape[2] // max(16, _PART_SIZE // rows))
        bounds = np.linspace(0, state.shape[2], count + 1).astype(int)
        for start, stop in itertools.pairwise(bounds):
            part = slice(start, stop)
            state[..., part] = self._stepped(
                law, state[..., part], step[..., part], substeps, path.over(part)
            )
        return state

    def _stepped(
        self,
        law: CandidateLaw,
        state: Values,
        step: Values,
        substeps: int,
        path: Given,
    ) -> Values:
        """States after some steps; path: of what is given."""
        held = list(self.held)

        def at(part: int, values: Values) -> Values:
            if held:
                values[:, held] = state[:, held] if path.held is None else path.held[..., part]
            return values

        for k in range(0, 2 * substeps, 2):
            first, middle, last = (path.inputs_at(k + part) for part in range(3))
            k1 = self.derivative(law, at(k, state), first)
            k2 = self.derivative(law, at(k + 1, state + step / 2 * k1), middle)
            k3 = self.derivative(law, at(k + 1, state + step / 2 * k2), middle)
            k4 = self.derivative(law, at(k + 2, state + step * k3), last)
            state = at(k + 2, state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        return state

    def simulated(
        self, law: CandidateLaw, initial: Float[np.ndarray, "variable node run"], substeps: int
    ) -> Grid:
        """Trajectories from initial states, one grid interval after the other.

        Not finite after a divergence.
        """
        states, path = np.empty(self.samples.shape), self._path(substeps)
        states[..., 0] = initial
        for k in range(self.grid_length - 1):
            step = self.steps[None, None, :, k] / substeps
            given = path.over(slice(k, None, self.grid_length - 1))
            states[..., k + 1] = self._stepped(law, states[..., k], step, substeps, given)
            if not np.isfinite(states[..., k + 1]).any():
                states[..., k + 2 :] = np.nan
                break
        return states

    def ahead(
        self, law: CandidateLaw, states: Float[np.ndarray, "variable node run"], share: float
    ) -> Float[np.ndarray, "variable node run ahead"]:
        """Trajectories beyond the ends of the runs, for a share of each, from the states at their ends.

        As `simulated`, in steps of the mean length of each run's, with inputs as they are at its end.
        """
        count = max(1, round(share * (self.grid_length - 1)))
        length = self.steps.sum(axis=1) * share / count / self.substeps
        found = np.empty((*states.shape, count))
        last = {} if self.inputs is None else self.inputs.last(self.substeps)
        for k in range(count):
            given = Given(None, last)
            states = self._stepped(law, states, length[None, None], self.substeps, given)
            found[..., k] = states
        return found

    def seconds_of_simulation(self, law: CandidateLaw) -> float:
        """About how long `simulated` takes, by its first interval."""
        begun = clock()
        first = self.smoothed.reshape(self.samples.shape)[..., 0]
        path = self._path(self.substeps).over(slice(0, None, self.grid_length - 1))
        step = self.steps[None, None, :, 0] / self.substeps
        with np.errstate(all="ignore"):
            self._stepped(law, first, step, self.substeps, path)
        return (clock() - begun) * (self.grid_length - 1)

    def defects(self, law: CandidateLaw, states: States) -> Defects:
        """Flow over each grid interval minus the next state."""
        end = self.flow(law, states, self.substeps)
        shape = (*states.shape[:2], self.num_runs, -1)
        grid = states.reshape(*shape[:3], self.grid_length)
        gap = end.reshape(shape) - grid[..., 1:]
        return gap.transpose(3, 2, 0, 1).reshape(self.grid_length - 1, self.num_runs, -1)

    def step_error(self, law: CandidateLaw, substeps: int) -> Float[np.ndarray, " variable"]:
        """Root mean square error that a number of substeps leaves over a run."""
        with np.errstate(all="ignore"):
            gap = self.flow(law, self.smoothed, substeps)
            gap -= self.flow(law, self.smoothed, 2 * substeps)
            gap = gap.reshape(*gap.shape[:2], self.num_runs, -1)
            # Local errors of one sign would add up over the run; half of that is a fair guess.
            return np.sqrt((np.abs(gap).sum(axis=3) ** 2).mean(axis=(1, 2))) / 2

    def squared_residual(self, states: States) -> Float[np.ndarray, " variable"]:
        """Sum over samples of (y - X)^2 for each equation."""
        with np.errstate(all="ignore"):  # states that have run away
            rest = (self.samples - states.reshape(self.samples.shape)) * self.mask
            return (rest**2).sum(axis=(1, 2, 3))

    def weighted_residual(self, states: States) -> Float[np.ndarray, "grid run state"]:
        """(y - X) / sigma where sampled, else zero."""
        rest = (self.samples - states.reshape(self.samples.shape)) * self.weight
        return rest.transpose(3, 2, 0, 1).reshape(self.grid_length, self.num_runs, -1)

    def sample_weight(self) -> Float[np.ndarray, "grid run state"]:
        """1 / sigma where sampled, else zero."""
        return self.weight.transpose(3, 2, 0, 1).reshape(self.grid_length, self.num_runs, -1)

    def partials(
        self, law: CandidateLaw, states: States, extra: Sequence[tuple[int, Term]] = ()
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
        found = Partials(value, own, edge, by_constant, np.array(equation_of, dtype=int))
        return found.at_rest(self.held, self._stage.receivers) if self.held else found

    def jacobians(self, partials: Partials, with_edges: bool = True) -> IntervalJacobians:
        """Mean Jacobian over each interval, block diagonal over runs, (run * state, run * state)."""
        edges = (self._stage.receivers, self._stage.senders) if with_edges else None
        shape = (self.num_nodes, self.num_runs, self.grid_length)
        return mean_jacobians(partials, shape, self.dimension, edges)
