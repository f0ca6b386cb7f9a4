"""Run a law on a network and write its states over time.

LAW: a law.json that `jaxllc discover` wrote, or the name of a known law such as epidemic.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxllc import known_laws
from jaxllc.commands.common_arguments import add_input_argument, inputs_of
from jaxllc.commands.output import check_output_file, print_json, print_of, write_states
from jaxllc.commands.progress import say
from jaxllc.data.drivers.forcing import FORCING
from jaxllc.data.drivers.held_states import states_of_nodes
from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.data.reverse_edges import listed_once, listed_once_sentence
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.integrate import simulate
from jaxllc.errors import InputError, listed, nearest_match
from jaxllc.files.output_file import is_stream, output_file
from jaxllc.known_laws import KnownLaw
from jaxllc.law.law import Law, load_law

_DEFAULT_TIMES = (0.0, 10.0, 101)
_MOST_TIMES = 1_000_000
_MOST_STEPS = 1_000_000_000
_DEFAULT_RANGE = (0.0, 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc simulate`."""
    parser.add_argument("law", metavar="LAW", help="law.json, or the name of a known law")
    parser.add_argument("--network", required=True, metavar="EDGES.csv", help="the network")
    parser.add_argument("--out", required=True, metavar="STATES.csv", help="where the states go")
    parser.add_argument(
        "--times",
        type=_times,
        metavar="START:STOP:NUMBER",
        help="sample times, or a list 0,0.5,2 (0:10:101, or the horizon of a known law)",
    )
    parser.add_argument(
        "--initial", metavar="STATE.csv", help="initial state: node,variable,... (else random)"
    )
    parser.add_argument(
        "--initial-range",
        type=_range,
        metavar="LOW:HIGH",
        help="random initial states lie between these (0:1, or the range of a known law)",
    )
    parser.add_argument(
        "--runs", type=int, default=1, help="random initial states to start from (1)"
    )
    parser.add_argument(
        "--features", metavar="FEATURES.csv", help="known constants of the nodes: node,feature,..."
    )
    add_input_argument(parser)
    parser.add_argument(
        "--held",
        metavar="STATES.csv",
        help="states over time of the nodes that the law holds: time and a column per node; or none, to let "
        "them follow the law",
    )
    parser.add_argument(
        "--noise-db", type=float, metavar="DB", help="add white noise of this signal-to-noise ratio"
    )
    parser.add_argument(
        "--process-noise",
        type=_process_noise,
        metavar="Q",
        help="noise of the dynamics themselves, per root of time (of a map: of each step): a number, or law "
        "for what a law.json holds; paths follow --seed",
    )
    parser.add_argument("--signed", action="store_true", help="negative weights are meant")
    parser.add_argument(
        "--undirected",
        action="store_true",
        help="each edge acts both ways, though it is listed once",
    )
    parser.add_argument(
        "--solver", default="tsit5", help="tsit5, dopri8 or kvaerno5 for stiff laws"
    )
    parser.add_argument(
        "--rtol", type=_positive, default=1e-8, metavar="X", help="relative tolerance (1e-8)"
    )
    parser.add_argument(
        "--max-steps",
        type=_whole,
        default=20_000,
        metavar="N",
        help="steps after which a run has stalled (20000)",
    )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def _process_noise(text: str) -> float | bool:
    if text == "law":
        return True
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 0 nor 'law'")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_STEPS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST_STEPS}")
    return int(text)


def _times(text: str) -> np.ndarray:
    try:
        if ":" not in text:
            return np.array([_finite(part) for part in text.split(",")])
        start, stop, number = text.split(":")
        if not 2 <= int(number) <= _MOST_TIMES:
            raise argparse.ArgumentTypeError(f"{number} times, but 2 to {_MOST_TIMES} are possible")
        with np.errstate(over="raise"):
            return np.linspace(_finite(start), _finite(stop), int(number))
    except (ValueError, FloatingPointError):
        raise argparse.ArgumentTypeError(
            f"{text[:200]!r} is neither START:STOP:NUMBER nor a list of times, which are finite numbers"
        ) from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW:HIGH") from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range from low to high")
    return low, high


