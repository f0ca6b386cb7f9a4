"""Expressions rewritten with the functions that a grammar has: one function is written in one form only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy

from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import made
from jaxllc.pretrained.skeletons.alphabet import KINDS
from jaxllc.search.forms.grammar import Grammar

_QUARTER = sympy.Float(0.5 * np.pi)
# What else the functions of skeletons can be written with, each by itself.
_OTHERWISE: tuple[tuple[type, Callable[[sympy.Expr], sympy.Expr]], ...] = (
    (sigmoid, lambda u: (1 + made(sympy.tanh, [u / 2])) / 2),
    (sigmoid, lambda u: 1 / (1 + made(sympy.exp, [-u]))),
    (sympy.tanh, lambda u: 2 * made(sigmoid, [2 * u]) - 1),
    (sympy.sin, lambda u: made(sympy.cos, [u - _QUARTER])),
    (sympy.cos, lambda u: made(sympy.sin, [u + _QUARTER])),
    (sympy.Abs, lambda u: made(sympy.Max, [u, -u])),
    (sympy.Abs, lambda u: -made(sympy.Min, [u, -u])),
)
# What of a grammar lets a kind of a skeleton be written, if not that function alone: any of these sets.
_WRITTEN_WITH = {
    "abs": ({"abs"}, {"min"}, {"max"}),
    "power": ({"sqrt"},),
    "reciprocal": ({"division"},),
    "sigmoid": ({"sigmoid"}, {"tanh"}, {"exp", "division"}),
    "tanh": ({"tanh"}, {"sigmoid"}),
    "sin": ({"sin"}, {"cos"}),
    "cos": ({"cos"}, {"sin"}),
}


def allowed_kinds(grammar: Grammar) -> tuple[np.ndarray, np.ndarray]:
    """(kind,) which kinds can be written, and with which of them something that must occur does."""
    names = set(grammar.functions) | ({"division"} if grammar.division else set())
    ways = [[way for way in _WRITTEN_WITH.get(kind, ({kind},)) if way <= names] for kind in KINDS]
    required = set(grammar.required)
    allowed = np.array([bool(w) for w in ways])
    return allowed, np.array([any(way & required for way in w) for w in ways])


def allowed_form(expression: sympy.Expr, grammar: Grammar) -> sympy.Expr | None:
    """The expression if the grammar allows it, or the first of its other forms that it does, or None."""
    if grammar.allows(expression):
        return expression
    for function, other in _OTHERWISE:
        if expression.has(function):
            form = expression.replace(function, other)
            if grammar.allows(form):
                return form
    return None
