"""From trajectories to a Law by the published road."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.baselines.llc.formulas import best_formula, listed_constants
from jaxllc.baselines.llc.net_samples import net_samples
from jaxllc.dynamics.simulation_input import without_advice
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.equations.equation import Equation
from jaxllc.law.law import Constant, Law
from jaxllc.law.skill import CONSTANT, Skill, skill
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.shipped import shipped_model
from jaxllc.running.stage_clock import stage_clock
from jaxllc.search.forms.grammar import Grammar
from jaxllc.settings.llc_settings import RoadSettings
from jaxllc.smoothing.gauge import has_equal_input_weights, motion_notes
from jaxllc.smoothing.local_polynomials import rates_of

if TYPE_CHECKING:
    from jaxllc.baselines.llc.net_samples import NetSamples
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.pretrained.model import SkeletonModel
    from jaxllc.settings.discover_settings import DiscoverSettings
    from jaxllc.smoothing.local_polynomials import Rates

# Of the simulation of the found law. Nothing was fitted to trajectories, so that a law may well have a pole
# that they run into; it shall not take long to find out.
MAX_STEPS = 2000
RTOL, ATOL = 1e-6, 1e-8


def preset_law(
    runs: Sequence[Trajectories],
    network: Network,
    seed: int,
    settings: DiscoverSettings,
    progress: Callable[[str, str], None] | None = None,
) -> Law:
    """As `published_law`, with what the preset "llc" reads of the settings of `discover`."""
    return published_law(
        runs,
        network,
        seed,
        grammar=Grammar(tuple(settings.functions), settings.division),
        record=asdict(settings),
        progress=progress,
    )


def published_law(
    runs: Sequence[Trajectories],
    network: Network,
    seed: int = 0,
    settings: RoadSettings | None = None,
    grammar: Grammar | None = None,
    record: Mapping[str, Any] | None = None,
    progress: Callable[[str, str], None] | None = None,
    model: SkeletonModel | None = None,
) -> Law:
    """The law of trajectories by the published road.

    runs: checked as `discover` checks them. grammar: what formulas may hold. record: settings that the law
    keeps, beside those of the road. model: what proposes skeletons, by default that of the package.
    Raises InputError where a node was never observed, or the package holds no weights.
    """
    settings = settings or RoadSettings()
    seconds: dict[str, float] = {}

    def say(stage: str, what: str = "") -> None:
        if progress is not None:
            progress(stage, what)

    @contextmanager
    def clock(stage: str) -> Iterator[None]:
        say(stage)
        with stage_clock(seconds, stage):
            yield

    model = model or shipped_model()[0]
    variables = runs[0].variables
    with clock("smoothing"):
        rates = rates_of(runs)
    with clock("neural terms"):
        nets = net_samples(
            runs, rates, network, settings, seed, lambda what: say("neural terms", what)
        )
    with clock("expressions"):
        engine = PretrainedEngine(model, width=settings.beam)
        equations, found = _equations(
            engine, nets, variables, grammar or Grammar(), settings.restarts, seed, say
        )
    with clock("simulation"):
        law = Law(
            equations=equations,
            constants=tuple(_constants(equations)),
            feature_names=tuple(runs[0].node_features),
            settings={"seed": seed, **(record or {}), "published_road": asdict(settings)},
            network=network,
            data=tuple(runs),
        )
        fitted, r2, left, failures = _fit_of(law, rates, say)
    notes = [*_notes(nets, variables, found), *_identifiability(runs, network, rates)]
    gained = skill(fitted, runs)
    doubt = _doubt(gained, failures, len(runs))
    if doubt:
        notes.append(doubt)
    return replace(
        law,
        adjusted_r2=r2,
        skill=gained,
        doubt=doubt,
        noise=left,
        notes=tuple(notes),
        seconds=seconds,
        fitted_states=fitted,
    )


def _equations(
    engine: PretrainedEngine,
    nets: NetSamples,
    variables: Sequence[str],
    grammar: Grammar,
    restarts: int,
    seed: int,
    say: Callable[[str, str], None],
) -> tuple[dict[str, Equation], dict[tuple[str, str], float]]:
    """Each term by itself; and what its formula leaves of its net, in units of the net's error."""
    equations, errors = {}, {}
    for name in variables:
        written = {}
        for side in (SELF, INTERACTION):
            say("expressions", f"{name}: {side} term")
            found = best_formula(
                engine,
                nets.samples[name, side],
                grammar,
                restarts,
                seed,
                nets.others[name, side],
                nets.as_good,
            )
            errors[name, side] = found.error
            written[side] = nets.written(side, found.expression)
        (own, _), (pair, number) = written[SELF], written[INTERACTION]
        equations[name] = Equation(own + number, pair)
    return equations, errors


