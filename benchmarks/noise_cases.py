"""Cases of the benchmark of noise: laws with drawn parameters, their networks, and how they are observed.

A law and a seed give parameters (log-uniform in ranges of their own, three digits), a directed random
network of 12 to 30 nodes, and initial states, all drawn anew together where a trajectory leaves its room or
hardly moves. A condition says when samples are taken, and adds noise and gaps: conditions of one law and
seed differ in nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.equations.expressions import evaluate
from jaxllc.known_laws.known_law import KnownLaw, Range

NODES = (12, 30)
MEAN_IN_DEGREE = 3.0
MOST_DRAWS = 100
# Of the largest initial state: where states may go. Of the initial range: the least mean movement of a node.
ROOM, MOVES = 6.0, 0.15
MOST_EVALUATIONS, TOLERANCES = 20_000, {"rtol": 1e-9, "atol": 1e-11}


@dataclass(frozen=True)
class LawFamily:
    """A law up to its parameters: {variable: (self term, interaction term)} and where all is drawn from."""

    terms: Mapping[str, tuple[str, str]]
    parameters: Mapping[str, Range]
    initial: Mapping[str, Range]
    horizon: float


LAWS = {
    "predation": LawFamily(
        {"x": ("r*x_i - b*x_i**2", "-a*x_i*x_j/(h + x_j)")},
        {"r": (1.0, 2.0), "b": (0.3, 0.6), "a": (0.2, 0.5), "h": (0.4, 1.2)},
        {"x": (0.1, 4.0)},
        3.0,
    ),
    "tanh": LawFamily(
        {"x": ("-b*x_i", "a*tanh(w*x_j)")},
        {"b": (0.8, 1.5), "a": (0.5, 1.2), "w": (0.6, 1.8)},
        {"x": (-2.0, 2.0)},
        3.0,
    ),
    "michaelis": LawFamily(
        {"x": ("-b*x_i", "a*x_j/(h + x_j)")},
        {"b": (0.6, 1.4), "a": (0.4, 1.2), "h": (0.4, 1.6)},
        {"x": (0.05, 4.0)},
        3.0,
    ),
    "hill": LawFamily(
        {"x": ("c - b*x_i", "a*x_j**2/(h + x_j**2)")},
        {"c": (0.2, 0.6), "b": (0.6, 1.4), "a": (0.4, 1.2), "h": (0.5, 2.0)},
        {"x": (0.05, 3.0)},
        3.0,
    ),
    "sis": LawFamily(
        {"x": ("-d*x_i", "b*(1 - x_i)*x_j")},
        {"d": (0.4, 1.0), "b": (0.3, 0.9)},
        {"x": (0.01, 0.7)},
        3.0,
    ),
    "ricker": LawFamily(
        {"x": ("a*x_i*exp(-w*x_i) - b*x_i", "c*(x_j - x_i)")},
        {"a": (2.0, 4.0), "w": (0.5, 1.2), "b": (0.5, 1.0), "c": (0.1, 0.4)},
        {"x": (0.05, 5.0)},
        2.5,
    ),
    "lotka_volterra": LawFamily(
        {"x": ("r*x_i - b*x_i**2", "-a*x_i*x_j")},
        {"r": (0.8, 1.6), "b": (0.4, 0.9), "a": (0.08, 0.3)},
        {"x": (0.1, 3.0)},
        4.0,
    ),
    "diffusion": LawFamily(
        {"x": ("a*x_i - b*x_i**3", "c*(x_j - x_i)")},
        {"a": (0.6, 1.4), "b": (0.3, 0.8), "c": (0.1, 0.4)},
        {"x": (-2.0, 2.0)},
        3.0,
    ),
    "fitzhugh_nagumo": LawFamily(
        {
            "v": ("a*v_i - b*v_i**3 - c*w_i", "g*(v_j - v_i)"),
            "w": ("d + s*v_i - m*w_i", ""),
        },
        {
            "a": (0.8, 1.4),
            "b": (0.25, 0.5),
            "c": (0.6, 1.2),
            "g": (0.05, 0.2),
            "d": (0.15, 0.4),
            "s": (0.3, 0.8),
            "m": (0.2, 0.6),
        },
        {"v": (-2.0, 2.0), "w": (-1.0, 1.5)},
        8.0,
    ),
    "predator_prey": LawFamily(
        {
            "u": ("r*u_i - b*u_i**2 - a*u_i*v_i", "g*(u_j - u_i)"),
            "v": ("c*u_i*v_i - d*v_i", "h*(v_j - v_i)"),
        },
        {
            "r": (1.0, 2.0),
            "b": (0.15, 0.4),
            "a": (0.6, 1.2),
            "g": (0.05, 0.3),
            "c": (0.4, 1.0),
            "d": (0.4, 1.0),
            "h": (0.05, 0.3),
        },
        {"u": (0.2, 3.0), "v": (0.2, 2.0)},
        6.0,
    ),
}


@dataclass(frozen=True)
class Condition:
    """How a law is observed: noise, runs, samples of a run.

    start: first sample, as a share of the horizon; observed: share of the values that are kept.
    """

    db: float
    runs: int = 4
    samples: int = 60
    start: float = 0.0
    observed: float = 1.0


CONDITIONS = {
    "db40": Condition(40.0),
    "db30": Condition(30.0),
    "db20": Condition(20.0),
    "db10": Condition(10.0),
    "coarse8": Condition(30.0, runs=10, samples=8),
    "late": Condition(30.0, start=0.3),
    "half": Condition(30.0, observed=0.5),
}
MOST_RUNS = max(condition.runs for condition in CONDITIONS.values())


@dataclass(frozen=True)
class DrawnLaw:
    """A law with numbers, its network and the initial states of its runs, (run, node, variable).

    refused: why draws before it were.
    """

    known: KnownLaw
    network: Any
    initial: np.ndarray
    refused: tuple[str, ...] = ()

    def states(self, run: int, times: np.ndarray) -> np.ndarray:
        """States of a run at times from 0 on, (time, node, variable); raises Refused."""
        known, network = self.known, self.network
        shape, receivers, senders = self.initial.shape[1:], network.receivers, network.senders
        largest = ROOM * max(abs(end) for both in known.initial_range.values() for end in both)
        evaluations = 0

        def slope(_: float, flat: np.ndarray) -> np.ndarray:
            nonlocal evaluations
            evaluations += 1
            if evaluations > MOST_EVALUATIONS:
                raise Refused("too stiff")
            x = flat.reshape(shape)
            own = {f"{v}_i": x[:, k] for k, v in enumerate(known.variables)}
            ends = {f"{v}_i": x[receivers, k] for k, v in enumerate(known.variables)}
            ends |= {f"{v}_j": x[senders, k] for k, v in enumerate(known.variables)}
            rate = np.empty(shape)
            for k, v in enumerate(known.variables):
                f, g = known.equations[v]
                each = network.weights * evaluate(g, ends)
                rate[:, k] = evaluate(f, own) + np.bincount(receivers, each, shape[0])
            return rate.ravel()

        def room(_: float, flat: np.ndarray) -> float:
            return largest - np.abs(flat).max()

        room.terminal = True
        with np.errstate(all="ignore"):
            done = solve_ivp(
                slope,
                (0.0, times[-1]),
                self.initial[run].ravel(),
                "DOP853",
                times,
                events=room,
                **TOLERANCES,
            )
        if done.status != 0 or not np.isfinite(done.y).all():
            raise Refused("blows up")
        return done.y.T.reshape(len(times), *shape)


class Refused(Exception):  # noqa: N818 - not an error
    """Why a draw is not taken."""


@dataclass(frozen=True)
class Case:
    """A law as it is observed: clean and noisy runs; noise: (variable,) rms of what was added."""

    law: str
    condition: str
    seed: int
    drawn: DrawnLaw
    clean: list[Any]
    runs: list[Any]
    noise: np.ndarray

    @property
    def known(self) -> KnownLaw:
        return self.drawn.known

    @property
    def network(self) -> Any:
        return self.drawn.network


def drawn_case(law: str, condition: str, seed: int) -> Case:
    """The case of these names and this seed, always the same."""
    drawn, how = drawn_law(law, seed), CONDITIONS[condition]
    horizon = drawn.known.horizon
    times = np.linspace(how.start * horizon, horizon, how.samples)
    clean, runs, variances = [], [], []
    for r in range(how.runs):
        states = drawn.states(r, times)
        clean.append(jaxllc.Trajectories(times, states, drawn.known.variables))
        drawn_as = zlib.crc32(f"{law} {condition} {seed} {r}".encode())
        run = clean[-1].with_noise(how.db, seed=drawn_as)
        if how.observed < 1.0:
            kept = np.random.default_rng(drawn_as).random(states.shape) < how.observed
            run = replace(run, states=np.where(kept, run.states, np.nan))
        runs.append(run)
        variances.append(np.var(states, axis=(0, 1)) * 10 ** (-how.db / 10))
    return Case(law, condition, seed, drawn, clean, runs, np.sqrt(np.mean(variances, axis=0)))


@lru_cache(maxsize=4)
def drawn_law(law: str, seed: int) -> DrawnLaw:
    """The first draw of a law and seed of which no run blows up or hardly moves."""
    refused: list[str] = []
    for attempt in range(MOST_DRAWS):
        rng = np.random.default_rng([zlib.crc32(law.encode()), seed, attempt])
        drawn = _draw(law, LAWS[law], rng)
        try:
            _check(drawn)
        except Refused as reason:
            refused.append(str(reason))
            continue
        return replace(drawn, refused=tuple(refused))
    raise RuntimeError(f"{law}: {MOST_DRAWS} of {MOST_DRAWS} draws of seed {seed} were refused")


def _draw(name: str, family: LawFamily, rng: np.random.Generator) -> DrawnLaw:
    parameters = {
        p: float(f"{np.exp(rng.uniform(*np.log(ends))):.3g}")
        for p, ends in family.parameters.items()
    }
    terms = {v: (own, pair or "0") for v, (own, pair) in family.terms.items()}
    known = KnownLaw(name, terms, parameters, family.initial, family.horizon, "drawn")
    network = directed_network(int(rng.integers(NODES[0], NODES[1] + 1)), rng)
    size = (MOST_RUNS, network.num_nodes)
    initial = np.stack([rng.uniform(*ends, size) for ends in family.initial.values()], axis=-1)
    return DrawnLaw(known, network, initial)


def directed_network(num_nodes: int, rng: np.random.Generator) -> Any:
    """An Erdos-Renyi network whose pairs act one way, drawn for each; every node has an incoming edge."""
    both = jaxllc.generators.erdos_renyi(
        num_nodes, 2 * MEAN_IN_DEGREE, seed=int(rng.integers(2**31))
    )
    first = both.senders < both.receivers
    ends = np.stack([both.senders[first], both.receivers[first]])
    turned = rng.random(ends.shape[1]) < 0.5
    ends[:, turned] = ends[::-1, turned]
    alone = np.setdiff1d(np.arange(num_nodes), ends[1])
    others = (alone + 1 + rng.integers(num_nodes - 1, size=len(alone))) % num_nodes
    ends = np.concatenate([ends, np.stack([others, alone])], axis=1)
    return jaxllc.Network.from_edges(ends[0], ends[1], num_nodes=num_nodes)


def _check(drawn: DrawnLaw) -> None:
    """Raise Refused where a run blows up, or nodes hardly move."""
    times = np.linspace(0.0, drawn.known.horizon, 31)
    moved = [np.ptp(drawn.states(r, times), axis=0).mean(axis=0) for r in range(MOST_RUNS)]
    width = np.array([high - low for low, high in drawn.known.initial_range.values()])
    if np.any(np.mean(moved, axis=0) < MOVES * width):
        raise Refused("hardly moves")
