"""train(): fit a signaling model to conditions, with progress, checkpoints and an early end on interrupt."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.errors import InputError, check_callable, check_integer, check_path, check_seed
from jaxllc.files.output_file import output_file
from jaxllc.running.waiting import Pace
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.signaling.model.penalties import wrong_signs
from jaxllc.signaling.model.signaling_model import Prediction, SignalingModel
from jaxllc.signaling.model.spectral_radius import radius_of_weights, random_eigenspace
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.network.structure import (
    Data,
    Parameters,
    Structure,
    data_of,
    initial_parameters,
    structure_of,
)
from jaxllc.signaling.settings import SettingsLike, SignalingSettings, settings_of
from jaxllc.signaling.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from jaxllc.signaling.training.training_outcome import best_epoch, failure, history_notes
from jaxllc.signaling.training.training_state import (
    HISTORY,
    Best,
    Rates,
    Record,
    Shape,
    TrainingState,
    optimizer,
)
from jaxllc.signaling.training.training_step import training_steps

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, dict[str, float]], None]

_SECONDS_BETWEEN_REPORTS = 0.5
_MOST_STEPS = 500  # of one call of the compiled loop, so that an interrupt is heard


@dataclass(frozen=True, eq=False, repr=False)
class SignalingFit:
    """A trained model, how it came about, and whether it is to be trusted.

    settings, seed, conditions: what it was trained with. history: DataFrame, one row per epoch: epoch, loss
    (with penalties), mse, radius (largest spectral radius of the conditions, as last seen), residual
    (largest relative change of the steady states in the last iteration), learning_rate, unsteady
    (conditions left out of the misfit because their state did not come to rest), refused (steps whose
    numbers were not finite). finished: whether all epochs were made. seconds: time spent, compilation
    included. best_epoch: the one whose parameters the model has, 1 for the untrained start; None if none
    was made.
    """

    model: SignalingModel
    settings: SignalingSettings
    seed: int
    conditions: Conditions
    history: pd.DataFrame
    finished: bool
    seconds: float
    best_epoch: int | None = None

    @cached_property
    def failure(self) -> str:
        """How a finished training failed, by its last epochs beside its start; else an empty text."""
        if not self.finished:
            return ""
        rows = self.history[list(HISTORY)].to_numpy(float)
        return failure(rows, _batch_size(self.settings, self.conditions), self.best_epoch)

    @cached_property
    def fitted(self) -> Prediction:
        """The prediction of the conditions of the training."""
        return self.model.predict(self.conditions)

    @property
    def parameters(self) -> Parameters:
        """weights (E,), bias (N,), output_scale (TFs,)."""
        return self.model.parameters

    def predict(self, ligands: Any, knock_out: Sequence[str] = ()) -> Prediction:
        """The model's prediction for `ligands`, without the nodes `knock_out`; see SignalingModel.predict.

        Raises InputError for names that the model does not know.
        """
        return self.model.predict(ligands, knock_out)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what to mind."""
        return once(*self.model.notes, *history_notes(self), *self.fitted.notes)

    @cached_property
    def spectral_radius(self) -> float:
        """The largest spectral radius of the conditions of the training, at their steady states."""
        return float(self.model.spectral_radius(self.conditions).max())

    @property
    def train_correlation(self) -> float:
        """Pearson r of fit and data, pooled over conditions and TFs."""
        return correlation(self.fitted.tfs.to_numpy(), self.conditions.tf_activities)

    @property
    def sign_violations(self) -> int:
        """The number of edges whose weight contradicts their known sign."""
        return int(wrong_signs(self.parameters.weights, self.model.structure.signs).sum())

    def summary(self) -> str:
        """A few lines: what was trained, how well it fits, whether it converged."""
        converged = self.fitted.converged
        lines = [
            f"{self.model.prior.num_nodes} nodes, {self.model.prior.num_edges} edges, "
            f"{self.conditions.num_conditions} conditions, {len(self.model.ligands)} ligands, "
            f"{len(self.model.tfs)} TFs",
            f"train r {self.train_correlation:.3f} after {len(self.history)} epochs in {self.seconds:.1f} s",
            f"spectral radius {self.spectral_radius:.3f}, {int(converged.sum())} of "
            f"{len(converged)} conditions converged, {self.sign_violations} sign violations",
            *self.notes,
        ]
        return "\n".join(lines)

    def save(self, folder: str | os.PathLike, predictions: bool = True) -> list[Path]:
        """Write model.npz, settings.json, history.csv and predictions.csv into an existing folder.

        predictions: whether the last, which needs the steady states computed, is written too. Returns the
        paths of the files. Raises InputError for a folder that cannot be written.
        """
        folder = check_path("folder", folder)
        names = ["model.npz", "settings.json", "history.csv", "predictions.csv"]
        paths = [folder / name for name in (names if predictions else names[:3])]
        self.model.save(paths[0])
        with output_file(paths[1]) as temporary:
            told = {"seed": self.seed, **self.settings.to_dict()}
            temporary.write_text(json.dumps(told, indent=1) + "\n")
        with output_file(paths[2]) as temporary:
            self.history.to_csv(temporary, index=False)
        if predictions:
            with output_file(paths[3]) as temporary:
                self.fitted.tfs.to_csv(temporary, index_label="condition")
        return paths

    def __repr__(self) -> str:
        return f"SignalingFit({self.summary().splitlines()[1]})"


