"""Candidate terms of inputs: what acts on the nodes from outside, and of the time itself.

An input stands in the terms as a node feature does. Waves of the time have a grid of frequencies as fine as
the window resolves them, since each is a minimum of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.search.laws.library import Scale, families, function_atoms, geometric

_W0, _W1 = inner_symbol(0), inner_symbol(1)
# Samples that a period takes at least, frequencies at most, and phases at which waves are tried.
_SAMPLES, _FREQUENCIES = 3.0, 96
_PHASES = np.pi * np.array([0.0, 0.25, 0.5, 0.75])


@dataclass(frozen=True)
class InputRange:
    """What the library knows of an input.

    scale: its range; common: whether all nodes have the same; few: whether it takes two values at most, so
    that every function of it is linear; step: between samples, of an input that is the time itself, else 0.
    """

    scale: Scale
    common: bool
    few: bool
    step: float = 0.0


def input_terms(
    inputs: Mapping[str, InputRange], variables: Sequence[str], regular_network: bool
) -> list[Term]:
    """Candidate terms that read inputs, the same for each equation."""
    own = [sympy.Symbol(f"{v}_i") for v in variables]
    terms: list[Term] = []
    for name, known in inputs.items():
        terms += _of_input(sympy.Symbol(f"{name}_i"), known, own)
        ends = [sympy.Symbol(f"{name}_i")]
        if not known.common:
            sender = sympy.Symbol(f"{name}_j")
            ends.append(sender)
            terms += _plain(INTERACTION, sender, sender - ends[0], *(sender * x for x in own))
        elif not regular_network:
            terms += _plain(INTERACTION, ends[0])
        for end, v in itertools.product(ends, variables):
            for part in _pairs(v):
                terms += _plain(INTERACTION, sympy.expand(end * part))
        if known.step:
            terms += _waves(sympy.Symbol(f"{name}_i"), known, variables)
    for a, b in itertools.combinations(inputs, 2):
        terms += _plain(SELF, sympy.Symbol(f"{a}_i") * sympy.Symbol(f"{b}_i"))
    return terms


def _plain(side: str, *expressions: sympy.Expr) -> list[Term]:
    return [Term(TermFamily(side, expression)) for expression in expressions]


def _pairs(variable: str) -> list[sympy.Expr]:
    x_i, x_j = sympy.Symbol(f"{variable}_i"), sympy.Symbol(f"{variable}_j")
    return [x_j, x_i * x_j, x_j - x_i]


def _of_input(u: sympy.Symbol, known: InputRange, own: Sequence[sympy.Symbol]) -> list[Term]:
    """Terms of the node: the input, its powers, products with variables, and functions of it."""
    squares = [x * y for x, y in itertools.combinations_with_replacement(own, 2)]
    terms = _plain(SELF, u, *(u * x for x in own), *(u * x for x in squares))
    if known.few:
        return terms
    terms += _plain(SELF, u**2, u**3, *(u**2 * x for x in own))
    if known.step:
        scale = known.scale
        rates = geometric(1.0 / scale.width, 8.0 / scale.middle_width, 2.5)
        return terms + families(SELF, sympy.exp(-_W0 * u), [(r,) for r in rates], (True,))
    for atom in function_atoms(u, known.scale, (1, 2), rich=False):
        terms += atom.terms(SELF)
    return terms


def _waves(t: sympy.Symbol, known: InputRange, variables: Sequence[str]) -> list[Term]:
    """Waves of the time, with any phase; and those that change the rate of something."""
    width = known.scale.width
    highest = 2 * np.pi / (_SAMPLES * known.step)
    count = int(np.clip(highest * width / np.pi, 2, _FREQUENCIES))
    grid = np.pi / width * np.arange(1, count + 1)
    alone = [(w,) for w in grid]
    sine, cosine = sympy.sin(_W0 * t), sympy.cos(_W0 * t)
    with_phase = [(w, p) for w in grid for p in _PHASES]
    terms = families(SELF, sympy.sin(_W0 * t + _W1), with_phase, (True, False))
    for wave in (sine, cosine):
        terms += families(SELF, wave, alone, (True,))
        for v in variables:
            terms += families(SELF, wave * sympy.Symbol(f"{v}_i"), alone, (True,))
            for part in _pairs(v):
                terms += families(INTERACTION, wave * part, alone, (True,))
    return terms
