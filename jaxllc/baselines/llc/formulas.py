"""A formula for a net: skeletons from the pre-trained network, constants by BFGS, the best of the beam.

The published choice is the formula with the smallest error; here a further constant must lower the error by a
tenth, and errors far below that of the net count as none. That the term is nought, or a constant, is tried
beside what the network writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.baselines.llc.bfgs import minimised
from jaxllc.equations.expression_building import is_real
from jaxllc.equations.expressions import to_text
from jaxllc.equations.skeletons import Skeleton
from jaxllc.pretrained.engine import PretrainedEngine, best_inputs
from jaxllc.pretrained.skeletons.starts import drawn
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples

# Samples that constants are fitted to.
FITTED = 256
# What a constant must lower the logarithm of the error by.
PER_CONSTANT = 0.1
# Error, relative to the spread of the rates, that no net is thought to be below.
NET_ERROR = 0.01


class Formula(NamedTuple):
    """expression: with its numbers; error: root mean square against the net, in the units of its values;
    score: what the best has the least of."""

    expression: sympy.Expr
    num_constants: int
    error: float
    score: float


def best_formula(
    engine: PretrainedEngine,
    samples: Samples,
    grammar: Grammar,
    unit: float,
    restarts: int,
    seed: int,
    net_error: float = NET_ERROR,
) -> Formula:
    """The best formula of the beam for samples of a net.

    unit: the spread of the rates in the units of the samples' values; restarts: of BFGS for each skeleton,
    from random constants inside functions and those outside that fit best with them. net_error: of the net
    itself, in units of that spread.
    """
    samples = samples.thinned(FITTED, seed)
    found = [*_plain(samples), *_of_beam(engine, samples, grammar, restarts, seed)]
    scored = [
        Formula(e, n, error, float(np.log(np.hypot(error / unit, net_error)) + PER_CONSTANT * n))
        for e, n, error in found
        if grammar.allows(e)
    ]
    return min(scored, key=lambda f: f.score)


def _plain(samples: Samples) -> Iterator[tuple[sympy.Expr, int, float]]:
    values = samples.values
    yield sympy.Integer(0), 0, float(np.sqrt(np.mean(values**2)))
    yield sympy.Float(float(values.mean())), 1, float(values.std())


def _of_beam(
    engine: PretrainedEngine, samples: Samples, grammar: Grammar, restarts: int, seed: int
) -> Iterator[tuple[sympy.Expr, int, float]]:
    settings = engine.model.settings
    for inputs in best_inputs(samples, settings.num_variables, engine.choices):
        some = samples.with_inputs(inputs)
        skeletons = engine.skeletons(some, grammar, seed)
        starts = list(
            drawn(skeletons, some, settings.alphabet, seed, draws=restarts, kept=restarts)
        )
        for skeleton, error in refined(starts, some):
            if is_real(expression := skeleton.numeric()):
                yield expression, len(skeleton.values), error


def refined(starts, samples: Samples) -> Iterator[tuple[Skeleton, float]]:
    """Each skeleton with the best constants that BFGS reaches from its starts, and its error.

    starts: what `pretrained.starts.drawn` gives. Skeletons that cannot be evaluated are left out.
    """
    if not starts:
        return
    end = minimised(
        [tape for *_, tape, _ in starts], np.stack([s[3] for s in starts]), samples.points, samples.values
    )  # fmt: skip
    best: dict[int, int] = {}
    for k, (owner, *_) in enumerate(starts):
        square = end.mean_square[k]
        if np.isfinite(square) and (owner not in best or square < end.mean_square[best[owner]]):
            best[owner] = k
    for _, k in sorted(best.items()):
        skeleton = starts[k][1]
        found = skeleton.with_values(end.constants[k][: len(skeleton.values)])
        yield found, float(np.sqrt(end.mean_square[k]))


def listed_constants(expression: sympy.Expr) -> Iterator[tuple[str, str, float]]:
    """Term, role and value of every number of an expression: "coefficient", or which one inside, "w0" ..."""
    for summand in sympy.Add.make_args(expression):
        number, rest = summand.as_coeff_Mul()
        values: dict[sympy.Symbol, float] = {}

        def named(number: sympy.Expr, values: dict[sympy.Symbol, float] = values) -> sympy.Symbol:
            name = sympy.Symbol(f"w{len(values)}")
            values[name] = float(number)
            return name

        floats = sorted(rest.atoms(sympy.Float), key=float)
        text = to_text(rest.xreplace({n: named(n) for n in floats}))
        if summand != 0:
            yield text, "coefficient", float(number)
        for name, value in values.items():
            yield text, name.name, value
