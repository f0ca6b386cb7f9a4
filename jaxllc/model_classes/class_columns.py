"""Rows of single nodes under what a law may lack: delayed senders, and a strength that changes."""

from __future__ import annotations

from copy import copy

import numpy as np
from jaxtyping import Float

from jaxllc.nodewise.node_rows import NodeRows

# Legendre polynomials of a forcing that all nodes share; the constant is the law's.
_DEGREES = 11


def forcing_columns(rows: NodeRows) -> list[Float[np.ndarray, "node row"]]:
    """Integrals of smooth functions of the time, the same at all nodes and in all runs."""
    times = np.concatenate(rows.data.grid_times)
    middle, half = (times.max() + times.min()) / 2, max(np.ptp(times) / 2, 1e-300)
    values = np.polynomial.legendre.legvander((times - middle) / half, _DEGREES)[:, 1:]
    nodes = len(rows.target)
    return [rows.rotated(np.broadcast_to(v, (nodes, len(times)))) for v in values.T]


def delayed(rows: NodeRows, share: float) -> NodeRows:
    """The rows in which what a sender does arrives later, by a share of the length of each run.

    Before the first sample a sender is taken to stand where it starts.
    """
    late = []
    for times, states in zip(rows.data.grid_times, rows.data.states, strict=True):
        before = times - share * (times[-1] - times[0])
        late.append([[np.interp(before, times, node) for node in one] for one in states])
    senders = np.concatenate([np.array(one) for one in late], axis=2)
    other = copy(rows)
    other.stage = rows.stage.with_senders(dict(zip(rows.data.variables, senders, strict=True)))
    return other


def since(rows: NodeRows) -> Float[np.ndarray, " time"]:
    """Times of all runs between -1 and 1."""
    times = np.concatenate(rows.data.grid_times)
    return 2 * (times - times.min()) / max(np.ptp(times), 1e-300) - 1


def runs_of(rows: NodeRows) -> Float[np.ndarray, "run time"]:
    """One in a run, zero in the others; of all runs but the first."""
    lengths = [len(times) for times in rows.data.grid_times]
    number = np.repeat(np.arange(len(lengths)), lengths)
    return (number == np.arange(1, len(lengths))[:, None]).astype(float)
