"""Derivatives through the differentiable solver: which adjoint is right, and what each costs.

    python benchmarks/adjoints.py --json benchmarks/results/adjoints.json
    python benchmarks/adjoints.py --quick

The gradient of chi-squared by all parameters and initial states of laws and of two nets: forward, in one
batch of tangents (a Jacobian), backwards through checkpoints, through all steps, and by integrating back in
time. Errors are against central differences in float64. Then the finish of laws: by programs of their own
and by that of all laws, runs one after the other, side by side and as one graph, float32, and the fit on the
grid.
Seconds are of the processor; those of compilation are apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import sympy
from common import environment, kept_rows, print_environment
from flax import nnx
from jax.flatten_util import ravel_pytree

import jaxllc
from jaxllc.data.message_passing import graph_of
from jaxllc.dynamics.candidate_field import candidate_field
from jaxllc.dynamics.integrate import solve
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.solver.solver_finish import finish_through_solver
from jaxllc.fit.solver.solver_program import TOLERANCES, runs_of
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.neural.net_fits import NetFits, write_net
from jaxllc.neural.structures import EITHER_END
from jaxllc.smoothing.grid_data import GridData, grid_data
from jaxllc.smoothing.smooth import smooth

# Steps that the solver may take; the adjoint through all of them keeps room for each.
MAX_STEPS = 512
DIRECTIONS, STEP = 4, 1e-6
USED = {
    "law": "forward: LM of the finish",
    "nets": "checkpoints: L-BFGS of neural='solver'",
}


def term(side: str, expression: Any, *inner: float) -> Term:
    """A term whose inner constants are positive."""
    count = len(inner)
    return Term(TermFamily(side, expression, (True,) * count, ((1e-6, 1e6),) * count), inner)


x_i, x_j, w0 = sympy.symbols("x_i x_j w0")
LAWS = {
    "epidemic": CandidateLaw(
        ((term(SELF, x_i), term(INTERACTION, x_j), term(INTERACTION, x_i * x_j)),),
        ((-0.5, 0.5, -0.5),),
    ),
    "gene": CandidateLaw(
        ((term(SELF, x_i), term(INTERACTION, x_j**2 / (x_j**2 + w0), 1.0)),), ((-1.0, 1.0),)
    ),
    "kuramoto": CandidateLaw(
        ((term(SELF, sympy.Integer(1)), term(INTERACTION, sympy.sin(x_j - x_i))),), ((2.0, 0.5),)
    ),
}


class Case(NamedTuple):
    """A network, samples on it, and their problem."""

    name: str
    network: Any
    data: GridData
    problem: TrajectoryProblem


class Model(NamedTuple):
    """A field of parameters (P,), and what its trajectories are compared with."""

    field_of: Callable[[Any], Any]
    parameters: np.ndarray
    initial: np.ndarray
    graph: Any
    times: np.ndarray
    samples: np.ndarray
    weights: np.ndarray

    def residual(self, point: Any, adjoint: Any) -> Any:
        """At parameters and initial states in one vector."""
        count = len(self.parameters)
        field, start = self.field_of(point[:count]), point[count:].reshape(self.initial.shape)
        rtol, atol = TOLERANCES["float64"]
        if isinstance(adjoint, diffrax.BacksolveAdjoint):
            # Which ends at no event, and wants the states at the times alone.
            states = diffrax.diffeqsolve(
                diffrax.ODETerm(
                    lambda t, state, given: self.field_of(given).derivative(state, self.graph)
                ),
                diffrax.Tsit5(), self.times[0], self.times[-1], None, start, args=point[:count],
                saveat=diffrax.SaveAt(ts=self.times), adjoint=adjoint, max_steps=MAX_STEPS,
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            ).ys  # fmt: skip
        else:
            states = solve(
                field, self.graph, start, self.times, rtol=rtol, atol=atol, max_steps=MAX_STEPS,
                adjoint=adjoint,
            ).states  # fmt: skip
        return ((self.samples - states) * self.weights).ravel()


def case(name: str, nodes: int, samples: int, runs: int, db: float | None) -> Case:
    """Trajectories of a known law on a scale-free network."""
    known = jaxllc.known_laws.get(name)
    network = jaxllc.generators.barabasi_albert(nodes, 3, seed=0)
    part = np.linspace(0.0, 1.0, samples)
    times = known.horizon * 0.1 * np.expm1(part * np.log1p(10.0))
    made = [known.simulate(network, times, seed=r) for r in range(runs)]
    if db is not None:
        made = [run.with_noise(db, seed=r) for r, run in enumerate(made)]
    smoothed = smooth(made, refine=2)
    data = grid_data(made, smoothed)
    noise = np.maximum(smoothed.noise, 1e-5 * data.all_states().std(axis=(1, 2)))
    problem = TrajectoryProblem.of(data, network, noise)
    return Case(name, network, data, problem.with_substeps_for(LAWS[name]))


def grid_fit(one: Case) -> TrajectoryFit:
    """The constants of the law by the fit on the grid."""
    return fit_trajectories(one.problem, LAWS[one.name], iterations=20, tolerance=1e-6, exact=True)


def law_model(one: Case) -> Model:
    """A law, a little off its constants, so that its residuals are more than noise."""
    law, runs = LAWS[one.name], runs_of(one.problem)
    vector = law.vector() * 1.03
    field = candidate_field(one.problem.variables, (), law.terms, vector)
    initial = one.problem.smoothed.reshape(one.problem.samples.shape)[:, :, 0, 0].T
    graph = graph_of(one.network)
    given = (runs.times[0], runs.samples[0], runs.weights[0])
    return Model(field.with_vector, vector, initial, graph, *given)


def net_model(one: Case) -> Model:
    """The two nets, after a few steps."""
    fits = NetFits(one.data, one.network, (), width=24)
    net, runs = fits.fit(EITHER_END, steps=8), runs_of(one.problem)
    vector, unravel = ravel_pytree((net.hidden, net.readout))
    structure, state = nnx.split(fits.empty_field(0, EITHER_END))

    def field_of(point: Any) -> Any:
        field = nnx.merge(structure, jax.tree.map(lambda leaf: leaf, state))
        write_net(field, net.mixings, *unravel(point))
        return field

    initial = one.data.states[0][..., 0].T
    given = (runs.times[0], runs.samples[0], runs.weights[0])
    return Model(field_of, np.asarray(vector), initial, graph_of(one.network), *given)


# --- adjoints -----------------------------------------------------------------------------------


def forward(model: Model) -> Callable[[Any], Any]:
    """Gradient out of the Jacobian, all tangents in one batch."""

    def gradient(point):
        def residual(at):
            rest = model.residual(at, diffrax.ForwardMode())
            return rest, rest

        slopes, rest = jax.jacfwd(residual, has_aux=True)(point)
        return rest @ rest, 2 * slopes.T @ rest

    return gradient


def backwards(model: Model, adjoint: Any) -> Callable[[Any], Any]:
    """Gradient of chi-squared by reverse mode."""
    return jax.value_and_grad(lambda point: jnp.sum(model.residual(point, adjoint) ** 2))


ADJOINTS: dict[str, Callable[[Model], Any]] = {
    "forward (Jacobian)": forward,
    "checkpoints": lambda m: backwards(m, diffrax.RecursiveCheckpointAdjoint()),
    "all steps": lambda m: backwards(m, diffrax.DirectAdjoint()),
    "back in time": lambda m: backwards(m, diffrax.BacksolveAdjoint()),
}


class Timed(NamedTuple):
    """What a program gives, processor seconds to compile and to run it, and megabytes between."""

    result: Any
    compiling: float
    running: float
    megabytes: float


def timed(program: Any, *given: Any, repeats: int = 2) -> Timed:
    """Compile and run a function, the first run apart."""
    begun = time.process_time()
    compiled = jax.jit(program).lower(*given).compile()
    compiling = time.process_time() - begun
    result = jax.block_until_ready(compiled(*given))
    begun = time.process_time()
    for _ in range(repeats):
        result = jax.block_until_ready(compiled(*given))
    running = (time.process_time() - begun) / repeats
    analysis = compiled.memory_analysis()
    size = np.nan if analysis is None else analysis.temp_size_in_bytes / 1e6
    return Timed(result, compiling, running, size)


def differences(model: Model, point: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Slopes of chi-squared along some directions, by central differences of fourth order."""

    @jax.jit
    def loss(at):
        return jnp.sum(model.residual(at, diffrax.ForwardMode()) ** 2)

    slopes = []
    for way in ways:
        near, far = (
            float(loss(point + step * way)) - float(loss(point - step * way))
            for step in (STEP, 2 * STEP)
        )
        slopes.append((8 * near - far) / (12 * STEP))
    return np.array(slopes)


