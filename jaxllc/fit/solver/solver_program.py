"""The normal equations of a law through the solver, for any number of starts and all runs, in one program.

Trajectories and their derivatives by constants and initial states are carried forward together, in one batch
of tangents: a run has hundreds of samples for each constant, and reverse mode would go back through the steps
once for each of them. A law has a program of its own, or its tapes are data of one that fits all laws.
A CPU takes runs and starts one after the other, which is faster there than side by side (vmapped, or joined
to one graph by jraph.batch, which has one step for all of them and can hold but runs of the same times); an
accelerator takes them all at once, and several devices share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from jaxllc.data.message_passing import graph_of
from jaxllc.dynamics.candidate_field import candidate_field
from jaxllc.dynamics.integrate import solve
from jaxllc.dynamics.interpreted_candidate import interpreted_candidate
from jaxllc.dynamics.paths.outcome import Solution
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.normal_equations import Normal
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.running.member_mesh import MEMBER, member_mesh
from jaxllc.running.waiting import computed

# Numbers in the state of a run above which the initial states of the fit on the grid are kept, and with them
# its standard errors: each of them is a tangent of the whole state, two minutes for 300 of a chaotic law.
LARGEST = 160
MAX_STEPS = 4096
# How far beyond its end the times that a shorter run is padded by reach, relative to its length.
_PADDING = 1e-4
# Tolerances of the steps, for float64 and for float32.
TOLERANCES = {"float64": (1e-9, 1e-11), "float32": (1e-5, 1e-7)}
# Processor seconds: to compile the program of a law, and that of all laws; of one evaluation of the first, by
# edges, tangents and runs, and how many times as long the other takes (benchmarks/adjoints.py). How often a
# law is evaluated.
_OWN, _SHARED, _WORK, _SLOWER, _EVALUATIONS = 3.0, 6.7, 1.2e-6, 3.7, 3.0


class SolverRuns(NamedTuple):
    """The samples of all runs, of one length: times (R, T), values and weights (R, T, N, d), grid (R, G).

    Times after the end of a shorter run count for nothing.
    """

    times: np.ndarray
    samples: np.ndarray
    weights: np.ndarray
    grid: np.ndarray


class _Members(NamedTuple):
    """Starts and runs: constants (B, C), initial states (B, N, d), and the number of the run (B,)."""

    vector: Any
    initial: Any
    run: Any


class Evaluated(NamedTuple):
    """The normal equations of a start, a block for each run, and states (run, grid, node, variable)."""

    normal: Normal
    states: np.ndarray


def runs_of(problem: TrajectoryProblem) -> SolverRuns:
    """The samples of a problem."""
    lengths = [1 + int(np.count_nonzero(steps)) for steps in problem.steps]
    # Where grids are padded, each run has a time after its end that the times of its grid fit before.
    longest = max(len(where) for where in problem.sample_index)
    longest += min(lengths) < problem.grid_length
    runs = []
    for r, (where, length) in enumerate(zip(problem.sample_index, lengths, strict=True)):
        grid = np.concatenate([[0.0], np.cumsum(problem.steps[r])])
        more, end = longest - len(where), grid[length - 1]
        last = end * (1 + _PADDING)
        times = np.concatenate([grid[where], np.linspace(end, last, more + 1)[1:]])
        grid[length:] = np.linspace(end, last, len(grid) - length + 1)[1:]
        samples, weights = (
            np.pad(values[:, :, r, where], ((0, 0), (0, 0), (0, more))).transpose(2, 1, 0)
            for values in (problem.samples, problem.weight)
        )
        runs.append((times, samples, weights, grid))
    return SolverRuns(*map(np.stack, zip(*runs, strict=True)))


def followed(
    field: Any, graph: Any, initial: Any, times: Any, precision: str, beside: Any = None
) -> Solution:
    """The trajectory of a law, to be differentiated forward; beside: times without derivatives."""
    import diffrax

    rtol, atol = TOLERANCES[precision]
    return solve(
        field, graph, initial, times, rtol=rtol, atol=atol, max_steps=MAX_STEPS,
        adjoint=diffrax.ForwardMode(), beside=beside,
    )  # fmt: skip


def sharing_pays(problem: TrajectoryProblem, laws: Sequence[CandidateLaw]) -> bool:
    """Whether these laws are fitted in less time by one program that reads their tapes than by their own.

    The time is that of the machine of the benchmark: the choice follows from sizes alone.
    """
    constants = max(law.num_constants for law in laws)
    tangents = constants + problem.dimension * (problem.dimension <= LARGEST)
    work = _WORK * len(problem.network.weights) * tangents * problem.num_runs
    saved = _OWN - (_SLOWER - 1) * _EVALUATIONS * work
    return len(laws) * saved > _SHARED


class SolverProgram:
    """A problem and the terms of a law, ready to be evaluated at constants and initial states.

    free: whether initial states are fitted. shared: by the program of all laws. devices: that share starts
    and runs, by default all local ones. together: vmapped over starts and runs, by default not on a CPU.
    Use it with x64 enabled where dtype is float64.
    """

    def __init__(
        self,
        problem: TrajectoryProblem,
        law: CandidateLaw,
        dtype: np.dtype,
        shared: bool = False,
        devices: Sequence[Any] | None = None,
        together: bool | None = None,
    ):
        self.together = jax.default_backend() != "cpu" if together is None else together
        self.free, self.dtype = problem.dimension <= LARGEST, dtype
        self.runs, self.count = _cast(runs_of(problem), dtype), law.num_constants
        field: Any = candidate_field(
            problem.variables, tuple(problem.features), law.terms, law.vector()
        )
        graph = graph_of(problem.network, problem.features)
        if shared:
            field, graph = interpreted_candidate(field, graph)
        self.field, self.graph = _cast((field, graph), dtype)
        self.devices = tuple(jax.local_devices() if devices is None else devices)

    def at(self, vectors: Any, initial: Any) -> list[Evaluated]:
        """Of each start. vectors: (start, constant); initial: (start, run, node, variable)."""
        num_runs, count = len(self.runs.times), len(vectors)
        padding = len(self.field.vector) - self.count
        members = _Members(
            np.repeat(np.pad(vectors, ((0, 0), (0, padding))), num_runs, axis=0),
            np.reshape(initial, (-1, *np.shape(initial)[2:])),
            np.tile(np.arange(num_runs, dtype=np.int32), count),
        )
        normals, states = self._of(_cast(members, self.dtype))
        return [
            Evaluated(
                _summed(Normal(*(x[part] for x in normals)), self.count, self.free), states[part]
            )
            for part in (slice(s * num_runs, (s + 1) * num_runs) for s in range(count))
        ]

    def _of(self, members: _Members) -> Any:
        """Normal equations of each start and run, and its states, as float64."""
        given, size = (self.field, self.graph, self.runs), len(members.run)
        devices = self.devices[:size]
        if len(devices) > 1 or self.together:
            more = -size % len(devices)
            members = jax.tree.map(lambda x: np.concatenate([x, x[:1].repeat(more, 0)]), members)
            program = _program(self.free, self.dtype.name, self.together, devices)
            found = computed(program, *given, members)
            return jax.tree.map(lambda x: np.asarray(x[:size], dtype=float), found)
        program = _program_of_one(self.free, self.dtype.name)
        each = [
            computed(program, *given, jax.tree.map(lambda x, k=k: x[k], members))
            for k in range(size)
        ]
        return jax.tree.map(lambda *x: np.stack([np.asarray(one, dtype=float) for one in x]), *each)


def _summed(parts: Normal, count: int, free: bool) -> Normal:
    """The normal equations of all runs, of so many constants; without blocks where there are none."""
    blocks, mixed, slopes = (parts.blocks, parts.mixed[..., :count], parts.gradient_initial)
    if not free:
        blocks, mixed, slopes = blocks[:0], mixed[:0], slopes[:0]
    constants, gradient = parts.constants.sum(axis=0), parts.gradient.sum(axis=0)
    merit = float(np.sum(parts.merit))
    return Normal(blocks, mixed, constants[:count, :count], slopes, gradient[:count], merit)


def _cast(tree: Any, dtype: np.dtype) -> Any:
    def one(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    return jax.tree.map(one, tree)


def _of_one(free: bool, precision: str, field: Any, graph: Any, runs: Any, member: Any) -> Any:
    """Normal equations of one start of one run, and its states on the grid."""
    times, samples, weights, grid = (values[member.run] for values in runs)
    shape, count = member.initial.shape, len(member.vector)

    def residual(point):
        initial = point[count:].reshape(shape) if free else member.initial
        law = field.with_vector(point[:count])
        found = followed(law, graph, initial, times, precision, grid)
        rest = ((samples - found.states) * weights).ravel()
        return rest, (rest, found.beside)

    point = member.vector
    if free:
        point = jnp.concatenate([point, member.initial.ravel()])
    slopes, (rest, states) = jax.jacfwd(residual, has_aux=True)(point)
    square, gradient, merit = slopes.T @ slopes, -(slopes.T @ rest), rest @ rest
    own, start = slice(0, count), slice(count, None)
    merit = jnp.where(jnp.isfinite(merit), merit, jnp.inf)
    squares = square[start, start], square[start, own], square[own, own]
    parts: Any = (*squares, gradient[start], gradient[own], merit)
    return Normal(*parts), states


@lru_cache(maxsize=8)
def _program_of_one(free: bool, precision: str) -> Any:
    return jax.jit(partial(_of_one, free, precision))


@lru_cache(maxsize=8)
def _program(free: bool, precision: str, together: bool, devices: tuple[Any, ...]) -> Any:
    """Of all members, which the devices share."""
    of_one = partial(_of_one, free, precision)

    def of_all(field, graph, runs, members):
        if together:
            return jax.vmap(of_one, in_axes=(None, None, None, 0))(field, graph, runs, members)
        return jax.lax.map(partial(of_one, field, graph, runs), members)

    mesh, everywhere = member_mesh(devices), PartitionSpec()
    in_specs = (everywhere, everywhere, everywhere, PartitionSpec(MEMBER))
    # Each device takes steps of its own: nothing is exchanged between them.
    return jax.jit(
        jax.shard_map(
            of_all,
            mesh=mesh,
            in_specs=in_specs,
            out_specs=PartitionSpec(MEMBER),
            check_vma=False,
        )
    )
