"""Tables of two real epidemics: states and edges that `jaxllc discover` reads.

H1N1 (2009), as TPSINDy prepared it: cumulative cases, countries aligned at their first reported
case, days 0 to 44, countries with at least 100 cumulative cases on day 44 (where that day has no report, on
the line between the reports around it): 21 countries. A_ij = flights from j to i x 8.91e6 / world population,
without domestic flights. State: thousand cumulative cases. Days without a report are empty cells.

COVID-19 (2020 to 2023): state log10(1 + new cases per million and week, mean of this week and the
three before), from 0 to about 4. The mean looks back only, so that a held-out part stays unseen; corrections
make single weeks negative. A mean of zero or less counts as zero before a country's first case, and as not
observed after it: a country of that size which reports no case for four weeks has stopped reporting.
A_ij: yearly passengers from j to i per inhabitant of i.
Countries: at least ten million people, passengers from another such country, and at most a tenth of the weeks
without any new case, because many countries stopped reporting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from common import whole_file

from jaxllc import InputError, Network, Trajectories

H1N1_DAYS, H1N1_FEWEST_CASES, PASSENGERS_A_DAY = 45, 100, 8.91e6
COVID_FEWEST_PEOPLE, COVID_MOST_EMPTY_WEEKS, COVID_WEEKS_AVERAGED = 1e7, 0.1, 4
# Names of covid19-world that population.csv writes otherwise.
POPULATION_NAMES = {
    "Cabo Verde": "Cape Verde",
    "Chinese Taipei": "Taiwan",
    "Czechia": "Czech Republic",
    "Korea, North": "North Korea",
    "Korea, South": "South Korea",
    "North Macedonia": "Macedonia",
    "Timor-Leste": "East Timor",
    "US": "United States",
}


@dataclass(frozen=True, eq=False)
class Epidemic:
    """One data set: run and network in one order of nodes; what a state and a unit of time are.

    cases_per_unit: cases that a state of 1 stands for, None where the state is no multiple of a count.
    """

    name: str
    title: str
    run: Trajectories
    network: Network
    state_text: str
    time_unit: str
    cases_per_unit: float | None = None


def h1n1(data: Path) -> Epidemic:
    """H1N1 from data/global-epidemics."""
    folder = data / "global-epidemics"
    cases = _read(folder / "h1n1_cumulative_cases.csv").set_index("day")
    population = _read(folder / "population.csv").set_index("country")["population"]
    flights = _read(folder / "flights.csv")
    every_day = cases.reindex(range(cases.index.max() + 1)).interpolate()
    days = np.arange(H1N1_DAYS)
    columns = {}
    for country in cases:
        reported = cases.index[cases[country] > 0]
        if not len(reported) or reported[0] + days[-1] not in every_day.index:
            continue
        first = int(reported[0])
        if every_day.at[first + days[-1], country] >= H1N1_FEWEST_CASES:
            columns[country] = cases[country].reindex(first + days).to_numpy() / 1000.0
    names = tuple(columns)
    scale = PASSENGERS_A_DAY / float(population.sum())
    edges = flights.rename(columns={"flights": "weight"})
    edges = edges.assign(weight=edges["weight"] * scale)
    run = Trajectories(days, np.column_stack(list(columns.values())), names=names)
    return Epidemic(
        "h1n1",
        "H1N1, 2009",
        run,
        _network(edges, names),
        "thousand cumulative cases",
        "days since the first case",
        cases_per_unit=1000.0,
    )


def covid19(data: Path) -> Epidemic:
    """COVID-19 from data/covid19-world."""
    folder = data / "covid19-world"
    weekly = _read(folder / "weekly_new_cases.csv").set_index("week")
    flows = _read(folder / "migration_flows.csv")
    people = _read(data / "global-epidemics" / "population.csv").set_index("country")["population"]
    population = pd.Series(
        {name: people.get(POPULATION_NAMES.get(name, name), np.nan) for name in weekly}
    )
    empty = (weekly <= 0).iloc[10:].mean()  # not counting the weeks before the pandemic arrived
    chosen = population.index[
        (population >= COVID_FEWEST_PEOPLE) & (empty <= COVID_MOST_EMPTY_WEEKS)
    ]
    edges = flows.rename(columns={"source": "sender", "target": "receiver", "flow": "weight"})
    edges = edges[edges["sender"].isin(chosen) & (edges["sender"] != edges["receiver"])]
    chosen = tuple(name for name in chosen if (edges["receiver"] == name).any())
    edges = edges.assign(weight=edges["weight"] / population[edges["receiver"]].to_numpy())
    mean = (
        weekly[list(chosen)].rolling(COVID_WEEKS_AVERAGED).mean().iloc[COVID_WEEKS_AVERAGED - 1 :]
    )
    has_begun = (mean > 0).cummax()
    mean = mean.where(mean > 0, 0.0).mask(has_begun & (mean <= 0))
    per_million = mean / population[list(chosen)] * 1e6
    run = Trajectories(np.arange(len(mean)), np.log10(1 + per_million.to_numpy()), names=chosen)
    return Epidemic(
        "covid19",
        "COVID-19, 2020 to 2023",
        run,
        _network(edges, chosen),
        "log10(1 + weekly new cases per million)",
        f"weeks since {mean.index[0]}",
    )


EPIDEMICS: dict[str, Callable[[Path], Epidemic]] = {"h1n1": h1n1, "covid19": covid19}


def write_tables(epidemic: Epidemic, folder: Path) -> list[Path]:
    """NAME_states.csv and NAME_edges.csv in the folder, each whole or not at all."""
    paths = [folder / f"{epidemic.name}_{what}.csv" for what in ("states", "edges")]
    for path, table in zip(paths, (epidemic.run, epidemic.network), strict=True):
        with whole_file(path) as temporary:
            table.to_csv(temporary)
    return paths


def _network(edges: pd.DataFrame, names: tuple[str, ...]) -> Network:
    inside = edges["sender"].isin(names) & edges["receiver"].isin(names)
    kept = edges[inside & (edges["sender"] != edges["receiver"])]
    position = {name: n for n, name in enumerate(names)}
    return Network.from_edges(
        [position[name] for name in kept["sender"]],
        [position[name] for name in kept["receiver"]],
        kept["weight"].to_numpy(float),
        names=names,
        num_nodes=len(names),
    )


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(
            f"there is no {path}; give the folder that holds global-epidemics and covid19-world with --data"
        )
    return pd.read_csv(path)