def adjoint_rows(label: str, kind: str, model: Model) -> Iterator[dict[str, Any]]:
    """A row for each adjoint: its error against differences, and its seconds."""
    point = np.concatenate([model.parameters, model.initial.ravel()])
    scale = np.maximum(np.abs(point), 1e-2)
    ways = scale * np.random.default_rng(0).standard_normal((DIRECTIONS, len(point)))
    truth = differences(model, point, ways)
    for name, made in ADJOINTS.items():
        row = {"part": "adjoint", "case": label, "way": name, "parameters": len(point)}
        try:
            found = timed(made(model), point)
            along = ways @ np.asarray(found.result[1])
            error = np.abs(along - truth).max() / np.abs(truth).max()
            row.update(
                error=float(error), compiling=found.compiling, running=found.running,
                megabytes=found.megabytes,
            )  # fmt: skip
        except Exception as failure:
            row["failure"] = f"{type(failure).__name__}: {failure}".splitlines()[0][:120]
        row["used"] = USED[kind] if USED[kind].split(":")[0] in name else ""
        yield row


# --- the finish ---------------------------------------------------------------------------------


def finish_rows(cases: list[Case], clean: list[Case]) -> Iterator[dict[str, Any]]:
    """The finish by programs of their own and by that of all laws, float32, and clean constants."""
    for one in cases:
        fit = grid_fit(one)
        errors = np.sqrt(np.diag(fit.covariance))
        for label, choices in (
            ("own program", {}),
            ("program of all laws", {"shared": True}),
            ("float32", {"dtype": np.float32}),
        ):
            seconds, found = [], fit
            for _ in range(2):
                begun = time.process_time()
                found = finish_through_solver(one.problem, fit, **choices)
                seconds.append(time.process_time() - begun)
            apart = np.abs(found.law.vector() - fit.law.vector()) / errors
            ratio = np.sqrt(np.diag(found.covariance)) / errors - 1
            yield {
                "part": "finish", "case": one.name, "way": label, "first": seconds[0],
                "again": seconds[1], "constants apart, standard errors": float(apart.max()),
                "standard errors apart": float(np.abs(ratio).max()),
            }  # fmt: skip
    for one in clean:
        fit = grid_fit(one)
        found = finish_through_solver(one.problem, fit)
        apart = np.abs(found.law.values() / fit.law.values() - 1)
        truth = np.abs(found.law.values() / LAWS[one.name].values() - 1)
        yield {
            "part": "clean", "case": one.name, "way": "finish against grid",
            "constants apart, relative": float(apart.max()),
            "from the truth, relative": float(truth.max()),
        }  # fmt: skip


