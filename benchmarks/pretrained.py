"""The pre-trained engine: its file, its speed, and how often the truth is among its 20 best proposals.

    python benchmarks/pretrained.py --json benchmarks/results/pretrained.json
    python benchmarks/pretrained.py --quick
    python benchmarks/pretrained.py --targets my_targets.txt
    python benchmarks/pretrained.py --weights other.safetensors --width 100 --views 3

Recall is measured on random sets of skeletons that were trained on, with other constants, and of skeletons
that were held out; on trees of another grammar (`far_targets`), by whether the alphabet has a form for them
and whether the corpus draws it; and, through the judge of the search, on the 30 core targets. The sparse
enumeration does the same held-out sets beside it. How a proposal is judged: `pretrained_recall`.
"""

from __future__ import annotations

import argparse
import importlib.resources
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from common import environment, print_environment, write_json
from far_targets import far_targets
from pretrained_recall import (
    CLEAN,
    place_in_corpus,
    recall_of_sparse,
    recall_of_targets,
    shares,
    standard_error,
)
from pretrained_speed import PROPOSALS, file_facts, speed
from symbolic import QUICK, measured, row_text, warm_up
from symbolic_conditions import samples
from symbolic_tables import summary, summary_text
from symbolic_targets import Target, targets, targets_of_file

from jaxllc.errors import InputError
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.training.corpus import SPLITS, CorpusSettings
from jaxllc.pretrained.training.recall import TOP, recall, recall_sets
from jaxllc.pretrained.weights import load_model
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term import term_search

SETS, QUICK_SETS = 500, 60
SPARSE_SETS, QUICK_SPARSE_SETS = 40, 6
DRAWS, QUICK_DRAWS = 1_000_000, 20_000
CORE_CONDITIONS = ("clean", "white 0.5%", "smooth 1%")
POINTS = 200  # of a set


