"""What each part of the road of preset "neural" does: nets, structures, growth, pairs, trajectories, moves.

    python benchmarks/ablation.py --json benchmarks/results/ablation.json
    python benchmarks/ablation.py --db 30 --laws gene,kuramoto

For every law, and every way to come to the two nets (by Adam; by variable projection on integrals or rates,
in both ends or in the simplest structure; through the solver): their true errors where the data lie, and
then recall of terms and exactness of the law that stands after each stage, with and without growth in the
search of expressions.

    alone         the best expression of each net, with the constants that it has there
    pairs         the best pair, constants refitted in the integral form
    trajectories  the best of the pairs that were fitted to the trajectories
    drop          terms dropped
    pool          terms of other expressions added, or put in the place of some
    compress      a constant and a term written as one
    loosen        numbers that an engine took for whole ones as constants again
    end           after the last dropping, before the finish through the solver

Compiled programs are kept: the first way whose nets have a shape pays for all of the law.
`recovery.py --preset neural` measures the road as it is, with its finish.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from ablation_road import NETS, Nets, Seconds, Stages, WatchedRoad, nets_of, seconds_of, true_errors
from common import (
    comma_list,
    environment,
    integers,
    kept_rows,
    median,
    print_environment,
)
from recovery import (
    NETWORKS,
    NUM_NODES,
    check_laws_and_networks,
    sample_times,
    sampling_of,
    true_run,
)
from threadpoolctl import threadpool_limits

import jaxllc

LAWS = ("biochemical", "gene", "mutualistic", "lotka_volterra", "neural", "epidemic", "kuramoto")
# The nets of the road as it is, on clean data and in noise.
ROAD, NOISY_ROAD = "rates + structures", "integrals + structures"
QUICK_LAWS, QUICK_NETS = ("epidemic",), ("adam", ROAD)
STAGES = ("alone", "pairs", "trajectories", "drop", "pool", "compress", "loosen", "end")
PARTS = ("nets", "expressions", "judge")
WITHIN, WITHIN_NOISE = 0.01, 0.05  # relative error of every constant of a law that counts as exact


def main() -> None:
    options = _options()
    record = {"benchmark": "ablation", "settings": vars(options), "environment": environment()}
    print_environment(record["environment"])
    noise = "clean" if options.db is None else f"{options.db:g} dB"
    print(
        f"{NUM_NODES} nodes, {noise}, networks {options.networks}, seeds {options.seeds}\n"
        "Recall of terms after each stage, * where the law is exact. Processor seconds: running + compiling"
    )
    print(head_line(), flush=True)
    rows = kept_rows(measured(options), record, options.json, row_text, summary)
    print("\nOver the laws: median errors, mean recall and number exact, median processor seconds")
    for line in summary_lines(summary(rows)):
        print(line)
    chosen = ROAD if options.db is None else NOISY_ROAD
    if chosen not in options.nets:
        chosen = options.nets[-1]
    done = [row for row in rows if row["nets"] == chosen and row["growth"]]
    exact = sum(bool(row.get("exact", {}).get("end")) for row in done)
    print(f"{chosen}: exact {exact}/{len(done)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Parts of the road of preset neural.")
    parser.add_argument("--seeds", type=integers, default=[0], metavar="0,1,2")
    parser.add_argument("--networks", type=comma_list, default=["ba"], metavar="ba,er")
    parser.add_argument("--laws", type=comma_list, metavar="A,B", help="default: " + ",".join(LAWS))
    parser.add_argument(
        "--db", type=float, help="add white noise: 20 log10(std of signal / std of noise)"
    )
    parser.add_argument("--nets", type=comma_list, metavar="A,B", help=f"of {', '.join(NETS)}")
    parser.add_argument("--quick", action="store_true", help="one law, two ways to the nets")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    # As many runs and samples as `recovery.py` has for a law.
    parser.set_defaults(runs=None, samples=None)
    options = parser.parse_args()
    options.laws = options.laws or list(QUICK_LAWS if options.quick else LAWS)
    options.nets = options.nets or list(QUICK_NETS if options.quick else NETS)
    for name in options.nets:
        if name not in NETS:
            parser.error(f"there are no nets {name!r}; nets are {', '.join(NETS)}")
    check_laws_and_networks(parser, options)
    return options


# --- one law ------------------------------------------------------------------------------------


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every law, network, seed, way to the nets, and growth; a failure is a row that says so."""
    for name, kind, seed in itertools.product(options.laws, options.networks, options.seeds):
        known = jaxllc.known_laws.get(name)
        case = {"law": name, "network": kind, "seed": seed}
        try:
            road = begun_road(known, kind, seed, options)
        except Exception as error:
            yield {**case, "nets": "", "growth": True, "failure": _said(error)}
            continue
        for way in options.nets:
            yield from of_nets(case, NETS[way], road, known, options)


def begun_road(known: Any, kind: str, seed: int, options: argparse.Namespace) -> WatchedRoad:
    """The road with its data, up to the nets."""
    network = NETWORKS[kind](seed)
    features = known.sample_features(NUM_NODES, seed)
    sampling = sampling_of(known.name, options)
    times = sample_times(known, sampling)
    runs = [true_run(known, network, times, 100 * seed + r, features) for r in range(sampling.runs)]
    if options.db is not None:
        runs = [run.with_noise(options.db, seed=100 * seed + r) for r, run in enumerate(runs)]
    with threadpool_limits(1):
        road = WatchedRoad(runs, network, seed)
        road.begin()
    return road


