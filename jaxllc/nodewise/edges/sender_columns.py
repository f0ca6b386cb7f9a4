"""What every node of a network would add to the samples of one receiver, were there an edge between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Bool, Float

from jaxllc.dynamics.terms import INTERACTION, Term
from jaxllc.equations.expression_calculus import evaluate
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_fit import CAP, TAUS

# Columns beyond this, in units of the noise, are none.
_LARGEST = 1e7


@dataclass(frozen=True, eq=False)
class Senders:
    """Rows of one receiver, of all variables, in units of the noise.

    alone: (row,) samples without what the receiver does by itself; columns: (sender, row) what an edge of
    weight one adds; parts: rows of each variable; inverse: (tau, row) one over the variance of a row;
    log_sizes: (variable, tau) the logarithms that go with it.
    """

    alone: np.ndarray
    columns: np.ndarray
    parts: tuple[slice, ...]
    inverse: np.ndarray
    log_sizes: np.ndarray

    @property
    def usable(self) -> Bool[np.ndarray, " sender"]:
        """Senders whose columns are numbers to reckon with: a law may have a pole between two nodes."""
        with np.errstate(invalid="ignore"):
            return np.all(np.abs(self.columns) < _LARGEST, axis=1)

    @property
    def cap(self) -> float:
        """-2 log L at which the receiver follows as likely as not."""
        return CAP * float(np.count_nonzero(self.inverse[0]))

    def likelihoods(
        self, left: Float[np.ndarray, "state row"]
    ) -> tuple[Float[np.ndarray, " state"], np.ndarray]:
        """-2 log L (state,) of what is left, and the place of the tau of each variable (state, variable)."""
        total, places = np.zeros(len(left)), []
        for part, logs in zip(self.parts, self.log_sizes, strict=True):
            costs = left[:, part] ** 2 @ self.inverse[:, part].T + logs
            places.append(costs.argmin(axis=1))
            total += np.take_along_axis(costs, places[-1][:, None], axis=1)[:, 0]
        return total, np.stack(places, axis=1)

    def weights(self, places: Sequence[int] | np.ndarray) -> Float[np.ndarray, " row"]:
        """One over the variance of each row at the tau of each variable."""
        found = np.zeros(len(self.alone))
        for part, place in zip(self.parts, places, strict=True):
            found[part] = self.inverse[place, part]
        return found


class SenderColumns:
    """The senders of any receiver under a law; rows and noise: of each variable."""

    def __init__(
        self,
        rows: Sequence[NodeRows],
        noise: Sequence[float],
        terms: Sequence[Sequence[Term]],
        coefficients: Sequence[Sequence[float]],
    ) -> None:
        self.rows = list(rows)
        self._noise = [float(n) for n in noise]
        self._alone = []
        for own, equation, constants in zip(rows, terms, coefficients, strict=True):
            left = own.target.copy()
            for term, c in zip(equation, constants, strict=True):
                if term.family.side != INTERACTION:
                    left -= c * own.column(term)
            self._alone.append(left)
        self._pairs = [
            [(t, c) for t, c in zip(*equation, strict=True) if t.family.side == INTERACTION]
            for equation in zip(terms, coefficients, strict=True)
        ]
        data, network = rows[0].data, rows[0].network
        # What a term divides by where nothing acts on a node so far: the first edge has weight one.
        strength = np.where(network.in_strength == 0, 1.0, network.in_strength)
        self._values_of = data.named()
        for name, values in {**data.features, "k": strength}.items():
            self._values_of[name] = values[:, None]

    def counts(self, receiver: int) -> bool:
        """Whether there are rows of a receiver on which edges act."""
        return any(
            pairs and own.counted[receiver].any()
            for own, pairs in zip(self.rows, self._pairs, strict=True)
        )

    def of(self, receiver: int) -> Senders:
        """The senders of a receiver."""
        memo: dict[sympy.Expr, np.ndarray] = {}
        for name, values in self._values_of.items():
            memo[sympy.Symbol(f"{name}_i")] = values[receiver : receiver + 1]
            memo[sympy.Symbol(f"{name}_j")] = values
        alone, columns, parts, inverse, logs, start = [], [], [], [], [], 0
        for own, noise, left, pairs in zip(
            self.rows, self._noise, self._alone, self._pairs, strict=True
        ):
            counted = own.counted[receiver]
            variances = 1.0 + TAUS[:, None] ** 2 * own.sizes[receiver]
            inverse.append(counted / variances)
            logs.append((np.log(variances) * counted).sum(axis=1))
            alone.append(left[receiver] / noise)
            with np.errstate(all="ignore"):
                columns.append(own.rotated_at(receiver, self._values(pairs, memo)) / noise)
            parts.append(slice(start, start + len(counted)))
            start += len(counted)
        return Senders(
            np.concatenate(alone) * (np.concatenate(inverse, axis=1)[0] > 0),
            np.concatenate(columns, axis=1),
            tuple(parts),
            np.concatenate(inverse, axis=1),
            np.array(logs),
        )

    def _values(
        self, pairs: Sequence[tuple[Term, float]], memo: dict[sympy.Expr, np.ndarray]
    ) -> Float[np.ndarray, "sender time"]:
        """The rate that an edge of weight one from each node adds."""
        shape = self._values_of[self.rows[0].data.variables[0]].shape
        total = np.zeros(shape)
        for term, c in pairs:
            inner: dict = {**memo, **term.by_inner} if term.inner else memo
            total = total + c * np.asarray(evaluate(term.family.expression, inner))
        return np.broadcast_to(total, shape)
