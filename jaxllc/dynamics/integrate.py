"""Vector field -> trajectories, by diffrax: adaptive Runge-Kutta steps, or implicit ones if stiff.

`solve` is the traceable core, which neural training shares; it holds the only call of
`diffrax.diffeqsolve`. `simulate` is for people: float64, one compilation for laws of one structure,
and a result that says when and why a run stopped. It neither raises nor hangs on divergence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.drivers.held_states import held_states
from jaxllc.data.drivers.input_sources import Span, courses
from jaxllc.data.message_passing import Graph, graph_of
from jaxllc.data.network import Network
from jaxllc.dynamics.driven_field import breaks_of, driven, holding
from jaxllc.dynamics.interpreted_field import interpreted
from jaxllc.dynamics.padded_graphs import PaddedField, padded
from jaxllc.dynamics.paths.map_steps import iterate
from jaxllc.dynamics.paths.outcome import (
    DIVERGED,
    OTHER_FAILURE,
    STEP_TOO_SMALL,
    SUCCESS,
    TOO_MANY_STEPS,
    Simulation,
    Solution,
    outcome_sentence,
    simulations,
)
from jaxllc.dynamics.paths.stochastic import (
    LOOSE,
    Drive,
    fine_steps,
    keys_of_runs,
    noisy_terms,
    process_values,
)
from jaxllc.dynamics.simulation_input import (
    check_solver,
    checked_features,
    checked_initial_state,
    checked_network,
    checked_times,
    field_of,
    float_dtype,
)
from jaxllc.dynamics.vector_field import SymbolicVectorField
from jaxllc.errors import InputError
from jaxllc.running.waiting import computed

if TYPE_CHECKING:
    from jaxllc.dynamics.vector_field import VectorField

__all__ = ["MAX_STEPS", "SOLVERS", "Simulation", "iterate", "simulate", "solve"]

SOLVERS = {"tsit5": "Tsit5", "dopri8": "Dopri8", "kvaerno5": "Kvaerno5"}
STIFF_SOLVERS = {"kvaerno5"}
DIVERGED_BEYOND = 1e10  # times (1 + the largest initial state)
GROWN_BEYOND = 1e3
MAX_STEPS = 20_000
# Edges in all runs from which on a law has a program of its own: it runs four times as fast, and is compiled
# in the time that a few runs save.
SPECIALISED_FROM = 20_000


def solve(
    field: VectorField,
    graph: Graph,
    state0: jax.Array,
    times: jax.Array,
    *,
    solver: str = "tsit5",
    rtol: Any = 1e-8,
    atol: Any = 1e-10,
    max_steps: int = MAX_STEPS,
    adjoint: Any = None,
    beside: jax.Array | None = None,
    drive: Drive | None = None,
) -> Solution:
    """Integrate state0 (N, d) from times[0] over times (T,), T >= 2; traceable and differentiable.

    beside: (B,) times between the first and the last, increasing, at which states alone are wanted.
    drive: process noise, in place of which no `solver` is read.
    adjoint: a diffrax adjoint; by default reverse mode through checkpoints (`diffrax.ForwardMode()` for jvp).
    All arrays share one floating dtype.
    """
    import diffrax

    size0 = 1.0 + jnp.max(jnp.abs(jax.lax.stop_gradient(state0)))
    limit = DIVERGED_BEYOND * size0

    def diverged(t: Any, state: jax.Array, args: Any, **_: Any) -> jax.Array:
        return ~(jnp.max(jnp.abs(jax.lax.stop_gradient(state))) < limit)

    # A few units in the last place: below that, time no longer advances.
    smallest_step = 4 * jnp.finfo(times.dtype).eps * jnp.maximum(abs(times[0]), abs(times[-1]))
    norm = {"norm": field.norm} if isinstance(field, PaddedField) else {}
    controller: Any = diffrax.PIDController(
        rtol=rtol, atol=atol, dtmin=smallest_step, force_dtmin=False, **norm
    )
    # Between its steps an implicit solver interpolates by slopes, which are rough when stiff.
    ends = [times] if solver in STIFF_SOLVERS else []
    bends, jumps = breaks_of(field)
    if ends or bends or jumps:
        step_ts, jump_ts = (
            jnp.sort(jnp.concatenate(times_)) if times_ else None
            for times_ in ([*ends, *bends], jumps)
        )
        controller = diffrax.ClipStepSizeController(controller, step_ts=step_ts, jump_ts=jump_ts)
    terms, method = diffrax.ODETerm(_drift), getattr(diffrax, SOLVERS[solver])()
    if drive is not None:
        terms, method = noisy_terms(_drift, drive, state0)
        controller, adjoint = diffrax.StepTo(drive.steps), diffrax.ForwardMode()
    saved = [diffrax.SubSaveAt(ts=times), diffrax.SubSaveAt(t1=True)]
    if beside is not None:
        saved.append(diffrax.SubSaveAt(ts=beside, fn=_without_derivatives))
    result = diffrax.diffeqsolve(
        terms,
        method,
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=state0,
        args=(field, graph),
        saveat=diffrax.SaveAt(subs=saved),
        stepsize_controller=controller,
        adjoint=diffrax.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        event=diffrax.Event(diverged),
        max_steps=max_steps,
        throw=False,
    )
    named = diffrax.RESULTS
    code = jnp.where(result.result == named.successful, SUCCESS, OTHER_FAILURE)
    code = jnp.where(result.result == named.dt_min_reached, STEP_TOO_SMALL, code)
    code = jnp.where(result.result == named.max_steps_reached, TOO_MANY_STEPS, code)
    code = jnp.where(result.result == named.event_occurred, DIVERGED, code)
    states, last, *others = result.ys
    # A state that grew this much while steps vanished blows up, though it is still below the limit.
    grown = jnp.max(jnp.abs(last)) > GROWN_BEYOND * size0
    code = jnp.where((code == STEP_TOO_SMALL) & grown, DIVERGED, code)
    code = jnp.where((code == SUCCESS) & ~jnp.isfinite(last).all(), DIVERGED, code)
    return Solution(states, result.ts[1][0], code, result.stats["num_steps"], *others)


def _drift(t: Any, state: jax.Array, args: Any) -> jax.Array:
    field, graph = args
    return field.derivative_at(t, state, graph)


def _without_derivatives(t: Any, state: jax.Array, args: Any) -> jax.Array:
    return jax.lax.stop_gradient(state)


def simulate(
    field: VectorField,
    network: Network,
    times: Sequence[float] | np.ndarray,
    initial_state: np.ndarray,
    node_features: Mapping[str, np.ndarray] | None = None,
    inputs: Mapping[str, Any] | None = None,
    held: Mapping[str, Any] | None = None,
    *,
    solver: str = "tsit5",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    max_steps: int = MAX_STEPS,
    dtype: Any = np.float64,
    process_noise: Any = None,
    seed: int = 0,
) -> Simulation | list[Simulation]:
    """Simulate `field` on `network` from initial_state at times[0].

    times: (T,), strictly increasing. initial_state: (N, d), or (N,) for one variable; (R, N, d) is
    a batch of R runs, and gives a list with a Simulation for each. node_features: {name: (N,)}. inputs:
    {name: source} of what drives the nodes over these times, as `jaxllc.discover` takes them. held: {node:
    (times, states)} of nodes whose states are given and act on the others, straight lines between the times.
    solver: "tsit5", "dopri8" (small tolerances) or "kvaerno5" (implicit, for stiff laws; its
    Jacobian is dense, N d x N d). Raises InputError for input that does not fit; a run that
    diverges or stalls is not an error but a Simulation that says so.
    process_noise: q of dx_i = (law) dt + q dW_i, one number or {variable: number}, in units of the states
    per root of time; each run of a batch then is a path of its own. seed: of these paths: the same one gives
    the same path on the same machine. Such a law is simulated by a solver for additive noise of strong order
    1.5, in steps of a sixteenth of those that the law without noise takes at a tolerance of 1e-3; solver,
    rtol and atol are not read then.
    """
    checked_network(network)
    field = field_of(field)
    check_solver(solver, SOLVERS, rtol, atol, max_steps)
    dtype = float_dtype(dtype)
    process = process_values(process_noise, field.variables)
    if process is not None and solver != "tsit5":
        raise InputError(
            f"process noise is simulated by a solver of its own, not by {solver!r}: leave out solver"
        )
    time_points = checked_times(times)
    (driving,), _ = courses(inputs, [Span(network.names, time_points)])
    features = checked_features(field, network, node_features, driving)
    states0, is_batch = checked_initial_state(field, network, initial_state)
    origin = np.zeros(len(field.variables))
    moved = getattr(field, "moved", None)
    if moved is not None:
        origin = np.array(field.origin)  # type: ignore[attr-defined]
        field, states0 = moved, states0 - origin
    known = held_states(held, network.names, field.variables, time_points)
    nothing = np.zeros(network.num_nodes)
    graph = graph_of(
        network,
        {n: nothing if n in driving else features[n] for n in field.feature_names},
    )
    variables, symbolic = field.variables, field
    small = len(states0) * len(network.weights) < SPECIALISED_FROM
    if small and isinstance(symbolic, SymbolicVectorField):
        field, graph = interpreted(symbolic, graph)
    window = float(time_points[0]), float(time_points[-1])
    if driving and isinstance(symbolic, SymbolicVectorField):
        field, graph = driven(symbolic, field, graph, driving, *window)
    if known:
        field = holding(field, known, origin, *window)
    # Matrices of stiff solvers are dense.
    if small and isinstance(symbolic, SymbolicVectorField) and solver not in STIFF_SOLVERS:
        field, graph, states0 = padded(field, graph, states0)

    def typed(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    arguments = jax.tree.map(typed, (field, graph, states0, time_points))
    tolerances = dtype.type(rtol), dtype.type(atol)
    with jax.enable_x64(dtype == np.float64):
        run = _compiled(solver, int(max_steps))
        if process is not None:
            tolerances = dtype.type(LOOSE), dtype.type(LOOSE)
        solution = jax.tree.map(np.asarray, computed(run, *arguments, *tolerances))
        if process is not None:
            steps = fine_steps(time_points, int(solution.num_steps.max())).astype(dtype)
            drive = process.astype(dtype), keys_of_runs(seed, len(states0)), steps
            noisy = computed(_compiled_noisy(), *arguments, *drive)
            solution = jax.tree.map(np.asarray, noisy)

    end = float(time_points[-1])
    messages = [
        outcome_sentence(int(code), float(stop), end, solver, max_steps)
        for stop, code in zip(solution.stop_time, solution.code, strict=True)
    ]
    states = solution.states[:, :, : network.num_nodes] + origin
    for node, course in known.items():
        states[:, :, node] = course.at(time_points).T
    given = {"variables": variables, "node_features": features or None, "inputs": driving}
    runs = simulations(time_points, states, solution.code == SUCCESS, messages, network, given)
    return runs if is_batch else runs[0]


@lru_cache(maxsize=32)
def _compiled_noisy() -> Any:
    def one(field, graph, state0, times, process, key, steps):
        drive = Drive(process, key, steps)
        return solve(field, graph, state0, times, max_steps=len(steps), drive=drive)

    return jax.jit(jax.vmap(one, in_axes=(None, None, 0, None, None, 0, None)))


@lru_cache(maxsize=32)
def _compiled(solver: str, max_steps: int) -> Any:
    def one(field, graph, state0, times, rtol, atol):
        return solve(
            field, graph, state0, times, solver=solver, rtol=rtol, atol=atol, max_steps=max_steps
        )

    def one_by_one(field, graph, states0, *rest):
        return jax.lax.map(lambda state0: one(field, graph, state0, *rest), states0)

    # LAPACK splits a batch of systems over the threads that run programs, where each may wait for the others
    # for ever; one system alone it solves at once.
    if solver in STIFF_SOLVERS and jax.default_backend() == "cpu":
        return jax.jit(one_by_one)
    return jax.jit(jax.vmap(one, in_axes=(None, None, 0, None, None, None)))
