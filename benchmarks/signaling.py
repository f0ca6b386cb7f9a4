"""Time of a training step of signaling models, beside the published algorithm in SciPy, and what size costs.

    python benchmarks/signaling.py --json benchmarks/results/signaling.json
    python benchmarks/signaling.py --quick --parts steps

steps: whole-batch steps with the default settings on the published tables (macrophage without its first
condition, ligand screen without its first 5), at the start and late in a training, in the compiled loop
of `train`. Beside each stands the published algorithm (published_training.py, float64) at the same
parameters, with the same penalties and noise. complete: whole trainings on all 23 macrophage conditions,
with the default settings and with those that fit closely.
scaling: steps on random networks of 10^3 to 10^6 edges, with 10 to 640 conditions.

Every measurement has a process of its own, on one thread and one core, so that its peak memory is its own.
Time is the median of repeats from the same state; compilation is apart. Where JAX has a GPU, the same
steps there, and 50 seeds in one vmapped program, are rows of the same table. Last line:
`step ms: macrophage A ligand B`, late in a training on the CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import CompileClock, comma_list, environment, print_environment, write_json
from own_process import in_own_process, one_thread, peak_megabytes, use
from training_loops import LAST, STEPS_PER_CALL, Loop, Published

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "lembas"
# Set: files, conditions left out as the published models do.
SETS = {"macrophage": ("macrophage", 1), "ligand": ("ligandScreen", 5)}
PARTS = ("steps", "complete", "scaling")
COMPLETE = ("default", "close_fit")
GPU_SEEDS = 50
CONDITIONS, EDGES = 20, 10_000  # where the other one varies
OWN_DATA_PROCESS = 100_000  # edges from which on making the data takes more memory than compilation


@dataclass(frozen=True)
class Extent:
    """How much is measured: repeats of steps, steps until late, those of SciPy, epochs of a training
    (None: the default), numbers of edges and of conditions."""

    repeats: int = 7
    steps: int = 100
    late: int = 1000
    published_repeats: int = 7
    published_late: int = 1000
    epochs: int | None = None
    edges: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    conditions: tuple[int, ...] = (10, 40, 160, 640)

    def for_size(self, edges: int) -> Extent:
        """Fewer repeats and steps where a step takes long."""
        return self if edges < 100_000 else replace(self, repeats=3, steps=50)


QUICK = Extent(
    repeats=3,
    steps=50,
    late=500,
    published_repeats=3,
    published_late=0,
    epochs=500,
    edges=(1_000, 10_000),
    conditions=(),
)


def main() -> None:
    options = _options()
    one_thread()
    extent = QUICK if options.quick else Extent()
    record: dict[str, Any] = {"benchmark": "signaling", "quick": options.quick}
    record["environment"] = in_own_process(machine)
    if "failure" in record["environment"]:
        sys.exit(f"JAX does not start: {record['environment']['failure']}")
    print_environment(record["environment"])
    core = "pinned to one core" if hasattr(os, "sched_setaffinity") else "not pinned to a core"
    record["cpu"] = f"one thread, {core}"
    print(f"CPU rows: {record['cpu']}; jaxllc in float32, SciPy in float64", flush=True)
    parts = comma_list(options.parts)
    for part in parts:
        record[part] = []
        print(f"\n{HEADS[part]}", flush=True)
        for row in ROWS[part](options, extent, record["environment"]["backend"]):
            record[part].append(row)
            print(row_text(part, row), flush=True)
            if options.json:
                write_json(options.json, record)
    if "scaling" in parts:
        record["slopes"] = slopes(record["scaling"])
        for by, (every, last) in record["slopes"].items():
            print(
                f"slope of log time against log {by}: {every:.2f}, between the two largest {last:.2f}"
            )
        if options.json:
            write_json(options.json, record)
    figures = [f"{name} {late_time(record.get('steps', []), name)}" for name in SETS]
    print("step ms: " + " ".join(figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the published tables")
    parser.add_argument(
        "--seeds",
        type=int,
        help=f"models in one vmapped program (default: {GPU_SEEDS} on a GPU, none on a CPU)",
    )
    parser.add_argument("--quick", action="store_true", help="few repeats, small networks")
    parser.add_argument("--json", metavar="FILE", help="where the record goes")
    options = parser.parse_args()
    unknown = [part for part in comma_list(options.parts) if part not in PARTS]
    if unknown:
        parser.error(f"--parts: {unknown[0]!r} is none of {', '.join(PARTS)}")
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: give 2 or more")
    for stem, _ in SETS.values():
        for table in ("Model", "Ligands", "TFs"):
            if not (options.data / f"{stem}-{table}.tsv").is_file():
                parser.error(f"--data: {options.data} does not hold {stem}-{table}.tsv")
    return options


def machine() -> dict[str, Any]:
    """Device and versions, and the backend that JAX takes by itself."""
    import jax

    return {**environment(), "backend": jax.default_backend()}


# Steps on the published tables


def steps_rows(options: argparse.Namespace, extent: Extent, backend: str) -> Iterator[dict]:
    """Rows of the table of steps, one after the other."""
    seeds = options.seeds or GPU_SEEDS
    runs = [("cpu", 1)]
    if backend != "cpu":
        runs += [(backend, 1), (backend, seeds)]
    elif options.seeds:
        runs.append(("cpu", seeds))
    for name in SETS:
        for device, count in runs:
            found = in_own_process(set_steps, name, options.data, extent, device, count)
            if isinstance(found, dict):
                found = [{"set": name, "device": device, "seeds": count, **found}]
            yield from found


def set_steps(name: str, data: Path, extent: Extent, device: str, seeds: int) -> list[dict]:
    """jaxllc on one set at the start and late, and on the CPU with one seed SciPy beside it."""
    use(device)
    from jaxllc.signaling import preset

    settings = replace(preset("default"), batch_size=0)
    prior, conditions = read(name, data)
    conditions = conditions.select(np.arange(SETS[name][1], conditions.num_conditions))
    loop = Loop(prior, conditions, settings, seeds)
    late, began = loop.start, time.perf_counter()
    misfits = []
    for _ in range(extent.late // STEPS_PER_CALL):
        late, records = loop.run(late, STEPS_PER_CALL)
        misfits.append(np.asarray(records.mse))
    seconds = time.perf_counter() - began
    about = {
        "set": name,
        "conditions": conditions.num_conditions,
        "edges": prior.num_edges,
        "device": device,
        "seeds": seeds,
    }
    rows, states = [], {0: loop.start, extent.late: late}
    for after, state in states.items():
        row = {
            **about,
            "program": "jaxllc",
            "after": after,
            **loop.timed(state, extent.repeats, extent.steps),
        }
        rows.append({**row, "compilation_seconds": loop.compilation_seconds})
    rows[-1]["peak_megabytes"] = peak_megabytes()
    rows[-1]["training"] = {
        "steps": extent.late,
        "seconds": seconds,
        "mse": float(np.concatenate(misfits, axis=-1)[..., -LAST:].mean()),
    }
    if device != "cpu" or seeds > 1:
        return rows
    yardstick = Published(name, prior, loop.conditions, settings)
    for row, (after, state) in zip(list(rows), states.items(), strict=True):
        found = yardstick.timed(state.parameters, after, extent.published_repeats)
        found["ratio"] = found["ms"] / row["ms"]
        rows.append({**about, "program": "SciPy", "after": after, **found})
    if extent.published_late:
        start = loop.start.parameters
        rows[-1]["training"] = yardstick.training(start, extent.published_late)
    return rows


def read(name: str, data: Path) -> tuple[Any, Any]:
    """Prior network and conditions of a published set."""
    from jaxllc.signaling import Conditions, PriorNetwork

    stem = data / SETS[name][0]
    conditions = Conditions.read(f"{stem}-Ligands.tsv", f"{stem}-TFs.tsv")
    return PriorNetwork.read(f"{stem}-Model.tsv"), conditions


# A complete training


def complete_rows(options: argparse.Namespace, extent: Extent, backend: str) -> Iterator[dict]:
    """Complete macrophage trainings, a row for each preset."""
    for name in COMPLETE:
        yield {"preset": name, **in_own_process(complete, name, options.data, extent)}


def complete(name: str, data: Path, extent: Extent) -> dict[str, Any]:
    """Train on all macrophage conditions; seconds include the prediction of the conditions at the end."""
    use("cpu")
    from jaxllc.signaling import preset, train

    prior, conditions = read("macrophage", data)
    settings = preset(name)
    if extent.epochs:
        settings = replace(settings, epochs=extent.epochs)
    clock, began = CompileClock(), time.perf_counter()
    fit = train(prior, conditions, settings)
    seconds, compilation = time.perf_counter() - began, clock.since(began)
    return {
        "epochs": settings.epochs,
        "compilation_seconds": compilation,
        "seconds": seconds - compilation,
        "train_r": fit.train_correlation,
        "mse": float(np.nanmean((fit.fitted.tfs - fit.conditions.tf_activities) ** 2)),
        "converged": int(fit.fitted.converged.sum()),
        "conditions": len(fit.fitted.converged),
        "sign_violations": fit.sign_violations,
        "peak_megabytes": peak_megabytes(),
        "notes": list(fit.notes),
    }


# Size


def scaling_rows(options: argparse.Namespace, extent: Extent, backend: str) -> Iterator[dict]:
    """A row for each number of edges, then for each number of conditions."""
    sizes = [(edges, CONDITIONS) for edges in extent.edges]
    sizes += [(EDGES, conditions) for conditions in extent.conditions]
    for edges, conditions in sizes:
        found = in_own_process(scaling, edges, conditions, extent.for_size(edges))
        yield {"edges": edges, "conditions": conditions, **found}


def scaling(edges: int, conditions: int, extent: Extent) -> dict[str, Any]:
    """Steps from the start of a training on a random network, five edges for each node."""
    use("cpu")
    from jaxllc.signaling import preset

    if edges < OWN_DATA_PROCESS:
        made = random_problem(edges, conditions)
    else:
        made = in_own_process(random_problem, edges, conditions)
    if isinstance(made, dict):
        return made
    loop = Loop(*made, replace(preset("default"), batch_size=0))
    row = loop.timed(loop.start, extent.repeats, extent.steps)
    row["ns_per_edge_and_condition"] = 1e6 * row["ms"] / (edges * conditions)
    row["compilation_seconds"] = loop.compilation_seconds
    return {**row, "nodes": made[0].num_nodes, "peak_megabytes": peak_megabytes()}


def random_problem(edges: int, num_conditions: int) -> tuple[Any, Any]:
    """A random network and conditions of it; one of 20 nodes is a ligand, one of 10 a TF."""
    use("cpu")
    from jaxllc.signaling.model.synthetic import simulate_conditions, synthetic_problem

    nodes = edges // 5
    truth = synthetic_problem(nodes, edges, nodes // 20, nodes // 10)
    return truth.prior, simulate_conditions(truth, num_conditions)


def slopes(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Exponents of time in edges and conditions: least squares over all sizes, and of the two largest."""
    found = {}
    for by, other, value in (("edges", "conditions", CONDITIONS), ("conditions", "edges", EDGES)):
        done = sorted((row[by], row["ms"]) for row in rows if "ms" in row and row[other] == value)
        if len(done) > 1:
            size, ms = np.log(np.array(done)).T
            last = (ms[-1] - ms[-2]) / (size[-1] - size[-2])
            found[by] = (float(np.polyfit(size, ms, 1)[0]), float(last))
    return found


