"""Steps of a signaling problem, timed: the compiled loop of `train`, and the published algorithm in SciPy.

Both are timed from given states or parameters, the same for each repeat.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from common import CompileClock

STEPS_PER_CALL = 500  # of the compiled loop, as train() calls it
LAST = 50  # steps whose mean misfit is that of a training


class Loop:
    """The compiled loop of train() on one problem; with several seeds their states side by side, vmapped."""

    def __init__(self, prior: Any, conditions: Any, settings: Any, seeds: int = 1) -> None:
        import jax
        import jax.numpy as jnp

        from jaxllc.signaling.training.signaling_training import (
            advance,
            dtype,
            initial_state,
            prepare,
        )
        from jaxllc.signaling.training.training_state import Rates, Shape

        self.conditions, structure, data = prepare(prior, conditions, settings)
        states = [initial_state(structure, data, settings, seed) for seed in range(seeds)]
        shape = Shape.of(settings, self.conditions.num_conditions)
        self._arrays = jax.device_put((structure, data, Rates.of(settings, dtype())))

        def steps(structure, data, rates, state, count):
            return advance(shape, STEPS_PER_CALL, structure, data, rates, state, count)

        self.start, self._steps = states[0], steps
        if seeds > 1:
            self.start = jax.tree.map(lambda *each: jnp.stack(each), *states)
            self._steps = jax.jit(jax.vmap(steps, in_axes=(None, None, None, 0, None)))
        clock, began = CompileClock(), time.perf_counter()
        self.run(self.start, 0)
        self.compilation_seconds = clock.since(began)

    def run(self, state: Any, count: int) -> tuple[Any, Any]:
        """State after `count` steps, at most STEPS_PER_CALL, and the records of them."""
        import jax
        import jax.numpy as jnp

        return jax.block_until_ready(self._steps(*self._arrays, state, jnp.asarray(count)))

    def timed(self, state: Any, repeats: int, steps: int) -> dict[str, Any]:
        """Median milliseconds of a step from this state, with the first misfit and the last residual."""
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            _, records = self.run(state, steps)
            seconds.append((time.perf_counter() - began) / steps)
        return {
            "ms": 1e3 * float(np.median(seconds)),
            "mse": float(np.asarray(records.mse)[..., 0].mean()),
            "residual": float(np.asarray(records.residual)[..., steps - 1].max()),
            "each_ms": [1e3 * each for each in seconds],
        }


class Published:
    """The published algorithm on one set, with the penalties, noise and learning rates of these settings."""

    def __init__(self, name: str, prior: Any, conditions: Any, settings: Any) -> None:
        import published_training as published

        base = {"macrophage": published.MACROPHAGE, "ligand": published.LIGAND}[name]
        follows = settings.input_noise_per_rate > 0
        self.settings = replace(
            base,
            batch=None,
            rates=(
                settings.learning_rate_start,
                settings.learning_rate,
                settings.learning_rate_end,
            ),
            peak_epoch=round(settings.peak_at * settings.epochs),
            reset_every=settings.reset_every,
            l2=settings.l2,
            inverse=settings.spread_penalty,
            wrong_sign=settings.sign_penalty,
            ligand_bias=settings.ligand_bias_penalty,
            output_scale=settings.output_scale_penalty,
            train_output_scale=settings.train_output_scale,
            uniform=(settings.uniform_penalty, settings.uniform_silent, settings.uniform_high),
            radius=(
                settings.spectral_penalty,
                settings.spectral_steepness,
                settings.spectral_target,
            ),
            noise=settings.input_noise_per_rate if follows else settings.input_noise,
            noise_follows_rate=follows,
        )
        self.prior, self.conditions, self.epochs = prior, conditions, settings.epochs
        self.input_scale = settings.input_scale
        self.everything = np.arange(conditions.num_conditions)

    def trainer(self, parameters: Any) -> Any:
        """A training of the published algorithm that begins at these parameters."""
        import published_signaling
        import published_training

        prior, conditions = self.prior, self.conditions
        weights, bias, output_scale = (np.array(x, np.float64) for x in parameters)
        model = published_signaling.PublishedModel(
            num_nodes=prior.num_nodes,
            senders=prior.senders,
            receivers=prior.receivers,
            signs=np.where(prior.sign_known, prior.signs, 0),
            sign_known=prior.sign_known,
            input_index=np.array([prior.position[name] for name in conditions.ligands]),
            output_index=np.array([prior.position[name] for name in conditions.tfs]),
            weights=weights,
            bias=bias,
            input_scale=np.full(len(conditions.ligands), self.input_scale),
            output_scale=output_scale,
        )
        levels, activities = conditions.ligand_levels, conditions.tf_activities
        return published_training.Training(model, levels, activities, self.settings)

    def timed(self, parameters: Any, after: int, repeats: int) -> dict[str, Any]:
        """Median milliseconds of the first step from these parameters, and its misfit."""
        from published_training import learning_rate, training_step

        seconds, rate = [], learning_rate(after, self.epochs, self.settings)
        for _ in range(repeats):
            trainer = self.trainer(parameters)
            began = time.perf_counter()
            result = training_step(trainer, self.everything, rate)
            seconds.append(time.perf_counter() - began)
        each = [1e3 * one for one in seconds]
        return {"ms": float(np.median(each)), "mse": result.error, "each_ms": each}

    def training(self, parameters: Any, steps: int) -> dict[str, Any]:
        """Seconds and misfit of this many steps from these parameters."""
        from published_training import learning_rate, training_step

        trainer, misfits, began = self.trainer(parameters), [], time.perf_counter()
        for step in range(steps):
            if step % self.settings.reset_every == 0:
                trainer.reset()
            rate = learning_rate(step, self.epochs, self.settings)
            misfits.append(training_step(trainer, self.everything, rate).error)
        seconds = time.perf_counter() - began
        return {"steps": steps, "seconds": seconds, "mse": float(np.mean(misfits[-LAST:]))}
