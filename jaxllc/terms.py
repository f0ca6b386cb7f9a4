"""Terms: the building blocks of a law, expressions with inner constants, evaluated for all nodes and times.

A law is a sum of coefficient times term.  A term of the node (`self`) is a function of the receiver's
variables and features; a term of the edges (`interaction`) is summed over incoming edges,
``T_i = sum_j A_ij g(x_i, x_j)``.  Most interaction terms are sums of products a(x_i) b(x_j); those need no
array over edges, ``T = a * (A @ b)``, which is what makes scoring thousands of them cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sparse
import sympy
from scipy.special import expit

from jaxllc.functions import sigmoid

if TYPE_CHECKING:
    from jaxllc.network import Network

SELF = "self"
INTERACTION = "interaction"


_FUNCTIONS = {
    sympy.sin: np.sin,
    sympy.cos: np.cos,
    sympy.tan: np.tan,
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.tanh: np.tanh,
    sympy.sinh: np.sinh,
    sympy.cosh: np.cosh,
    sympy.Abs: np.abs,
    sympy.sign: np.sign,
    sympy.Min: lambda *values: reduce(np.minimum, values),
    sympy.Max: lambda *values: reduce(np.maximum, values),
    # Derivatives of the above: with 1/2 on a tie, and zero almost everywhere.
    sympy.Heaviside: np.heaviside,
    sympy.DiracDelta: lambda value, *_: np.zeros_like(value),
    sigmoid: expit,
}


class _Modulus(sympy.Function):
    """abs of a real number: sympy takes symbols for complex, where abs has no derivative."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return _Sign(self.args[0])


class _Sign(sympy.Function):
    """sign of a real number: constant almost everywhere."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(0)


def inner_symbol(position: int) -> sympy.Symbol:
    """Symbol of the inner constant at a position: w0, w1, ..."""
    return sympy.Symbol(f"w{position}")


@dataclass(frozen=True)
class TermFamily:
    """A term up to the values of its inner constants.

    expression: in the symbols v_i, v_j of variables and features and the inner constants w0, w1, ...
    positive: for each inner constant, whether it is searched on a logarithmic scale.
    bounds: for each inner constant, the range it is kept in.
    """

    side: str
    expression: sympy.Expr
    positive: tuple[bool, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    # Terms that a user knows beforehand are of a kind of their own, `known_terms.KnownFamily`.
    @property
    def known(self) -> bool:
        """Whether every law must hold it."""
        return False

    @property
    def held(self) -> bool:
        """Whether its coefficient is one and not fitted."""
        return False

    @property
    def num_inner(self) -> int:
        return len(self.positive)

    def __str__(self) -> str:
        return f"{'sum ' if self.side == INTERACTION else ''}{self.expression}"


@dataclass(frozen=True)
class Term:
    """A term family with values for its inner constants."""

    family: TermFamily
    inner: tuple[float, ...] = ()

    @property
    def num_constants(self) -> int:
        """Its coefficient, unless that is held, and its inner constants."""
        return len(self.inner) + (0 if self.family.held else 1)

    def sympy(self) -> sympy.Expr:
        """The term as an expression of variables and numbers only."""
        values = {inner_symbol(k): sympy.Float(w) for k, w in enumerate(self.inner)}
        expression = self.family.expression.xreplace(values)
        return expression.replace(sigmoid, lambda u: 1 / (1 + sympy.exp(-u)))

    def with_inner(self, inner: Sequence[float]) -> Term:
        """The term with other inner constants, kept within the family's bounds."""
        values = [float(w) for w in inner]
        if self.family.bounds:
            pairs = zip(values, self.family.bounds, strict=True)
            values = [min(max(w, low), high) for w, (low, high) in pairs]
        return Term(self.family, tuple(values))


Piece = tuple[sympy.Expr, sympy.Expr, sympy.Expr]


