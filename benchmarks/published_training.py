"""The published training of signaling models (LEMBAS) in NumPy, float64: its settings, penalties and steps.

From the paper's description (Nilsson et al., Nature Communications 13, 2022); states, gradients and spectral
radius come from published_signaling. One place where the paper leaves room: U (uniform states), per node over
conditions, is summed over nodes, and its variance divides by the number of conditions:
(mean - hi/2)^2 + (var - hi^2/12)^2 + (max - hi)^2 + min^2, minus k max where max <= 0.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from published_signaling import (
    PublishedModel,
    gradients,
    slopes_at,
    spectral_radius_of,
    steady_state,
)


@dataclass(frozen=True)
class Settings:
    """The published settings; the defaults are those of the macrophage model.

    `rates`: learning rate at the start, at `peak_epoch`, from 95 % of the epochs on; half cosines between.
    `inverse`: weight of sum 1 / (w^2 + 0.5). `uniform`: weight, k, hi. `radius`: weight, a, tau.
    `noise`: deviation on the input of every node, times the learning rate where `noise_follows_rate`.
    `batch` None: all conditions in one step. `tolerance`: that of ARPACK.
    """

    steps: int = 100
    clip: float | None = 1.0
    stop_below: float | None = 1e-6
    batch: int | None = 5
    rates: tuple[float, float, float] = (1e-5, 2e-3, 1e-5)
    peak_epoch: int = 1000
    reset_every: int = 200
    l2: float = 1e-6
    inverse: float = 1e-6
    wrong_sign: float = 0.1
    ligand_bias: float = 1e-3
    output_scale: float = 1e-6
    train_output_scale: bool = True
    uniform: tuple[float, float, float] = (1e-5, 50.0, 0.99)
    radius: tuple[float, float, float] = (1e-3, 21.0, 0.871)
    noise: float = 10.0
    noise_follows_rate: bool = True
    tolerance: float = 1e-6


MACROPHAGE = Settings()
LIGAND = Settings(
    steps=150,
    clip=5.0,
    rates=(1e-4, 1e-3, 1e-5),
    inverse=0.0,
    ligand_bias=1e-4,
    output_scale=1e-4,
    uniform=(1e-5, 1.0, 1 / 1.2),
    radius=(1e-3, 10.0, 0.9),
    noise=1e-3,
    noise_follows_rate=False,
)
SYNTHETIC = Settings(
    steps=150,
    l2=1e-8,
    inverse=1e-8,
    ligand_bias=1e-5,
    train_output_scale=False,
    uniform=(1e-4, 50.0, 0.99),
    radius=(1e-3, 21.0, 0.940),
)


def parameter_penalties(
    model: PublishedModel, settings: Settings
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Wrong sign, L2, 1 / (w^2 + 0.5), ligand bias, s_out: sum, and its gradients in weights, bias, s_out."""
    w, b, scale = model.weights, model.bias, model.output_scale - 1.2
    wrong, away, at_ligands = model.wrong_sign(), 1.0 / (w**2 + 0.5), np.zeros_like(b)
    at_ligands[model.input_index] = b[model.input_index]
    value = settings.wrong_sign * np.abs(w[wrong]).sum() + settings.l2 * (w @ w + b @ b)
    value += settings.inverse * away.sum() + settings.ligand_bias * at_ligands @ at_ligands
    dw = settings.wrong_sign * wrong * np.sign(w) + 2.0 * w * (
        settings.l2 - settings.inverse * away**2
    )
    db = 2.0 * (settings.l2 * b + settings.ligand_bias * at_ligands)
    value += settings.output_scale * scale @ scale
    return float(value), dw, db, 2.0 * settings.output_scale * scale


def uniform_penalty(states: np.ndarray, k: float, hi: float) -> tuple[float, np.ndarray]:
    """U of states (conditions, N), and its gradient (conditions, N)."""
    count, columns = len(states), np.arange(states.shape[1])
    top, low = states.argmax(axis=0), states.argmin(axis=0)
    mean, largest, smallest = states.mean(axis=0), states[top, columns], states[low, columns]
    centred = states - mean
    spread = np.mean(centred**2, axis=0) - hi**2 / 12
    value = (mean - hi / 2) ** 2 + spread**2 + (largest - hi) ** 2 + smallest**2
    dead = largest <= 0
    gradient = (2.0 * (mean - hi / 2) + 4.0 * spread * centred) / count
    gradient[top, columns] += 2.0 * (largest - hi) - k * dead
    gradient[low, columns] += 2.0 * smallest
    return float(value.sum() - k * largest[dead].sum()), gradient


def radius_penalty(radius: float, a: float, tau: float) -> tuple[float, float]:
    """R = exp(-a tau) (exp(a radius) - 1) above 0.5 and 0 below, and its derivative."""
    if radius <= 0.5:
        return 0.0, 0.0
    growth = float(np.exp(a * (radius - tau)))
    return growth - float(np.exp(-a * tau)), a * growth