def run(options: argparse.Namespace) -> int:
    """Simulate and write; 3 if a run diverged or stalled, which is said once."""
    target = check_output_file(options.out, options.json)
    law = _find_law(options.law)
    network = read_edges(options.network, signed=options.signed)
    for note in () if options.quiet else network.notes:
        say(note)
    if options.undirected:
        network = network.to_undirected()
    elif listed_once(network) and not options.quiet:
        say(
            f"{listed_once_sentence(network)}: influence goes one way; if the network is undirected pass "
            "--undirected"
        )
    features = _features(options, law, network)
    if features and options.features is None and is_stream(target):
        raise InputError(
            f"--out is {target}, beside which the node features that are drawn cannot be written; give --out "
            "a plain file, or the features with --features"
        )
    times = options.times
    if times is None:
        times = law.default_times()
    results = law.run(
        _initial_states(options, law, network),
        times,
        network,
        features or None,
        _inputs(options, law),
        _held(options, law, network),
        process_noise=options.process_noise,
        seed=options.seed,
        solver=options.solver,
        rtol=options.rtol,
        max_steps=options.max_steps,
    )
    runs = [result.trajectories for result in results]
    if options.noise_db is not None:
        runs = [run.with_noise(options.noise_db, options.seed + n) for n, run in enumerate(runs)]
    write_states(runs, target)
    files = [target]
    if features and options.features is None:
        files.append(_write_features(features, network, target))
    messages = [result.message for result in results]
    failed = [n for n, result in enumerate(results) if not result.success]
    if failed:
        say(_failure(failed, messages))
    reached = [_last_time(run) for run in runs]
    if options.json:
        said = [messages[n] for n in failed]
        record = {"success": not failed, "messages": said, "files": files}
        if failed:
            record["reached"] = reached
        shape = {"runs": len(runs), "nodes": network.num_nodes, "times": len(times)}
        print_json({**record, **shape, "variables": list(runs[0].variables), "seed": options.seed})
    else:
        names, say_written = " and ".join(map(str, files)), print_of(target)
        what = f"{len(runs)} run{'s' * (len(runs) > 1)} of {network.num_nodes} nodes"
        if failed:
            least = min(reached[n] for n in failed)
            say_written(
                f"Only in part: {names}: {what}, of which {len(failed)} ended early, the first after its "
                f"sample at {least:g} of {times[-1]:g}; the rest of such a run is empty"
            )
        else:
            span = f"at {len(times)} times from {times[0]:g} to {times[-1]:g}"
            say_written(f"Wrote {names}: {what} {span}")
    return 3 if failed else 0


def _failure(failed: list[int], messages: list[str]) -> str:
    """One sentence for all runs that did not end well."""
    first = messages[failed[0]]
    if len(messages) == 1:
        return first
    return f"{len(failed)} of {len(messages)} runs did not end well; run {failed[0] + 1}: {first}"


def _last_time(run: Trajectories) -> float:
    """The last sample time of a run at which all states are known."""
    known = np.flatnonzero(run.observed.all(axis=(1, 2)))
    return float(run.times[known[-1]]) if len(known) else math.nan


@dataclass(frozen=True)
class _SimulatedLaw:
    """A law to run: what its terms read, the law of a file, or the catalogue's entry if it is a known one,
    its inputs, and the nodes that it holds."""

    variables: tuple[str, ...]
    feature_names: tuple[str, ...]
    law: Law | None = None
    known: KnownLaw | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()

    def default_times(self) -> np.ndarray:
        """Times to simulate at where none are given: 100 steps of a map."""
        if self.known is not None:
            return self.known.default_times()
        if self.law is not None and self.law.is_map:
            return self.law.step * np.arange(_DEFAULT_TIMES[2])
        if self.law is not None and self.law.forcing:  # which is known at no other times
            return self.law.forcing[0].times
        return np.linspace(*_DEFAULT_TIMES)

    def run(
        self,
        states: np.ndarray,
        times: np.ndarray,
        network: Network,
        features: dict[str, np.ndarray] | None,
        *driving: Any,
        **options: Any,
    ) -> Any:
        """A simulation for each of some initial states."""
        if self.law is None:
            assert self.known is not None
            field = self.known.vector_field()
            return simulate(field, network, times, states, features, *driving, **options)
        if self.law.is_map:
            options = {name: options[name] for name in ("process_noise", "seed")}
        return self.law.run(states, times, network, features, *driving, **options)