def of_nets(
    case: dict[str, Any], way: Nets, road: WatchedRoad, known: Any, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The rows of one way to the nets: with growth and without."""
    spent: dict[str, Seconds] = {}
    row: dict[str, Any] = {**case, "nets": way.name, "growth": True, "failure": None}
    try:
        with threadpool_limits(1), seconds_of(spent, "nets"):
            nets = nets_of(way, road)
        row["reads"] = str(nets.structure)
        row["residual"] = dict(nets.residual)
        row["error"] = true_errors(nets, known, road.network, case["seed"])
    except Exception as error:
        yield {**row, "failure": _said(error)}
        return
    for growth in (True, False):
        stages, failure = Stages(), None
        try:
            with threadpool_limits(1):
                stages = road.after(nets, growth)
        except Exception as error:
            failure = _said(error)
            stages = road.stages  # as far as it came
        within = WITHIN if options.db is None else WITHIN_NOISE
        yield {
            **row,
            "growth": growth,
            **compared(stages, known, within),
            "seconds": {p: s.record() for p, s in {**spent, **stages.seconds}.items()},
            "failure": failure,
        }


def compared(stages: Stages, known: Any, within: float) -> dict[str, Any]:
    """Recall of terms, exactness and text of the law after each stage."""
    recall, exact, worst = {}, {}, {}
    for stage, law in stages.laws.items():
        recall[stage] = jaxllc.metrics.term_recall(law, known)
        same = jaxllc.metrics.skeleton_equal(law, known)
        worst[stage] = jaxllc.metrics.worst_coefficient_error(law, known) if same else float("nan")
        exact[stage] = bool(same and worst[stage] <= within)
    texts = {
        stage: {v: e.to_text() for v, e in law.items()}
        for stage, law in stages.laws.items()
        if stage in ("alone", "pairs", "end")
    }
    return {"recall": recall, "exact": exact, "worst_constant": worst, "found": texts}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# --- text ---------------------------------------------------------------------------------------


def _line(*cells: str) -> str:
    widths = (27, 23, 15, 7, 8, 8, *(7 if len(s) < 7 else len(s) for s in STAGES), 11, 11, 11)
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def head_line() -> str:
    """Names of the columns."""
    return _line("law", "nets", "g reads", "growth", "error f", "error g", *STAGES, *PARTS)


def row_text(row: dict[str, Any]) -> str:
    """One line for a row."""
    law = f"{row['law']} {row['network']} {row['seed']}"
    if "recall" not in row:
        return f"{law}  {row['nets']}  FAILED {row['failure']}"
    stages = [
        f"{row['recall'][s]:.2f}{'*' if row['exact'][s] else ''}" if s in row["recall"] else "-"
        for s in STAGES
    ]
    text = _line(
        law, row["nets"], row["reads"], _growth(row), *map(_percent, worst_errors(row)), *stages,
        *(_cost(row["seconds"].get(part)) for part in PARTS),
    )  # fmt: skip
    return text + (f"  FAILED {row['failure']}" if row["failure"] else "")


def _growth(row: dict[str, Any]) -> str:
    return "yes" if row["growth"] else "no"


def worst_errors(row: dict[str, Any]) -> tuple[float, float]:
    """Errors of f and of g, of the variable that has the largest."""
    return tuple(float(np.max(list(side.values()))) for side in row["error"].values())  # type: ignore[return-value]


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.2g} %"


def _cost(seconds: dict[str, float] | None) -> str:
    return (
        "-"
        if seconds is None
        else (f"{seconds['processor_running']:.1f} + {seconds['processor_compiling']:.1f}")
    )


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A record for every way to the nets, with growth and without, over all laws."""
    records = []
    done = [row for row in rows if "recall" in row]
    for nets, growth in dict.fromkeys((row["nets"], row["growth"]) for row in done):
        own = [row for row in done if (row["nets"], row["growth"]) == (nets, growth)]
        f, g = zip(*map(worst_errors, own), strict=True)
        seconds = {
            part: {
                kind: median(row["seconds"].get(part, {}).get(kind) for row in own)
                for kind in ("processor_running", "processor_compiling")
            }
            for part in PARTS
        }
        records.append(
            {
                "nets": nets,
                "growth": growth,
                "laws": len(own),
                "error_f": median(f),
                "error_g": median(g),
                # A stage that was not reached has found nothing.
                "recall": {
                    s: float(np.mean([row["recall"].get(s, 0.0) for row in own])) for s in STAGES
                },
                "exact": {s: sum(bool(row["exact"].get(s)) for row in own) for s in STAGES},
                "seconds": seconds,
            }
        )
    return records


def summary_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    """The summary as a table."""
    yield head_line()
    for record in records:
        stages = [f"{record['recall'][s]:.2f} {record['exact'][s]}" for s in STAGES]
        seconds = record["seconds"]
        yield _line(
            f"{record['laws']} law{'s' * (record['laws'] > 1)}", record["nets"], "", _growth(record),
            _percent(record["error_f"]), _percent(record["error_g"]), *stages,
            *(_cost(seconds[part]) for part in PARTS),
        )  # fmt: skip


if __name__ == "__main__":
    main()
