"""Nets per second: many pairs of nets in one vmapped program, beside single fits one after the other.

    python benchmarks/net_ensembles.py
    python benchmarks/net_ensembles.py --laws gene --nodes 100 --members 16 --json net_ensembles.json

A row is a law, clean or noisy, and a way to fit its nets: `fit_neural_terms` once for each seed, on samples
that are smoothed once; single fits that share their rows; and the program of `sweeps.net_ensemble`, with so
many members side by side, in float64 and float32. All begin at the same starts. Nets per second are of
wall-clock time without compilation, which stands beside; seconds of the processor tell what a net costs
where other work runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from common import CompileClock, comma_list, environment, integers, kept_rows, print_environment

CLEAN = "clean"


def problem(law: str, db: str, num_nodes: int) -> tuple[Any, Any]:
    """The samples of two runs, smoothed, and their network."""
    from jaxllc import generators, known_laws
    from jaxllc.smoothing.grid_data import grid_data
    from jaxllc.smoothing.smooth import smooth

    network = generators.barabasi_albert(num_nodes, 3, seed=1)
    known = known_laws.get(law)
    times = np.linspace(0, known.horizon / 2, 60)
    runs = [known.simulate(network, times, seed=seed) for seed in range(2)]
    if db != CLEAN:
        runs = [run.with_noise(float(db), seed) for seed, run in enumerate(runs)]
    return grid_data(runs, smooth(runs)), network


def ways(
    data: Any, network: Any, members: int, together: list[int], steps: int
) -> Iterator[tuple[str, int, Callable[[], list[float]]]]:
    """Name, members in a program, and a call that gives the residual of each net."""
    import jax

    from jaxllc.neural.net_ensembles import EnsembleFits, NetPoint, is_clean
    from jaxllc.neural.net_fits import NetFits
    from jaxllc.neural.neural_fit import fit_neural_terms
    from jaxllc.neural.structures import EITHER_END
    from jaxllc.running.member_mesh import member_mesh

    rates, seeds = is_clean(data), range(members)
    with jax.enable_x64(True):
        fits = NetFits(data, network, (), rates=rates)

    def whole() -> list[float]:
        each = [
            fit_neural_terms(
                data, network, hidden_steps=steps, replicate_steps=0, rates=rates, seed=seed
            )
            for seed in seeds
        ]
        return [geometric(list(fit.residual.values())) for fit in each]

    def single() -> list[float]:
        with jax.enable_x64(True):
            return [geometric(fits.fit(EITHER_END, steps, seed=s).residual) for s in seeds]

    yield "fit_neural_terms", 1, whole
    yield "single fits", 1, single
    mesh = member_mesh()
    for dtype in ("float64", "float32"):
        ensemble = EnsembleFits(fits, steps, dtype)
        for count in together:
            size = -(-count // mesh.size) * mesh.size

            def vmapped(ensemble: Any = ensemble, size: int = size) -> list[float]:
                points = [NetPoint(EITHER_END, seed) for seed in seeds]
                found: list[float] = []
                while len(found) < members:
                    left = points[len(found) :][:size]
                    filled = [left[n % len(left)] for n in range(size)]
                    nets = ensemble.fitted(filled, mesh)[: len(left)]
                    found += [geometric(net.residual) for net, *_ in nets]
                return found

            yield f"program {dtype}", size, vmapped


def geometric(residual: Any) -> float:
    """The geometric mean over variables."""
    return float(np.exp(np.mean(np.log(np.maximum(residual, 1e-300)))))


def rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every law, noise and way; one that fails is a row that says so."""
    clock = CompileClock()
    for law in options.laws:
        for db in options.db:
            what = {"law": law, "db": db, "nodes": options.nodes, "members": options.members}
            try:
                data, network = problem(law, db, options.nodes)
                for way, together, run in ways(
                    data, network, options.members, options.together, options.steps
                ):
                    begun = time.perf_counter()
                    run()
                    first, compiling = time.perf_counter() - begun, clock.since(begun)
                    begun, used = time.perf_counter(), time.process_time()
                    left = run()
                    wall, used = time.perf_counter() - begun, time.process_time() - used
                    yield {
                        **what,
                        "way": way,
                        "together": together,
                        "compile_seconds": compiling,
                        "first_seconds": first,
                        "seconds": wall,
                        "processor_seconds": used,
                        "per_second": options.members / wall,
                        "residual": float(np.median(left)),
                        "worst": float(np.max(left)),
                    }
            except Exception as error:
                yield {**what, "failure": f"{type(error).__name__}: {error}"}


def row_text(row: dict[str, Any]) -> str:
    """A row of the table."""
    head = f"{row['law']:12s} {row['db']:>5s}"
    if "failure" in row:
        return f"{head} failed: {row['failure']}"
    return (
        f"{head} {row['way']:17s} {row['together']:8d} {row['compile_seconds']:9.1f} "
        f"{row['per_second']:11.2f} {row['processor_seconds'] / row['members']:13.2f} "
        f"{row['residual']:9.1e} {row['worst']:9.1e}"
    )


def summary(found: list[dict[str, Any]]) -> dict[str, float]:
    """Nets per second of the best program in float64 over those of `fit_neural_terms`, by case."""
    ratios = {}
    for row in found:
        if row.get("way") == "program float64":
            case = [r for r in found if (r["law"], r["db"]) == (row["law"], row["db"])]
            base = next(r["per_second"] for r in case if r.get("way") == "fit_neural_terms")
            name = f"{row['law']} {row['db']}"
            ratios[name] = max(ratios.get(name, 0.0), row["per_second"] / base)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description="Nets per second, vmapped and one by one.")
    parser.add_argument("--laws", type=comma_list, default=["gene", "kuramoto", "lotka_volterra"])
    parser.add_argument("--db", type=comma_list, default=[CLEAN, "30"], help="clean, or decibels")
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--together", type=integers, default=[1, 8], help="members in a program")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--devices", type=int, default=0, help="virtual devices of a CPU")
    parser.add_argument("--quick", action="store_true", help="one law, four nets")
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    if options.quick:
        options.laws, options.db, options.members, options.together = ["gene"], ["30"], 4, [1, 4]
        options.nodes, options.steps = 20, 20
    if options.devices:
        import jax

        jax.config.update("jax_num_cpu_devices", options.devices)
    record = environment()
    print_environment(record)
    print(
        "law             db way               together compile s nets/second processor s/net  residual"
        "     worst"
    )
    found = kept_rows(rows(options), record, options.json, row_text, summary)
    for name, ratio in summary(found).items():
        print(f"{name}: nets per second, program / fit_neural_terms {ratio:.2f}")


if __name__ == "__main__":
    main()
