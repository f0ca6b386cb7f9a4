"""The search for one term from samples: how often the exact expression is found, and how fast.

    python benchmarks/symbolic.py --json benchmarks/results/symbolic.json
    python benchmarks/symbolic.py --engines pretrained,sparse,pretrained+sparse,pysindy --families core
    python benchmarks/symbolic.py --families random --random-seed 7
    python benchmarks/symbolic.py --families nested
    python benchmarks/symbolic.py --families develop --conditions clean,mixed --random-seed 3
    python benchmarks/symbolic.py --targets my_targets.txt

Exact: the skeleton of the truth, each constant within 5 %, no term too many (`exactness`). Each target
is sampled at 500 points, clean or disturbed as in `symbolic_conditions`; the search is told the rms of
the error, and nothing of clean values.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

from common import (
    CompileClock,
    comma_list,
    environment,
    print_environment,
    write_json,
)
from exactness import exact
from fresh_terms import JUDGE_SEED, fresh_terms
from peer_gplearn import search_with_gplearn
from peer_llc import search_with_llc
from peer_pysindy_term import search_with_pysindy
from random_targets import RANDOM_FAMILIES, generate
from symbolic_conditions import CONDITIONS, samples
from symbolic_tables import failures_text, summary, summary_text
from symbolic_targets import Target, read_targets, targets, targets_of_file

from jaxllc.equations.expressions import to_text
from jaxllc.errors import InputError
from jaxllc.search.forms.term_samples import Samples

DEFAULT_ENGINE = "pretrained+sparse"
OWN_ENGINES = ("sparse", "operon", "pysr", "pretrained")
PEERS = {"llc": search_with_llc, "pysindy": search_with_pysindy, "gplearn": search_with_gplearn}
FAMILIES = ("core", "extra", "random", "nested")
# Drawn anew: the second one by its own seed, and not to be looked at before a change is done.
FRESH = ("develop", "judge")
DEFAULT_FAMILIES = ("core", "extra", "random")
QUICK = ("epidemic", "Kuramoto", "mutualistic", "neural", "pendulum", "inhibition")
QUICK_CONDITION = "white 0.5%"
WARM_UP = "warm-up; x_i x_j; x_i*x_j - sin(x_i); 0:3 0:3"

# samples, seconds, seed -> what was found first, and all candidates
Search = Callable[[Samples, float, int], dict[str, Any]]


def main() -> None:
    options = _options()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    record: dict[str, Any] = {
        "benchmark": "symbolic",
        "settings": settings,
        "environment": environment(),
    }
    print_environment(record["environment"])
    chosen = _targets(options, record)
    print(
        f"{len(chosen)} targets, conditions {', '.join(options.conditions)}, "
        f"{options.seconds:g} s each, seed {options.seed}"
    )
    engines = {name: engine(name) for name in options.engines}
    record["warm_up_seconds"] = warm_up(engines, options.seconds)
    rows: list[dict[str, Any]] = []
    for condition in options.conditions:
        for target in chosen:
            given = samples(target, condition, options.seed)
            for name, search in engines.items():
                row = measured(target, given, search, options.seconds, options.seed)
                rows.append({"engine": name, "condition": condition, **row})
                print(row_text(rows[-1]), flush=True)
        if options.json:
            write_json(options.json, {**record, "rows": rows, "summary": summary(rows)})
    print(failures_text(rows))
    print(summary_text(summary(rows)))
    counted = DEFAULT_ENGINE if DEFAULT_ENGINE in engines else options.engines[0]
    mine = [row for row in rows if row["engine"] == counted]
    print(f"exact {sum(row['exact'] for row in mine)}/{len(mine)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Exact recovery of one term from its samples.")
    parser.add_argument(
        "--engines",
        type=comma_list,
        default=[DEFAULT_ENGINE],
        metavar="A,B",
        help=f"{', '.join((*OWN_ENGINES, *PEERS))}, ours also joined, as {DEFAULT_ENGINE} (default)",
    )
    parser.add_argument(
        "--families",
        type=comma_list,
        default=list(DEFAULT_FAMILIES),
        metavar="A,B",
        help=f"{', '.join((*FAMILIES, *FRESH))} (default {','.join(DEFAULT_FAMILIES)}); nested: trees "
        "that do not look like laws; develop, judge: `fresh_terms`",
    )
    parser.add_argument(
        "--conditions",
        type=comma_list,
        metavar="A,B",
        help=f"out of {', '.join(CONDITIONS)}".replace("%", "%%"),
    )
    parser.add_argument(
        "--targets", metavar="FILE", help="only these: name; variables; expression; low:high ..."
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="for each search (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of points, errors and search")
    parser.add_argument("--random-seed", type=int, default=0, help="of drawn targets")
    parser.add_argument("--quick", action="store_true", help="six targets, one condition")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    if options.conditions is None:
        options.conditions = [QUICK_CONDITION] if options.quick else list(CONDITIONS)
    # White0.5, white 0.5% and "white 0.5 %" are one condition.
    plain = {_plain(name): name for name in CONDITIONS}
    options.conditions = [plain.get(_plain(name), name) for name in options.conditions]
    for kind, given, known in (
        ("condition", options.conditions, tuple(CONDITIONS)),
        ("family", options.families, (*FAMILIES, *FRESH)),
    ):
        for name in given:
            if name not in known:
                parser.error(f"there is no {kind} {name!r}; choose from {', '.join(known)}")
    for name in options.engines:
        if name not in PEERS and not set(name.split("+")) <= set(OWN_ENGINES):
            parser.error(
                f"there is no engine {name!r}; choose from {', '.join((*OWN_ENGINES, *PEERS))}, "
                f"or join ours with +"
            )
    if not options.seconds > 0:
        parser.error(f"--seconds is {options.seconds:g}; give more than 0")
    return options


def _plain(name: str) -> str:
    return re.sub(r"[\s%]", "", name).casefold()


def _targets(options: argparse.Namespace, record: dict[str, Any]) -> list[Target]:
    if options.targets:
        try:
            return targets_of_file(options.targets)
        except InputError as error:
            raise SystemExit(f"symbolic.py: {error}") from None
    if options.quick:
        return [t for t in targets(("core", "extra")) if t.name in QUICK]
    for family in options.families:
        if family not in RANDOM_FAMILIES or options.random_seed == 0:
            continue
        drawn = generate(family, options.random_seed)
        record[f"{family}_targets"] = {"drawn": drawn.drawn, "refused": drawn.refused}
        print(f"{family} targets: {drawn}")
    fresh = [family for family in options.families if family in FRESH]
    chosen = targets([f for f in options.families if f not in FRESH], options.random_seed)
    for family in fresh:
        seed = JUDGE_SEED if family == "judge" else options.random_seed
        chosen += fresh_terms(family, seed)
        print(f"{family}: 60 terms of seed {seed}")
    return chosen


# --- searching ----------------------------------------------------------------------------------


def engine(name: str) -> Search:
    """The search of a name: ours, alone or together, or a peer."""
    if name in PEERS:
        peer = PEERS[name]

        def ask(given: Samples, seconds: float, seed: int) -> dict[str, Any]:
            found = peer(given, seconds, seed)
            return {"best": found.expression, "reason": found.reason}

        return ask

    def search(given: Samples, seconds: float, seed: int) -> dict[str, Any]:
        from jaxllc.search.term.term_search import search_term

        result = search_term(given, engines=tuple(name.split("+")), seconds=seconds, seed=seed)
        return {
            "best": result.best.expression,
            "front": [candidate.expression for candidate in result.front],
            "by": result.best.engine,
            "score": result.best.score,
            "constants": result.best.num_constants,
        }

    return search


def warm_up(engines: dict[str, Search], seconds: float) -> dict[str, float]:
    """Runs each engine once, so that what is imported or compiled the first time is not measured."""
    (target,) = read_targets([WARM_UP], "warm-up")
    given = samples(target, QUICK_CONDITION)
    taken = {}
    for name, search in engines.items():
        start = time.perf_counter()
        measured(target, given, search, min(seconds, 2.0), 0)
        taken[name] = time.perf_counter() - start
    print("warm-up seconds: " + ", ".join(f"{name} {s:.1f}" for name, s in taken.items()))
    return taken


def measured(
    target: Target, given: Samples, search: Search, seconds: float, seed: int
) -> dict[str, Any]:
    """A row: verdict, errors, seconds; a search that fails is a row that says so."""
    row: dict[str, Any] = {
        "target": target.name,
        "family": target.family,
        "truth": target.text,
        "exact": False,
        "failure": None,
    }
    clock, start, processor = CompileClock(), time.perf_counter(), time.process_time()
    try:
        found = search(given, seconds, seed)
    except Exception as error:
        taken = time.perf_counter() - start
        used = time.process_time() - processor
        row |= {"seconds": taken, "processor_seconds": used}
        return {**row, "failure": f"{type(error).__name__}: {error}"}
    taken, used = time.perf_counter() - start, time.process_time() - processor
    best = found.pop("best")
    front = found.pop("front", [])
    verdict = exact(target, best)
    return {
        **row,
        "found": _written(best),
        "exact": verdict.exact,
        "same_skeleton": verdict.same_skeleton,
        "worst_coefficient_error": verdict.worst,
        "median_coefficient_error": verdict.median,
        "relative_error": verdict.off,
        # Whether the truth was among the candidates tells a search that fails from a choice that does.
        "on_front": verdict.exact or any(exact(target, each).exact for each in front),
        "seconds": taken,
        "processor_seconds": used,
        "compile_seconds": clock.since(start),
        **found,
    }


def _written(expression: Any) -> str | None:
    if expression is None:
        return None
    try:
        return to_text(expression)
    except InputError:
        return str(expression)


def row_text(row: dict[str, Any]) -> str:
    """One line for a row."""
    head = (
        f"{row['condition']:12s} {row['target']:24s} {row['engine']:14s} {row['seconds']:6.2f} s  "
    )
    if row["failure"]:
        return f"{head}FAILED {row['failure']}"
    if row["exact"]:
        return f"{head}exact  worst constant {row['worst_coefficient_error']:.1e}"
    kind = "constants" if row["same_skeleton"] else "OTHER"
    return f"{head}{kind}{' (truth on the front)' if row['on_front'] else ''}"


if __name__ == "__main__":
    main()
