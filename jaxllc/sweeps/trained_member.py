"""What is said of a trained member of a sweep: fit, held-out fit, convergence, stability, signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.model.penalties import wrong_signs
from jaxllc.signaling.model.signaling_model import TOLERANCE, SignalingModel
from jaxllc.signaling.model.spectral_radius import spectral_radius
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.structure import Parameters, Structure
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.signaling.training.signaling_training import (
    correlation,
    history_of,
    mean_squared_error,
    model_of,
)
from jaxllc.signaling.training.training_outcome import MEND, best_epoch, failure, untrained_note
from jaxllc.signaling.training.training_state import Shape
from jaxllc.sweeps.grids import Point
from jaxllc.sweeps.records import DIVERGED, DONE
from jaxllc.sweeps.work import Outcome

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class TrainedMember:
    """One trained model of a sweep, with all that a metric may ask of it.

    point: of the grid; settings, seed: that follow from it. prior: its network, structure: the same as
    arrays; parameters: weights (E,) in the order of its edges, bias (N,), output_scale (TFs,).
    conditions: all of them, matched to the network; train, held_out: their indices. activities: predicted,
    (B, TFs). residual: (B,), relative change of the steady states. slope: phi' there, (N, B). history_rows:
    (epochs, columns of HISTORY). best_loss: of the epoch whose parameters were kept.
    """

    point: Point
    settings: SignalingSettings
    seed: int
    prior: PriorNetwork
    structure: Structure
    conditions: Conditions
    train: np.ndarray
    held_out: np.ndarray
    parameters: Parameters
    activities: np.ndarray
    residual: np.ndarray
    slope: np.ndarray
    history_rows: np.ndarray
    best_loss: float

    @property
    def model(self) -> SignalingModel:
        """The model, to predict or to save."""
        return model_of(self.prior, self.conditions, self.settings, self.parameters)

    @property
    def history(self) -> pd.DataFrame:
        """A row per epoch, as the history of a SignalingFit."""
        return history_of(self.history_rows)

    @property
    def batch_size(self) -> int:
        """The conditions in a step of the training."""
        return Shape.of(self.settings, len(self.train)).batch_size

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose parameters were kept, 1 for the untrained start; None if none was judged."""
        return best_epoch(self.history_rows, self.batch_size, self.best_loss)

    @property
    def converged(self) -> np.ndarray:
        """Whether the steady state of each condition was reached, bool (B,)."""
        return self.residual <= TOLERANCE

    @cached_property
    def spectral_radius(self) -> float:
        """The largest spectral radius of the conditions of the training; nan where a state is not finite."""
        slope = self.slope[:, self.train]
        if not np.isfinite(slope).all():
            return float("nan")
        return float(
            spectral_radius(self.structure.wires, self.parameters.weights, slope).radius.max()
        )


def figures_of(member: TrainedMember) -> dict[str, Any]:
    """The metrics of every row; those of held-out conditions only where some are held out."""
    converged, train, out = member.converged, member.train, member.held_out
    figures = {
        "loss": member.best_loss,
        "train_correlation": _correlation(member, train),
        "train_mse": error_of(member, member.activities, train),
        "train_converged": int(converged[train].sum()),
        "train_conditions": len(train),
        "spectral_radius": member.spectral_radius,
        "sign_violations": int(
            wrong_signs(member.parameters.weights, member.structure.signs).sum()
        ),
    }
    if len(out):
        figures["held_out_correlation"] = _correlation(member, out)
        figures["held_out_mse"] = error_of(member, member.activities, out)
        figures["held_out_converged"] = int(converged[out].sum())
        figures["held_out_conditions"] = len(out)
    return figures


def outcome_of(
    member: TrainedMember,
    more: Callable[[TrainedMember], Mapping[str, Any]] | None,
    extra: Mapping[str, Any],
) -> Outcome:
    """The row of a member: its figures, what `more` adds to them, and whether it diverged."""
    metrics = {**figures_of(member), **({} if more is None else more(member)), **extra}
    note = divergence(member)
    status = DIVERGED if note else DONE
    note = note or untrained_note(member.history_rows, member.best_epoch)
    return Outcome(metrics, status, note, member.settings.to_dict())


def divergence(member: TrainedMember) -> str:
    """The sentence on how a training diverged, or an empty text."""
    failed = failure(member.history_rows, member.batch_size, member.best_epoch)
    if failed:
        return failed
    if not member.converged[member.train].any():
        return (
            f"none of {len(member.train)} conditions of the training reaches a steady state at the end, "
            f"where the spectral radius is {member.spectral_radius:.3g}; {MEND}"
        )
    return ""


def _correlation(member: TrainedMember, rows: np.ndarray) -> float:
    return correlation(member.activities[rows], member.conditions.tf_activities[rows])


def error_of(member: TrainedMember, activities: np.ndarray, rows: np.ndarray) -> float:
    """The mean squared error of predicted activities (B, TFs) in these rows."""
    return mean_squared_error(activities[rows], member.conditions.tf_activities[rows])
