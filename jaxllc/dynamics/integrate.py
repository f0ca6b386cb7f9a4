"""Vector field -> trajectories, by diffrax: adaptive Runge-Kutta steps, or implicit ones if stiff.

`solve` is the traceable core, which neural training shares; it holds the only call of
`diffrax.diffeqsolve`. `simulate` is for people: float64, one compilation for laws of one structure,
and a result that says when and why a run stopped. It neither raises nor hangs on divergence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.drivers.held_states import held_states
from jaxllc.data.drivers.input_sources import Span, courses
from jaxllc.data.message_passing import Graph, graph_of
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.data.trajectory_input import feature_arrays
from jaxllc.dynamics.driven_field import breaks_of, driven, holding
from jaxllc.dynamics.interpreted_field import interpreted
from jaxllc.dynamics.padded_graphs import PaddedField, padded
from jaxllc.dynamics.simulation_input import check_solver, field_of, float_dtype, state_values
from jaxllc.dynamics.vector_field import SymbolicVectorField
from jaxllc.errors import InputError, nearest_match
from jaxllc.running.waiting import computed
from jaxllc.tables.real_numbers import real_numbers

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.dynamics.vector_field import VectorField

SOLVERS = {"tsit5": "Tsit5", "dopri8": "Dopri8", "kvaerno5": "Kvaerno5"}
STIFF_SOLVERS = {"kvaerno5"}
DIVERGED_BEYOND = 1e10  # times (1 + the largest initial state)
GROWN_BEYOND = 1e3
MAX_STEPS = 20_000
# Edges in all runs from which on a law has a program of its own: it runs four times as fast, and is compiled
# in the time that a few runs save.
SPECIALISED_FROM = 20_000

SUCCESS, DIVERGED, TOO_MANY_STEPS, STEP_TOO_SMALL, OTHER_FAILURE = range(5)


class Solution(NamedTuple):
    """states (T, N, d), not finite after the stop; stop_time and code (see SUCCESS...), scalars.

    beside (B, N, d): states at the times `beside`, of which no derivatives are carried along.
    """

    states: jax.Array
    stop_time: jax.Array
    code: jax.Array
    num_steps: jax.Array
    beside: jax.Array | None = None


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
) -> Solution:
    """Integrate state0 (N, d) from times[0] over times (T,), T >= 2; traceable and differentiable.

    beside: (B,) times between the first and the last, increasing, at which states alone are wanted.
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
    saved = [diffrax.SubSaveAt(ts=times), diffrax.SubSaveAt(t1=True)]
    if beside is not None:
        saved.append(diffrax.SubSaveAt(ts=beside, fn=_without_derivatives))
    result = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, state, args: args[0].derivative_at(t, state, args[1])),
        getattr(diffrax, SOLVERS[solver])(),
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


def _without_derivatives(t: Any, state: jax.Array, args: Any) -> jax.Array:
    return jax.lax.stop_gradient(state)


@dataclass(frozen=True)
class Simulation:
    """One run, as `simulate` found it.

    trajectories: nan after a failure. message: a sentence that says when and why the run stopped.
    """

    trajectories: Trajectories
    success: bool
    message: str


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
) -> Simulation | list[Simulation]:
    """Simulate `field` on `network` from initial_state at times[0].

    times: (T,), strictly increasing. initial_state: (N, d), or (N,) for one variable; (R, N, d) is
    a batch of R runs, and gives a list with a Simulation for each. node_features: {name: (N,)}. inputs:
    {name: source} of what drives the nodes over these times, as `jaxllc.discover` takes them. held: {node:
    (times, states)} of nodes whose states are given and act on the others, straight lines between the times.
    solver: "tsit5", "dopri8" (small tolerances) or "kvaerno5" (implicit, for stiff laws; its
    Jacobian is dense, N d x N d). Raises InputError for input that does not fit; a run that
    diverges or stalls is not an error but a Simulation that says so.
    """
    if not isinstance(network, Network):
        raise InputError(
            f"network must be a Network, not a {type(network).__name__}; check the order of the "
            "arguments, and see Network.from_adjacency for a matrix."
        )
    field = field_of(field)
    check_solver(solver, SOLVERS, rtol, atol, max_steps)
    dtype = float_dtype(dtype)
    time_points = checked_times(times)
    (driving,), _ = courses(inputs, [Span(network.names, time_points)])
    features = _checked_features(field, network, node_features, driving)
    states0, is_batch = _checked_initial_state(field, network, initial_state)
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
        solution = jax.tree.map(np.asarray, computed(run, *arguments, *tolerances))

    runs: list[Simulation] = []
    for run_states, stop, code in zip(
        solution.states, solution.stop_time, solution.code, strict=True
    ):
        run_states = run_states[:, : network.num_nodes]
        run_states = np.where(np.isfinite(run_states), run_states, np.nan).astype(float) + origin
        for node, course in known.items():
            run_states[:, node] = course.at(time_points).T
        run = Trajectories(
            time_points,
            run_states,
            variables=variables,
            node_features=features or None,
            names=network.names,
            inputs=driving,
        )
        end = float(time_points[-1])
        said = outcome_sentence(int(code), float(stop), end, solver, max_steps)
        runs.append(Simulation(run, int(code) == SUCCESS, said))
    return runs if is_batch else runs[0]


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


