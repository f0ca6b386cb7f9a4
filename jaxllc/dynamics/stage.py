"""Stage: states of all nodes at many times, on which the terms of a law and their derivatives are evaluated.

Most interaction terms are sums of products a(x_i) b(x_j); those need no array over edges,
``T = a * (A @ b)``, which is what makes scoring thousands of them cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, TermFamily, inner_symbol
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.equations.functions import record_of
from jaxllc.equations.sum_symbols import SUM_SIDE, sums_in

if TYPE_CHECKING:
    from jaxllc.data.network import Network

Piece = tuple[sympy.Expr, sympy.Expr, sympy.Expr]


@lru_cache(maxsize=20000)
def _pieces(expression: sympy.Expr) -> tuple[Piece, ...]:
    """Split an interaction into products of a receiver factor, a sender factor and what mixes both."""
    # Only sines and cosines: the sum formula of tanh is 0/0 where it saturates.
    expanded = expression.replace(
        lambda part: _is_additive(part) and len(_sides(part)) == 2,
        lambda part: sympy.expand_trig(sympy.expand(part)),
    )
    pieces: list[Piece] = []
    for summand in sympy.Add.make_args(sympy.expand(expanded)):
        receiver, sender, mixed = sympy.Integer(1), sympy.Integer(1), sympy.Integer(1)
        for factor in sympy.Mul.make_args(summand):
            sides = _sides(factor)
            if sides == {"j"}:
                sender *= factor
            elif sides == {"i", "j"}:
                mixed *= factor
            else:
                receiver *= factor
        pieces.append((receiver, sender, mixed))
    return tuple(pieces)


def _is_additive(part: sympy.Expr) -> bool:
    record = record_of(part.func)
    return record is not None and record.additive


def needs_edges(family: TermFamily) -> bool:
    """Whether an interaction is not a sum of products a(x_i) b(x_j), so that it takes arrays over edges."""
    return family.side == INTERACTION and any(p[2] != 1 for p in _pieces(family.expression))


def _sides(expression: sympy.Expr) -> set[str]:
    return {s.name[-1] for s in expression.free_symbols if s.name.endswith(("_i", "_j"))}


class Stage:
    """States of all nodes at many times, on which terms and their derivatives are evaluated.

    states: {variable: (node, time)}; features: {name: (node,)}; receiving: the nodes at which terms are
    evaluated, all by default; every array that comes out has these nodes as rows.
    """

    def __init__(
        self,
        network: Network,
        states: Mapping[str, np.ndarray],
        features: Mapping[str, np.ndarray],
        receiving: np.ndarray | None = None,
    ) -> None:
        n = network.num_nodes
        weights, senders, receivers = network.weights, network.senders, network.receivers
        strength = np.bincount(receivers, weights, n)
        strength = np.where(strength == 0, 1e-300, strength)
        if receiving is not None:
            row = np.full(n, -1)
            row[receiving] = np.arange(len(receiving))
            kept = row[receivers] >= 0
            weights, senders, receivers = weights[kept], senders[kept], row[receivers[kept]]
            # What a node sends is evaluated only where it is received.
            self._sending, sender_rows = np.unique(senders, return_inverse=True)
        else:
            sender_rows = senders
        rows = n if receiving is None else len(receiving)
        sources = n if receiving is None else len(self._sending)
        # Nodes, and rows of the arrays of x_j.
        self.sender_rows = sender_rows
        self.senders, self.receivers, self.weights = senders, receivers, weights
        self.adjacency = sparse.csr_array(
            (weights, (receivers, sender_rows)), shape=(rows, sources)
        )
        self.incidence = sparse.csr_array(
            (weights, (receivers, np.arange(len(weights)))), (rows, len(weights))
        )
        self._strength = np.bincount(receivers, weights, rows)[:, None]
        self._receiving = receiving
        self._constants: dict[sympy.Expr, np.ndarray] = {}
        for name, values in {**features, "k": strength}.items():
            own, other = self._sides(values)
            self._constants[sympy.Symbol(f"{name}_i")] = own[:, None]
            self._constants[sympy.Symbol(f"{name}_j")] = other[:, None]
        self._place(states)

    def _sides(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of all nodes at the receivers and at the senders."""
        if self._receiving is None:
            return values, values
        return values[self._receiving], values[self._sending]

    def _place(self, states: Mapping[str, np.ndarray]) -> None:
        self._symbols: dict[sympy.Expr, np.ndarray] = dict(self._constants)
        for name, values in states.items():
            own, other = self._sides(values)
            self._symbols[sympy.Symbol(f"{name}_i")] = own
            self._symbols[sympy.Symbol(f"{name}_j")] = other
            self.shape = own.shape
        self._node_memo: dict = dict(self._symbols)
        self._edge_memo: dict | None = None
        self._on_edges: dict[sympy.Expr, np.ndarray] = {}

    def moved(self, states: Mapping[str, np.ndarray]) -> Stage:
        """The same network and features with other states."""
        other = copy(self)
        other._place(states)
        return other

    def with_senders(self, states: Mapping[str, np.ndarray]) -> Stage:
        """The same receivers with other states, (node, time), of those that act on them."""
        other = copy(self)
        other._symbols = dict(self._symbols)
        for name, values in states.items():
            other._symbols[sympy.Symbol(f"{name}_j")] = self._sides(values)[1]
            other._symbols.pop(sympy.Symbol(f"{name}_{SUM_SIDE}"), None)
        other._node_memo = dict(other._symbols)
        other._edge_memo, other._on_edges = None, {}
        return other

    def _inner(self, inner: Sequence[float]) -> dict:
        return {inner_symbol(k): np.float64(w) for k, w in enumerate(inner)}

    def _memos(self, inner: Sequence[float]) -> tuple[dict, dict]:
        """Memos for one set of inner constants; parts without inner constants are shared between calls."""
        node = {**self._symbols, **self._inner(inner)} if inner else self._node_memo
        if self._edge_memo is None:
            self._edge_memo = {}
        edge = dict(self._inner(inner)) if inner else self._edge_memo
        return node, edge

    def _edge_symbols(self, expression: sympy.Expr, edge: dict) -> dict:
        for symbol in expression.free_symbols:
            if symbol not in edge:
                if symbol not in self._on_edges:
                    own = symbol.name.endswith("_i")
                    rows = self.receivers if own else self.sender_rows
                    self._on_edges[symbol] = self._symbols[symbol][rows]
                edge[symbol] = self._on_edges[symbol]
        return edge

    def neighbour_sum(self, symbol: sympy.Symbol, sender: sympy.Symbol) -> np.ndarray:
        """Value of a symbol x_s, (node, time): the sum over neighbours of its sender's x_j, computed once."""
        if symbol not in self._symbols:
            if sender not in self._symbols:
                raise ValueError(f"no numeric value is known for {symbol}")
            values = np.ascontiguousarray(self._symbols[sender])
            self._symbols[symbol] = self.adjacency @ values
        return self._symbols[symbol]

    def evaluator(self, inner: Sequence[float] = ()) -> Evaluator:
        """Evaluate several expressions that share inner constants, each common part once."""
        return Evaluator(self, *self._memos(tuple(inner)))


