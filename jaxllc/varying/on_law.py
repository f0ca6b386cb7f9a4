"""Constants of nodes on the law that holds them: its record, its errors, and what is said of both."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from jaxllc.equations.expressions import to_text
from jaxllc.law.law import Law
from jaxllc.law.record import NodeConstant
from jaxllc.varying.own_constants import OwnConstant


def with_own_constants(law: Law, found: Sequence[OwnConstant], nodes: Sequence[str]) -> Law:
    """The law with the constants of its nodes, and with errors that count what these are uncertain by."""
    held = [one for one in found if _holds(law, one)]
    absent = {one.name for one in found} - {one.name for one in held}
    law = replace(law, feature_names=tuple(n for n in law.feature_names if n not in absent))
    records = tuple(
        NodeConstant(
            one.name,
            law.variables[one.variable],
            "" if one.base is None else to_text(one.base.expression),
            np.array(one.values),
            np.array(one.errors),
            one.mean,
            one.spread,
            tuple(nodes),
        )
        for one in held
    )
    if not records:
        return law
    law = replace(law, node_constants=records)
    for one in held:
        if one.law_errors is not None and len(one.law_errors) == len(law.constants):
            law = _with_errors(law, one.law_errors)
    return law


def _with_errors(law: Law, errors: np.ndarray) -> Law:
    """The law with larger standard errors where the nodes' constants make its own less certain."""
    own = np.array([c.standard_error for c in law.constants])
    with np.errstate(all="ignore"):
        larger = np.where(np.isfinite(own) & (errors > own), errors / own, 1.0)
    larger = np.where(np.isfinite(larger), larger, 1.0)
    constants = tuple(
        replace(c, standard_error=float(c.standard_error * factor))
        for c, factor in zip(law.constants, larger, strict=True)
    )
    covariance = law.covariance
    if covariance is not None:
        covariance = covariance * larger[:, None] * larger
    return replace(law, constants=constants, covariance=covariance)


def own_notes(found: Sequence[OwnConstant], names: Collection[str] | None) -> list[str]:
    """What is said of the constants that were asked for."""
    notes = []
    for one in found:
        what = "the strength of all interactions" if one.base is None else "the factor of "
        what += "" if one.base is None else to_text(one.base.expression)
        notes.append(
            f"{one.name}, {what}, is a constant of each node: mean {one.mean:.4g}, standard deviation over "
            f"nodes {one.spread:.3g}; law.node_constants_table() holds the values."
        )
    missing = [name for name in names or () if name not in {one.name for one in found}]
    if missing:
        notes.append(
            f"The samples do not ask for {' and '.join(missing)}: no constant was found that differs from "
            "node to node by more than the noise allows for."
        )
    return notes


def _holds(law: Law, one: OwnConstant) -> bool:
    equation = law.equations[law.variables[one.variable]]
    return one.symbol in equation.self_term.free_symbols | equation.interaction_term.free_symbols