# Text

ROWS = {"steps": steps_rows, "complete": complete_rows, "scaling": scaling_rows}
HEADS = {
    "steps": f"{'set':<11}{'conditions':>10}  {'program':<7}  {'device':<6}{'seeds':>6}{'after':>7}"
    f"{'ms/step':>10}{'ms/seed':>9}{'mse':>9}{'residual':>10}{'compile s':>10}",
    "complete": "complete macrophage trainings",
    "scaling": f"{'edges':>9}{'conditions':>11}{'ms/step':>10}{'ns/edge/condition':>19}{'mse':>9}"
    f"{'residual':>10}{'compile s':>10}{'peak MB':>9}",
}


def row_text(part: str, row: dict[str, Any]) -> str:
    """A row of a table; a failure says so."""
    if "failure" in row:
        where = " ".join(str(row[key]) for key in row if key != "failure")
        return f"{where} FAILED {row['failure']}"
    if part == "complete":
        return (
            f"{row['preset']}, {row['epochs']} epochs: {row['seconds']:.1f} s (compilation "
            f"{row['compilation_seconds']:.1f} s apart), train r {row['train_r']:.3f}, mse {row['mse']:.4f}, "
            f"{row['converged']} of {row['conditions']} conditions converged, {row['sign_violations']} sign "
            f"violations, peak memory {row['peak_megabytes']:.0f} MB"
        )
    if part == "scaling":
        return (
            f"{row['edges']:>9}{row['conditions']:>11}{row['ms']:>10.2f}"
            f"{row['ns_per_edge_and_condition']:>19.1f}{row['mse']:>9.4f}{row['residual']:>10.1e}"
            f"{row['compilation_seconds']:>10.1f}{row['peak_megabytes']:>9.0f}"
        )
    text = (
        f"{row['set']:<11}{row['conditions']:>10}  {row['program']:<7}  {row['device']:<6}{row['seeds']:>6}"
        f"{row['after']:>7}{row['ms']:>10.2f}{row['ms'] / row['seeds']:>9.2f}{row['mse']:>9.4f}"
    )
    if row["program"] == "jaxllc":
        text += f"{row['residual']:>10.1e}{row['compilation_seconds']:>10.1f}"
    else:
        text += f"  {row['ratio']:.0f} times the time of jaxllc"
    if "training" in row:
        done = row["training"]
        text += (
            f"\n  {row['set']}, {row['program']}, first {done['steps']} steps: {done['seconds']:.1f} s, "
            f"mse {done['mse']:.4f} (mean of the last {LAST})"
        )
    return text


def late_time(rows: list[dict[str, Any]], name: str) -> str:
    """Milliseconds of a step late in a training on the CPU."""
    for row in rows:
        wanted = (row["set"], row["device"], row["seeds"], row.get("program"))
        if wanted == (name, "cpu", 1, "jaxllc") and row["after"] > 0:
            return f"{row['ms']:.2f}"
    return "-"


if __name__ == "__main__":
    main()
