"""Fit the two neural terms: variable projection in the integral form or on rates, then, if wanted, through
the solver.

The terms are flexible enough to explain any law of the form f(x_i) + sum_j A_ij g(x_i, x_j), so
they propose where to look for an equation and bound how well any equation can do. Under noise
they are not determined by the data: `sample_terms` gives standard errors, and the choice between
equations belongs to the likelihood of the samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import sympy

from jaxllc.neural.net_fits import BUDGET, Net, NetFits, named_points
from jaxllc.neural.sample_rates import SampleRates, rates_serve
from jaxllc.neural.structures import BOTH, LEVELS, OF_ONE, OVER_STRENGTH, REDUCED, Structure
from jaxllc.neural.through_solver import finished_net
from jaxllc.neural.variable_projection import AT_NOISE

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

CALIBRATION_POINTS = 2000
# Steps after which a reduced structure is looked at, and the loss per variable up to which it goes on.
_FIRST_STEPS = 12
# Steps on all nodes.
_ALL_STEPS = 30
_PROMISING_CLEAN, _PROMISING_NOISE = 1e-3, 3.0
# Residual of rates over their variance, and share above the noise, at which the samples are explained.
_ENOUGH_CLEAN, _ENOUGH_NOISE, _ENOUGH_RATES = 1e-8, 1.05, 4.0
# Above these a net of both ends leaves enough for another structure to be tried.
_OPEN_CLEAN = 1e-5
# The same for both ends to be read after reduced structures, and for other ways to read node features.
_NEARLY, _OPEN_LEVEL = 1e-6, 3e-4
# Residual of rates over their variance, after a few steps, above which features are read in too poor a way.
_POOR = 2e-2
# Factor by which a simpler structure may leave more.
_SLACK_CLEAN, _SLACK_NOISE = 6.0, 1.1
# The same where the samples are not explained.
_FAR = 1.5


class TermSamples(NamedTuple):
    """Points where the data lie and what the fitted term gives there.

    input_names: (q,) such as x_i, x_j, omega_i, k_i; points: (n, q), in the units of the data;
    values, error: {variable: (n,)}, rate of change and its standard error.
    """

    input_names: tuple[str, ...]
    points: np.ndarray
    values: dict[str, np.ndarray]
    error: dict[str, np.ndarray]

    @property
    def columns(self) -> dict[sympy.Symbol, np.ndarray]:
        """The values of each input, (n,), by its symbol."""
        return {sympy.Symbol(name): self.points[:, k] for k, name in enumerate(self.input_names)}


@dataclass(frozen=True, eq=False)
class NeuralFit:
    """Fitted neural terms.

    field: NeuralVectorField. structure: what the interaction reads. residual: {variable: mean square
    of what is left of the samples (or of the rates), over their variance}.
    floor: the same, expected from noise alone. explains: whether what is left is about the noise.
    history: loss after each step. chi_square: per sample, of the trajectories after the solver stage, or
    None. tried: structures that were fitted, and what they left, (variable,). Times in seconds.
    """

    field: Any
    structure: Structure
    residual: dict[str, float]
    floor: dict[str, float]
    history: list[float]
    chi_square: float | None
    tried: tuple[tuple[Structure, np.ndarray], ...]
    compile_seconds: float
    run_seconds: float
    message: str
    explains: bool
    _net: Net = field(repr=False)
    _points: tuple[np.ndarray, np.ndarray, np.ndarray] = field(repr=False)
    _covariance: tuple[np.ndarray, ...] = field(repr=False)
    _error_scale: np.ndarray = field(repr=False)

    def sample_terms(self, num_points: int = 500, seed: int = 0) -> tuple[TermSamples, TermSamples]:
        """Self term and interaction term at num_points points drawn from the data."""
        generator = np.random.default_rng(seed)
        field_ = self.field
        with jax.enable_x64(True):
            mean, std = (np.asarray(v[...]) for v in (field_.input_mean, field_.input_std))
        names = (*field_.variables, *field_.feature_names)
        samples = []
        for number, sides in enumerate(("i", "ij")):
            drawn = generator.permutation(len(self._points[number]))[:num_points]
            inputs = self._points[number][drawn]
            values, error = evaluate_term(self._net, number, inputs, self._covariance)
            error = error * self._error_scale[number][None, :]
            input_names, points = named_points(names, sides, inputs, mean, std)
            if number and self.structure.normalised:
                strength = self._points[2][drawn]
                points = np.column_stack([points, strength])
                input_names = (*input_names, "k_i")
                values, error = values / strength[:, None], error / np.abs(strength)[:, None]
            samples.append(
                TermSamples(
                    input_names,
                    points,
                    dict(zip(field_.variables, values.T, strict=True)),
                    dict(zip(field_.variables, error.T, strict=True)),
                )
            )
        return samples[0], samples[1]


def fit_neural_terms(
    data: GridData,
    network: Network,
    *,
    features: Sequence[str] | None = None,
    width: int = 24,
    hidden_steps: int = 60,
    ridge: float = 1e-12,
    solver_steps: int = 0,
    replicate_steps: int = 30,
    seed: int = 0,
    time_budget: float | None = None,
    budget: int = BUDGET,
    progress: Callable[[str, int, float], None] | None = None,
    reduce: bool = False,
    rates: bool | SampleRates | None = False,
) -> NeuralFit:
    """Fit a neural self term and a neural interaction term to the samples of all runs.

    data: samples and smoothed states of all runs.
    features: node features that both terms read, all of the data's by default; "k" is the in-
    strength. width: hidden units of each term. hidden_steps: Levenberg-Marquardt steps on the
    hidden layers. solver_steps: steps of the finish through the differentiable solver, over all
    parameters and initial states. replicate_steps: steps of a second fit to other nodes, whose
    disagreement with the first calibrates the standard errors; 0 leaves it out. time_budget:
    seconds after which no step is begun. progress(stage, step, loss) is called after every step.
    reduce: try interactions that read less than both ends, and those over k_i; the simplest that explains the
    samples is taken. rates: fit rates at the samples in place of integrals, these or those
    of polynomials; None: where the data are clean.
    Raises InputError for an unknown feature and when no node has all its senders observed.
    """
    started = time.perf_counter()
    names = tuple(data.features) if features is None else tuple(features)
    if rates is None:
        rates = rates_serve(data, network)
    deadline = None if time_budget is None else started + time_budget
    with jax.enable_x64(True):
        fits = NetFits(
            data, network, names, width, ridge, seed, budget, rates, deadline, progress, reduce
        )  # fmt: skip
        trials = _Trials(fits, hidden_steps)
        net = _chosen(trials) if reduce else trials.add(fits.fit(steps=hidden_steps))
        explains = not trials.leaves_much(_NEARLY)
        points = fits.points()
        replicate = None
        if replicate_steps > 0:
            replicate = fits.fit(net.structure, replicate_steps, batch=1, seed=seed + 1, quiet=True)
            if np.prod(replicate.residual) < np.prod(net.residual):
                net, replicate = replicate, net
        chi_square, compile_seconds, first = None, fits.seconds, net
        if solver_steps > 0 and (deadline is None or time.perf_counter() < deadline):
            finish = finished_net(fits, net, steps=solver_steps, progress=progress)
            net, chi_square = finish.net, finish.chi_square
            compile_seconds += finish.compile_seconds
        covariance = readout_covariance(net.gram, ridge, net.residual, fits.scale)
        error_scale = np.ones((2, data.num_variables))
        if replicate is not None:
            # a fit that explains more of the samples has its share of the disagreement
            share = first.residual / (first.residual + replicate.residual + 1e-300)
            error_scale = _error_scale(net, replicate, points[:2], covariance, share, seed)
        neural = fits.field_of(net)
    variables = data.variables
    return NeuralFit(
        field=neural,
        structure=net.structure,
        residual=dict(zip(variables, net.residual.tolist(), strict=True)),
        floor=dict(zip(variables, fits.floor.tolist(), strict=True)),
        history=net.history,
        chi_square=chi_square,
        tried=tuple((one.structure, one.residual) for one in trials.found),
        compile_seconds=compile_seconds,
        run_seconds=time.perf_counter() - started - compile_seconds,
        message=net.message,
        explains=explains,
        _net=net,
        _points=points,
        _covariance=covariance,
        _error_scale=error_scale,
    )


def _chosen(trials: _Trials) -> Net:
    """The net in the simplest structure that explains as much as any.

    A reduced structure gets a few steps, and the rest only where these promise something; both ends are read
    only where no reduced structure explains the samples, and a single one of several variables where all do
    not, or promise little: a net of many inputs learns a function that turns many times too slowly. Node
    features come in where the samples are not explained without, first in products with functions of the
    states.
    """
    levels = LEVELS if trials.fits.features else LEVELS[-1:]
    count = trials.fits.data.num_variables
    variables = range(count) if count > 1 else ()
    for level in levels:
        if level != levels[-1] and not trials.promises(Structure(BOTH, features=level)):
            continue
        reduced = (Structure(reads, features=level) for reads in REDUCED)
        if any(map(trials.explain, reduced)) or not trials.leaves_much(_NEARLY):
            break
        both = Structure(BOTH, features=level)
        rich = [
            [Structure(reads, features=level, variable=v) for reads in OF_ONE for v in variables],
            [both],
        ]
        if variables and trials.promises(both):
            rich.reverse()
        if any(any(map(trials.explain, some)) or not trials.leaves_much() for some in rich):
            break
        over = (Structure(reads, True, level) for reads in OVER_STRENGTH)
        if any(map(trials.explain, over)) or not trials.leaves_much(_OPEN_LEVEL):
            break
    return trials.best()


class _Trials:
    """Nets in several structures, and how much of the samples each of them leaves.

    All is by variable, in logarithms: one that is explained does not make up for another that is not.
    """

    def __init__(self, fits: NetFits, steps: int) -> None:
        self.fits, self._steps = fits, steps
        self.found: list[Net] = []
        self._begun: dict[Structure, Net] = {}
        own_rates = fits.rates is True
        noisy = not own_rates and bool(np.all(fits.floor > 1e-7))
        self._least = np.log(np.maximum(fits.floor, 1e-12))
        # The error of rates that were made here is known to within a factor only.
        above = _ENOUGH_RATES if own_rates else _ENOUGH_NOISE
        self._enough = np.log(np.maximum(fits.floor * above, _ENOUGH_CLEAN))
        self._promising = np.log(
            _PROMISING_NOISE * fits.floor
            if noisy
            else np.maximum(_PROMISING_CLEAN, fits.floor * above)
        )
        self._slack = np.log(_SLACK_NOISE if noisy else _SLACK_CLEAN)

    def add(self, net: Net) -> Net:
        """Take a net among those that were tried."""
        self.found.append(net)
        return net

    def _left(self, net: Net) -> np.ndarray:
        return np.maximum(np.log(np.maximum(net.residual, 1e-300)), self._least)

    def promises(self, structure: Structure) -> bool:
        """Whether a few steps bring a net near to the samples."""
        net = self.fits.fit(structure, _FIRST_STEPS)
        self._begun[structure] = net
        promising = bool(np.all(self._left(net) < np.maximum(np.log(_POOR), self._promising)))
        if not promising:
            self.add(net)
        return promising

    def explain(self, structure: Structure) -> bool:
        """Whether a net explains the samples."""
        reduced, net = structure.reduced, self._begun.get(structure)
        if net is None:
            net = self.fits.fit(structure, _FIRST_STEPS if reduced else self._steps)
        more = len(net.history) < self._steps and not self._explained(net)
        if more and (not reduced or np.all(self._left(net) < self._promising)):
            net = self.fits.fit(structure, self._steps - _FIRST_STEPS, start=net.hidden)
            if net.message == AT_NOISE and not self._explained(net):
                # It explains its own batch of nodes, and not the others.
                net = self.fits.fit(structure, _ALL_STEPS, batch=None, start=net.hidden)
        return self._explained(self.add(net))

    def _explained(self, net: Net) -> bool:
        return bool(np.all(self._left(net) <= self._enough))

    def leaves_much(self, share: float = _OPEN_CLEAN) -> bool:
        """Whether the best net leaves enough of any variable for another structure to be tried."""
        most = np.maximum(np.log(share), self._enough + self._slack)
        return bool(np.any(self._left(self.best()) > most))

    @staticmethod
    def _worst(left: np.ndarray) -> tuple[float, float]:
        """Of the variable that is explained worst, and of all; in logarithms."""
        return float(np.max(left)), float(np.mean(left))

    def best(self) -> Net:
        """The simplest of those that leave, of no variable, much more than the one that leaves least."""
        lowest = min((self._left(net) for net in self.found), key=self._worst)
        most = np.maximum(lowest + np.log(_FAR), np.minimum(lowest, self._enough) + self._slack)
        good = [net for net in self.found if np.all(self._left(net) < most)]
        return min(good, key=lambda net: (net.structure.rank, float(np.mean(self._left(net)))))


def evaluate_term(
    net: Net, number: int, inputs: np.ndarray, covariance: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Values and standard errors (n, d) of the self term (0) or the interaction term (1)."""
    columns = net.columns(number, inputs)
    variance = [np.sum((columns @ c) * columns, axis=1) for c in covariance]
    return columns @ net.readout, np.sqrt(np.maximum(np.stack(variance, 1), 0.0))


