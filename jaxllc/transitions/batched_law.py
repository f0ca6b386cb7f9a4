"""A law with many sets of constants at once, and its derivatives by the states.

Arrays are (node, member): each member has constants, states and steps of its own. The constants are symbols
of the expressions, so that one evaluation serves all members.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sparse
import sympy
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.dynamics.terms import SELF, inner_symbol
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.candidate_law import CandidateLaw

States = Float[np.ndarray, "variable node member"]


class BatchedLaw:
    """The right sides of a law's equations and their Jacobians.

    law: gives terms and, by `law.values()`, the order of the constants.
    """

    def __init__(
        self,
        law: CandidateLaw,
        network: Network,
        variables: tuple[str, ...],
        features: Mapping[str, np.ndarray],
    ) -> None:
        self.network, self.variables = network, variables
        self.constants: list[sympy.Symbol] = []
        self._own, self._between = zip(
            *(self._sides(law, v) for v in range(len(variables))), strict=True
        )
        strength = network.in_strength
        nodes = {**features, "k": np.where(strength == 0, 1e-300, strength)}
        self._features = {name: np.asarray(v, dtype=float)[:, None] for name, v in nodes.items()}
        edges = len(network.weights)
        self._incidence = sparse.csr_array(
            (network.weights, (network.receivers, np.arange(edges))), (network.num_nodes, edges)
        )
        # Squares of weights, for variances that senders bring.
        self._squared = sparse.csr_array(
            (network.weights**2, (network.receivers, np.arange(edges))), (network.num_nodes, edges)
        )
        self._adjacency = network.to_adjacency()

    def _sides(self, law: CandidateLaw, variable: int) -> tuple[sympy.Expr, sympy.Expr]:
        sides: dict[bool, list[sympy.Expr]] = {True: [], False: []}
        for term in law.terms[variable]:
            symbols = [sympy.Dummy("c") for _ in range(term.num_constants)]
            self.constants += symbols
            free = list(symbols)
            factor = sympy.Integer(1) if term.family.held else free.pop(0)
            names = {inner_symbol(k): s for k, s in enumerate(free)}
            expression = term.family.expression.xreplace(names)
            sides[term.family.side == SELF].append(factor * expression)
        return sympy.Add(*sides[True]), sympy.Add(*sides[False])

    def at(self, states: States, constants: Float[np.ndarray, "constant member"]) -> LawAtStates:
        """The law at states, with the constants of each member."""
        return LawAtStates(self, states, constants)


class LawAtStates:
    """A law at some states; parts that its terms and their derivatives share are computed once."""

    def __init__(self, law: BatchedLaw, states: States, constants: np.ndarray) -> None:
        self.law, self.shape = law, states.shape[1:]
        values = dict(zip(law.constants, constants, strict=True))
        self._node, self._edge = dict(values), dict(values)
        receivers, senders = law.network.receivers, law.network.senders
        for n, name in enumerate(law.variables):
            i, j = sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")
            self._node[i] = self._node[j] = states[n]
            self._edge[i], self._edge[j] = states[n][receivers], states[n][senders]
        for name, feature in law._features.items():
            i, j = sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")
            self._node[i] = self._node[j] = feature
            self._edge[i], self._edge[j] = feature[receivers], feature[senders]

    def rates(self) -> States:
        """The right sides, (variable, node, member)."""
        own = [self._at_nodes(e) for e in self.law._own]
        between = [self._summed(e) for e in self.law._between]
        return np.stack([a + b for a, b in zip(own, between, strict=True)])

    def own_jacobian(self) -> Float[np.ndarray, "variable variable node member"]:
        """Derivatives of the right sides by the node's own variables."""
        rows = []
        for own, between in zip(self.law._own, self.law._between, strict=True):
            symbols = [sympy.Symbol(f"{v}_i") for v in self.law.variables]
            rows.append(
                [
                    self._at_nodes(derivative(own, s)) + self._summed(derivative(between, s))
                    for s in symbols
                ]
            )
        return np.array(rows)

    def from_senders(
        self, covariance: Float[np.ndarray, "variable variable node member"]
    ) -> Float[np.ndarray, "variable variable node member"]:
        """What errors of the senders, independent of one another, bring into the right sides: sum over j of
        C_ij P_j C_ij^T."""
        count, senders = len(self.law.variables), self.law.network.senders
        slopes: dict[tuple[int, int], np.ndarray] = {}
        for a in range(count):
            for b, name in enumerate(self.law.variables):
                found = self._slope_on_edges(a, name)
                if found is not None:
                    slopes[a, b] = found
        total = np.zeros((count, count, *self.shape))
        for (a, b), left in slopes.items():
            for (c, d), right in slopes.items():
                if c >= a:
                    part = self.law._squared @ (left * right * covariance[b, d][senders])
                    total[a, c] += part
                    if c > a:
                        total[c, a] += part
        return total

    def _slope_on_edges(self, equation: int, name: str) -> np.ndarray | None:
        """Derivative of a right side by a sender's variable, over the weight of the edge."""
        slope = derivative(self.law._between[equation], sympy.Symbol(f"{name}_j"))
        found: np.ndarray | None = None
        if slope != 0:
            found = self._on_edges(slope)
        own = self.law._own[equation]
        for symbol, sender in sums_in(own):
            if sender.name == f"{name}_j":
                part = self._at_nodes(derivative(own, symbol))[self.law.network.receivers]
                found = part if found is None else found + part
        return found

    def _at_nodes(self, expression: sympy.Expr) -> np.ndarray:
        for symbol, sender in sums_in(expression):
            if symbol not in self._node:
                self._node[symbol] = self.law._adjacency @ np.broadcast_to(
                    self._node[sender], self.shape
                )
        return np.broadcast_to(np.asarray(evaluate(expression, self._node), float), self.shape)

    def _on_edges(self, expression: sympy.Expr) -> np.ndarray:
        shape = (len(self.law.network.weights), self.shape[1])
        return np.broadcast_to(np.asarray(evaluate(expression, self._edge), float), shape)

    def _summed(self, expression: sympy.Expr) -> np.ndarray:
        if expression == 0:
            return np.zeros(self.shape)
        return np.asarray(self.law._incidence @ np.ascontiguousarray(self._on_edges(expression)))