class StepResult(NamedTuple):
    """Whole loss of one step, its mean squared error, and the spectral radius of one condition."""

    loss: float
    error: float
    radius: float


class Training:
    """A model in training; its parameters change in place.

    `ligands` (B, I); `activities` (B, O), nan where not measured. `states` (B, N) holds every condition as
    last seen, at the start those of the untrained model.
    """

    def __init__(self, model, ligands, activities, settings: Settings, seed: int = 0) -> None:
        self.model, self.settings = model, settings
        self.ligands, self.activities = ligands, activities
        self.random = np.random.default_rng(seed)
        self.states = steady_state(
            model, ligands, settings.steps, stop_below=settings.stop_below
        ).copy()
        self.parameters = [model.weights, model.bias]
        if settings.train_output_scale:
            self.parameters.append(model.output_scale)
        self.reset()

    def reset(self) -> None:
        """Adam starts anew."""
        self.count = 0
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]

    def adam(self, changes: list[np.ndarray], rate: float) -> None:
        """One step of Adam (0.9, 0.999, 1e-8)."""
        self.count += 1
        first, second = 1.0 - 0.9**self.count, 1.0 - 0.999**self.count
        for p, change, (m, v) in zip(self.parameters, changes, self.moments, strict=False):
            m += 0.1 * (change - m)
            v += 0.001 * (change**2 - v)
            p -= rate * (m / first) / (np.sqrt(v / second) + 1e-8)

    def loss(self, rows: np.ndarray, rate: float) -> tuple[StepResult, list[np.ndarray]]:
        """Loss of the conditions `rows` with every penalty, and its gradients in weights, bias, s_out."""
        model, settings, ligands = self.model, self.settings, self.ligands[rows]
        noise = settings.noise * (rate if settings.noise_follows_rate else 1.0)
        noise = noise * self.random.standard_normal((len(rows), model.num_nodes))
        stop = settings.stop_below
        states = steady_state(model, ligands, settings.steps, stop_below=stop, noise=noise)
        slopes = slopes_at(model, states, ligands, noise)
        self.states[rows] = states
        weight, k, hi = settings.uniform
        uniform, pull = uniform_penalty(self.states, k, hi)
        error, dw, db, ds, _ = gradients(
            model, states, ligands, self.activities[rows], settings.steps,
            clip=settings.clip, stop_below=stop, slopes=slopes, pull=weight * pull[rows],
        )  # fmt: skip
        value, *penalties = parameter_penalties(model, settings)
        loss, changes = error + weight * uniform + value, [dw, db, ds]
        changes = [a + b for a, b in zip(changes, penalties, strict=True)]
        weight, a, tau = settings.radius
        found = spectral_radius_of(
            model, slopes[self.random.integers(len(rows))], settings.tolerance
        )
        growth, per_radius = radius_penalty(found.value, a, tau)
        if per_radius:
            changes[0] += weight * per_radius * found.weights
        return StepResult(loss + weight * growth, error, found.value), changes


def training_step(training: Training, rows: np.ndarray, rate: float) -> StepResult:
    """One step of Adam on the conditions `rows`; all of them for a whole batch."""
    result, changes = training.loss(rows, rate)
    training.adam(changes, rate)
    return result


def learning_rate(epoch: int, epochs: int, settings: Settings) -> float:
    """Half a cosine up to the peak, half a cosine down until 95 % of the epochs, flat from there.

    Runs too short for the published peak have it after a fifth of their epochs.
    """
    start, top, end = settings.rates
    peak = min(settings.peak_epoch, max(epochs // 5, 1))
    if epoch < peak:
        return start + (top - start) * 0.5 * (1.0 - float(np.cos(np.pi * epoch / peak)))
    part = min((epoch - peak) / max(0.95 * epochs - peak, 1.0), 1.0)
    return end + (top - end) * 0.5 * (1.0 + float(np.cos(np.pi * part)))


@dataclass
class History:
    """Per epoch: mean loss and squared error, largest spectral radius of its steps; seconds since start."""

    loss: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    radius: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train(
    model: PublishedModel,
    ligands: np.ndarray,
    activities: np.ndarray,
    epochs: int,
    seed: int,
    settings: Settings,
    time_limit: float | None = None,
) -> History:
    """Train `model` in place; stops after the epoch that reaches `time_limit` seconds."""
    began, history = time.perf_counter(), History()
    training = Training(model, ligands, activities, settings, seed)
    size = settings.batch or len(ligands)
    for epoch in range(epochs):
        if epoch % settings.reset_every == 0:
            training.reset()
        rate = learning_rate(epoch, epochs, settings)
        order = training.random.permutation(len(ligands))
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        results = [training_step(training, rows, rate) for rows in batches]
        history.loss.append(float(np.mean([r.loss for r in results])))
        history.error.append(float(np.mean([r.error for r in results])))
        history.radius.append(max(r.radius for r in results))
        history.seconds.append(time.perf_counter() - began)
        if time_limit is not None and history.seconds[-1] >= time_limit:
            break
    return history
