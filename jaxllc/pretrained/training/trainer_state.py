"""The state of a training, one step of it, and its checkpoint."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxllc.errors import InputError, check_integer
from jaxllc.files.json_text import parse_json
from jaxllc.pretrained.descriptors import describe
from jaxllc.pretrained.model import (
    ModelSettings,
    SkeletonModel,
    blank_model,
    new_model,
    states_of,
)
from jaxllc.pretrained.tensors import read_tensors, write_tensors
from jaxllc.pretrained.training.corpus import Batch, Corpus, CorpusSettings
from jaxllc.pretrained.weights import digest, named_arrays, with_arrays

_FORMAT = "jaxllc skeleton training 1"
_CONSTANT_SHARE = 0.35  # of the training at the full rate, before the cosine
_LOWEST_RATE = 0.01  # relative to the full rate
_SYMBOLS = 8.5  # room for the symbols of a string, on average, where they are packed


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained (AdamW; Loshchilov and Hutter 2019).

    batch: sets a step; rate: the highest learning rate; warm_up: steps up to it; decay: of weights;
    average: of the exponential average of the weights, which is what is used in the end; seed: of the corpus
    and of the first weights.
    """

    batch: int = 256
    rate: float = 2e-3
    warm_up: int = 100
    decay: float = 0.01
    average: float = 0.999
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("batch", self.batch, 1)
        check_integer("warm_up", self.warm_up, 0)
        if not self.rate > 0:
            raise InputError(f"rate is {self.rate}; give a learning rate above 0")
        if not 0 <= self.average < 1:
            raise InputError(f"average is {self.average}; give a number from 0 to below 1")

    def rate_at(self, step: int, progress: float) -> float:
        """The learning rate at a step, when this share of the training is done."""
        warm = min(1.0, (step + 1) / (self.warm_up + 1))
        late = max(0.0, progress - _CONSTANT_SHARE) / (1.0 - _CONSTANT_SHARE)
        cosine = 0.5 * (1.0 + np.cos(np.pi * min(1.0, late)))
        return self.rate * warm * max(_LOWEST_RATE, float(cosine))


class Prepared(NamedTuple):
    """A batch as the step reads it.

    descriptors: (b, d); symbols, states: (b, LENGTH); places: (k,) of the symbols that count, in the
    flattened strings; all of them where k is b LENGTH.
    """

    descriptors: Any
    symbols: Any
    states: Any
    places: Any


def prepared(corpus: Corpus, number: int, size: int, packed: bool) -> Prepared:
    """A batch of a corpus; packed: without padding, where computing on it takes longer than moving it."""
    return of_batch(corpus.batch(number, size), corpus, packed)


def of_batch(batch: Batch, corpus: Corpus, packed: bool) -> Prepared:
    """The same for a batch that is there."""
    symbols = corpus.settings.alphabet
    descriptors = describe(batch.points, batch.values, batch.present, symbols)
    states = states_of(batch.strings, symbols)
    count = batch.strings.size
    places = np.arange(count, dtype=np.int32)
    if packed:
        written = np.flatnonzero(batch.strings.reshape(-1) != symbols.padding)
        room = min(count, int(_SYMBOLS * len(batch.strings)) + 64)
        places = np.full(room, count, np.int32)
        # Of an unusually long batch the last symbols are left out of the step.
        places[: min(room, len(written))] = written[:room]
    return Prepared(descriptors, batch.strings.astype(np.int32), states, places)


class TrainerState(NamedTuple):
    """weights: trained; average: of them over steps; optimiser: of optax; fixed: what is not trained;
    step: number of steps done; seconds: spent on them."""

    weights: Any
    average: Any
    optimiser: Any
    fixed: Any
    step: Any
    seconds: Any


@lru_cache(maxsize=4)
def _optimiser(decay: float) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b1=0.9, b2=0.98),
        optax.add_decayed_weights(decay, mask=lambda w: jax.tree.map(lambda a: a.ndim > 1, w)),
    )


def begin(
    model_settings: ModelSettings,
    settings: TrainingSettings,
    corpus: Corpus,
    trained: SkeletonModel | None = None,
) -> TrainerState:
    """An untrained model whose descriptors are scaled by some of the corpus, or one to be trained further."""
    model = trained or new_model(model_settings, settings.seed)
    if trained is None:
        some = Corpus(corpus.settings, settings.seed + 1, corpus.split).batch(0, 1024)
        found = describe(some.points, some.values, some.present, corpus.settings.alphabet)
        model.tower.mean[...] = jnp.asarray(found.mean(0))
        model.tower.scale[...] = jnp.asarray(1.0 / (found.std(0) + 0.05))
    # Copies: a step gives its argument's memory away.
    weights = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))
    fixed = nnx.state(model, nnx.Not(nnx.Param))
    optimiser = _optimiser(settings.decay).init(weights)
    average = jax.tree.map(jnp.copy, weights)
    return TrainerState(weights, average, optimiser, fixed, np.int64(0), np.float64(0.0))


def averaged_model(model_settings: ModelSettings, state: TrainerState) -> SkeletonModel:
    """The model with the averaged weights."""
    graph = nnx.graphdef(blank_model(model_settings))
    return nnx.merge(graph, jax.tree.map(jnp.copy, state.average), state.fixed)


