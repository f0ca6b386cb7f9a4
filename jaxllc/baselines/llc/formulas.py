"""A formula for a net: skeletons from the pre-trained network, constants by BFGS, the best of the beam.

The published choice is the formula with the smallest error; here a further constant must lower the error by a
tenth, errors far below that of the net count as none, and of formulas that are as good as each other the
shortest is taken. That the term is nought, or a constant, is tried beside what the network writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.baselines.llc.bfgs import minimised
from jaxllc.equations.expression_building import is_real
from jaxllc.equations.expressions import to_text
from jaxllc.equations.skeletons import Skeleton
from jaxllc.pretrained.engine import PretrainedEngine, best_inputs
from jaxllc.pretrained.skeletons.canonical_form import identity, joined
from jaxllc.pretrained.skeletons.starts import drawn
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples

# What a constant must lower the logarithm of the error by.
PER_CONSTANT = 0.1
# Scores that differ by no more are as good as each other.
AS_GOOD = 0.02


class Formula(NamedTuple):
    """expression: with its numbers; error: root mean square against the net, in units of the net's error;
    score: what the best has the least of."""

    expression: sympy.Expr
    num_constants: int
    error: float
    score: float


def best_formula(
    engine: PretrainedEngine,
    samples: Samples,
    grammar: Grammar,
    restarts: int,
    seed: int,
    others: Sequence[Samples] = (),
    as_good: float = AS_GOOD,
) -> Formula:
    """The best formula of the beam for samples of a net, whose errors are those of the net.

    restarts: of BFGS for each skeleton, from random constants inside functions and those outside that fit
    best with them. others: further samples of the net, for which skeletons are written as well.
    as_good: scores that differ by no more are as good as each other.
    """
    found = [*_plain(samples), *_of_beam(engine, samples, grammar, restarts, seed, others)]
    scored = [
        Formula(e, n, error, float(np.log(np.hypot(error, 1.0)) + PER_CONSTANT * n))
        for e, n, error in found
        if grammar.allows(e)
    ]
    lowest = min(f.score for f in scored)
    good = [f for f in scored if f.score <= lowest + as_good]
    return min(good, key=lambda f: (sympy.count_ops(f.expression), f.score))


def _plain(samples: Samples) -> Iterator[tuple[sympy.Expr, int, float]]:
    values, weights = samples.values / samples.error, 1.0 / samples.error
    yield sympy.Integer(0), 0, float(np.sqrt(np.mean(values**2)))
    mean = float(values @ weights / (weights @ weights))
    yield sympy.Float(mean), 1, float(np.sqrt(np.mean((values - mean * weights) ** 2)))


def _of_beam(
    engine: PretrainedEngine,
    samples: Samples,
    grammar: Grammar,
    restarts: int,
    seed: int,
    others: Sequence[Samples] = (),
) -> Iterator[tuple[sympy.Expr, int, float]]:
    settings = engine.model.settings
    for inputs in best_inputs(samples, settings.num_variables, engine.choices):
        some = samples.with_inputs(inputs)
        shown = [s.with_inputs(inputs) for s in (samples, *others)]
        skeletons = joined(engine.skeletons_of(shown, grammar, seed))
        once = np.unique(identity(skeletons), return_index=True)[1]
        skeletons = skeletons.taken(np.sort(once))
        starts = list(
            drawn(skeletons, some, settings.alphabet, seed, draws=restarts, kept=restarts)
        )
        for skeleton, error in refined(starts, some):
            if is_real(expression := skeleton.numeric()):
                yield expression, len(skeleton.values), error


def refined(starts, samples: Samples) -> Iterator[tuple[Skeleton, float]]:
    """Each skeleton with the best constants that BFGS reaches from its starts, and its error, in units of
    that of the samples.

    starts: what `pretrained.starts.drawn` gives. Skeletons that cannot be evaluated are left out.
    """
    if not starts:
        return
    end = minimised(
        [tape for *_, tape, _ in starts], np.stack([s[3] for s in starts]), samples.points, samples.values,
        error=samples.error,
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
