"""The terms of an unknown forcing: one for each polynomial it is a sum of, in every law of its variable.

They are known terms with a free coefficient each. A law shows them as one symbol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from jaxtyping import Bool

from jaxllc.data.drivers.forcing import DEGREES, forcing_name
from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.knowledge.known_terms import KnownFamily
from jaxllc.knowledge.prior_knowledge import PriorKnowledge


@dataclass(frozen=True)
class ForcingFamily(KnownFamily):
    """One polynomial of a forcing, of this degree; forcing: the symbol that stands for all in a law."""

    forcing: str = ""
    degree: int = 0


def with_forcing(prior: PriorKnowledge, run: Trajectories) -> PriorKnowledge:
    """What is known, with a forcing of each variable where a run has the inputs of one; it is a sum of the
    fewest polynomials that are tried."""
    shapes = [name for name, course in run.inputs.items() if course.is_shape][:DEGREES]
    if not shapes:
        return prior
    taken = (*run.variables, *run.node_features, *run.inputs)
    known = prior.known or ((),) * len(run.variables)
    return replace(
        prior,
        known=tuple(
            (*own, *_families(shapes, forcing_name(variable, taken)))
            for own, variable in zip(known, run.variables, strict=True)
        ),
    )


def _families(shapes: Sequence[str], name: str) -> list[ForcingFamily]:
    return [
        ForcingFamily(
            SELF,
            sympy.Symbol(f"{shape}_i"),
            coefficient=shape,
            text=name,
            forcing=name,
            degree=degree,
        )
        for degree, shape in enumerate(shapes, 1)
    ]


def richer_forcing(
    prior: PriorKnowledge, inputs: Mapping[str, InputCourse], variable: int, degrees: int
) -> PriorKnowledge:
    """What is known, where the forcing of one variable, if it has one, is a sum of so many polynomials."""
    own = prior.of_variable(variable)
    name = next((f.forcing for f in own if isinstance(f, ForcingFamily)), "")
    if not name:
        return prior
    shapes = [shape for shape, course in inputs.items() if course.is_shape][:degrees]
    known = list(prior.known)
    known[variable] = (*(f for f in own if not is_forcing(f)), *_families(shapes, name))
    return replace(prior, known=tuple(known))


def without_forcing(prior: PriorKnowledge, variable: int) -> PriorKnowledge:
    """What is known, without a forcing of one variable."""
    known = list(prior.known)
    known[variable] = tuple(f for f in known[variable] if not is_forcing(f))
    return replace(prior, known=tuple(known))


def is_forcing(family: TermFamily) -> bool:
    """Whether a term is part of a forcing."""
    return isinstance(family, ForcingFamily)


def written_constants(terms: Sequence[Sequence[Term]]) -> Bool[np.ndarray, " constant"]:
    """Which constants of the terms of a law are its own, and not those of a forcing."""
    return np.array(
        [
            not is_forcing(term.family)
            for equation in terms
            for term in equation
            for _ in range(term.num_constants)
        ],
        dtype=bool,
    )
