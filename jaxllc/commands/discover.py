"""Find the law that moves the nodes of a network, from two CSV files.

STATES: a column `time` and one column per node ("node.variable" for several variables), or the long
form time,node,variable,value; a column `run` tells several runs apart; an empty cell was not observed.
EDGES: the columns sender, receiver and, if wanted, weight. Without them the network is found with the law, as
far as the samples tell it, and written to network.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

from jaxllc.commands.common_arguments import add_input_argument, inputs_of
from jaxllc.commands.elapsed import seconds_line, with_total
from jaxllc.commands.exit_codes import INTERRUPTED
from jaxllc.commands.law_output import law_record, write_law_files
from jaxllc.commands.output import output_folder, print_json, write_settings
from jaxllc.commands.prior_arguments import PRIOR, add_prior_arguments, prior_of
from jaxllc.commands.progress import StageProgress, say, with_flags
from jaxllc.data.drivers.input_sources import with_inputs
from jaxllc.data.inputs import match
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.entry import discover
from jaxllc.errors import InputError
from jaxllc.law.forecast import Forecast, hold_out
from jaxllc.law.forecast import forecast as run_on
from jaxllc.law.law import Law
from jaxllc.running.stage_clock import stage_clock
from jaxllc.settings.discover_settings import DiscoverSettings

_HELP = {
    "engines": "search engines, separated by commas, asked in this order: pretrained, sparse, operon, pysr",
    "functions": "functions that a law may hold, separated by commas",
    "division": "let a variable stand in a denominator",
    "sums": "look for functions of the sum over neighbours too",
    "neural": "let two neural terms propose too: auto, always or never; or solver: as auto, finished "
    "through the differentiable solver",
    "nodes": "some: where not all nodes can follow one law on this network, find the law of those that do; "
    "all: every node must",
    "held": "nodes that are given, separated by commas: they act on others and are not explained",
    "forcing": "none, or smooth: something unknown acts on all nodes alike over time; it is found with the "
    "law, and written to forcing.csv",
    "weights": "given, or unknown: those of EDGES.csv are not read, and found with the law",
    "strengths": "of edges that are found without EDGES.csv: equal, free (a strength each), or auto",
    "max_terms": "largest number of terms in an equation",
    "num_fits": "proposals of each equation that are fitted to the trajectories",
    "moves": "rounds of adding and swapping terms",
    "dynamics": "flow, or map for data in discrete time: the law gives the next state, x_i(k+1)",
    "process_noise": "the dynamics are noisy themselves: estimate process and measurement noise",
    "finish": "constants finished on the grid, through the solver, or auto: solver with the preset neural",
    "preset": "default; neural: two nets, expressions of either and the likelihood, no library of equations; "
    "or llc: the published road and nothing else (two nets, skeletons of a pre-trained network, BFGS), which "
    "of these settings reads functions and division alone",
    "demand": "functions, division or power that the law must hold, separated by commas",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc discover`."""
    parser.add_argument("states", metavar="STATES.csv", help="states of every node over time")
    parser.add_argument(
        "edges",
        metavar="EDGES.csv",
        nargs="?",
        help="who influences whom; where it is left out, that is found with the law",
    )
    parser.add_argument(
        "--features", metavar="FEATURES.csv", help="known constants of the nodes: node,feature,..."
    )
    add_input_argument(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for law.json, report.html, constants.csv, pareto.csv, settings.json, figures, and "
        "network.csv and network_table.csv where edges were asked for",
    )
    parser.add_argument("--signed", action="store_true", help="negative weights are meant")
    parser.add_argument(
        "--undirected",
        action="store_true",
        help="each edge acts both ways, though it is listed once",
    )
    parser.add_argument(
        "--allow-isolated", action="store_true", help="keep nodes that stand in no edge"
    )
    parser.add_argument(
        "--hold-out",
        type=float,
        metavar="FRACTION",
        help="keep the last part of each run from the fit, and report the forecast of it",
    )
    add_settings_arguments(parser)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for each of `DiscoverSettings`."""
    group = parser.add_argument_group("settings of the discovery")
    trust = group.add_mutually_exclusive_group()
    for name, text in (
        (
            "uncertain",
            "ask for the probability of every edge, fit the law on those that samples ask for",
        ),
        ("given", "keep to the network, however few nodes follow the law on it"),
    ):
        trust.add_argument(
            f"--{name}-edges", dest="edges_are", action="store_const", const=name, help=text
        )
    group.add_argument(
        "--edge-prior",
        metavar="BELIEFS.csv",
        help="edges that are sure, likely or forbidden: sender,receiver,belief",
    )
    add_prior_arguments(group)
    for field in fields(DiscoverSettings):
        if field.name in (*PRIOR, "edges", "edge_prior"):
            continue
        default: Any = field.default
        shown = (",".join(default) or "none") if isinstance(default, tuple) else default
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{_HELP.get(field.name, field.name.replace('_', ' '))} ({shown})"
        if isinstance(default, bool):
            group.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=default, help=text
            )
        else:
            kind = _names if isinstance(default, tuple) else type(default)
            group.add_argument(flag, type=kind, default=default, help=text, metavar="VALUE")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def settings_of(options: argparse.Namespace) -> DiscoverSettings:
    """The settings that were given as flags."""
    names = (f.name for f in fields(DiscoverSettings) if f.name != "edges")
    values: dict[str, Any] = {name: getattr(options, name) for name in names}
    # `edges` is the file of these on the command line.
    values["edges"] = options.edges_are or "auto"
    return DiscoverSettings(**values | prior_of(options))


def run(options: argparse.Namespace) -> int:
    """Read the files, find the law, print it and write it; 3 if no law can be trusted.

    After an interrupt the best law so far is printed and written at once, without forecast, report and
    figures, and the code is 130.
    """
    with nullcontext(None) if options.out is None else output_folder(options.out) as folder:
        runs, network = read_tables(options)
        fitted, late = runs, None
        if options.hold_out is not None and options.forcing != "none":
            raise InputError(
                "--forcing smooth finds what drives the nodes over the time of the samples, and not after: "
                "no forecast of held-out samples can be made; leave out --hold-out"
            )
        if options.hold_out is not None:
            fitted, late = hold_out(runs, options.hold_out)
        seconds: dict[str, float] = {}
        with StageProgress(options.quiet) as progress:
            with stage_clock(seconds, "law"):
                law = discover(
                    fitted, network, options.seed, settings=settings_of(options), progress=progress
                )
            forecast = None
            if late is not None and law.finished and (network or law.network) is not None:
                progress("forecast")
                with stage_clock(seconds, "forecast"):
                    forecast = run_on(law, fitted, late, network or law.network)
            files: list[Path] = []
            if folder is not None:
                progress("report")
                with stage_clock(seconds, "figures and report"):
                    files = write_law_files(law, folder, forecast)
                    files.append(write_settings(_settings_record(options, law), folder))
    seconds = with_total(seconds, options.begun)
    if options.json:
        record = {"law": law_record(law), "hold_out": _forecast_record(forecast), "files": files}
        if law.edges is not None:
            record["network"] = law.network_table().to_dict("records")
        print_json({**record, "seconds": seconds})
    else:
        _print(law, forecast, files, seconds)
    trusted = said_trusted(law)
    if not law.finished:
        drawn = ", written without report and figures" if files else ""
        say(f"interrupted: this is the best law so far{drawn}; the same command begins anew")
        return INTERRUPTED
    return 0 if trusted else 3


def _settings_record(options: argparse.Namespace, law: Law) -> dict[str, Any]:
    """What the run can be repeated from, with the seed first."""
    asked = ("states", "edges", "features", "signed", "undirected", "allow_isolated", "hold_out")
    arguments = {name: getattr(options, name) for name in asked}
    return {**law.settings, "arguments": {**arguments, "input": inputs_of(options)}}


def read_tables(options: argparse.Namespace) -> tuple[list[Trajectories], Network | None]:
    """The runs with their node features and inputs, and the network, if there is one, in the same order of
    nodes."""
    runs = read_states(options.states)
    if options.edges is None:
        for name in ("signed", "undirected", "allow_isolated"):
            if getattr(options, name):
                raise InputError(
                    f"--{name.replace('_', '-')} says how EDGES.csv is to be read, and none was given"
                )
        runs = _with_features(options, runs, runs[0].node_names)
        return with_inputs(runs, inputs_of(options)), None
    network = read_edges(options.edges, signed=options.signed)
    if options.undirected:
        network = network.to_undirected()
    runs, network = match(runs, network, allow_isolated=options.allow_isolated)
    runs = _with_features(options, runs, network.names)
    return with_inputs(runs, inputs_of(options)), network


def _with_features(
    options: argparse.Namespace, runs: list[Trajectories], names: Sequence[str]
) -> list[Trajectories]:
    if options.features is None:
        return runs
    features = read_features(options.features, names=names)
    return [run.with_features(features) for run in runs]


def said_trusted(law: Law) -> bool:
    """Whether a law is a finding; where it is none, that is said on stderr, too."""
    if law.doubt:
        say(law.doubt)
    return law.trusted


def _forecast_record(forecast: Forecast | None) -> dict[str, Any] | None:
    if forecast is None:
        return None
    return {
        "relative_error": forecast.error,
        "no_change_error": forecast.no_change,
        "skill": forecast.skill,
        "messages": list(forecast.messages),
    }


def _print(
    law: Law, forecast: Forecast | None, files: list[Path], seconds: dict[str, float]
) -> None:
    print(with_flags(law.summary()))
    if forecast is not None:
        print("\nForecast of the held-out samples (root mean square error / standard deviation)")
        print(forecast)
    if files:
        print(f"\nWritten to {files[0].parent}: {', '.join(path.name for path in files)}")
    print(f"\n{seconds_line(seconds)}")