def runs_rows(one: Case) -> Iterator[dict[str, Any]]:
    """All runs of a problem: one after the other, side by side, and as one graph."""
    import jraph

    law, runs = LAWS[one.name], runs_of(one.problem)
    field = candidate_field(one.problem.variables, (), law.terms, law.vector())
    graph, count = graph_of(one.network), law.num_constants
    grid = one.problem.smoothed.reshape(one.problem.samples.shape)
    initial = grid[..., 0].transpose(2, 1, 0)
    shape, num_runs = initial.shape[1:], len(initial)

    def residual(point, start, times, samples, weights, graph):
        rtol, atol = TOLERANCES["float64"]
        moved = start + point[count:].reshape(shape)
        states = solve(
            field.with_vector(point[:count]), graph, moved.reshape(-1, shape[1]), times, rtol=rtol,
            atol=atol, max_steps=MAX_STEPS, adjoint=diffrax.ForwardMode(),
        ).states  # fmt: skip
        return (samples - states) * weights

    point = np.concatenate([law.vector(), np.zeros(shape).ravel()])

    def of_run(start, times, samples, weights):
        slopes = jax.jacfwd(residual)(point, start, times, samples, weights, graph)
        flat = slopes.reshape(-1, len(point))
        return flat.T @ flat

    def as_one_graph(start, times, samples, weights):
        # The states of all runs are moved at once: none acts on another.
        joined = jraph.batch([graph] * num_runs)
        turned = [
            values.swapaxes(0, 1).reshape(len(times[0]), -1, shape[1])
            for values in (samples, weights)
        ]
        slopes = jax.jacfwd(residual)(point, start, times[0], *turned, joined)
        flat = slopes.reshape(len(times[0]), num_runs, -1, len(point))
        return jnp.einsum("trxp,trxq->rpq", flat, flat)

    given = (initial, *runs[:3])
    ways = {
        "one after the other": lambda *x: jax.lax.map(lambda run: of_run(*run), x),
        "side by side (vmap)": jax.vmap(of_run),
        "one graph (jraph.batch)": as_one_graph,
    }
    first = None
    for name, program in ways.items():
        found = timed(program, *given)
        first = found.result if first is None else first
        yield {
            "part": "runs", "case": f"{one.name}, {num_runs} runs", "way": name,
            "compiling": found.compiling, "running": found.running, "megabytes": found.megabytes,
            "apart": float(np.abs(found.result - first).max() / np.abs(first).max()),
        }  # fmt: skip