@lru_cache(maxsize=20000)
def _pieces(expression: sympy.Expr) -> tuple[Piece, ...]:
    """Split an interaction into products of a receiver factor, a sender factor and what mixes both."""
    # Only sines and cosines: the sum formula of tanh is 0/0 where it saturates.
    expanded = expression.replace(
        lambda part: isinstance(part, sympy.sin | sympy.cos) and len(_sides(part)) == 2,
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


def _sides(expression: sympy.Expr) -> set[str]:
    return {s.name[-1] for s in expression.free_symbols if s.name.endswith(("_i", "_j"))}


@lru_cache(maxsize=20000)
def derivative(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    if not expression.has(sympy.Abs, sympy.sign):
        return sympy.diff(expression, symbol)
    real = expression.replace(sympy.Abs, _Modulus).replace(sympy.sign, _Sign)
    return sympy.diff(real, symbol).replace(_Modulus, sympy.Abs).replace(_Sign, sympy.sign)


def _integer_power(base: np.ndarray, exponent: int) -> np.ndarray:
    if exponent < 0:
        return 1.0 / _integer_power(base, -exponent)
    result, square = None, base
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return np.ones_like(base) if result is None else result


def evaluate(expression: sympy.Expr, memo: dict):
    """Value of an expression; `memo` holds the arrays of its symbols and keeps every part computed."""
    known = memo.get(expression)
    if known is not None:
        return known
    if expression.is_Number or expression.is_NumberSymbol:
        value: Any = float(expression)
    elif expression.is_Add or expression.is_Mul:
        value = evaluate(expression.args[0], memo)
        for argument in expression.args[1:]:
            other = evaluate(argument, memo)
            value = value + other if expression.is_Add else value * other
    elif expression.is_Pow:
        base = evaluate(expression.base, memo)
        if expression.exp.is_Integer:
            value = _integer_power(np.asarray(base), int(expression.exp))
        elif expression.exp == sympy.Rational(1, 2):
            value = np.sqrt(base)
        else:
            value = np.power(base, evaluate(expression.exp, memo))
    elif expression.func in _FUNCTIONS:
        value = _FUNCTIONS[expression.func](*(evaluate(a, memo) for a in expression.args))
    else:
        raise ValueError(f"no numeric value is known for {expression.func} in {expression}")
    memo[expression] = value
    return value


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
        rows = n if receiving is None else len(receiving)
        self.senders, self.receivers, self.weights = senders, receivers, weights
        self.adjacency = sparse.csr_array((weights, (receivers, senders)), shape=(rows, n))
        self.incidence = sparse.csr_array(
            (weights, (receivers, np.arange(len(weights)))), (rows, len(weights))
        )
        self._strength = np.bincount(receivers, weights, rows)[:, None]
        self._receiving = receiving
        self._constants: dict[sympy.Expr, np.ndarray] = {}
        for name, values in {**features, "k": strength}.items():
            self._constants[sympy.Symbol(f"{name}_j")] = values[:, None]
            own = values if receiving is None else values[receiving]
            self._constants[sympy.Symbol(f"{name}_i")] = own[:, None]
        self._place(states)

    def _place(self, states: Mapping[str, np.ndarray]) -> None:
        self._symbols: dict[sympy.Expr, np.ndarray] = dict(self._constants)
        for name, values in states.items():
            own = values if self._receiving is None else values[self._receiving]
            self._symbols[sympy.Symbol(f"{name}_i")] = own
            self._symbols[sympy.Symbol(f"{name}_j")] = values
            self.shape = own.shape
        self._node_memo: dict = dict(self._symbols)
        self._edge_memo: dict | None = None

    def moved(self, states: Mapping[str, np.ndarray]) -> Stage:
        """The same network and features with other states."""
        other = copy(self)
        other._place(states)
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
                rows = self.receivers if symbol.name.endswith("_i") else self.senders
                edge[symbol] = self._symbols[symbol][rows]
        return edge

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
                values = values * np.asarray(evaluate(sender, self._node))[self.stage.senders]
            self._node[key] = self.stage.incidence @ np.ascontiguousarray(values)
        return self._node[key]

    def on_edges(self, expression: sympy.Expr) -> np.ndarray | float:
        """Weight times interaction term on each edge, (edge, time)."""
        total: np.ndarray | float = 0.0
        for receiver, sender, mixed in _pieces(expression):
            value: np.ndarray | float = self.stage.weights[:, None]
            for part, rows in ((receiver, self.stage.receivers), (sender, self.stage.senders)):
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
        if family.side == SELF:
            return None
        expression = derivative(family.expression, sympy.Symbol(f"{variable}_j"))
        if expression == 0:
            return None
        edges = (len(self.stage.senders), self.stage.shape[1])
        return np.broadcast_to(np.asarray(self.on_edges(expression)), edges)

    def _side(self, family: TermFamily, expression: sympy.Expr) -> np.ndarray:
        return self.at_nodes(expression) if family.side == SELF else self.over_edges(expression)