def _find_law(name: str) -> _SimulatedLaw:
    if name in known_laws.names():
        known = known_laws.get(name)
        field = known.vector_field()
        return _SimulatedLaw(field.variables, field.feature_names, known=known)
    if not os.path.exists(name) and not name.endswith(".json") and os.sep not in name:
        raise InputError(
            f"{name!r} is neither a file nor a known law{nearest_match(name, known_laws.names())}; known "
            f"laws: {', '.join(known_laws.names())}"
        )
    law = load_law(name)
    names = law.feature_names if law.is_map else law.vector_field().feature_names
    return _SimulatedLaw(law.variables, names, law, inputs=law.inputs, held=law.held)


def _held(
    options: argparse.Namespace, law: _SimulatedLaw, network: Network
) -> dict[str, InputCourse]:
    """The states of the nodes that the law holds and the network has."""
    names = [name for name in law.held if name in network.names]
    if not names or options.held == "none":
        return {}
    if options.held is None:
        raise InputError(
            f"the law holds the nodes {listed(names)}: give their states with --held STATES.csv, or let them "
            "follow the law with --held none"
        )
    runs = read_states(options.held, minimum_times=2)
    if len(runs) > 1:
        raise InputError(f"{options.held} has {len(runs)} runs; give the states of one")
    return states_of_nodes(runs[0], names)


def _inputs(options: argparse.Namespace, law: _SimulatedLaw) -> dict[str, str]:
    """The inputs that the law reads, those of the time by themselves."""
    given = inputs_of(options)
    for name in given:
        if name not in law.inputs:
            raise InputError(
                f"--input {name}: the law has no input {name!r}{nearest_match(name, law.inputs)}; it has "
                f"{', '.join(law.inputs) or 'none'}"
            )
    read = [name for name in law.inputs if name in law.feature_names]
    found = {name: given.get(name, law.inputs[name]) for name in read}
    # A forcing is the law's own, unless another is given.
    found = {name: source for name, source in found.items() if source != FORCING}
    lacking = [name for name, source in found.items() if not source]
    if lacking:
        raise InputError(
            f"the law reads the input {lacking[0]!r} over time; give it with --input {lacking[0]}=FILE.csv"
        )
    return found


def _features(
    options: argparse.Namespace, law: _SimulatedLaw, network: Network
) -> dict[str, np.ndarray]:
    if options.features is not None:
        return read_features(options.features, names=network.names)
    needed = [name for name in law.feature_names if name not in law.inputs]
    if law.known is not None:
        return law.known.sample_features(network.num_nodes, options.seed)
    if needed:
        raise InputError(
            f"the law reads the node features {', '.join(needed)}; give them with --features FEATURES.csv"
        )
    return {}


def _initial_states(
    options: argparse.Namespace, law: _SimulatedLaw, network: Network
) -> np.ndarray:
    """Initial states (run, node, variable), read or drawn."""
    variables = law.variables
    if options.runs < 1:
        raise InputError(f"--runs is {options.runs}, but at least 1 is needed")
    if options.initial is not None:
        if options.initial_range is not None or options.runs > 1:
            raise InputError("give either --initial or random initial states, not both")
        columns = read_features(options.initial, names=network.names)
        for name in variables:
            if name not in columns:
                raise InputError(
                    f"{options.initial} has no column {name!r}{nearest_match(name, columns)}; it needs one "
                    f"for each of {', '.join(variables)}"
                )
        return np.stack([columns[name] for name in variables], axis=-1)[None]
    seeds = range(options.seed, options.seed + options.runs)
    if law.known is not None and options.initial_range is None:
        return np.stack([law.known.sample_initial_state(network.num_nodes, s) for s in seeds])
    low, high = options.initial_range or _DEFAULT_RANGE
    if options.initial_range is None and not options.quiet:
        say("initial states are drawn between 0 and 1; --initial or --initial-range sets others")
    shape = (network.num_nodes, len(variables))
    return np.stack([np.random.default_rng([s, 0]).uniform(low, high, shape) for s in seeds])


def _write_features(features: dict[str, np.ndarray], network: Network, target: Path) -> Path:
    """The drawn node features beside the states: a discovery from these states needs them."""
    import pandas as pd

    path = target.with_name(f"{target.stem}-features.csv")
    with output_file(path) as temporary:
        pd.DataFrame({"node": network.names, **features}).to_csv(temporary, index=False)
    return path
