"""States, networks and inputs of four real data sets, as `jaxllc.discover` takes them.

gut: 11 bacterial groups in nine mice (Stein and others, 2013), days 0 to 23, of which populations 1 and 3 got
    spores of C. difficile, 2 and 3 clindamycin on day 0. State: natural logarithm of the abundance
    (10^11 copies a gram); what is below FLOOR, about where counts end, is set to it.
chickenpox: weekly cases of 20 Hungarian counties, 2005 to 2014, and who is whose neighbour. The published
    table holds the change from week to week over its spread; counts are restored from it (whole changes, the
    least count zero), which gives those of the first publication. State: ln(1 + cases). The loops of the
    published graph are dropped: a county's own past is the self term.
england: daily new cases of 129 regions, 3 March to 12 May 2020, and how many people move between them each
    day. State: ln(1 + cases), cases the mean of a day and the two before it, so that nothing looks ahead.
yeast: log ratios of 500 genes at 24 times, two replicates (Pramila and others, 2006), and a prior network of
    1146 signed edges, of which those among the chosen genes are kept, with weights of 1 and -1.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxllc import InputError, Network, Trajectories

FLOOR = 1e-4
DRUG_DAYS = 1.0
ENGLAND_DAYS_AVERAGED = 3
LEAST_SHARE = 1e-3
WEEKS_OF_A_YEAR = 365.25 / 7


@dataclass(frozen=True, eq=False)
class RealData:
    """Runs of one data set, its network where one is known, inputs as `discover` takes them, units."""

    name: str
    title: str
    runs: list[Trajectories]
    network: Network | None
    state_text: str
    time_unit: str
    inputs: dict[str, Any] = field(default_factory=dict)


def gut(data: Path, most: int = 11) -> RealData:
    """The mice of gut-microbiome as runs; nodes are the `most` abundant groups, by their mean."""
    rows = _rows(data / "gut-microbiome" / "raw_data.csv")
    names = [name for name in rows if name not in ("Population", "Replicate", "ID", "time (in d)")]
    drug = np.array(rows[names.pop()], float)  # the last row
    amounts = np.array([rows[name] for name in names], float)
    chosen = np.sort(np.argsort(-amounts.mean(axis=1), kind="stable")[:most])
    mice, days = np.array(rows["ID"], int), np.array(rows["time (in d)"], float)
    runs, drugs = [], []
    for mouse in np.unique(mice):
        own = mice == mouse
        logs = np.log(np.maximum(amounts[np.ix_(chosen, own)].T, FLOOR))
        runs.append(Trajectories(days[own], logs, names=[_short(names[n]) for n in chosen]))
        given = float(drug[own].max())
        drugs.append(([0.0, DRUG_DAYS, DRUG_DAYS, float(days.max())], [given, given, 0.0, 0.0]))
    return RealData(
        "gut", "gut microbiome", runs, None, "ln abundance", "days", inputs={"u": drugs}
    )


def chickenpox(data: Path) -> RealData:
    """Hungarian counties, one run; inputs s and c, sine and cosine of the year."""
    table = _json(data / "hungary-chickenpox" / "chickenpox.json")
    cases = np.column_stack([restored_counts(c) for c in np.array(table["FX"], float).T])
    names = sorted(table["node_ids"], key=table["node_ids"].get)
    edges = [(a, b) for a, b in table["edges"] if a != b]
    weeks = np.arange(float(len(cases)))
    angle = 2 * np.pi * weeks / WEEKS_OF_A_YEAR
    return RealData(
        "chickenpox",
        "Hungarian chickenpox, 2005 to 2014",
        [Trajectories(weeks, np.log1p(cases), names=names)],
        Network.from_edges(*zip(*edges, strict=True), names=names, num_nodes=len(names)),
        "ln(1 + weekly cases)",
        "weeks",
        inputs={"s": (weeks, np.sin(angle)), "c": (weeks, np.cos(angle))},
    )


def restored_counts(standardised: np.ndarray) -> np.ndarray:
    """Counts (T + 1,), the least of them zero, of their changes (T,), less their mean and over their spread.

    A whole change is a multiple of one over the spread, apart from the mean, which is less than a half.
    """
    gaps = np.diff(np.unique(standardised))
    unit = gaps[gaps > 1e-9].min()
    changes = np.round(standardised[0] / unit) + np.round((standardised - standardised[0]) / unit)
    counts = np.concatenate([[0.0], np.cumsum(changes)])
    return counts - counts.min()


def england(data: Path) -> RealData:
    """English regions, one run, the mean network; input m: sum over neighbours by the network of each day.

    Weights are people who move from j to i on a day, over those who stay in i on the mean of all days; edges
    below LEAST_SHARE on that mean are left out of both networks.
    """
    table = _json(data / "england-covid" / "england_covid.json")
    cases = np.array(table["y"], float)
    days, count = cases.shape
    moving = np.zeros((days, count, count))
    mapping = table["edge_mapping"]
    for day in range(days):
        senders, receivers = np.array(mapping["edge_index"][str(day)]).T
        np.add.at(moving[day], (receivers, senders), mapping["edge_weight"][str(day)])
    stay = np.einsum("tii->i", moving) / days
    moving /= stay[:, None]
    mean = moving.mean(axis=0)
    kept = (mean >= LEAST_SHARE) & ~np.eye(count, dtype=bool)
    before = ENGLAND_DAYS_AVERAGED - 1
    sums = np.cumsum(np.vstack([np.zeros(count), cases]), axis=0)
    states = np.log1p((sums[before + 1 :] - sums[: -before - 1]) / ENGLAND_DAYS_AVERAGED)
    times = np.arange(before, float(days))
    by_day = np.einsum("tij,tj->ti", (moving * kept)[before:], states)
    names = [f"region {n}" for n in range(count)]
    return RealData(
        "england",
        "COVID-19 in England, spring of 2020",
        [Trajectories(times, states, names=names)],
        Network.from_adjacency(mean * kept, names=names),
        "ln(1 + daily cases)",
        "days",
        inputs={"m": (times, by_day)},
    )


def yeast(data: Path, genes: int = 40) -> RealData:
    """Two replicates of the six regulators of the prior network and of the genes that most of them act on."""
    folder = data / "yeast-cell-cycle"
    names = [row[1] if row[1] != "None" else row[0] for row in _table(folder, "gene_names")[1:]]
    prior = np.array(_table(folder, "edge_prior"), float)  # rows act on columns
    regulators = np.flatnonzero((prior != 0).any(axis=1))
    others = np.setdiff1d(np.arange(len(names)), regulators)
    by_edges = others[np.argsort(-(prior != 0).sum(axis=0)[others], kind="stable")]
    chosen = np.sort(np.concatenate([regulators, by_edges[: genes - len(regulators)]]))
    weights = 2 * prior[np.ix_(chosen, chosen)].T
    np.fill_diagonal(weights, 0.0)
    runs, kept = [], [names[n] for n in chosen]
    for which in ("1sample", "1VALsample"):
        rows = _table(folder, which)[1:]
        levels = np.array(rows[:-1], float)[chosen]
        runs.append(Trajectories(np.array(rows[-1], float), levels.T, names=kept))
    network = Network.from_adjacency(weights, names=kept, signed=True)
    return RealData(
        "yeast", "yeast cell cycle, two replicates", runs, network, "log2 ratio", "minutes"
    )


DATA = {"gut": gut, "chickenpox": chickenpox, "england": england, "yeast": yeast}


def _table(folder: Path, part: str) -> list[list[str]]:
    """Rows of the file of a folder whose name holds `part`."""
    found = sorted(folder.glob(f"*_{part}*.csv")) + sorted(folder.glob(f"{part}*.csv"))
    with _opened(found[0] if found else folder / f"{part}.csv") as file:
        return list(csv.reader(file))


def _rows(path: Path) -> dict[str, list[str]]:
    with _opened(path) as file:
        return {row[0]: row[1:] for row in csv.reader(file)}


def _json(path: Path) -> dict[str, Any]:
    with _opened(path) as file:
        return json.load(file)


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise InputError(
            f"there is no {path}; give the folder that holds {path.parent.name} with --data"
        )
    return path.open(encoding="utf-8-sig", newline="")


def _short(name: str) -> str:
    """A name without what it is not: undefined_genus_of_X becomes genus of X."""
    return name.removeprefix("undefined_genus_of_").replace("unclassified_", "other ")
