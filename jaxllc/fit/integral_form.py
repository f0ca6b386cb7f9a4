"""Integral form: raw samples equal a free offset plus the integrated terms, so no derivative is taken.

    x_i(t) = offset + sum_k c_k * integral_0^t T_k(s) ds + noise

The offset is free for each run, node and window, which leaves white noise in the raw samples; the terms
are integrated along the smoothed states.  Only the smoothing error inside the integral is left as a bias.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import copy

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.interpolate import make_interp_spline

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Evaluator, Stage
from jaxllc.dynamics.terms import Term
from jaxllc.smoothing.grid_data import GridData

SPLINE_DEGREE = 5


def integration_matrix(grid: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Matrix (sample, grid) that integrates values on a grid from its start to each sample.

    By the quintic spline through the values, or where they are few by the highest odd degree they allow.
    """
    degree = min(SPLINE_DEGREE, len(grid) - 1)
    spline = make_interp_spline(grid, np.eye(len(grid)), k=degree if degree % 2 else degree - 1)
    return spline.antiderivative()(samples)


class IntegralForm:
    """Rows of the regression: one for each observed sample of the chosen nodes; columns: integrated terms."""

    def __init__(
        self,
        data: GridData,
        network: Network,
        num_windows: int = 1,
        nodes: Integer[np.ndarray, " chosen"] | None = None,
    ) -> None:
        self.variables = data.variables
        self.nodes = np.arange(network.num_nodes) if nodes is None else nodes
        self.stage = Stage(network, data.named(), data.features, nodes)
        lengths = [len(t) for t in data.grid_times]
        edges = np.cumsum([0, *lengths])
        self._grids = [slice(a, b) for a, b in itertools.pairwise(edges)]
        self._matrices = [
            integration_matrix(g, t) for g, t in zip(data.grid_times, data.times, strict=True)
        ]
        self._windows = [np.array_split(np.arange(len(t)), num_windows) for t in data.times]
        self.masks = []
        self.targets = []
        for observed in data.observed:
            mask = observed[:, self.nodes].astype(float)
            mask = mask * ~unseen(observed, network)[self.nodes][None, :, None]
            self.masks.append(mask)
        # Where all nodes were observed at the same samples, offsets are removed within the integration.
        self._centred_matrices = [
            [
                _centred(matrix.T, mask[v, 0], windows) if np.all(mask[v] == mask[v, :1]) else None
                for matrix, mask, windows in zip(
                    self._matrices, self.masks, self._windows, strict=True
                )
            ]
            for v in range(len(self.variables))
        ]
        for samples, mask, windows in zip(data.samples, self.masks, self._windows, strict=True):
            self.targets.append(_centred(samples[:, self.nodes], mask, windows))
        self._subtracted: dict[int, np.ndarray] = {}

    def samples(self, variable: int) -> Float[np.ndarray, " row"]:
        """Observed samples with the offsets removed."""
        return np.concatenate([t[variable].ravel() for t in self.targets])

    def target(self, variable: int) -> Float[np.ndarray, " row"]:
        """What the terms to be found explain: the samples without the subtracted terms."""
        return self.samples(variable) - self._subtracted.get(variable, 0.0)

    def without(self, term: Term, variable: int) -> IntegralForm:
        """The form without a term of coefficient one, which is known, in the targets of a variable."""
        with np.errstate(all="ignore"):
            column = self.column(term, variable)
        other = copy(self)
        left = self._subtracted.get(variable, 0.0) + column
        other._subtracted = {**self._subtracted, variable: left}
        return other

    def num_rows(self, variable: int) -> int:
        """Number of observed samples."""
        return int(sum(m[variable].sum() for m in self.masks))

    def shown_as(self, variable: int) -> int:
        """The first variable that was observed at the same samples: columns are the same for both."""
        return next(
            v
            for v in range(variable + 1)
            if all(np.array_equal(m[v], m[variable]) for m in self.masks)
        )

    def integrate(
        self, values: Float[np.ndarray, "... chosen time"], variable: int = 0
    ) -> Float[np.ndarray, "... row"]:
        """Columns of terms from their values at the chosen nodes, offsets removed."""
        parts = []
        for grid, matrix, mask, windows, centred in zip(
            self._grids,
            self._matrices,
            self.masks,
            self._windows,
            self._centred_matrices[variable],
            strict=True,
        ):
            inside = values[..., grid]
            if centred is None:
                part = _centred(inside @ matrix.T, mask[variable], windows)
            else:
                part = inside @ centred
            parts.append(part.reshape(*values.shape[:-2], -1))
        return np.concatenate(parts, axis=-1)

    def recentred(
        self, columns: Float[np.ndarray, "*several row"], variable: int = 0
    ) -> Float[np.ndarray, "*several row"]:
        """Columns of the same form with fewer windows, as they are with these windows."""
        if columns.ndim > 1:
            # One by one, so that each stays in the processor's cache.
            result = np.empty_like(columns)
            for own, column in zip(result, columns, strict=True):
                own[:] = self.recentred(column, variable)
            return result
        parts, start = [], 0
        for mask, windows in zip(self.masks, self._windows, strict=True):
            seen = mask[variable]
            values = columns[start : start + seen.size].reshape(seen.shape)
            parts.append(_centred(values, seen, windows).ravel())
            start += seen.size
        return np.concatenate(parts)

    def column(
        self, term: Term, variable: int = 0, evaluator: Evaluator | None = None
    ) -> Float[np.ndarray, " row"]:
        """Column of one term."""
        evaluator = evaluator or self.stage.evaluator(term.inner)
        return self.integrate(evaluator.value(term.family), variable)

    def slopes(
        self, term: Term, variable: int = 0, evaluator: Evaluator | None = None
    ) -> Float[np.ndarray, "row inner"]:
        """Derivatives of the column of one term by its inner constants."""
        evaluator = evaluator or self.stage.evaluator(term.inner)
        columns = [
            self.integrate(evaluator.inner_derivative(term.family, position), variable)
            for position in range(term.family.num_inner)
        ]
        return np.stack(columns).T

    def column_and_derivatives(
        self, term: Term, variable: int = 0
    ) -> Float[np.ndarray, "row column"]:
        """Column of one term and of its derivatives by its inner constants."""
        evaluator = self.stage.evaluator(term.inner)
        column = self.column(term, variable, evaluator)[None]
        if not term.inner:
            return column.T
        return np.concatenate([column, self.slopes(term, variable, evaluator).T]).T


def unseen(
    observed: Bool[np.ndarray, "variable node sample"], network: Network
) -> Bool[np.ndarray, " node"]:
    """Nodes of a run with a variable, of their own or of a sender, that was never observed."""
    hidden = np.asarray(~observed.any(axis=2).all(axis=0))
    spoiled = np.array(hidden)
    np.logical_or.at(spoiled, network.receivers, hidden[network.senders])
    return spoiled


def _centred(values: np.ndarray, mask: np.ndarray, windows: Sequence[np.ndarray]) -> np.ndarray:
    centred = np.empty(np.broadcast_shapes(values.shape, mask.shape))
    for window in windows:
        part, seen = values[..., window], mask[..., window]
        count = np.maximum(seen.sum(axis=-1, keepdims=True), 1.0)
        centred[..., window] = (part - (part * seen).sum(axis=-1, keepdims=True) / count) * seen
    return centred
