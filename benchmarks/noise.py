"""Laws found in noise: the form of the truth, and if not, whether the truth would have been better.

    python benchmarks/noise.py --json benchmarks/results/noise.json
    python benchmarks/noise.py --seeds 0 --laws predation,tanh --conditions db20,coarse8

Ten laws of one or two variables, with parameters, networks and initial states drawn from law and seed
(`noise_cases.py`), under seven conditions: white noise at 40, 30, 20 and 10 dB (20 log10 of the spread of a
variable over that of the noise; four runs of 60 samples), and at 30 dB ten runs of eight samples (coarse8), a
start after three tenths of the horizon (late), half of the values missing (half).

Exact: the form of the truth, whatever its constants. Beaten: the true law, fitted to the same samples in the
same judge, has a criterion lower by more than half a unit. Then the data decide for the truth, and the
search has missed it. A discovery that fails is beaten. Beside every miss: whether the data hold the true
constants, each more than three of its Cramer-Rao standard errors away from nought, or which one they do not.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

from common import (
    comma_list,
    environment,
    integers,
    kept_rows,
    median,
    one_line,
    print_environment,
)
from noise_cases import CONDITIONS, LAWS, drawn_case
from noise_judge import compared

import jaxllc

QUICK_LAWS, QUICK_CONDITIONS = ("michaelis", "sis", "tanh"), ("db40",)


def main() -> None:
    options = _options()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    record = {"benchmark": "noise", "settings": settings, "environment": environment()}
    print_environment(record["environment"])
    cases = list(itertools.product(options.seeds, options.laws, options.conditions))
    print(f"{len(cases)} cases, seeds {options.seeds}", flush=True)
    rows = kept_rows((measured(*case) for case in cases), record, options.json, row_text, summary)
    result = summary(rows)
    print_summary(result)
    print(f"exact {result['exact']}/{result['cases']}, beaten by the truth {result['beaten']}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Laws found in noise beside the true ones.")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2], metavar="0,1,2")
    parser.add_argument("--laws", type=comma_list, metavar="A,B", help="default: all")
    parser.add_argument("--conditions", type=comma_list, metavar="A,B", help="default: all")
    parser.add_argument("--quick", action="store_true", help="three cases")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    if options.quick:
        options.seeds = options.seeds[:1]
        options.laws = options.laws or list(QUICK_LAWS)
        options.conditions = options.conditions or list(QUICK_CONDITIONS)
    options.laws = options.laws or list(LAWS)
    options.conditions = options.conditions or list(CONDITIONS)
    for what, given, known in (
        ("law", options.laws, LAWS),
        ("condition", options.conditions, CONDITIONS),
    ):
        for name in given:
            if name not in known:
                parser.error(f"there is no {what} {name!r}; there are {', '.join(known)}")
    if not options.seeds or min(options.seeds) < 0:
        parser.error("--seeds must be whole numbers from 0")
    return options


def measured(seed: int, law: str, condition: str) -> dict[str, Any]:
    """Discover the law of one case and compare it with the truth; a failure is a row that says so."""
    row: dict[str, Any] = {"law": law, "condition": condition, "seed": seed, "failure": None}
    row.update(exact=False, beaten=True)
    try:
        case = drawn_case(law, condition, seed)
        row["true"] = "; ".join(str(case.known).splitlines())
        row["nodes"], row["redrawn"] = case.network.num_nodes, list(case.drawn.refused)
        begun = time.process_time()
        found = jaxllc.discover(case.runs, case.network, seed=seed)
        row["processor_seconds"] = time.process_time() - begun
        row["found"], row["notes"] = one_line(found), list(found.notes)
        row.update(compared(case, found))
    except Exception as error:
        row["failure"] = f"{type(error).__name__}: {error}"
    return row


# --- text ---------------------------------------------------------------------------------------


def row_text(row: dict[str, Any]) -> str:
    """One line for a row; below it, for a miss, what was found, the truth, and whether the data hold it."""
    head = f"{row['law']:16s} {row['condition']:8s} seed {row['seed']}  "
    if row["failure"]:
        return f"{head}FAILED {row['failure']}"
    text = head + (
        f"{row['processor_seconds']:6.1f} s  {'exact' if row['exact'] else 'OTHER'}  constants "
        f"{row['constants_found']}/{row['constants_true']}  criterion {row['criterion_found']:.1f} - "
        f"{row['criterion_true']:.1f} = {row['difference']:+.1f}"
    )
    if row["beaten"]:
        text += "  BEATEN"
    if row["exact"]:
        text += f"  worst constant {row['largest_standardised_error']:.1f} standard errors off"
    if row["exact"] and not row["beaten"]:
        return text
    return f"{text}\n    {row['readability']}\n    found: {row['found']}\n    true:  {row['true']}"


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over all rows, and by condition and by law."""

    def counts(part: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "cases": len(part),
            "exact": sum(row["exact"] for row in part),
            "beaten": sum(row["beaten"] for row in part),
            "beaten_with_exact_form": sum(row["exact"] and row["beaten"] for row in part),
            "failed": sum(row["failure"] is not None for row in part),
            "missed_but_readable": sum(
                not row["exact"] and bool(row.get("readable")) for row in part
            ),
            "median_processor_seconds": median(row.get("processor_seconds") for row in part),
        }

    groups = {
        key: {
            name: counts([row for row in rows if row[key] == name])
            for name in dict.fromkeys(row[key] for row in rows)
        }
        for key in ("condition", "law")
    }
    return {**counts(rows), "by": groups}


COLUMNS = {
    "beaten": "beaten",
    "beaten_with_exact_form": "of these exact",
    "failed": "failed",
    "missed_but_readable": "missed, but readable",
}


def print_summary(result: dict[str, Any]) -> None:
    """A table by condition and one by law."""
    for key, parts in result["by"].items():
        titles = "".join(f"  {title}" for title in COLUMNS.values())
        print(f"\n{key:16s}  exact{titles}  median processor seconds")
        for name, part in parts.items():
            columns = "".join(f"  {part[c]:{len(title)}d}" for c, title in COLUMNS.items())
            print(
                f"{name:16s}  {part['exact']:2d}/{part['cases']:<2d}{columns}  "
                f"{part['median_processor_seconds']:24.1f}"
            )


if __name__ == "__main__":
    main()