def _error_scale(
    net: Net,
    replicate: Net,
    points: Sequence[np.ndarray],
    covariance: Sequence[np.ndarray],
    share: np.ndarray,
    seed: int,
) -> np.ndarray:
    """By how much the disagreement of two fits exceeds the standard errors, (2, d); never below
    one.
    """
    generator = np.random.default_rng(seed)
    scales = []
    for number in range(2):
        inputs = points[number]
        inputs = inputs[generator.permutation(len(inputs))[:CALIBRATION_POINTS]]
        if len(inputs) == 0:
            scales.append(np.ones(len(covariance)))
            continue
        values, error = evaluate_term(net, number, inputs, covariance)
        others = replicate.values(number, inputs)
        difference = share * np.mean((values - others) ** 2, axis=0)
        scales.append(np.sqrt(difference / (np.mean(error**2, axis=0) + 1e-300)))
    return np.maximum(np.stack(scales), 1.0)


def readout_covariance(
    gram: np.ndarray, ridge: float, residual: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Per variable, covariance (P, P) of the readouts in the units of the data."""
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.inv(gram / np.outer(size, size) + ridge * np.eye(len(gram)))
    inverse = inverse / np.outer(size, size)
    return tuple(inverse * r * s**2 for r, s in zip(residual, scale, strict=True))
