"""Whether a training came to something: its last epochs beside its start, and the notes on the way there.

The model of a training is that of its best epoch, which a training that fails may have long behind it, or
nowhere: then it is the untrained start. So a training is judged by how it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from jaxllc.signaling.settings import SignalingSettings
from jaxllc.signaling.training.training_state import HISTORY

if TYPE_CHECKING:
    import pandas as pd

_WORSE = 2.0  # times the loss of the start
_WORSE_FIT = 1.1  # times the misfit of the start; less is a rise by penalties
_RISE = 0.5  # of the loss by penalties alone, beside activities from 0 to 1
_SHORT = 50  # epochs in which a sound training may not have come below its start again
_LAST = 0.02  # part of the epochs that a training ends with
MEND = "train with a lower learning_rate or a larger spectral_penalty"


class Trained(Protocol):
    """What is to be known of a training to say what came of it, as `SignalingFit` holds it."""

    @property
    def history(self) -> pd.DataFrame: ...
    @property
    def settings(self) -> SignalingSettings: ...
    @property
    def finished(self) -> bool: ...
    @property
    def best_epoch(self) -> int | None: ...
    @property
    def failure(self) -> str: ...
    @property
    def spectral_radius(self) -> float: ...


def best_epoch(rows: np.ndarray, batch_size: int, best_loss: float) -> int | None:
    """The epoch, from 1 on, whose parameters were kept; None while no epoch was judged.

    rows: (epochs, columns of HISTORY). best_loss: as `Best` holds it.
    """
    if not len(rows) or not np.isfinite(best_loss):
        return None
    apart = np.abs(_score(rows, "loss", batch_size) - best_loss)
    return int(np.nanargmin(apart)) + 1


def failure(rows: np.ndarray, batch_size: int, best: int | None) -> str:
    """The sentence on how a training failed, or an empty text.

    It failed where the loss at its end is not finite, or far above that at its start; where penalties alone
    raised it, by more than a misfit is. A training that is not short also failed where no
    epoch was better than its start and the fit became worse.

    rows: (epochs, columns of HISTORY). best: the epoch whose parameters were kept.
    """
    if not len(rows):
        return ""
    loss, refused = _column(rows, "loss"), _column(rows, "refused")
    if refused[-1] > 0 or not np.isfinite(loss[-1]):
        bad = (refused > 0) | ~np.isfinite(loss)
        first = len(bad) - int(np.argmin(bad[::-1])) if not bad.all() else 0
        return f"the loss was not finite from epoch {first + 1} of {len(bad)} to the end; {MEND}"
    if best is None:
        return f"no epoch had a finite loss; {MEND}"
    (start, end), (fit_start, fit_end) = (
        _ends(_score(rows, name, batch_size)) for name in ("loss", "mse")
    )
    by_fit = fit_end > _WORSE_FIT * fit_start
    far_above = end > max(_WORSE * start, start if by_fit else start + _RISE)
    if not far_above and not (best == 1 and fit_end > fit_start and len(rows) >= _SHORT):
        return ""
    kept = f"the model is that of epoch {best}, before it rose"
    if best == 1:
        kept = "no epoch was better than the untrained start, which is the model"
    return f"the loss was {start:.3g} at the start and {end:.3g} at the end: {kept}; {MEND}"


def untrained_note(rows: np.ndarray, best: int | None) -> str:
    """The sentence on a training that did not fail, but whose model is the untrained start; or none."""
    if best != 1 or len(rows) == 1:
        return ""
    return (
        f"no epoch of {len(rows)} was better than the untrained start, which is the model; train for more "
        "epochs, or with a lower learning_rate"
    )


def history_notes(fit: Trained) -> list[str]:
    """What the epochs of a training give reason to say."""
    rows, count, notes = fit.history[list(HISTORY)].to_numpy(float), len(fit.history), []
    if not fit.finished:
        notes.append(
            f"interrupted after {count} of {fit.settings.epochs} epochs; the learning rate had not come down"
        )
    if fit.failure:
        notes.append(fit.failure)
    elif untrained := untrained_note(rows, fit.best_epoch):
        notes.append(untrained)
    unstable = np.flatnonzero(_column(rows, "radius") > 1) + 1
    if len(unstable):
        notes.append(_radius_note(fit, unstable))
    unsteady = int((_column(rows, "unsteady") > 0).sum())
    if unsteady > 0.05 * count:
        notes.append(
            f"in {unsteady} of {count} epochs some conditions did not come to rest and were left out of "
            "the misfit; a larger spectral_penalty or more iterations help"
        )
    refused = _column(rows, "refused").sum()
    if refused:
        notes.append(
            f"{refused:g} epochs held steps whose numbers were not finite; they were left out"
        )
    return notes


def _radius_note(fit: Trained, unstable: np.ndarray) -> str:
    """What became of a spectral radius that was above 1 in some epochs."""
    penalty = fit.settings.spectral_penalty > 0
    if penalty:
        seen = (
            f"the spectral radius passed 1 in {len(unstable)} of {len(fit.history)} epochs (epoch "
            f"{unstable[0]} to {unstable[-1]})"
        )
    else:
        seen = (
            f"the training began at a spectral radius of {fit.settings.initial_radius:g}, and "
            "spectral_penalty is 0"
        )
    radius = fit.spectral_radius
    if radius > 1:
        more = "a larger" if penalty else "a"
        return (
            f"{seen}; it is {radius:.3g} at the end, where a steady state need not exist: train with {more} "
            "spectral_penalty"
        )
    if fit.best_epoch is not None and fit.best_epoch < unstable[0]:
        # Nothing pulled this model back.
        return (
            f"{seen}; the model is that of epoch {fit.best_epoch}, before that, with {radius:.3g}"
        )
    return (
        f"{seen}; {'the penalty pulled it back to' if penalty else 'at the end it is'} {radius:.3g}"
    )


def _column(rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, HISTORY.index(name)]


def _score(rows: np.ndarray, name: str, batch_size: int) -> np.ndarray:
    """Loss or misfit of each epoch; a condition that does not come to rest counts 1."""
    return _column(rows, name) + _column(rows, "unsteady") / batch_size


def _ends(score: np.ndarray) -> tuple[float, float]:
    """At the start, and in the middle of the last epochs."""
    return float(score[0]), float(np.median(score[-max(1, int(_LAST * len(score))) :]))
