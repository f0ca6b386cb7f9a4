"""Laws of two real epidemics, fitted to the first 80 % of the time and tested on the last 20 %.

    python benchmarks/real_epidemics.py                       # figures and JSON in benchmarks/results
    python benchmarks/real_epidemics.py prepare --out tables  # only the tables, for `jaxllc discover`

Beside the law stand the law in which every node has a growth constant of its own, the form of TPSINDy
refitted to the same part, the law of the published road (preset "llc"), and "no change" (the last value
stays). All forecasts start from the same state: the last value that was observed of each node in the fitted
part. Nothing of the held-out part is used for fitting or choosing. epidemic_tables.py says how states and
edges are made. "law of the front" is the law of the Pareto front whose own test, inside the fitted part,
went best; it is shown where that is not the law that was chosen.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import comma_list, environment, one_line, print_environment, whole_file, write_json
from epidemic_tables import EPIDEMICS, Epidemic, write_tables
from tpsindy_form import refit

import jaxllc
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations.equation import Equation
from jaxllc.law.writing.law_text import equation_line

FITTED_PART = 0.8
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
NO_CHANGE, LAW, SIMPLER, ROAD = "no change", "law", "law of the front", "published road"
OWN = "law, growth of each node"
SHOWN_NODES = 12


def main() -> int:
    options = _options()
    try:
        epidemics = [EPIDEMICS[name](options.data) for name in options.epidemics]
        if options.action == "prepare":
            for epidemic in epidemics:
                for path in write_tables(epidemic, options.out):
                    print(path)
            return 0
        record = {"benchmark": "real_epidemics", "environment": environment()}
        print_environment(record["environment"])
        results = []
        for epidemic in epidemics:
            results.append(study(epidemic, options))
            write_json(options.out / f"{epidemic.name}.json", {**record, **results[-1]})
        if options.json:
            write_json(options.json, {**record, "epidemics": results})
    except jaxllc.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Laws of real epidemics, tested on held-out time.")
    parser.add_argument("action", nargs="?", choices=["run", "prepare"], default="run")
    parser.add_argument(
        "--data",
        type=Path,
        default=HERE.parent.parent / "shared" / "data",
        help="folder of the data sets",
    )
    parser.add_argument("--out", type=Path, help="run: figures and JSON; prepare: tables")
    parser.add_argument(
        "--epidemics", type=comma_list, default=list(EPIDEMICS), metavar="h1n1,covid19"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="H1N1 only, max_terms=3, one round of moves"
    )
    parser.add_argument("--json", metavar="FILE", help="write all results to one more file")
    options = parser.parse_args()
    if options.quick:
        options.epidemics = ["h1n1"]
    for name in options.epidemics:
        if name not in EPIDEMICS:
            parser.error(f"there is no epidemic {name!r}; epidemics are {', '.join(EPIDEMICS)}")
    options.out = options.out or (Path("tables") if options.action == "prepare" else RESULTS)
    return options


# --- one epidemic -------------------------------------------------------------------------------


def study(epidemic: Epidemic, options: argparse.Namespace) -> dict[str, Any]:
    """Fit, forecast, print and draw one epidemic; returns its record."""
    run, network = epidemic.run, epidemic.network
    cut = run.times[0] + FITTED_PART * (run.times[-1] - run.times[0])
    early, late = run.window(None, cut), run.window(np.nextafter(cut, np.inf), None)
    print(f"\n{epidemic.title}: {network.describe()}")
    print(f"state: {epidemic.state_text}; time: {epidemic.time_unit}")
    print(
        f"fitted up to {early.times[-1]:g}, held out {late.times[0]:g} to {late.times[-1]:g}",
        flush=True,
    )
    choices = {"max_terms": 3, "moves": 1} if options.quick else {}
    start = time.perf_counter()
    law = jaxllc.discover(early, network, seed=options.seed, **choices)
    seconds = time.perf_counter() - start
    print(f"\nlaw ({seconds:.0f} s):\n{law.summary()}")

    last, first = _observed(early, -1), _observed(early, 0)
    times = np.concatenate([early.times[-1:], late.times])
    forms = {LAW: (one_line(law), _simulator(law.equations, network))}
    simpler = _best_of_front(law)
    if simpler is not None:
        text = equation_line("x", simpler["x"])
        forms[SIMPLER] = (text, _simulator(simpler, network))
    growth = {"vary": {"r": "node"}, "known": {"x": ("r_i*x_i", "")}}
    own = jaxllc.discover(early, network, seed=options.seed, **growth, **choices)
    forms[OWN] = (one_line(own), lambda x, t: own.simulate(x, t, network).states[:, :, 0])
    road = jaxllc.discover(early, network, seed=options.seed, preset="llc")
    forms[ROAD] = (one_line(road), _simulator(road.equations, network))
    tpsindy = _tpsindy_forms(epidemic, early, first)
    forms.update({name: (str(fit), fit.simulate) for name, fit in tpsindy.items()})
    forecasts = {name: simulate(last, times)[1:] for name, (_, simulate) in forms.items()}
    message = law.run(last, times, network).message
    forecasts[NO_CHANGE] = np.broadcast_to(last, late.states.shape[:2])
    errors = {name: _errors(states, late) for name, states in forecasts.items()}
    _print_errors(epidemic, forms, errors)
    print(f"forecast of the law: {message}")
    missed = {
        name: _most_missed(states, late)
        for name, states in forecasts.items()
        if math.isfinite(errors[name]["rms"])
    }
    for name, nodes in missed.items():
        text = ", ".join(f"{node} {share:.0%}" for node, share in nodes)
        print(f"largest parts of the squared error, {name}: {text}")

    misfit = {LAW: law.noise["x"], **{name: fit.misfit for name, fit in tpsindy.items()}}
    print(
        "rms left in the fitted part, initial states fitted: "
        + ", ".join(f"{name} {value:.3g}" for name, value in misfit.items())
    )
    figure = options.out / f"{epidemic.name}.png"
    _draw(epidemic, early, late, forecasts, figure)
    print(f"figure: {figure}", flush=True)
    return {
        "epidemic": epidemic.name,
        "state": epidemic.state_text,
        "time": epidemic.time_unit,
        "network": network.describe(),
        "nodes": list(run.node_names),
        "fitted_until": float(early.times[-1]),
        "held_out": [float(late.times[0]), float(late.times[-1])],
        "seed": options.seed,
        "quick": options.quick,
        "forms": {name: text for name, (text, _) in forms.items()},
        "errors": errors,
        "misfit_of_fitted_part": misfit,
        "most_missed": missed,
        "forecast_message": message,
        "adjusted_r2": law.adjusted_r2,
        "constants": law.constants_table().to_dict("records"),
        "front": law.pareto_table().to_dict("records"),
        "notes": list(law.notes),
        "converged": law.converged,
        "seconds": {**law.seconds, "total": seconds},
    }


def _simulator(equations: Any, network: Any) -> Any:
    field = from_equations(equations)

    def simulate(initial_state: np.ndarray, times: np.ndarray) -> np.ndarray:
        return jaxllc.simulate(field, network, times, initial_state).trajectories.states[:, :, 0]

    return simulate


def _best_of_front(law: Any) -> dict[str, Equation] | None:
    """The law of the front with the smallest held-out error of its own; None if that is the chosen one."""
    rows = [row for row in law.front if row.held_out_error is not None]
    best = min(rows, key=lambda row: row.held_out_error, default=None)
    if best is None or best.chosen:
        return None
    return {name: Equation.from_text(*texts) for name, texts in best.equations.items()}


def _tpsindy_forms(epidemic: Epidemic, early: Any, first: np.ndarray) -> dict[str, Any]:
    """The refitted form; with the published slope of 1 per case too where the state counts cases."""
    slopes = {"TPSINDy form": 1.0}
    if epidemic.cases_per_unit:
        slopes["TPSINDy form, slope per case"] = epidemic.cases_per_unit
    return {name: refit(early, epidemic.network, first, slope) for name, slope in slopes.items()}


# --- errors -------------------------------------------------------------------------------------


def _errors(states: np.ndarray, observed: Any) -> dict[str, float]:
    """Mean absolute, root mean square and relative (L2 over L2 of the data) error of what was observed."""
    seen, truth = observed.observed[:, :, 0], observed.states[:, :, 0]
    miss = (states - truth)[seen]
    if not np.isfinite(miss).all():
        return {"mean_absolute": math.inf, "rms": math.inf, "relative": math.inf}
    return {
        "mean_absolute": float(np.abs(miss).mean()),
        "rms": float(np.sqrt(np.mean(miss**2))),
        "relative": float(np.linalg.norm(miss) / np.linalg.norm(truth[seen])),
    }


def _observed(run: Any, which: int) -> np.ndarray:
    """The first (which = 0) or last (-1) observed value of each node, (N,)."""
    return np.array([series[~np.isnan(series)][which] for series in run.states[:, :, 0].T])


def _most_missed(states: np.ndarray, late: Any) -> list[tuple[str, float]]:
    """Nodes with the largest share of the squared error."""
    squares = np.nansum((states - late.states[:, :, 0]) ** 2, axis=0)
    shares = squares / max(squares.sum(), 1e-300)
    order = np.argsort(shares)[::-1][:5]
    return [(late.node_names[n], float(shares[n])) for n in order]


def _print_errors(epidemic: Epidemic, forms: dict, errors: dict) -> None:
    print(f"\nheld-out error ({epidemic.state_text}): mean absolute, rms, relative L2")
    for name, error in errors.items():
        print(
            f"  {name:30s} {error['mean_absolute']:8.4g} {error['rms']:8.4g} {error['relative']:8.4g}   "
            f"{forms[name][0] if name in forms and name != LAW else ''}"
        )


# --- figure -------------------------------------------------------------------------------------

# Okabe and Ito (2008), and grey
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#E69F00", "#8a929b")


def _draw(epidemic: Epidemic, early: Any, late: Any, forecasts: dict, path: Path) -> None:
    """Twelve nodes, from the largest last state down, and the error over held-out time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    last = _observed(early, -1)
    order = np.argsort(last)[::-1]
    picked = order[np.unique(np.linspace(0, len(order) - 1, SHOWN_NODES).round().astype(int))]
    figure = Figure(figsize=(13, 11), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3, 1])
    axes = top.subplots(3, 4, sharex=True).ravel()
    colour = dict(zip(forecasts, COLOURS[: len(forecasts) - 1] + COLOURS[-1:], strict=True))
    since = np.concatenate([early.times[-1:], late.times])
    for axis, node in zip(axes, picked, strict=False):
        for part, shade in ((early, "#1b1f24"), (late, "#009E73")):
            axis.plot(part.times, part.states[:, node, 0], ".", color=shade, markersize=4)
        seen = np.concatenate([early.states[:, node, 0], late.states[:, node, 0]])
        for name, states in forecasts.items():
            line = np.concatenate([last[[node]], states[:, node]])
            axis.plot(since, line, color=colour[name], linewidth=1.8, label=name)
        axis.axvline(early.times[-1], color="#c8ccd0", linewidth=0.8, zorder=0)
        low, high = np.nanmin(seen), np.nanmax(seen)
        axis.set_ylim(low - 0.3 * (high - low) - 1e-9, high + 0.6 * (high - low) + 1e-9)
        axis.set_title(late.node_names[node], fontsize=10)
    top.supxlabel(epidemic.time_unit, fontsize=10)
    top.supylabel(epidemic.state_text, fontsize=10)
    top.suptitle(f"{epidemic.title}: black fitted, green held out; lines: forecasts", fontsize=11)
    axis = bottom.subplots()
    truth = late.states[:, :, 0]
    for name, states in forecasts.items():
        # A mean of nan, where a forecast has blown up, is not drawn.
        misses = np.where(np.isnan(truth), 0.0, np.abs(states - truth))
        error = misses.sum(axis=1) / np.maximum((~np.isnan(truth)).sum(axis=1), 1)
        axis.plot(late.times, error, color=colour[name], label=name, linewidth=1.8)
    axis.set_yscale("log")
    axis.set_xlabel(epidemic.time_unit)
    axis.set_ylabel("mean absolute error, held out")
    axis.legend(frameon=False, fontsize=9)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


if __name__ == "__main__":
    sys.exit(main())