def train(
    prior: PriorNetwork | str | os.PathLike,
    conditions: Conditions,
    settings: SettingsLike = None,
    seed: int = 0,
    *,
    held_out: Conditions | Sequence[str] | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1000,
    progress: Progress | None = None,
) -> SignalingFit:
    """Train a signaling model; the same seed on the same machine gives the same model.

    prior: a PriorNetwork, or the path of its table. settings: SignalingSettings, the name of one of
    PRESETS, a mapping of the settings to change, the path of a JSON file, or None for the default.
    held_out: conditions that are left out of the training, by their names or as Conditions. checkpoint: a
    file that is written every `checkpoint_every` epochs and at the end; if it exists, training goes on from
    it bit for bit. progress: called with epoch, epochs and the latest numbers. An interrupt ends early: the
    fit so far is returned, with `finished` False. The parameters are those of the epoch of the smallest
    loss, among epochs whose steady states were found from zero, as predictions do.

    Raises InputError where no ligand or no TF is a node, where no path leads from a ligand to a TF, and
    for a checkpoint of another training.

    Source of the model: Nilsson et al., Nature Communications 13 (2022).

    Example:
        >>> prior = PriorNetwork.from_edges(["L", "R"], ["R", "T"], [1, 1])
        >>> levels, activities = np.array([[0.0], [0.5], [1.0]]), np.array([[0.1], [0.4], [0.7]])
        >>> conditions = Conditions(("off", "half", "on"), ("L",), ("T",), levels, activities)
        >>> fit = train(prior, conditions, {"epochs": 20}, seed=0)
        >>> fit.predict({"L": [0.2, 0.8]}).tfs.shape
        (2, 1)
    """
    settings = settings_of(settings)
    check_seed("seed", seed)
    check_integer("checkpoint_every", checkpoint_every, 1, "in epochs")
    check_callable("progress", progress, "epoch, epochs and the latest numbers")
    if checkpoint is not None:
        check_path("checkpoint", checkpoint)
    seed = int(seed)
    conditions = conditions_of(conditions)
    prior = prior_of(prior, conditions)
    if held_out is not None:
        conditions = conditions.without(held_out)
    start = time.perf_counter()
    conditions, structure, data = prepare(prior, conditions, settings)
    mark = fingerprint(structure, data, settings, seed)
    state = initial_state(structure, data, settings, seed)
    rows = np.zeros((0, len(HISTORY)))
    if checkpoint is not None and Path(checkpoint).exists():
        state, rows = read_checkpoint(checkpoint, state, mark)
    shape, rates = Shape.of(settings, conditions.num_conditions), Rates.of(settings, dtype())
    most = most_epochs(shape)
    data, structure = jax.device_put((data, structure))
    reported, kept, pace = 0.0, len(rows), Pace()
    finished = True
    try:
        while len(rows) < settings.epochs:
            count = min(most, settings.epochs - len(rows))
            arguments = shape, most, structure, data, rates, state, jnp.asarray(count)
            after, records = pace.computed(advance, *arguments, units=count)
            latest = history_rows(records, len(rows), count)
            # One assignment: an interrupt leaves a state and its own history.
            state, rows = after, np.concatenate([rows, latest])
            now, last = time.perf_counter(), len(rows) == settings.epochs
            if progress is not None and (now - reported > _SECONDS_BETWEEN_REPORTS or last):
                reported = now
                progress(len(rows), settings.epochs, dict(zip(HISTORY, rows[-1], strict=True)))
            if checkpoint is not None and len(rows) - kept >= checkpoint_every:
                write_checkpoint(checkpoint, state, rows, mark)
                kept = len(rows)
    except KeyboardInterrupt:
        finished = False
    if checkpoint is not None and len(rows) > kept:
        write_checkpoint(checkpoint, state, rows, mark)
    model = model_of(prior, conditions, settings, state.best.parameters)
    seconds = time.perf_counter() - start
    best = best_epoch(rows, _batch_size(settings, conditions), float(state.best.loss))
    return SignalingFit(
        model, settings, seed, conditions, history_of(rows), finished, seconds, best
    )