class Trainer:
    """Compiled steps over the devices there are: sets are shared out, weights are everywhere."""

    def __init__(self, model_settings: ModelSettings, settings: TrainingSettings):
        devices = jax.devices()
        if settings.batch % len(devices):
            raise InputError(
                f"batch is {settings.batch}; give a multiple of the number of devices, {len(devices)}"
            )
        self.settings = settings
        mesh = Mesh(np.array(devices), ("set",))
        self.shared_out = NamedSharding(mesh, PartitionSpec("set"))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        on_cpu = devices[0].platform == "cpu"
        self.packed = on_cpu and len(devices) == 1
        graph = nnx.graphdef(blank_model(model_settings))
        precision = jnp.float32 if on_cpu else jnp.bfloat16
        optimiser = _optimiser(settings.decay)

        def loss(weights, fixed, batch):
            lower = jax.tree.map(lambda a: a.astype(precision), (weights, fixed))
            model = nnx.merge(graph, *lower)
            descriptors = batch.descriptors.astype(precision)
            found = model.log_likelihood(descriptors, batch.symbols, batch.states, batch.places)
            return -found.sum() / len(batch.symbols)

        def step(weights, average, memory, fixed, batch, rate, keep):
            value, slopes = jax.value_and_grad(loss)(weights, fixed, batch)
            moves, memory = optimiser.update(slopes, memory, weights)
            weights = jax.tree.map(lambda w, m: w - rate * m, weights, moves)
            average = jax.tree.map(lambda a, w: keep * a + (1.0 - keep) * w, average, weights)
            return weights, average, memory, value

        self._loss = jax.jit(loss)
        self._step = jax.jit(step, donate_argnums=(0, 1, 2))

    def placed(self, batch: Prepared) -> Prepared:
        """A batch on the devices."""
        if self.packed:
            return Prepared(*map(jnp.asarray, batch))
        return Prepared(*(jax.device_put(part, self.shared_out) for part in batch))

    def placed_state(self, state: TrainerState) -> TrainerState:
        """A state on the devices."""
        on_device = state._replace(step=None, seconds=None)
        placed = jax.device_put(on_device, self.everywhere)
        return placed._replace(step=state.step, seconds=state.seconds)

    def step(
        self, state: TrainerState, batch: Prepared, progress: float
    ) -> tuple[TrainerState, jax.Array]:
        """The state after one step, and the loss before it in nats a string."""
        number = int(state.step)
        rate = np.float32(self.settings.rate_at(number, progress))
        keep = np.float32(min(self.settings.average, (1 + number) / (10 + number)))
        weights, average, memory, value = self._step(*state[:4], self.placed(batch), rate, keep)
        new = TrainerState(
            weights, average, memory, state.fixed, np.int64(number + 1), state.seconds
        )
        return new, value

    def loss(self, state: TrainerState, batch: Prepared) -> float:
        """Nats a string by the averaged weights."""
        return float(self._loss(state.average, state.fixed, self.placed(batch)))


@lru_cache(maxsize=2)
def trainer_of(model_settings: ModelSettings, settings: TrainingSettings) -> Trainer:
    """A trainer, compiled once however often a training is begun or resumed."""
    return Trainer(model_settings, settings)


# --- checkpoints ---------------------------------------------------------------------------------


def fingerprint(
    model: ModelSettings, settings: TrainingSettings, corpus: CorpusSettings
) -> dict[str, str]:
    """What a training is of, as text."""
    parts = {"model": asdict(model), "training": asdict(settings), "corpus": asdict(corpus)}
    return {name: json.dumps(part) for name, part in parts.items()}


def write_checkpoint(path: str | os.PathLike, state: TrainerState, mark: dict[str, str]) -> None:
    """Write a state, whole or not at all."""
    arrays = named_arrays(state)
    write_tensors(path, arrays, {"format": _FORMAT, "sha256": digest(arrays), **mark})


def model_settings_in(path: str | os.PathLike) -> ModelSettings:
    """The settings of the model in a checkpoint; raises InputError where it has none."""
    try:
        return ModelSettings(**parse_json(read_tensors(path)[1]["model"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no whole checkpoint of a training; remove it to start anew"
        ) from error


def read_checkpoint(
    path: str | os.PathLike, template: TrainerState, mark: dict[str, str]
) -> TrainerState:
    """The state in a file; raises InputError unless it is a training of these settings."""
    arrays, metadata = read_tensors(path)
    if metadata.get("format") != _FORMAT or metadata.get("sha256") != digest(arrays):
        raise InputError(f"{path} is no whole checkpoint of a training; remove it to start anew")
    for name, text in mark.items():
        if metadata.get(name) != text:
            raise InputError(
                f"the checkpoint {path} is of another {name}: {str(metadata.get(name))[:200]}; "
                "give the same settings, or another folder"
            )
    # Counted on the host, in double precision.
    counted = {"step": np.int64(arrays[".step"]), "seconds": np.float64(arrays[".seconds"])}
    on_device = with_arrays(template._replace(step=None, seconds=None), arrays)
    return on_device._replace(**counted)
