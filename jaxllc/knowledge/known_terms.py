"""Known terms: parts of a law that a user gives, with constants as numbers or as names to be fitted.

``-delta*x_i`` has the free coefficient delta; ``x_j/(K + x_j)`` a coefficient of one and the inner constant
K; ``-0.5*x_i`` has no free constant.  A sum is split into its summands; summands of one side that share a
name stay together as one term, so that the name is one constant.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.equations.expression_building import product_of
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.equations.expressions import parse, to_text
from jaxllc.equations.functions import NOT_REAL
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.errors import InputError, nearest_match
from jaxllc.settings.constant_bounds import FREE, GENERAL, Range

# Starts of inner constants: in each unbounded direction, and in all.
_STARTS = 11
_MOST_STARTS = 80


@dataclass(frozen=True)
class KnownFamily(TermFamily):
    """A known term up to the values of its constants.

    coefficient: name of its free coefficient; None where it is one. names: of its inner constants.
    coefficient_bounds: range of the coefficient; text: the term as it was given.
    """

    coefficient: str | None = None
    names: tuple[str, ...] = ()
    coefficient_bounds: Range = FREE
    text: str = ""

    @property
    def known(self) -> bool:
        return True

    @property
    def held(self) -> bool:
        return self.coefficient is None

    @property
    def fixed(self) -> bool:
        """Whether nothing of it is fitted."""
        return self.held and not self.names

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of all its free constants, the coefficient first."""
        return (*(() if self.coefficient is None else (self.coefficient,)), *self.names)


def known_families(
    texts: Mapping[str, tuple[str, str]],
    variables: Sequence[str],
    feature_names: Sequence[str],
    bounds: Mapping[str, Range],
) -> tuple[tuple[KnownFamily, ...], ...]:
    """The known terms of each variable, in the order of the variables; raises InputError."""
    for variable in texts:
        if variable not in variables:
            raise InputError(
                f"known terms are given for {variable!r}{nearest_match(variable, variables)}, which is no "
                f"variable; there are {', '.join(variables)}"
            )
    found = []
    for variable in variables:
        families: list[KnownFamily] = []
        sides = zip((SELF, INTERACTION), texts.get(variable, ("", "")), strict=True)
        names_of: dict[str, set[str]] = {}
        for side, text in sides:
            if not text:
                continue
            try:
                expression = parse(text)
            except InputError as error:
                raise InputError(f"the known {side} term of {variable}: {error}") from None
            names = _constant_names(expression, variable, side, variables, feature_names)
            names_of[side] = set(names)
            for group, own in _groups(expression, names):
                families.append(_family(side, group, own, bounds, variable))
        shared = sorted(names_of.get(SELF, set()) & names_of.get(INTERACTION, set()))
        if shared:
            raise InputError(
                f"the constant {shared[0]} stands in the known self term and in the known interaction term "
                f"of {variable}; a name may stand on one side only: give the second one another name"
            )
        found.append(tuple(families))
    return tuple(found)


def _constant_names(
    expression: sympy.Expr,
    variable: str,
    side: str,
    variables: Sequence[str],
    feature_names: Sequence[str],
) -> list[str]:
    """Names of an expression that are constants to be fitted; raises InputError for what is neither."""
    where = f"the known {side} term of {variable}"
    quantities = (*variables, *feature_names, "k")
    symbols = [f"{q}_{s}" for q in quantities for s in ("i" if side == SELF else "ij")]
    sums = [f"{q}_{SUM_SIDE}" for q in (*variables, *feature_names)]
    symbols += sums if side == SELF else []
    names = []
    for name in sorted(s.name for s in expression.free_symbols):
        if name in symbols:
            continue
        if side == SELF and name.endswith("_j") and name[:-2] in quantities:
            raise InputError(
                f"{where} holds {name}, which belongs to a sender; put it into the interaction term"
            )
        if name in sums:
            raise InputError(
                f"{where} holds {name}, the sum over all neighbours; put it into the self term"
            )
        if re.fullmatch(rf"\w+_[ij{SUM_SIDE}]", name):
            raise InputError(
                f"{where} holds {name}{nearest_match(name, symbols)}, which is neither a variable nor a node "
                f"feature; a constant has a name without _i, _j and _{SUM_SIDE}"
            )
        if name in quantities and name != "k":
            raise InputError(f"{where} holds {name}; write {name}_i for a node's own value")
        if name == "t":
            raise InputError(
                f"{where} holds t; a law depends on the time where it is an input, "
                "inputs={'t': 'time'}"
            )
        if name in GENERAL:
            raise InputError(f"{where} holds {name}, a name that bounds keep for themselves")
        names.append(name)
    return names


def _groups(
    expression: sympy.Expr, names: Iterable[str]
) -> list[tuple[sympy.Expr, tuple[str, ...]]]:
    """Summands, those that share a constant put together, each with the names of its constants."""
    groups: list[tuple[sympy.Expr, set[str]]] = []
    known = set(names)
    for summand in _summands(expression):
        own = {s.name for s in summand.free_symbols} & known
        together = [g for g in groups if g[1] & own]
        groups = [g for g in groups if not g[1] & own]
        total = sympy.Add(summand, *(g[0] for g in together))
        groups.append((total, own.union(*(g[1] for g in together))))
    return [(e, tuple(sorted(own))) for e, own in groups if e != 0]