# --- the program --------------------------------------------------------------------------------


def rows_of(quick: bool) -> Iterator[dict[str, Any]]:
    """All rows, in float64 but where they say so."""
    nodes, samples, names = (20, 30, ("epidemic", "gene")) if quick else (100, 200, tuple(LAWS))
    with jax.enable_x64(True):
        noisy = [case(name, nodes, samples, 1, 30.0) for name in names]
        for one in noisy[:2]:
            yield from adjoint_rows(f"law {one.name}", "law", law_model(one))
        yield from adjoint_rows(f"nets of {noisy[0].name}", "nets", net_model(noisy[0]))
        yield from runs_rows(case(names[1], nodes, samples // 2, 5, 30.0))
    yield from finish_rows(noisy, [case(name, nodes, samples, 1, None) for name in names])


def row_text(row: dict[str, Any]) -> str:
    """A row as a line."""
    said = f"{row['part']:8} {row['case']:18} {row['way']:24}"
    for name, value in row.items():
        if isinstance(value, float):
            said += f" {name} {value:.3g}{',' if name != list(row)[-1] else ''}"
    said += f" parameters {row['parameters']}" if "parameters" in row else ""
    return said + "".join(f"  {row[n]}" for n in ("used", "failure") if row.get(n))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest error of an adjoint that is used."""
    errors = [row["error"] for row in rows if row.get("used") and "error" in row]
    return {"largest error of an adjoint in use": max(errors, default=np.nan)}


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description="Derivatives through the solver.")
    parser.add_argument("--quick", action="store_true", help="20 nodes, 30 samples, two laws")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    record = {
        "benchmark": "adjoints",
        "settings": {"quick": options.quick},
        "environment": environment(),
    }
    print_environment(record["environment"])
    rows = kept_rows(rows_of(options.quick), record, options.json, row_text, summary)
    print(f"adjoints in use: error {summary(rows)['largest error of an adjoint in use']:.1e}")


if __name__ == "__main__":
    main()
