"""Systems on networks, and data of them that are not what a discovery would like them to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jaxllc
from jaxllc.equations.equation import Equation

NUM_NODES, RUNS, SAMPLES = 60, 4, 60


@dataclass(frozen=True)
class System:
    """A law as text, {variable: (self term, interaction term)}, the range that states start in, how long it
    is observed; a constant that nodes may have of their own, as it stands in the text, and whose interaction
    may be as strong as each node has it."""

    equations: dict[str, tuple[str, str]]
    box: tuple[float, float]
    horizon: float
    own: tuple[str, str]
    acting: str = "x"


SYSTEMS = {
    "epidemic": System({"x": ("-0.6*x_i", "0.3*(1 - x_i)*x_j")}, (0.0, 1.0), 4.0, ("x", "0.6")),
    "saturating": System({"x": ("-0.9*x_i", "0.6*x_j/(0.8 + x_j)")}, (0.1, 5.0), 4.0, ("x", "0.9")),
    "predation": System(
        {"x": ("1.2*x_i - 0.7*x_i**2", "-0.3*x_i*x_j/(1 + 0.5*x_j)")}, (0.1, 2.0), 4.0, ("x", "1.2")
    ),
    "phases": System({"x": ("0.7", "0.4*sin(x_j - x_i)")}, (0.0, 6.2), 3.0, ("x", "0.7")),
    "rates": System({"x": ("-0.8*x_i", "0.5*tanh(x_j)")}, (-2.0, 2.0), 4.0, ("x", "0.8")),
    "excitable": System(
        {
            "x": ("x_i - x_i**3 - y_i", "0.2*(x_j - x_i)"),
            "y": ("0.3*x_i - 0.2*y_i + 0.1", "0"),
        },
        (-1.0, 1.0),
        6.0,
        ("y", "0.1"),
    ),
    "patches": System(
        {
            "x": ("x_i - 0.5*x_i**2 - x_i*y_i", "0.2*(x_j - x_i)"),
            "y": ("0.8*x_i*y_i - 0.6*y_i", "0.1*(y_j - y_i)"),
        },
        (0.2, 1.5),
        5.0,
        ("y", "0.6"),
    ),
}
CONDITIONS = {
    "clean": {},
    "lost10": {"lost": 0.1},
    "false10": {"false": 0.1},
    "hidden10": {"hidden": 0.1},
    "lost30": {"lost": 0.3},
    "false30": {"false": 0.3},
    "hidden30": {"hidden": 0.3},
    # One constant, or the strength of the interaction, differs from node to node by so much of its mean.
    "constants": {"own": 0.3},
    "strengths": {"strength": 0.3},
    # The dynamics are noisy themselves: q is this share of the range that states start in.
    "process5": {"process": 0.05},
    # Weights are uniform about one, by so much either way, and only the edges are given.
    "weights": {"weights": 0.5},
    # Something that acts on all nodes alike adds to the rate of the first variable, by so much of the spread
    # of its rates: measured over time in each run; or a wave of the time, which is not told.
    "input": {"input": 0.5},
    "time": {"time": 0.5},
    # A wave of this size drives the first variable of all nodes alike, and nothing is told of it.
    "forcing": {"forcing": 0.3},
}


@dataclass(frozen=True)
class Case:
    """What is given to a discovery, which nodes hear exactly those that act on them, the law that is to be
    found, further choices of `jaxllc.discover`, and what else is to be found, {name: values}."""

    runs: list[jaxllc.Trajectories]
    network: jaxllc.Network
    sound: np.ndarray
    truth: Mapping[str, Equation]
    choices: dict[str, Any] = field(default_factory=dict)
    hidden: dict[str, np.ndarray] = field(default_factory=dict)


def truth_of(system: System) -> dict[str, Equation]:
    """The law of a system."""
    return {v: Equation.from_text(*texts) for v, texts in system.equations.items()}


def make_case(system: System, condition: str, seed: int, db: float) -> Case:
    """Samples of a system on a network, and the network as a condition spoils it."""
    if CONDITIONS[condition].keys() & {"own", "strength"}:
        return _case_of_own_constants(system, CONDITIONS[condition], seed, db)
    if CONDITIONS[condition].keys() & {"input", "time"}:
        return _driven_case(system, CONDITIONS[condition], seed, db)
    if "forcing" in CONDITIONS[condition]:
        return _forced_case(system, CONDITIONS[condition], seed, db)
    random = np.random.default_rng([seed, 20])
    true = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    law, names = jaxllc.Law(truth_of(system)), tuple(system.equations)
    edges = true
    if "weights" in CONDITIONS[condition]:
        apart = CONDITIONS[condition]["weights"]
        own = np.random.default_rng([seed, 22]).uniform(1 - apart, 1 + apart, true.num_edges)
        true = jaxllc.Network.from_edges(
            true.senders, true.receivers, own / own.mean(), num_nodes=NUM_NODES
        )
    times, runs = np.linspace(0.0, system.horizon, SAMPLES), []
    drive: dict[str, Any] = {}
    if "process" in CONDITIONS[condition]:
        size = CONDITIONS[condition]["process"] * (system.box[1] - system.box[0])
        drive = {"process_noise": size}
    for run in range(RUNS):
        start = random.uniform(*system.box, (NUM_NODES, len(names)))
        made = law.simulate(
            start, times, true, **drive, **({"seed": 1000 * seed + run} if drive else {})
        )
        runs.append(made.with_noise(db, 1000 * seed + run))
    A = true.to_adjacency().toarray()
    given, what = A.copy(), CONDITIONS[condition]
    given[(A != 0) & (random.random(A.shape) < what.get("lost", 0.0))] = 0.0
    free = np.argwhere((A == 0) & ~np.eye(NUM_NODES, dtype=bool))
    extra = random.permutation(free)[: int(what.get("false", 0.0) * np.count_nonzero(A))]
    given[tuple(extra.T)] = 1.0
    seen = np.sort(
        random.permutation(NUM_NODES)[: round(NUM_NODES * (1 - what.get("hidden", 0.0)))]
    )
    sound = (given == A).all(axis=1) & (A[:, np.setdiff1d(np.arange(NUM_NODES), seen)] == 0).all(
        axis=1
    )
    runs = [jaxllc.Trajectories(r.times, r.states[:, seen], r.variables) for r in runs]
    network = jaxllc.Network.from_adjacency(given[np.ix_(seen, seen)])
    choices = {"process_noise": True} if drive else {}
    if "weights" in what:
        return Case(
            runs,
            edges,
            sound[seen],
            truth_of(system),
            {"weights": "unknown"},
            {"weights": true.weights},
        )
    return Case(runs, network, sound[seen], truth_of(system), choices)


def _case_of_own_constants(system: System, what: Mapping[str, float], seed: int, db: float) -> Case:
    """Samples of nodes that have a constant of their own, or an interaction as strong as theirs is."""
    random = np.random.default_rng([seed, 21])
    network = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    texts = dict(system.equations)
    if "own" in what:
        name, constant = system.own
        mean = float(constant)
        texts[name] = (texts[name][0].replace(constant, "omega_i", 1), texts[name][1])
    else:
        mean, own = 1.0, texts[system.acting]
        texts[system.acting] = (own[0], f"omega_i*({own[1]})")
    truth = {v: Equation.from_text(*own) for v, own in texts.items()}
    spread = what.get("own", what.get("strength", 0.0))
    omega = mean * (1.0 + spread * random.standard_normal(NUM_NODES))
    if "strength" in what:  # only their ratios are determined
        omega /= omega.mean()
    law, names = jaxllc.Law(truth, feature_names=("omega",)), tuple(texts)
    times, runs = np.linspace(0.0, system.horizon, SAMPLES), []
    for run in range(RUNS):
        start = random.uniform(*system.box, (NUM_NODES, len(names)))
        made = law.simulate(start, times, network, {"omega": omega})
        made = made.with_noise(db, 1000 * seed + run)
        runs.append(jaxllc.Trajectories(made.times, made.states, made.variables))
    sound = np.ones(NUM_NODES, dtype=bool)
    return Case(runs, network, sound, truth, {"vary": {"omega": "node"}}, {"omega": omega})


def _driven_case(system: System, what: Mapping[str, float], seed: int, db: float) -> Case:
    """Samples of nodes that an input drives, a random walk that is smoothed a little, or a wave of the time
    with two to five periods in a run."""
    random = np.random.default_rng([seed, 22])
    network = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    texts, names = dict(system.equations), tuple(system.equations)
    first, times = names[0], np.linspace(0.0, system.horizon, SAMPLES)
    size = round(what.get("input", what.get("time", 0.0)) * _spread_of_rates(system, network), 2)
    frequency = round(2 * np.pi * random.uniform(2.0, 5.0) / system.horizon, 2)
    term = f"{size}*u_i" if "input" in what else f"{size}*sin({frequency}*t)"
    texts[first] = (f"{texts[first][0]} + {term}", texts[first][1])
    truth = {v: Equation.from_text(*own) for v, own in texts.items()}
    law = jaxllc.Law(truth, inputs={"u": ""} if "input" in what else {"t": "time"})
    runs, sources = [], []
    for run in range(RUNS):
        start = random.uniform(*system.box, (NUM_NODES, len(names)))
        walk = np.convolve(random.standard_normal(SAMPLES + 20).cumsum(), np.ones(6) / 6, "same")
        walk = walk[10:-10] - walk[10:-10].mean()
        sources.append((times, walk / walk.std()))
        inputs = {"u": sources[-1]} if "input" in what else None
        made = law.simulate(start, times, network, inputs=inputs).with_noise(db, 1000 * seed + run)
        runs.append(jaxllc.Trajectories(made.times, made.states, made.variables))
    sound = np.ones(NUM_NODES, dtype=bool)
    given = {"u": sources} if "input" in what else {"t": "time"}
    return Case(runs, network, sound, truth, {"inputs": given})


def _forced_case(system: System, what: Mapping[str, float], seed: int, db: float) -> Case:
    """Samples of nodes that a hidden wave of the time drives, of any phase. hidden: times and values of it,
    without its mean over the runs, which no samples tell from a constant of the law."""
    random = np.random.default_rng([seed, 24])
    network = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    texts, names = dict(system.equations), tuple(system.equations)
    first, times = names[0], np.linspace(0.0, system.horizon, SAMPLES)
    size, phase = what["forcing"], round(random.uniform(0.0, 2 * np.pi), 2)
    texts[first] = (f"{texts[first][0]} + {size}*sin(2*t + {phase})", texts[first][1])
    law = jaxllc.Law(
        {v: Equation.from_text(*own) for v, own in texts.items()}, inputs={"t": "time"}
    )
    runs = []
    for run in range(RUNS):
        start = random.uniform(*system.box, (NUM_NODES, len(names)))
        made = law.simulate(start, times, network).with_noise(db, 1000 * seed + run)
        runs.append(jaxllc.Trajectories(made.times, made.states, made.variables))
    wave = size * np.sin(2 * times + phase)
    mean = size * (np.cos(phase) - np.cos(2 * system.horizon + phase)) / (2 * system.horizon)
    hidden = {"forcing": np.stack([times, wave - mean])}
    sound = np.ones(NUM_NODES, dtype=bool)
    return Case(runs, network, sound, truth_of(system), {"forcing": "smooth"}, hidden)


def _spread_of_rates(system: System, network: jaxllc.Network) -> float:
    """Standard deviation of the rates of the first variable without an input."""
    start = np.random.default_rng(23).uniform(*system.box, (NUM_NODES, len(system.equations)))
    times = np.linspace(0.0, system.horizon, 200)
    states = jaxllc.Law(truth_of(system)).simulate(start, times, network).states[..., 0]
    return float(np.gradient(states, times, axis=0).std())
