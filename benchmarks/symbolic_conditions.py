"""How values of a target are disturbed: by white noise, by the smooth error of a net, by both, or not.

What a search of terms is given are the values of fitted nets, whose error is a smooth field: it does
not average out over neighbouring points, and a flexible expression can follow it. Errors are scaled
to exactly the rms asked for, a share of the standard deviation of the true values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from symbolic_targets import Target

from jaxllc.search.forms.term_samples import Samples, scale_of

NUM_POINTS = 500
WIDTH = 24  # of each of the two hidden layers
ITERATIONS = 80
DECAY = 1e-5
FITTED_ENOUGH = 1e-5  # relative rms; below it a residual would be rounding more than error


@dataclass(frozen=True)
class Condition:
    """Shares of the standard deviation: rms of the white noise, and of the smooth error."""

    name: str
    white: float = 0.0
    smooth: float = 0.0


CONDITIONS = {
    condition.name: condition
    for condition in (
        Condition("clean"),
        Condition("white 0.5%", white=0.005),
        Condition("white 2%", white=0.02),
        Condition("smooth 0.3%", smooth=0.003),
        Condition("smooth 1%", smooth=0.01),
        Condition("mixed", white=0.005, smooth=0.01),
    )
}


def samples(
    target: Target, condition: Condition | str, seed: int = 0, count: int = NUM_POINTS
) -> Samples:
    """Samples of a target, with the rms of their error as their standard error.

    The points are those of the seed under every condition.
    """
    if isinstance(condition, str):
        condition = CONDITIONS[condition]
    points = target.points(count, seed)
    truth = target.values(points)
    values = truth + disturbance(target, condition, points, seed)
    error = float(np.sqrt(np.mean((values - truth) ** 2)))
    return Samples.of(target.variables, points, values, error or None)


def disturbance(target: Target, condition: Condition, points: np.ndarray, seed: int) -> np.ndarray:
    """What is added to the true values, (n,)."""
    truth = target.values(points)
    spread = scale_of(truth)
    rng = target.generator(seed + 1_000_003)
    white = rng.standard_normal(len(points))
    added = np.zeros(len(points))
    if condition.white:
        added += condition.white * spread * white / np.sqrt(np.mean(white**2))
    if condition.smooth:
        field = net_residual(points, truth, rng)
        added += condition.smooth * spread * field / np.sqrt(np.mean(field**2))
    return added


def net_residual(points: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Error of a small tanh net fitted to the values by L-BFGS, in their standard deviations, (n,)."""
    inputs = (points - points.mean(axis=0)) / points.std(axis=0)
    spread = scale_of(values)
    varies = np.std(values) > 1e-9 * np.abs(values).max()
    wanted = (values - (values.mean() if varies else 0.0)) / spread
    net = _Net(inputs, wanted)

    def stop_if_fitted(intermediate_result: object) -> None:
        if getattr(intermediate_result, "fun", 1.0) < 0.5 * FITTED_ENOUGH**2:
            raise StopIteration

    found = minimize(
        net.loss_and_gradient,
        net.start(rng),
        jac=True,
        method="L-BFGS-B",
        callback=stop_if_fitted,
        options={"maxiter": ITERATIONS},
    )
    return net.output(found.x)[-1] - wanted


class _Net:
    """inputs - tanh - tanh - output, and half the mean squared error with its gradient."""

    def __init__(self, inputs: np.ndarray, wanted: np.ndarray) -> None:
        self.inputs, self.wanted = inputs, wanted
        self.shapes = [(inputs.shape[1], WIDTH), (WIDTH,), (WIDTH, WIDTH), (WIDTH,), (WIDTH,), (1,)]
        self.ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """Uniform weights of the size that keeps the variance (Glorot and Bengio 2010)."""
        widths = [(self.inputs.shape[1], WIDTH)] * 2 + [(WIDTH, WIDTH)] * 2 + [(WIDTH, 1)] * 2
        bounds = [np.sqrt(6.0 / (a + b)) for a, b in widths]
        parts = [
            rng.uniform(-b, b, int(np.prod(s))) for b, s in zip(bounds, self.shapes, strict=True)
        ]
        return np.concatenate(parts)

    def output(self, flat: np.ndarray) -> tuple[np.ndarray, ...]:
        """Both hidden layers (n, width) and the output (n,)."""
        w1, b1, w2, b2, w3, b3 = self.weights(flat)
        first = np.tanh(self.inputs @ w1 + b1)
        second = np.tanh(first @ w2 + b2)
        return first, second, second @ w3 + b3

    def weights(self, flat: np.ndarray) -> list[np.ndarray]:
        parts = np.split(flat, self.ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def loss_and_gradient(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        w1, b1, w2, b2, w3, b3 = self.weights(flat)
        first, second, output = self.output(flat)
        rest = output - self.wanted
        decayed = DECAY * np.concatenate(
            [w1.ravel(), 0 * b1, w2.ravel(), 0 * b2, w3.ravel(), 0 * b3]
        )
        loss = 0.5 * float(np.mean(rest**2)) + 0.5 * float(decayed @ decayed) / DECAY / len(rest)
        slope = rest / len(rest)
        back_second = slope[:, None] * w3 * (1 - second**2)
        back_first = back_second @ w2.T * (1 - first**2)
        parts = [
            self.inputs.T @ back_first,
            back_first.sum(axis=0),
            first.T @ back_second,
            back_second.sum(axis=0),
            second.T @ slope,
            np.array([slope.sum()]),
        ]
        gradient = np.concatenate([part.ravel() for part in parts])
        return loss, gradient + decayed / len(rest)
