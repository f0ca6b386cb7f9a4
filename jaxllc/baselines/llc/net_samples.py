"""Values of the two nets where the data lie, with the nets' own errors: what formulas are written for.

Nets are trained on smoothed states and their rates (`smoothing.local_polynomials`), in one of two ways.
"projection": readouts by linear least squares, hidden layers by Levenberg-Marquardt, in double precision, an
interaction that reads as little as explains the rates, and as error what two nets disagree by
(`neural.neural_fit`). "adam": as in the re-implementation of the paper, on the mean absolute error, in single
precision, an interaction of both ends, and as error what both nets leave of the rates (`nets`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sympy

from jaxllc.baselines.llc.formulas import AS_GOOD
from jaxllc.baselines.llc.nets import trained_nets
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.neural.neural_fit import fit_neural_terms
from jaxllc.neural.sample_rates import SampleRates
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.laws.net_reading import Reading, reading
from jaxllc.smoothing.grid_data import on_grids

if TYPE_CHECKING:
    from jaxllc.baselines.llc.nets import TrainedNets
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.settings.llc_settings import RoadSettings
    from jaxllc.smoothing.local_polynomials import Rates

# Points of each net that are drawn, from nets of either training, and how many of these are fitted to.
POINTS, DRAWN = 1000, 6000
FITTED = 256
# Parts of the range of the values, in each of which as many points are drawn.
BINS = 16
# Error of a net that was trained with Adam, relative to the spread of the rates, that it is not thought to be
# below; the same of a net in the structure that explains the rates, relative to the spread of its values.
ADAM_ERROR, PROJECTION_ERROR = 0.01, 1e-3


class NetSamples(NamedTuple):
    """samples: of each variable and side, SELF or INTERACTION, in what the net reads; others: for which
    skeletons are written, too. readings: of sides whose nets may read less than both ends. as_good: of
    formulas for them, as in `best_formula`. left: (variable,) root mean square error of the rates by both
    nets, over their spread. trained: how, in words.
    """

    samples: dict[tuple[str, str], Samples]
    others: dict[tuple[str, str], list[Samples]]
    readings: dict[str, Reading]
    as_good: float
    left: np.ndarray
    trained: str

    def written(self, side: str, expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """An expression of the samples' inputs in both ends of an edge, and a number that stands in the self
        term for it, as `Reading.written`."""
        if side not in self.readings:
            return expression, sympy.Integer(0)
        return self.readings[side].written(expression)


def net_samples(
    runs: Sequence[Trajectories],
    rates: Rates,
    network: Network,
    settings: RoadSettings,
    seed: int,
    say: Callable[[str], None],
) -> NetSamples:
    """Train both nets on the rates of all runs, and sample them.

    say: called with what the training has come to.
    """
    if settings.nets == "adam":
        variables = runs[0].variables
        features = {k: np.asarray(v, dtype=float) for k, v in runs[0].node_features.items()}
        progress = partial(_say_adam, say, settings.steps)
        nets = trained_nets(rates, network, variables, features, settings, seed, progress)
        return _of_adam(nets, rates, network, features, seed)
    return _of_projection(runs, rates, network, seed, say)


def _say_adam(say: Callable[[str], None], steps: int, step: int, loss: float) -> None:
    say(f"step {step} of {steps}, loss {loss:.3g}")


# --- variable projection --------------------------------------------------------------------------


def _of_projection(
    runs: Sequence[Trajectories],
    rates: Rates,
    network: Network,
    seed: int,
    say: Callable[[str], None],
) -> NetSamples:
    variables = runs[0].variables
    exact = np.zeros(len(variables))
    data = on_grids(runs, [run.times for run in runs], rates.states, exact)
    given = SampleRates(data, [r.transpose(2, 1, 0) for r in rates.rates], rates.error)
    fit = fit_neural_terms(
        data, network, seed=seed, reduce=True, rates=given,
        progress=lambda stage, step, loss: say(f"{stage}: step {step}, loss {loss:.3g}"),
    )  # fmt: skip
    own, pair = fit.sample_terms(DRAWN, seed)
    readings = {SELF: Reading(own), INTERACTION: reading(pair, fit.structure, variables)}
    random = np.random.default_rng(seed)
    left = np.sqrt([fit.residual[name] for name in variables])
    spread = np.concatenate(given.rates, axis=2).std(axis=(1, 2))
    strength = 1.0 if fit.structure.normalised else float(np.mean(np.abs(network.in_strength)))
    samples, others = {}, {}
    for side, read in readings.items():
        names, points, every_value, every_error = read.samples
        for v, name in enumerate(variables):
            values = every_value[name]
            # What both leave of the rates, either may be off by.
            off = left[v] * spread[v] / (1.0 if side == SELF else strength)
            least = PROJECTION_ERROR * max(float(np.std(values)), 1e-12)
            error = np.sqrt(every_error[name] ** 2 + off**2 + least**2)
            whole = Samples.of(names, points, values, error)
            samples[name, side] = whole.thinned(FITTED, seed)
            others[name, side] = [whole.at(_evenly(values, FITTED // 2, random))]
    trained = (
        "variable projection and Levenberg-Marquardt (the paper's are by Adam; the interaction reads "
        f"{fit.structure})"
    )
    return NetSamples(samples, others, readings, AS_GOOD, left, trained)


def _evenly(values: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Places of so many samples, drawn so that they lie evenly over the range of the values.

    Data lie densest where a law rests; where a term changes shows what it is.
    """
    edges = np.linspace(values.min(), values.max(), BINS + 1)[1:-1]
    place = np.searchsorted(edges, values)
    rare = 1.0 / np.bincount(place, minlength=BINS)[place]
    return random.choice(len(rare), min(count, len(rare)), replace=False, p=rare / rare.sum())


