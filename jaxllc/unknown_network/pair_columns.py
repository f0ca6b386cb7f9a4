"""What every node would add to the samples of every other, were it by some term: regressions without a
network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.dynamics.terms import Term, inner_symbol
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.nodewise.node_rows import NodeRows

# Columns beyond this, in units of the noise, are none.
_LARGEST = 1e7


class PairColumns:
    """Samples and columns of one variable in units of the noise, for some receivers.

    target: (receiver, row) samples; own: (receiver, self term, row) columns of what a receiver may do by
    itself; counts: (receiver,) rows that are there. Whatever has the attributes of `NodeRows` will do for
    rows, those of a map from one sample to the next, say.
    """

    def __init__(
        self,
        rows: NodeRows,
        noise: float,
        own: Sequence[Term],
        receivers: Sequence[int] | np.ndarray,
    ) -> None:
        self.rows, self.noise = rows, noise
        self.receivers = np.asarray(receivers, dtype=int)
        self.target = rows.target[self.receivers] / noise
        self.own = np.stack([rows.column(t)[self.receivers] / noise for t in own], axis=1)
        self.counts = rows.counted[self.receivers].sum(axis=1).astype(float)
        data = rows.data
        self._values = dict(zip(data.variables, data.all_states(), strict=True))
        self._values |= {name: values[:, None] for name, values in data.features.items()}
        # What was never observed sends nothing that samples could tell.
        self._seen = np.all([o.any(axis=2).all(axis=0) for o in data.observed], axis=0)

    @property
    def num_senders(self) -> int:
        return len(self.rows.target)

    def of(self, term: Term) -> Float[np.ndarray, "receiver sender row"]:
        """Columns of a term; zero where a sender is the receiver or was never observed, or
        where the term is no number."""
        return self._columns(term.family.expression, term)

    def slope(self, term: Term, position: int) -> Float[np.ndarray, "receiver sender row"]:
        """Their derivatives by an inner constant."""
        return self._columns(derivative(term.family.expression, inner_symbol(position)), term)

    def _columns(self, expression: sympy.Expr, term: Term) -> np.ndarray:
        inner = term.by_inner
        shape = next(iter(self._values.values())).shape
        shared: dict[sympy.Expr, np.ndarray] = {
            sympy.Symbol(f"{name}_j"): values for name, values in self._values.items()
        }
        found = np.empty((len(self.receivers), self.num_senders, self.target.shape[1]))
        with np.errstate(all="ignore"):
            for place, receiver in enumerate(self.receivers):
                memo = {**shared, **inner}
                for name, values in self._values.items():
                    memo[sympy.Symbol(f"{name}_i")] = values[receiver : receiver + 1]
                values = np.broadcast_to(np.asarray(evaluate(expression, memo)), shape)
                found[place] = self.rows.rotated_at(int(receiver), values)
                found[place, receiver] = 0.0
        found /= self.noise
        usable = np.all(np.abs(found) < _LARGEST, axis=2) & self._seen
        return np.where(usable[..., None], found, 0.0)