def _batch_size(settings: SignalingSettings, conditions: Conditions) -> int:
    return Shape.of(settings, conditions.num_conditions).batch_size


def prepare(
    prior: PriorNetwork, conditions: Conditions, settings: SignalingSettings
) -> tuple[Conditions, Structure, Data]:
    """The conditions that the network knows, and both as arrays; InputError if nothing can be learned."""
    conditions = conditions.matched(prior)
    if conditions.num_conditions == 0:
        raise InputError("there is no condition to train on")
    if not prior.has_path(conditions.ligands, conditions.tfs):
        raise InputError(
            "no path of the prior network leads from a ligand to a TF, so nothing can be learned; check the "
            "direction of the edges (source acts on target) and the node codes"
        )
    structure = structure_of(prior, conditions.ligands, conditions.tfs, settings.input_scale)
    data = data_of(conditions)
    if not data.observed.any():
        raise InputError(
            "no TF activity of any condition was measured; there is nothing to train on"
        )
    cast = lambda x: np.asarray(x, dtype())  # noqa: E731
    structure = structure._replace(
        signs=cast(structure.signs), input_scale=cast(structure.input_scale)
    )
    return conditions, structure, Data(*(cast(x) for x in data))


def dtype() -> Any:
    """float32, or float64 where the user has turned x64 on."""
    return jnp.zeros(()).dtype


def initial_state(
    structure: Structure, data: Data, settings: SignalingSettings, seed: int
) -> TrainingState:
    """Fresh parameters at the settings' spectral radius, and nothing known of states and eigenvectors."""
    weights_key, space_key, key = jax.random.split(jax.random.key(seed), 3)
    parameters = initial_parameters(structure, weights_key, settings.output_scale, dtype())
    num_nodes, num_conditions = len(structure.wires.incoming.order), data.ligands.shape[0]
    radius = radius_of_weights(structure.wires, parameters.weights)
    if radius > 0:  # a network without cycles has none
        scale = settings.initial_radius / radius
        parameters = parameters._replace(weights=parameters.weights * jnp.asarray(scale, dtype()))
    space = random_eigenspace(space_key, num_nodes, dtype=dtype())
    zeros = jnp.zeros((num_nodes, num_conditions), dtype())
    return TrainingState(
        parameters,
        optimizer().init(parameters),
        zeros,
        zeros,
        jax.tree.map(lambda x: jnp.broadcast_to(x, (num_conditions, *x.shape)), space),
        jnp.full(num_conditions, settings.initial_radius, dtype()),
        jnp.arange(num_conditions),
        key,
        jnp.asarray(0),
        Best(parameters, jnp.asarray(jnp.inf, dtype()), jnp.asarray(0, dtype())),
    )


@partial(jax.jit, static_argnums=(0, 1))
def advance(
    shape: Shape,
    most_epochs: int,
    structure: Structure,
    data: Data,
    rates: Rates,
    state: TrainingState,
    epochs: jax.Array,
) -> tuple[TrainingState, Record]:
    """`epochs` epochs in one compiled program; see `training_steps`."""
    return training_steps(shape, structure, data, rates, state, most_epochs, epochs)


def most_epochs(shape: Shape) -> int:
    """The epochs of one call of a compiled loop; the last one of each call finds steady states anew."""
    return max(1, _MOST_STEPS // shape.steps_per_epoch)


def history_rows(records: Record, first_epoch: int, count: int) -> np.ndarray:
    """Rows of the history, (count, columns), from the records of one call."""
    columns = [np.asarray(column, np.float64)[:count] for column in records]
    return np.column_stack([np.arange(first_epoch + 1, first_epoch + count + 1), *columns])


def history_of(rows: np.ndarray) -> pd.DataFrame:
    """The history, a row per epoch, of rows (epochs, columns of HISTORY)."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(HISTORY)).astype({"epoch": int})


def model_of(
    prior: PriorNetwork, conditions: Conditions, settings: SignalingSettings, parameters: Parameters
) -> SignalingModel:
    """The model with the parameters that a training of these settings on these conditions learned."""
    return SignalingModel(
        prior,
        conditions.ligands,
        conditions.tfs,
        Parameters(*(np.asarray(x, np.float64) for x in parameters)),
        settings.activation,
        settings.input_scale,
        once(*prior.notes, *conditions.notes),
    )


def correlation(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Pearson r over entries that were measured; nan where either side is constant."""
    known = np.isfinite(measured) & np.isfinite(predicted)
    x, y = np.asarray(predicted)[known], np.asarray(measured)[known]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def mean_squared_error(predicted: np.ndarray, measured: np.ndarray) -> float:
    """The mean of (y - Y)^2 over entries that were measured; nan where none was."""
    error = (predicted - measured)[np.isfinite(measured)]
    return float(np.mean(np.square(error))) if error.size else float("nan")