# --- Adam -----------------------------------------------------------------------------------------


def _of_adam(
    nets: TrainedNets,
    rates: Rates,
    network: Network,
    features: Mapping[str, np.ndarray],
    seed: int,
) -> NetSamples:
    strength = float(np.mean(np.abs(network.in_strength)))
    errors: dict[tuple[str, str], float] = {}
    for v, name in enumerate(nets.field.variables):
        # Errors of f and of the sums over g may cancel: each is larger than what both leave.
        error = max(ADAM_ERROR, 2.0 * float(nets.left[v])) * float(nets.rate_scale[v])
        errors |= {(name, SELF): error, (name, INTERACTION): error / strength}
    samples = {
        key: Samples.of(s.names, s.points, s.values, errors[key]).thinned(FITTED, seed)
        for key, s in sampled(nets, rates, network, features, seed).items()
    }
    return NetSamples(samples, {key: [] for key in samples}, {}, 0.0, nets.left, "Adam")


def sampled(
    nets: TrainedNets,
    rates: Rates,
    network: Network,
    features: Mapping[str, np.ndarray],
    seed: int,
) -> dict[tuple[str, str], Samples]:
    """Values of both nets where the data lie, by variable and side, without their errors."""
    import jax.numpy as jnp

    states = np.concatenate(rates.states)
    random = np.random.default_rng(seed)
    moment = random.integers(0, len(states), POINTS)
    node = random.integers(0, network.num_nodes, POINTS)
    edge = random.integers(0, network.num_edges, POINTS)
    receiver, sender = network.receivers[edge], network.senders[edge]
    # A time of its own for each point: an edge and a moment, or a node and a moment.
    x, x_i, x_j = states[moment, node], states[moment, receiver], states[moment, sender]
    own, at_i, at_j = (
        {name: jnp.asarray(column[place], jnp.float32) for name, column in features.items()}
        for place in (node, receiver, sender)
    )
    field = nets.field
    single = [jnp.asarray(part, jnp.float32) for part in (x, x_i, x_j)]
    values = {
        SELF: np.asarray(field.self_term(single[0], own)).astype(float),
        INTERACTION: np.asarray(field.interaction_term(single[1], single[2], at_i, at_j)).astype(
            float
        ),
    }
    variables = field.variables
    names = (*variables, *features)
    points = {
        SELF: np.column_stack([x, *own.values()]),
        INTERACTION: np.column_stack([x_i, *at_i.values(), x_j, *at_j.values()]),
    }
    sides = {SELF: "i", INTERACTION: "ij"}
    return {
        (name, side): Samples.of(
            [f"{n}_{s}" for s in sides[side] for n in names], points[side], values[side][:, v]
        )
        for v, name in enumerate(variables)
        for side in sides
    }