class Evaluator:
    """Evaluates expressions on a Stage; parts that two expressions share are computed once."""

    def __init__(self, stage: Stage, node: dict, edge: dict) -> None:
        self.stage, self._node, self._edge = stage, node, edge

    def _full(self, value: np.ndarray | float) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), self.stage.shape)

    def at_nodes(self, expression: sympy.Expr) -> np.ndarray:
        """Self term, (node, time)."""
        for symbol, sender in sums_in(expression):
            if symbol not in self._node:
                self._node[symbol] = self.stage.neighbour_sum(symbol, sender)
        return self._full(evaluate(expression, self._node))

    def over_edges(self, expression: sympy.Expr) -> np.ndarray:
        """Sum over incoming edges of weight times interaction term, (node, time)."""
        total: np.ndarray | float = 0.0
        stage = self.stage
        for receiver, sender, mixed in _pieces(expression):
            if mixed == 1:
                if sender == 1:
                    summed = stage._strength
                else:
                    summed = self._summed(sender)
            else:
                summed = self._summed_mixed(sender, mixed)
            total = total + (summed if receiver == 1 else evaluate(receiver, self._node) * summed)
        return self._full(total)

    def _summed(self, sender: sympy.Expr) -> np.ndarray:
        key = ("A@", sender)
        if key not in self._node:
            values = np.ascontiguousarray(np.asarray(evaluate(sender, self._node)))
            if values.ndim == 0:
                values = np.full((self.stage.adjacency.shape[1], 1), float(values))
            self._node[key] = self.stage.adjacency @ values
        return self._node[key]

    def _summed_mixed(self, sender: sympy.Expr, mixed: sympy.Expr) -> np.ndarray:
        key = ("B@", sender, mixed)
        if key not in self._node:
            values = evaluate(mixed, self.stage._edge_symbols(mixed, self._edge))
            if sender != 1:
                values = values * np.asarray(evaluate(sender, self._node))[self.stage.sender_rows]
            self._node[key] = self.stage.incidence @ np.ascontiguousarray(values)
        return self._node[key]

    def on_edges(self, expression: sympy.Expr) -> np.ndarray | float:
        """Weight times interaction term on each edge, (edge, time)."""
        total: np.ndarray | float = 0.0
        for receiver, sender, mixed in _pieces(expression):
            value: np.ndarray | float = self.stage.weights[:, None]
            for part, rows in ((receiver, self.stage.receivers), (sender, self.stage.sender_rows)):
                if part != 1:
                    number = np.asarray(evaluate(part, self._node))
                    value = value * (number if number.ndim == 0 else number[rows])
            if mixed != 1:
                value = value * evaluate(mixed, self.stage._edge_symbols(mixed, self._edge))
            total = total + value
        return total

    def value(self, family: TermFamily) -> np.ndarray:
        """The term at every node and time, (node, time)."""
        return self._side(family, family.expression)

    def inner_derivative(self, family: TermFamily, position: int) -> np.ndarray:
        """Its derivative by an inner constant, (node, time)."""
        return self._side(family, derivative(family.expression, inner_symbol(position)))

    def receiver_derivative(self, family: TermFamily, variable: str) -> np.ndarray | None:
        """Its derivative by the node's own variable, (node, time); None where it is zero."""
        expression = derivative(family.expression, sympy.Symbol(f"{variable}_i"))
        return None if expression == 0 else self._side(family, expression)

    def sender_derivative(self, family: TermFamily, variable: str) -> np.ndarray | None:
        """Weight times its derivative by the sender's variable, (edge, time); None where zero."""
        # A self term feels a sender through x_s, by the weight of the edge.
        side = SUM_SIDE if family.side == SELF else "j"
        expression = derivative(family.expression, sympy.Symbol(f"{variable}_{side}"))
        if expression == 0:
            return None
        stage = self.stage
        if family.side == SELF:
            return stage.weights[:, None] * self.at_nodes(expression)[stage.receivers]
        edges = (len(stage.senders), stage.shape[1])
        return np.broadcast_to(np.asarray(self.on_edges(expression)), edges)

    def _side(self, family: TermFamily, expression: sympy.Expr) -> np.ndarray:
        return self.at_nodes(expression) if family.side == SELF else self.over_edges(expression)
