"""The main job on made-up data: an epidemic on a network, and the way back to its law.

Simulates a known law, adds noise, writes STATES.csv and EDGES.csv, discovers the law from these two
files alone, and compares it with the truth and with an unseen network.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from jaxllc import generators, known_laws, plotting
from jaxllc.commands.discover import said_trusted
from jaxllc.commands.elapsed import seconds_line, with_total
from jaxllc.commands.law_output import law_record, write_law_files
from jaxllc.commands.output import output_folder, print_json
from jaxllc.commands.progress import StageProgress
from jaxllc.data.inputs import match
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges, read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.entry import discover
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.errors import InputError
from jaxllc.known_laws import KnownLaw
from jaxllc.law.forecast import relative_error
from jaxllc.law.law import Law
from jaxllc.law.report import LawFigure
from jaxllc.law.writing.law_text import digits_for, equation_line
from jaxllc.metrics import adjusted_r2, skeleton_equal, worst_coefficient_error
from jaxllc.running.stage_clock import stage_clock

LAW = "epidemic"
NODES, ATTACHMENTS, TIMES, NOISE_DB = 100, 3, 101, 40.0
_FEWEST_NODES = 10
_UNSEEN = 1000  # added to the seed of what the discovery has not seen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc demo`."""
    parser.add_argument("--out", default="jaxllc-demo", metavar="DIR", help="folder (jaxllc-demo)")
    parser.add_argument("--nodes", type=int, default=NODES, help=f"size of the network ({NODES})")
    parser.add_argument(
        "--noise-db",
        type=float,
        default=NOISE_DB,
        metavar="DB",
        help=f"signal-to-noise ratio of the samples ({NOISE_DB:g})",
    )


def run(options: argparse.Namespace) -> int:
    """Simulate, write, read back, discover, compare."""
    if options.nodes < _FEWEST_NODES:
        raise InputError(f"--nodes is {options.nodes}, but the demo needs at least {_FEWEST_NODES}")
    known = known_laws.get(LAW)
    times = np.linspace(0.0, known.horizon, TIMES)
    with output_folder(options.out) as folder, StageProgress(options.quiet) as progress:
        progress("simulation")
        network = generators.barabasi_albert(options.nodes, ATTACHMENTS, seed=options.seed)
        truth = known.simulate(network, times, seed=options.seed)
        states, edges = folder / "states.csv", folder / "edges.csv"
        truth.with_noise(options.noise_db, seed=options.seed).to_csv(states)
        network.to_csv(edges)

        seconds: dict[str, float] = {}
        tables = match(read_states(states), read_edges(edges))
        with stage_clock(seconds, "law"):
            law = discover(*tables, seed=options.seed, progress=progress)
        if not law.finished:  # a demonstration of half a search shows nothing
            raise KeyboardInterrupt

        progress("unseen network")
        unseen = generators.barabasi_albert(options.nodes, ATTACHMENTS, seed=options.seed + _UNSEEN)
        observed = known.simulate(unseen, times, seed=options.seed + _UNSEEN)
        predicted = law.simulate(observed.states[0], times, unseen)
        progress("report")
        figure = LawFigure(
            "unseen",
            "An unseen network",
            "Points: the known law on another network from other initial states. Lines: the law found.",
            plotting.plot_forecast(law, observed, unseen, predicted=predicted),
        )
        with stage_clock(seconds, "figures and report"):
            files = [states, edges, *write_law_files(law, folder, known=known, more=[figure])]
    seconds = with_total(seconds, options.begun)
    comparison = _comparison(law, known, observed, predicted)
    if options.json:
        record = {"law": law_record(law), "known_law": str(known), **comparison, "files": files}
        print_json({**record, "seconds": seconds})
    else:
        _print(law, known, network, comparison, files, seconds, options)
    return 0 if said_trusted(law) else 3


def _comparison(
    law: Law, known: KnownLaw, observed: Trajectories, predicted: Trajectories
) -> dict[str, Any]:
    """Found against true: form, constants, and states that the discovery has not seen."""
    (error,) = relative_error([predicted.states], [observed]).values()
    return {
        "same_form": skeleton_equal(law, known),
        "worst_constant_error": worst_coefficient_error(law, known),
        "unseen_network": {
            "relative_error": error,
            "adjusted_r2": adjusted_r2(predicted, observed, len(law.constants)),
        },
    }


def _print(
    law: Law,
    known: KnownLaw,
    network: Network,
    comparison: dict[str, Any],
    files: list[Path],
    seconds: dict[str, float],
    options: argparse.Namespace,
) -> None:
    import sympy

    unseen = comparison["unseen_network"]
    print(
        f"Simulated the known law '{known.name}' on {network.describe()},\n"
        f"{TIMES} times with noise at {options.noise_db:g} dB, and wrote\n"
        f"  {files[0]}\n  {files[1]}\nFrom these two files alone:\n"
    )
    for line, (variable, equation) in zip(
        str(law).splitlines(), known.equations.items(), strict=True
    ):
        expanded = Equation(*(sympy.expand(term) for term in equation))
        print(f"found  {line}\ntrue   {equation_line(variable, expanded)}")
    print(f"\nsame form: {'yes' if comparison['same_form'] else 'no'}\n")
    print(_constants_beside_truth(law, known))
    print(
        f"\nOn an unseen network of {options.nodes} nodes, from unseen initial states:\n"
        f"  relative error {unseen['relative_error']:.2g} (root mean square / standard deviation)\n"
        f"  adjusted R2    {unseen['adjusted_r2']:.7f}"
    )
    for note in law.notes:
        print(f"\n{note}")
    folder = files[0].parent
    print(
        f"\nFigures  {folder / 'unseen.png'} and {sum(f.suffix == '.png' for f in files) - 1} more"
        f"\nReport   {folder / 'report.html'}"
        f"\nLaw      {folder / 'law.json'}"
        f"\n\n{seconds_line(seconds)}. The same on your own files:"
        f"\n  jaxllc discover {files[0]} {files[1]} --out DIR"
    )


def _constants_beside_truth(law: Law, known: KnownLaw) -> str:
    """A line for each constant: its term, value with standard error, and the true value."""
    import sympy

    rows = []
    for c in law.constants:
        side = known.equations[c.variable][0 if c.side == "self" else 1]
        true = sympy.expand(side).as_coefficients_dict()
        # A term of several summands has one constant for all of them.
        parts = sympy.expand(parse(c.term)).as_coefficients_dict()
        values = {float(true[part] / share) for part, share in parts.items()}
        term = f"({c.term})" if len(parts) > 1 else c.term
        label = c.term if c.side == "self" else f"sum_j A_ij {term}"
        role = "" if c.role == "coefficient" else f" {c.role}"
        value = f"{c.value:.{digits_for(c.value, c.standard_error)}g}"
        known_value = c.role == "coefficient" and len(values) == 1
        shown = f"{values.pop():.6g}" if known_value else ""
        rows.append((label + role, value, c.standard_error, shown))
    width = max(22, *(len(row[0]) + 1 for row in rows))
    lines = [f"{'term':<{width}}{'found':>11}    {'std. error':<12}{'true':>8}"]
    lines += [f"{a:<{width}}{b:>11} +- {e:<12.2g}{d:>8}" for a, b, e, d in rows]
    return "\n".join(lines)