def _summands(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """The terms of a sum, also of one in parentheses that a number stands before."""
    for term in sympy.Add.make_args(expression):
        number, rest = term.as_coeff_Mul()
        if rest.is_Add:
            for part in _summands(rest):
                yield product_of((number, part))
        else:
            yield term


def _family(
    side: str,
    expression: sympy.Expr,
    names: tuple[str, ...],
    bounds: Mapping[str, Range],
    variable: str,
) -> KnownFamily:
    text = to_text(expression)
    _check_told_apart(expression, names, f"the known term {text} of {variable}")
    coefficient, body = None, expression
    for name in names:
        symbol = sympy.Symbol(name)
        slope = sympy.diff(expression, symbol)
        if not slope.has(symbol) and sympy.expand(expression - symbol * slope) == 0:
            coefficient, body = name, slope
            break
    inner = tuple(n for n in names if n != coefficient)
    body = body.xreplace({sympy.Symbol(n): inner_symbol(k) for k, n in enumerate(inner)})
    ranges = tuple(bounds.get(n, FREE) for n in inner)
    return KnownFamily(
        side,
        body,
        tuple(low > 0 for low, _ in ranges),
        ranges,
        coefficient,
        inner,
        FREE if coefficient is None else bounds.get(coefficient, FREE),
        text,
    )


def _check_told_apart(expression: sympy.Expr, names: tuple[str, ...], where: str) -> None:
    """Raises InputError where constants act only through a combination, such as their product."""
    if len(names) < 2:
        return
    random = np.random.default_rng(0)
    symbols = sorted(expression.free_symbols, key=str)
    constants = [sympy.Symbol(n) for n in names]
    memo: dict = {s: random.uniform(0.2, 0.9, 200) for s in symbols}
    memo |= {c: random.uniform(0.3, 0.8) for c in constants}
    with np.errstate(all="ignore"):
        slopes = [evaluate(derivative(expression, c), memo) for c in constants]
    matrix = np.stack([np.broadcast_to(s, (200,)) for s in slopes])
    matrix = matrix[:, np.isfinite(matrix).all(axis=0)]
    if matrix.shape[1] < 50:
        return
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    lengths[lengths == 0] = 1  # of a constant that moves nothing
    size = np.linalg.svd(matrix / lengths, compute_uv=False)
    if size[-1] < 1e-9 * size[0]:
        raise InputError(
            f"{where} holds {' and '.join(names)} in a way that no data can tell apart; give one name to "
            f"what they do together"
        )


def text_of(family: TermFamily) -> str:
    """A known term as it was given."""
    return family.text if isinstance(family, KnownFamily) else str(family.expression)


def starts(family: KnownFamily, sizes: Iterable[float], seed: int = 0) -> list[Term]:
    """Terms of a known family with inner constants spread over their bounds, or over many magnitudes.

    sizes: of the variables, near whose powers constants are likely.
    """
    grid = [_start_values(b, list(sizes)) for b in family.bounds]
    points = list(itertools.product(*grid))
    if len(points) > _MOST_STARTS:
        random = np.random.default_rng(seed)
        chosen = random.choice(len(points), _MOST_STARTS, replace=False)
        points = [points[k] for k in np.sort(chosen)]
    return [Term(family, tuple(float(w) for w in p)) for p in points]


def _start_values(bounds: Range, sizes: list[float]) -> np.ndarray:
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high):
        if low > 0 and high > 20 * low:
            return np.geomspace(low, high, _STARTS)
        return np.linspace(low, high, _STARTS)
    magnitudes = [1.0, *sizes, *(1 / s for s in sizes)]
    spread = np.geomspace(0.05 * min(magnitudes), 20 * max(magnitudes), _STARTS)
    if np.isfinite(low):
        return spread * low if low > 0 else low + spread
    if np.isfinite(high):
        return spread * high if high < 0 else high - spread
    return np.concatenate([-spread[::-1], spread])


def same_skeleton(one: TermFamily, other: TermFamily) -> bool:
    """Whether two terms differ in constants only."""
    return one.side == other.side and skeleton(one.expression) == skeleton(other.expression)


@lru_cache(maxsize=20000)
def skeleton(expression: sympy.Expr) -> sympy.Expr:
    """An expression with every constant, but for exponents, set to one; its own coefficient left out."""
    plain = _plain(expression)
    if plain == 0 or plain.has(*NOT_REAL):
        return expression
    return plain.as_coeff_Mul()[1]


def _plain(e: sympy.Expr) -> sympy.Expr:
    if e.is_Number or e.is_NumberSymbol:
        return sympy.Integer(-1 if e.is_negative else 0 if e.is_zero else 1)
    if e.is_Symbol:
        return e if e.name.endswith(("_i", "_j", "_s")) else sympy.Integer(1)
    if e.is_Pow and e.exp.is_Number:
        return _plain(e.base) ** e.exp
    return e.func(*(_plain(a) for a in e.args)) if e.args else e
