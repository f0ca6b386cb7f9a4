"""Unary-binary trees with random operators and constants: far from the pre-trained engine's corpus.

A tree of so many nodes is drawn with the probability of the product of its nodes' weights, as the
generators of pre-trained symbolic regressors do that know nothing of laws (Lample and Charton 2020;
Biggio et al. 2021): operators weigh most, functions stand inside functions, constants are put in
afterwards, beside arguments and terms. The corpus draws sums of a polynomial and of groups instead
(`jaxllc.pretrained.training.corpus_structures`), and knows what laws look like.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from random_parts import VARIABLES, boxed, constant, leaves
from symbolic_targets import Target

# Weights near those of Biggio et al., for what an expression of this library may hold.
BINARY = {"+": 8.0, "-": 5.0, "*": 8.0, "/": 5.0}
UNARY = {
    "square": 4.0, "cube": 2.0, "inverse": 3.0, "sqrt": 4.0, "exp": 4.0, "log": 4.0, "sin": 4.0,
    "cos": 4.0, "tanh": 3.0, "sigmoid": 2.0, "abs": 2.0,
}  # fmt: skip
_LEAF = 20.0  # weight of a variable
_POWERS = {"square": "({})**2", "cube": "({})**3", "inverse": "1/({})"}

Tree = tuple  # (variable,) or (operator, tree, ...)


def nodes(tree: Tree) -> int:
    """How many operators, functions and variables a tree has."""
    return 1 + sum(nodes(part) for part in tree[1:])


def inner_nodes(tree: Tree) -> int:
    """How many operators and functions a tree has."""
    return 0 if len(tree) == 1 else 1 + sum(inner_nodes(part) for part in tree[1:])


def drawn_tree(size: int, variables: tuple[str, ...], rng: np.random.Generator) -> Tree:
    """A tree of so many nodes."""
    if size == 1:
        return (variables[rng.integers(len(variables))],)
    one = sum(UNARY.values()) * _weight(size - 1)
    if rng.random() * _weight(size) < one:
        operator = _choice(UNARY, rng)
        return (operator, drawn_tree(size - 1, variables, rng))
    shares = np.array([_weight(left) * _weight(size - 1 - left) for left in range(1, size - 1)])
    left = 1 + int(rng.choice(len(shares), p=shares / shares.sum()))
    operator = _choice(BINARY, rng)
    return (
        operator,
        drawn_tree(left, variables, rng),
        drawn_tree(size - 1 - left, variables, rng),
    )


@lru_cache(maxsize=64)
def _weight(size: int) -> float:
    """The sum of the weights of all trees of so many nodes."""
    if size == 1:
        return _LEAF
    pairs = sum(_weight(left) * _weight(size - 1 - left) for left in range(1, size - 1))
    return sum(UNARY.values()) * _weight(size - 1) + sum(BINARY.values()) * pairs


def _choice(weights: dict[str, float], rng: np.random.Generator) -> str:
    shares = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def far_target(size: int, name: str, rng: np.random.Generator) -> tuple[Target, int]:
    """A target of a tree of so many nodes, fair or not, and the number of inner nodes of the tree."""
    tree = drawn_tree(size, VARIABLES[rng.integers(len(VARIABLES))], rng)
    variables = tuple(sorted(leaves(tree)))
    text = _text(tree, rng)
    if rng.random() < 0.5:
        text = f"{constant(rng, sign=True)}*({text})"
    if rng.random() < 0.3:
        text = f"{constant(rng, sign=True)} + {text}"
    return boxed(name, variables, text, f"far {size}", rng), inner_nodes(tree)


def _text(tree: Tree, rng: np.random.Generator) -> str:
    if len(tree) == 1:
        return str(tree[0])
    operator, *parts = tree
    if operator in BINARY:
        # Of a sum's terms one has a coefficient of its own, of a ratio's the lower may be shifted.
        u, v = (f"({_text(part, rng)})" for part in parts)
        if operator in "+-":
            return f"{u} {operator} {_with_coefficient(v, rng)}"
        return f"{u} {operator} {_shifted(v, rng) if operator == '/' else v}"
    (u,) = (f"({_text(part, rng)})" for part in parts)
    if operator in _POWERS:
        return _POWERS[operator].format(_shifted(u, rng))
    return f"{operator}({_shifted(_with_coefficient(u, rng), rng)})"


def _with_coefficient(text: str, rng: np.random.Generator) -> str:
    return f"{constant(rng)}*{text}" if rng.random() < 0.5 else text


def _shifted(text: str, rng: np.random.Generator) -> str:
    return f"({constant(rng, sign=True)} + {text})" if rng.random() < 0.4 else text
