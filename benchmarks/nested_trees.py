"""Expression trees drawn uniformly over operators: the family `nested` of the random targets.

A tree of 1 to 5 operators is drawn, each node from the tables below whatever stands around it, so that
functions stand inside functions: tanh of a product with the cosine of a minimum. Hardly a law of
networked dynamics looks like that. This is the harder set, without the prior knowledge that laws
are sums of products of simple parts, which `random_laws` draws from.
"""

from __future__ import annotations

import numpy as np
from random_parts import VARIABLES, boxed, constant, leaves
from symbolic_targets import Target

BINARY = (*("sum", "product") * 6, *("ratio",) * 3, "minimum", "maximum")
UNARY = (
    *("square", "cube", "inverse", "sqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid") * 3,
    *("hill1", "hill2", "hill3") * 2,
    *("abs", "at least", "at most"),
)
POWERS = {"square", "cube", "inverse", "sqrt"}
PERIODIC = {"sin", "cos"}
SATURATING = {"tanh", "sigmoid", "hill1", "hill2", "hill3"}
EXTREMES = {"at least", "at most", "maximum", "minimum"}
# outer function -> what must not stand directly inside: it would collapse to something simpler
NOT_INSIDE = {
    **dict.fromkeys(POWERS, POWERS | PERIODIC | {"exp", "product", "abs"}),
    **dict.fromkeys(PERIODIC, PERIODIC | {"exp"}),
    **dict.fromkeys(SATURATING, SATURATING | {"log", "ratio", "inverse"}),
    "exp": {"exp", "log"},
    "log": POWERS | {"exp", "log", "product", "ratio"},
    "abs": {"abs", "square", "sqrt", "exp", "sigmoid", "product", "ratio"},
    "at least": EXTREMES | {"exp"},
    "at most": EXTREMES | {"exp"},
}
NOT_TOGETHER = PERIODIC | {"exp", "sqrt", "abs"}  # as both factors of a product or ratio

Tree = tuple  # a variable's name, or (operator, tree, ...)


def nested(size: int, name: str, rng: np.random.Generator) -> Target:
    """A target of size operators; fewer where sympy writes it more shortly."""
    allowed = [names for names in VARIABLES if len(names) <= size + 1]
    variables = allowed[rng.integers(len(allowed))]
    tree = _tree(size, variables, rng)
    variables = tuple(each for each in variables if each in leaves(tree))
    text = _text(tree, rng)
    if rng.random() < 0.6:
        text = f"{constant(rng, sign=True)}*({text})"
    if rng.random() < 0.25:
        text = f"{constant(rng)} + {text}"
    return boxed(name, variables, text, f"nested {size}", rng)


def _tree(size: int, variables: tuple[str, ...], rng: np.random.Generator) -> Tree:
    if size == 0:
        return (variables[rng.integers(len(variables))],)
    while True:
        if rng.random() < 0.5:
            operator = BINARY[rng.integers(len(BINARY))]
            left = int(rng.integers(size))
            parts = [_tree(left, variables, rng), _tree(size - 1 - left, variables, rng)]
        else:
            operator = UNARY[rng.integers(len(UNARY))]
            parts = [_tree(size - 1, variables, rng)]
        heads = [part[0] for part in parts]
        if len(parts) == 2 and parts[0] == parts[1]:
            continue
        if operator in ("product", "ratio") and heads[0] == heads[1] and heads[0] in NOT_TOGETHER:
            continue
        if not set(heads) & NOT_INSIDE.get(operator, set()):
            return (operator, *parts)


def _text(tree: Tree, rng: np.random.Generator) -> str:
    if len(tree) == 1:
        return str(tree[0])
    operator, *parts = tree
    u, *others = (f"({_text(part, rng)})" if len(part) > 1 else part[0] for part in parts)
    v = others[0] if others else ""
    sometimes = rng.random() < 0.5
    a, b = constant(rng), constant(rng)
    shift = f"{a}*{u} {'+-'[rng.integers(2)]} {b}" if sometimes else f"{a}*{u}"
    written = {
        "sum": f"{u} {'+-'[rng.integers(2)]} {a}*{v}" if sometimes else f"{u} - {v}",
        "product": f"{u}*{v}",
        "ratio": f"{u}/({b} + {v})" if sometimes else f"{u}/{v}",
        "minimum": f"min({u}, {v})",
        "maximum": f"max({u}, {v})",
        "square": f"{u}**2",
        "cube": f"{u}**3",
        "inverse": f"1/({b} + {u})" if sometimes else f"1/{u}",
        "sqrt": f"sqrt({b} + {u})" if sometimes else f"sqrt({u})",
        "exp": f"exp({'-' if rng.random() < 0.6 else ''}{constant(rng, 0.3, 1.5)}*{u})",
        "log": f"log({b} + {u})" if sometimes else f"log({u})",
        "sin": f"sin({shift})",
        "cos": f"cos({shift})",
        "tanh": f"tanh({shift})",
        "sigmoid": f"sigmoid({constant(rng, 1, 6)}*({u} - {b}))",
        "hill1": f"{u}/({b} + {u})",
        "hill2": f"{u}**2/({b} + {u}**2)",
        "hill3": f"{u}**3/({b} + {u}**3)",
        "abs": f"abs({u} - {b})" if sometimes else f"abs({u})",
        "at least": f"max({u}, {b})",
        "at most": f"min({u}, {b})",
    }
    return written[operator]
