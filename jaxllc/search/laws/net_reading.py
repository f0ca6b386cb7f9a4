"""How samples of a net are searched: by the inputs that it reads; expressions of these in both ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.dynamics.terms import SELF, Term, TermFamily, terms_of_skeleton
from jaxllc.equations.skeletons import Skeleton, as_written, rebuilt, renumbered
from jaxllc.neural.neural_fit import TermSamples
from jaxllc.neural.structures import (
    BOTH,
    BY_RECEIVER,
    DIFFERENCE,
    NO_FEATURES,
    PRODUCTS_IN_SELF,
    SENDER,
    Structure,
)

# Relative error of a net that is never undercut, so that clean nets do not ask for endless terms.
RELATIVE_ERROR = 3e-3
# The same of nets in the simplest structure that explains the samples, which are better.
REDUCED_ERROR = 1e-3
_ONE = Term(TermFamily(SELF, sympy.Integer(1)))


class Reading(NamedTuple):
    """Samples of a term in the inputs that its net reads, and how an expression of these is written.

    instead: what stands for an input; normalised: whether it is over k_i; least: error, relative to the
    spread of the values, that is never undercut.
    """

    samples: TermSamples
    least: float = RELATIVE_ERROR
    instead: dict[sympy.Symbol, sympy.Expr] = {}  # noqa: RUF012
    normalised: bool = False

    def terms(self, expression: sympy.Expr, side: str) -> list[Term]:
        """The terms of an expression of the inputs, in both ends of an edge."""
        found, still, skeleton = self._placed(expression)
        terms = terms_of_skeleton(renumbered(found, skeleton.by_constant), side)[0]
        return terms + [_ONE] * (still != 0)

    def written(self, expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """An expression of the inputs in both ends of an edge, and a number that stands in the self term for
        one over k_i, which adds up to it."""
        found, still, skeleton = self._placed(expression)
        numbers = {c: sympy.Float(v) for c, v in skeleton.by_constant.items()}
        return found.xreplace(numbers), still.xreplace(numbers)

    def _placed(self, expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr, Skeleton]:
        """What is of an edge, and what of the node: a number over k_i adds up to itself."""
        skeleton = as_written(expression)
        # Sympy would multiply w*(x_j - x_i) out if w were a number, and it would be two.
        found = rebuilt(skeleton.expression, self.instead)
        if not self.normalised:
            return found, sympy.Integer(0), skeleton
        summands = sympy.Add.make_args(found)
        moving = [s for s in summands if s.free_symbols - set(skeleton.constants)]
        whole = sympy.Add(*(s / sympy.Symbol("k_i") for s in moving))
        return whole, sympy.Add(*(s for s in summands if s not in moving)), skeleton


def reading(
    samples: TermSamples,
    structure: Structure,
    variables: Sequence[str],
    least: float = REDUCED_ERROR,
    known: bool = False,
) -> Reading:
    """Samples of the interaction in what its net reads.

    known: whether a known term may read both ends, so that the samples shall have these.
    """
    if known:
        return Reading(samples, least)
    samples = read_by(samples, structure, variables)
    if structure.reads in (BY_RECEIVER, BOTH) and not structure.normalised:
        return Reading(samples, least)
    columns = dict(zip(samples.input_names, samples.points.T, strict=True))
    values, error = samples.values, samples.error
    if structure.normalised:
        strength = columns.pop("k_i")
        values = {name: v * strength for name, v in values.items()}
        error = {name: e * np.abs(strength) for name, e in error.items()}
    instead: dict[sympy.Symbol, sympy.Expr] = {}
    if structure.reads == SENDER:
        columns = {n: c for n, c in columns.items() if n.endswith("_j")}
    elif structure.reads == DIFFERENCE:
        ends = {v: (f"{v}_j", f"{v}_i") for v in variables if f"{v}_j" in columns}
        columns = {f"{v}_d": columns[j] - columns[i] for v, (j, i) in ends.items()}
        instead = {
            sympy.Symbol(f"{v}_d"): sympy.Symbol(j) - sympy.Symbol(i) for v, (j, i) in ends.items()
        }
    points = np.stack(list(columns.values()), axis=1)
    reduced = TermSamples(tuple(columns), points, values, error)
    return Reading(reduced, least, instead, structure.normalised)


def read_by(samples: TermSamples, structure: Structure, variables: Sequence[str]) -> TermSamples:
    """Samples of a term without the states and node features that its net does not read."""
    pair = any(n.endswith("_j") for n in samples.input_names)
    if pair and structure.variable is not None:
        others = {f"{v}_{side}" for v in variables for side in "ij"}
        others -= {f"{variables[structure.variable]}_{side}" for side in "ij"}
        kept = [k for k, name in enumerate(samples.input_names) if name not in others]
        names = tuple(samples.input_names[k] for k in kept)
        samples = samples._replace(input_names=names, points=samples.points[:, kept])
    unread = {NO_FEATURES: "ij", PRODUCTS_IN_SELF: "j"}.get(structure.features, "")
    if not unread or (unread == "j" and not pair):
        return samples
    states = {f"{v}_{side}" for v in variables for side in "ij"}
    states |= {"k_i"} if structure.normalised else set()
    kept = [k for k, name in enumerate(samples.input_names) if name in states]
    names = tuple(samples.input_names[k] for k in kept)
    return samples._replace(input_names=names, points=samples.points[:, kept])
