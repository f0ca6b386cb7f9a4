"""What each kind of work of a search of terms costs, in processor seconds: the rates of `search_work`.

    python benchmarks/search_rates.py            # every fourth target
    python benchmarks/search_rates.py --every 9

Each stage of each search gives one equation, its amounts of work against its processor seconds; rates are
nonnegative and fit them in proportion. The last line says how well they tell the time of whole searches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from common import environment, print_environment
from scipy.optimize import nnls
from symbolic_conditions import samples
from symbolic_targets import targets

from jaxllc.search.forms.search_work import RATES, SearchWork
from jaxllc.search.term import term_search

_ENGINES = ("pretrained", "sparse")
# A search that never stops by its work; seconds that are not held against a stage, and their share.
_ENDLESS, _LEAST, _SHARE = 1e12, 0.05, 0.15

Row = tuple[str, np.ndarray, float]


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor seconds of each kind of work.")
    parser.add_argument("--every", type=int, default=4, help="which targets, 1 for all (default 4)")
    options = parser.parse_args()
    print_environment(environment())
    rows = measured(options.every)
    rates = fitted_rates(rows)
    for kind, rate in zip(RATES, rates, strict=True):
        print(f"{kind:11s} {rate:.2g}  (now {RATES[kind]:.2g})")
    now = np.array(list(RATES.values()))
    for name, used in (("fitted here", rates), ("in use", now)):
        quantiles = np.quantile(ratios(rows, used), [0, 0.05, 0.5, 0.95, 1])
        print(f"time told / time taken, rates {name}: " + " ".join(f"{q:.2f}" for q in quantiles))


def measured(every: int) -> list[Row]:
    """Searches of some targets, clean and disturbed: name, amounts of each kind and seconds of each stage."""
    rows: list[Row] = []
    works: list[SearchWork] = []
    plain_clock, plain_work = term_search.stage_clock, term_search.SearchWork

    def work_of(seconds: float) -> SearchWork:
        works.append(plain_work(seconds))
        return works[-1]

    @contextmanager
    def stage_clock(seconds: dict[str, float], stage: str) -> Iterator[None]:
        before, begun = _amounts(works[-1]), time.process_time()
        with plain_clock(seconds, stage):
            yield
        if stage != "preparation":
            taken = time.process_time() - begun
            rows.append((name, _amounts(works[-1]) - before, taken))

    term_search.stage_clock, term_search.SearchWork = stage_clock, work_of  # type: ignore
    try:
        chosen = targets(("extra", "random"))[::every]
        name = "warm-up"
        term_search.search_term(samples(chosen[0], "mixed"), _ENGINES, _ENDLESS)
        rows.clear()
        for target in chosen:
            for condition in ("clean", "mixed"):
                name = f"{target.name}, {condition}"
                term_search.search_term(samples(target, condition), _ENGINES, _ENDLESS)
    finally:
        term_search.stage_clock, term_search.SearchWork = plain_clock, plain_work  # type: ignore
    return rows


def _amounts(work: SearchWork) -> np.ndarray:
    return np.array(list(work.amounts.values()))


def fitted_rates(rows: list[Row]) -> np.ndarray:
    amounts, seconds = np.stack([r[1] for r in rows]), np.array([r[2] for r in rows])
    size = np.maximum(amounts.max(axis=0), 1e-300)
    weight = 1.0 / (_LEAST + _SHARE * seconds)
    return nnls(amounts / size * weight[:, None], seconds * weight)[0] / size


def ratios(rows: list[Row], rates: np.ndarray) -> np.ndarray:
    """Of each search, the seconds by the rates over those that it took."""
    told: dict[str, float] = {}
    taken: dict[str, float] = {}
    for name, amounts, seconds in rows:
        told[name] = told.get(name, 0.0) + float(amounts @ rates)
        taken[name] = taken.get(name, 0.0) + seconds
    return np.array([told[name] / taken[name] for name in told])


if __name__ == "__main__":
    main()
