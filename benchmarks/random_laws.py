"""Terms that look like laws of networked dynamics: the family `random` of the random targets.

Such laws are sums of products of simple parts, so the grammar below is drawn from, not all expressions:

    term      1 to 3 products (50, 35, 15 %); one time in four an offset
    product   1 to 3 factors (45, 40, 15 %); three times in five a coefficient; no variable and no
              function twice, and one ratio at most
    factor    a variable (40 %), its power 2, 3, -1 or 1/2 (13 %), a function of an argument (33 %), a
              ratio (13 %)
    function  exp, log, sqrt, sin, cos, tanh, sigmoid, or a Hill function of exponent 1, 2 or 3, equally
              often; abs, min and max (with a constant or a variable) each a third as often
    argument  a linear form of one variable, or of two, a product of two variables or a square, the
              difference x_j - x_i; with a scale and half the time an offset where the function does
              not make them redundant; in 5 % another function
    ratio     u**n/(b + u**n), 1/(b + u**n), or a short polynomial over b + u, b + u + a*v, b + u**2 or
              b + u + a*u**2

A term of another number of operators than asked for is drawn again, and not counted as refused.
Constants have two digits and lie between 0.3 and 4 (0.3 and 1.5 in exp, 1 and 6 for the slope of a
sigmoid). The grammar is prior knowledge of what laws look like: `nested_trees` draws without it, and is
the harder set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fair_targets import operators
from random_parts import VARIABLES, boxed, constant
from symbolic_targets import Target

from jaxllc.equations.expressions import parse

PRODUCTS = (0.50, 0.35, 0.15)  # chances of 1, 2 and 3 of them in a term
FACTORS = (0.45, 0.40, 0.15)  # in a product
PARTS = (*("variable",) * 6, *("power",) * 2, *("function",) * 5, *("ratio",) * 2)
POWERS = ("{}**2", "{}**2", "{}**3", "1/{}", "sqrt({})")
FUNCTIONS = (
    *("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "hill") * 3,
    *("abs", "min", "max"),
)
INSIDE = 0.05  # of the arguments hold another function


def law(size: int, name: str, rng: np.random.Generator) -> Target:
    """A target of size operators."""
    while True:
        variables = VARIABLES[rng.integers(len(VARIABLES))]
        text = _term(variables, rng)
        expression = parse(text)
        if operators(expression) == size:
            break
    held = {symbol.name for symbol in expression.free_symbols}
    variables = tuple(each for each in variables if each in held)
    return boxed(name, variables, text, f"random {size}", rng)


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _term(variables: tuple[str, ...], rng: np.random.Generator) -> str:
    count = 1 + int(rng.choice(3, p=PRODUCTS))
    text = _product(variables, rng)
    for _ in range(count - 1):
        text += f" {_one('+-', rng)} {_product(variables, rng, sign=False)}"
    if rng.random() < 0.25:
        text = f"{constant(rng)} + {text}"
    return text


def _product(variables: tuple[str, ...], rng: np.random.Generator, sign: bool = True) -> str:
    count = 1 + int(rng.choice(3, p=FACTORS))
    factors: dict[str, str] = {}
    while len(factors) < count:
        # A variable twice is a power, and two exponentials are one.
        head, text = _factor(variables, rng)
        factors.setdefault(head, text)
    coefficient = [constant(rng, sign=sign)] if rng.random() < 0.6 else []
    return "*".join([*coefficient, *factors.values()])


def _factor(variables: tuple[str, ...], rng: np.random.Generator) -> tuple[str, str]:
    """What a product may hold once, and the factor."""
    part, u = _one(PARTS, rng), _one(variables, rng)
    if part == "variable":
        return u, u
    if part == "power":
        return u, f"({_one(POWERS, rng).format(u)})"
    if part == "ratio":
        return part, f"({_ratio(u, variables, rng)})"
    name = _one(FUNCTIONS, rng)
    return name, f"({_function(name, _argument(name, variables, rng), variables, rng)})"


def _argument(outer: str, variables: tuple[str, ...], rng: np.random.Generator) -> str:
    """The argument of a function, its first coefficient left to `_function`."""
    if rng.random() < INSIDE:
        # The same again says little, and exp and log undo each other.
        unlike = {outer, {"exp": "log", "log": "exp"}.get(outer)}
        name = _one([name for name in FUNCTIONS if name not in unlike], rng)
        return f"({_function(name, _plain_argument(variables, rng), variables, rng)})"
    return _plain_argument(variables, rng)


def _plain_argument(variables: tuple[str, ...], rng: np.random.Generator) -> str:
    kinds = [*("one",) * 4, *("monomial",) * 2]
    if len(variables) > 1:
        kinds += ["two"] * 2
    if {"x_i", "x_j"} <= set(variables):
        kinds += ["difference"] * 3
    kind, u, v = _one(kinds, rng), _one(variables, rng), _one(variables, rng)
    if kind == "one":
        return u
    if kind == "monomial":
        return f"({u}*{v})"
    if kind == "difference":
        return "(x_j - x_i)"
    v = _one([each for each in variables if each != u], rng)
    return f"({u} {_one('+-', rng)} {constant(rng)}*{v})"


def _function(name: str, u: str, variables: tuple[str, ...], rng: np.random.Generator) -> str:
    a, b, sign, n = constant(rng), constant(rng), _one("+-", rng), 1 + int(rng.integers(3))
    offset = rng.random() < 0.5
    others = [each for each in variables if each != u]
    other = _one(others, rng) if others and rng.random() < 0.5 else b
    written = {
        # An offset of exp is a coefficient, and a scale in log an offset.
        "exp": f"exp({'-' if rng.random() < 0.6 else ''}{constant(rng, 0.3, 1.5)}*{u})",
        "log": f"log({b} + {u})" if offset else f"log({u})",
        "sqrt": f"sqrt({b} + {u})" if offset else f"sqrt({u})",
        "sigmoid": f"sigmoid({constant(rng, 1, 6)}*({u}{f' {sign} {b}' if offset else ''}))",
        "hill": f"{u}**{n}/({b} + {u}**{n})",
        "abs": f"abs({u} {sign} {b})" if offset else f"abs({u})",
        "min": f"min({u}, {other})",
        "max": f"max({u}, {other})",
    }
    return written.get(name) or f"{name}({a}*{u}{f' {sign} {b}' if offset else ''})"


def _ratio(u: str, variables: tuple[str, ...], rng: np.random.Generator) -> str:
    a, b, c, n = constant(rng), constant(rng), constant(rng), 1 + int(rng.integers(3))
    v, w = _one(variables, rng), _one(variables, rng)
    kind = _one(("saturating", "inhibition", "polynomials", "polynomials"), rng)
    if kind == "saturating":
        return f"{u}**{n}/({b} + {u}**{n})"
    if kind == "inhibition":
        return f"1/({b} + {u}**{n})"
    above = _one((v, v, f"{v}**2", f"{v}*{w}", f"({v} {_one('+-', rng)} {c})"), rng)
    below = (f"{b} + {u}", f"{b} + {u} + {a}*{w}", f"{b} + {u}**2", f"{b} + {u} + {a}*{u}**2")
    return f"{above}/({_one(below, rng)})"