def _constants(equations: Mapping[str, Any]) -> Iterator[Constant]:
    for name, equation in equations.items():
        for side, expression in zip(("self", "interaction"), equation, strict=True):
            for term, role, value in listed_constants(expression):
                yield Constant(name, side, term, role, value, float("nan"))


def _fit_of(law: Law, rates: Rates, say: Callable[[str, str], None]):
    """The law's own states from the first of each run, adjusted R2 and what is left of each variable; and
    the number of each run that the law cannot be followed through, with a sentence that says why."""
    fitted, failures = [], []
    for number, (run, states) in enumerate(zip(law.data, rates.states, strict=True)):
        say("simulation", f"trajectories {number}")
        found = law.run(states[0], run.times, rtol=RTOL, atol=ATOL, max_steps=MAX_STEPS)
        fitted.append(found.trajectories.states)
        if not found.success:
            failures.append((number, found.message))
    r2, left = {}, {}
    for v, name in enumerate(law.variables):
        seen = np.concatenate([run.states[..., v].ravel() for run in law.data])
        rest = seen - np.concatenate([f[..., v].ravel() for f in fitted])
        known = np.isfinite(seen)
        seen, rest = seen[known], rest[known]
        constants = sum(c.variable == name for c in law.constants)
        share = np.sum(rest**2) / max(float(np.sum((seen - seen.mean()) ** 2)), 1e-300)
        r2[name] = float(1 - share * (len(seen) - 1) / max(len(seen) - constants - 1, 1))
        left[name] = float(np.sqrt(np.mean(rest**2)))
    return tuple(fitted), r2, left, failures


def _doubt(found: Skill, failures: Sequence[tuple[int, str]], runs: int) -> str:
    """Why the law is not to be trusted, if so: it diverges, or dx/dt = 0 leaves less."""
    if failures:
        return _failure_note(failures, runs)
    worse = [name for name, both in found.items() if both[CONSTANT] < 0]
    if not worse:
        return ""
    return (
        f"The law leaves more of {' and '.join(worse)} unexplained than no change at all (dx/dt = 0): it is "
        f"not to be trusted. The default preset fits and compares laws by their trajectories."
    )


def _failure_note(failures: Sequence[tuple[int, str]], runs: int) -> str:
    number, sentence = failures[0]
    reason = without_advice(sentence)
    return (
        f"The law cannot be followed from the first states of {len(failures)} of {runs} trajectories. In "
        f"trajectories {number}: {reason} Its formulas, each near its net, do not hold together; the "
        f"default preset fits and compares laws by their trajectories."
    )


def _notes(
    nets: NetSamples, variables: Sequence[str], errors: Mapping[tuple[str, str], float]
) -> list[str]:
    parts = [
        f"{name}: the nets leave {left:.2g} of the spread of its rates, the formulas "
        f"{errors[name, SELF]:.2g} times the error of the self net and {errors[name, INTERACTION]:.2g} "
        "times that of the interaction net"
        for name, left in zip(variables, nets.left, strict=True)
    ]
    return [
        f"This law comes by the published road (preset 'llc'): two nets matched to smoothed rates by "
        f"{nets.trained}, skeletons of the pre-trained network, constants by BFGS, the best of the beam for "
        "each term by itself; it was not fitted to trajectories, and its constants have no standard errors.",
        *(f"{part}." for part in parts),
    ]


def _identifiability(runs: Sequence[Trajectories], network: Network, rates: Rates) -> list[str]:
    notes = motion_notes(runs[0].variables, rates.states)
    if has_equal_input_weights(network):
        notes.append(
            "Every node has the same total input weight, so a function of x_i can be moved between the self "
            "term and the interaction term without any change; they stand here as the nets happened to split "
            "them."
        )
    return notes