def main() -> None:
    options = _options()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    record: dict[str, Any] = {
        "benchmark": "pretrained",
        "settings": settings,
        "environment": environment(),
    }
    print_environment(record["environment"])
    path = Path(options.weights) if options.weights else shipped()
    try:
        own = targets_of_file(options.targets) if options.targets else None
        model, _ = load_model(path)
        engine = PretrainedEngine(model, **_given(width=options.width, views=options.views))
    except InputError as error:
        raise SystemExit(f"pretrained.py: {error}") from None
    record["engine"] = {"width": engine.width, "views": engine.views}
    record["weights"] = file_facts(path, 1 if options.quick else 3)
    print(facts_text(record["weights"], record["engine"]))
    record["speed"] = speed(engine, 2 if options.quick else 5)
    print(speed_text(record["speed"]), flush=True)

    def keep() -> None:
        if options.json:
            write_json(options.json, record)

    if own is not None:
        record["targets"] = targets_recall(engine, own, options.seed)
        print(targets_text("own targets", record["targets"], ("family",)))
        value = record["targets"]["clean"]
    else:
        for part in (corpus_recall, far_recall, core_recovery):
            record |= part(engine, options)
            keep()
        value = record["corpus"]["held-out"]["fitted"]
    record["top-20 recall"] = value
    keep()
    print(f"top-{TOP} recall {value:.3f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Size, speed and recall of the pre-trained engine."
    )
    parser.add_argument("--quick", action="store_true", help="fewer sets, targets and draws")
    parser.add_argument(
        "--json", metavar="FILE", help="write settings, device, versions and numbers"
    )
    parser.add_argument(
        "--targets", metavar="FILE", help="only these: name; variables; expression; low:high ..."
    )
    parser.add_argument("--weights", metavar="FILE", help="by default those of the package")
    parser.add_argument("--width", type=int, help="strings written for each view")
    parser.add_argument("--views", type=int, help="orders of the inputs")
    parser.add_argument("--sets", type=int, help=f"of the corpus (default {SETS})")
    parser.add_argument("--draws", type=int, help=f"of the corpus, for the far targets ({DRAWS:,})")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each core search (default 5)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of sets, points, errors and search")
    parser.add_argument("--far-seed", type=int, default=0, help="of the far targets")
    options = parser.parse_args()
    if options.sets is None:
        options.sets = QUICK_SETS if options.quick else SETS
    if options.draws is None:
        options.draws = QUICK_DRAWS if options.quick else DRAWS
    options.sparse_sets = min(options.sets, QUICK_SPARSE_SETS if options.quick else SPARSE_SETS)
    for name in ("width", "views", "sets", "draws"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is {value}; give at least 1")
    if not options.seconds > 0:
        parser.error(f"--seconds is {options.seconds:g}; give more than 0")
    return options


def _given(**settings: int | None) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def shipped() -> Path:
    """The weights of the package."""
    found = importlib.resources.files("jaxllc.pretrained") / "weights.safetensors"
    return Path(str(found))


# --- the parts ----------------------------------------------------------------------------------


def corpus_recall(engine: PretrainedEngine, options: argparse.Namespace) -> dict[str, Any]:
    """Recall on both splits of the corpus, and of the sparse enumeration on the held-out one."""
    found: dict[str, Any] = {}
    for split in SPLITS:
        one = recall(engine, split, options.sets, seed=options.seed)
        found[split] = asdict(one) | {
            "written_error": standard_error(one.written, one.sets),
            "fitted_error": standard_error(one.fitted, one.sets),
        }
        print(corpus_text(found[split]), flush=True)
    symbols = engine.model.settings.alphabet
    corpus = CorpusSettings(symbols.num_variables, points=(POINTS,))
    sets = recall_sets(corpus, "held-out", options.sets, options.seed)[: options.sparse_sets]
    sparse = recall_of_sparse(sets, symbols)
    ours = found["held-out"]["found"][: len(sets)]
    sparse["pretrained"] = sum(ours) / len(ours)
    print(
        f"sparse enumeration, the first {len(sets)} of the held-out sets: "
        f"{_share(sparse['recall'], len(sets))} among its best {TOP}, {sparse['seconds']:.2f} s a set; "
        f"pretrained on these {_share(sparse['pretrained'], len(sets))}",
        flush=True,
    )
    return {"corpus": found, "sparse": sparse}


def far_recall(engine: PretrainedEngine, options: argparse.Namespace) -> dict[str, Any]:
    """Recall on far targets, all and by their place in the corpus."""
    chosen = far_targets(options.far_seed)
    if options.quick:
        chosen = chosen[::10]
    places = place_in_corpus(chosen, engine.model.settings.alphabet, options.draws)
    found = targets_recall(engine, chosen, options.seed, places)
    found["draws"] = options.draws
    print(targets_text("far targets", found, ("place", "family")), flush=True)
    return {"far": found}


def targets_recall(
    engine: PretrainedEngine, chosen: list[Target], seed: int, places: list[str] | None = None
) -> dict[str, Any]:
    """Recall on targets with known expressions, from exact samples and with noise."""
    rows = recall_of_targets(engine, chosen, seed)
    if places:
        by_name = dict(zip((target.name for target in chosen), places, strict=True))
        rows = [row | {"place": by_name[row["target"]]} for row in rows]
    clean = [row for row in rows if row["condition"] == CLEAN.name]
    noisy = [row for row in rows if row["condition"] != CLEAN.name]
    keys = ("place", "family") if places else ("family",)
    return {
        "targets": len(chosen),
        "clean": sum(row["found"] for row in clean) / len(clean),
        "noisy": sum(row["found"] for row in noisy) / len(noisy),
        "clean_whole_family": sum(row["whole_family"] for row in clean) / len(clean),
        "noisy_constants": sum(row["constants"] for row in noisy) / len(noisy),
        "by": {key: {"clean": shares(clean, key), "noisy": shares(noisy, key)} for key in keys},
        "rows": rows,
    }


def core_recovery(engine: PretrainedEngine, options: argparse.Namespace) -> dict[str, Any]:
    """The core targets by the engine and the judge alone: rows and counts as of `symbolic`."""
    chosen = targets(("core",))
    conditions = CORE_CONDITIONS
    if options.quick:
        chosen = [target for target in chosen if target.name in QUICK]
        conditions = CORE_CONDITIONS[1:2]

    def search(given: Samples, seconds: float, seed: int) -> dict[str, Any]:
        found = term_search.search_term(given, engines=("pretrained",), seconds=seconds, seed=seed)
        return {
            "best": found.best.expression,
            "front": [candidate.expression for candidate in found.front],
            "by": found.best.engine,
        }

    rows = []
    with searching_with(engine):
        warm_up({"pretrained": search}, options.seconds)
        for condition in conditions:
            for target in chosen:
                given = samples(target, condition, options.seed)
                row = measured(target, given, search, options.seconds, options.seed)
                rows.append({"engine": "pretrained", "condition": condition, **row})
                if not row["exact"]:
                    print(row_text(rows[-1]), flush=True)
    table = summary(rows)
    print(summary_text(table), flush=True)
    return {"core": {"rows": rows, "summary": table}}


@contextmanager
def searching_with(engine: PretrainedEngine) -> Iterator[None]:
    """Searches of terms take this engine by the name `pretrained`, whatever weights the package has."""
    known = term_search.term_engine

    def chosen(name: str, *arguments: Any) -> Any:
        return engine if name == engine.name else known(name, *arguments)

    with patch.object(term_search, "term_engine", chosen):
        yield


# --- what is printed ------------------------------------------------------------------------------


def _share(share: float, count: int) -> str:
    return f"{share:.3f} +- {standard_error(share, count):.3f}"


def facts_text(facts: dict[str, Any], engine: dict[str, int]) -> str:
    """The file, its loading and its training."""
    if facts["failure"]:
        loading = f"loading failed: {facts['failure']}"
    else:
        loading = (
            f"{facts['load_seconds']:.2f} s to load, {facts['import_seconds']:.2f} s to import"
        )
    about = "; ".join(f"{name} {value}" for name, value in facts["about"].items())
    return (
        f"weights: {facts['file']}, {facts['megabytes']:.1f} MB, {facts['parameters']:,} parameters, "
        f"{loading} beyond jax, flax and jaxllc\n"
        f"trained: {about}\n"
        f"engine: width {engine['width']}, {engine['views']} views"
    )


def speed_text(found: dict[str, Any]) -> str:
    """One line."""
    written = ", ".join(map(str, found["skeletons"]))
    return (
        f"speed: {found['propose_seconds']:.2f} s to propose at most {PROPOSALS} skeletons for each of "
        f"{found['terms']} terms ({written}), {found['fit_seconds']:.2f} s to fit them: "
        f"{found['proposals_per_second']:.0f} proposals per second; the first time "
        f"{found['first_seconds']:.1f} s, {found['compile_seconds']:.1f} s of it compiling"
    )


def corpus_text(one: dict[str, Any]) -> str:
    """The recall of a split, and by the number of constants."""
    by = ", ".join(
        f"{n}: {share:.2f} of {count}" for n, (share, count) in one["by_constants"].items()
    )
    return (
        f"{one['split']}: {_share(one['written'], one['sets'])} among the first {TOP} written, "
        f"{_share(one['fitted'], one['sets'])} among the best {TOP} fitted; "
        f"{one['seconds_to_write']:.3f} s to write and {one['seconds_to_fit']:.3f} s to fit a set\n"
        f"    by constants: {by}"
    )


def targets_text(name: str, found: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Recall on targets, clean and noisy, and by groups of them."""
    count = found["targets"]
    lines = [
        f"{name}: {count}, among the best {TOP} fitted: {_share(found['clean'], count)} clean "
        f"(whole family {found['clean_whole_family']:.3f}), {_share(found['noisy'], count)} with 1 % noise "
        f"(constants within 5 %, too: {found['noisy_constants']:.3f})"
    ]
    for key in keys:
        for group, (share, _, size) in found["by"][key]["clean"].items():
            noisy = found["by"][key]["noisy"][group][0]
            lines.append(f"    {key} {group}: {size}, {share:.3f} clean, {noisy:.3f} with noise")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