def outcome_sentence(code: int, stop: float, end: float, solver: str, max_steps: int) -> str:
    """What the code of a solution says, as a sentence with the time it stopped at and the mend."""
    if code == SUCCESS:
        return f"Reached t = {end:g}."
    advice = (
        'try solver="kvaerno5", a larger rtol or a larger max_steps'
        if solver != "kvaerno5"
        else "try a larger rtol, a larger max_steps or earlier times"
    )
    return {
        DIVERGED: f"Diverged at t = {stop:.6g} of {end:g}: a state grew without bound or is not a "
        "number; check the constants, or stop earlier.",
        TOO_MANY_STEPS: f"Stalled at t = {stop:.6g} of {end:g}: {max_steps} steps were not enough "
        f"(a stiff law, or a very long time); {advice}.",
        STEP_TOO_SMALL: f"Stalled at t = {stop:.6g} of {end:g}: the step became too small, as "
        f"where a state grows without bound or jumps; stop earlier, or {advice}.",
    }.get(code, f"Stopped at t = {stop:.6g} of {end:g}: the solver {solver!r} failed; {advice}.")


def checked_times(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """The times as float64 (T,); InputError unless they are two or more, finite and increasing."""
    points = real_numbers(times, "times")
    if points.ndim != 1 or len(points) < 2:
        raise InputError(f"times must have shape (T,) with T >= 2, not {points.shape}.")
    if not np.isfinite(points).all():
        raise InputError("times holds a value that is not finite.")
    bad = np.flatnonzero(np.diff(points) <= 0)
    if len(bad):
        at = int(bad[0])
        raise InputError(
            f"times must increase, but times[{at + 1}] = {points[at + 1]:g} follows "
            f"{points[at]:g}; sort them and drop repeats."
        )
    return points


def _checked_features(
    field: VectorField,
    network: Network,
    given: Mapping[str, np.ndarray] | None,
    driving: Iterable[str],
) -> dict[str, np.ndarray]:
    features = feature_arrays(given, network.names, network.num_nodes)
    for name, values in features.items():
        if values.shape != (network.num_nodes,) or not np.isfinite(values).all():
            raise InputError(
                f"The node feature {name!r} must hold one finite number for each of the "
                f"{network.num_nodes} nodes; it has shape {values.shape}."
            )
    for name in field.feature_names:
        if name not in features and name not in driving:
            raise InputError(
                f"The law needs the node feature {name!r}{nearest_match(name, features)}; give it in "
                f"node_features as an array of {network.num_nodes} numbers, or in inputs if it changes with "
                "time."
            )
    return features


def _checked_initial_state(
    field: VectorField, network: Network, initial_state: np.ndarray
) -> tuple[np.ndarray, bool]:
    state = state_values(initial_state, network.names, field.variables)
    shape = (network.num_nodes, len(field.variables))
    if state.ndim == 1 and shape[1] == 1:
        state = state[:, None]
    if state.ndim not in (2, 3) or state.shape[-2:] != shape or 0 in state.shape:
        raise InputError(
            f"initial_state must have shape {shape} (node, variable), or for R runs "
            f"(R, {shape[0]}, {shape[1]}), not {state.shape}."
        )
    if not np.isfinite(state).all():
        raise InputError("initial_state holds a value that is not finite.")
    return (state, True) if state.ndim == 3 else (state[None], False)
