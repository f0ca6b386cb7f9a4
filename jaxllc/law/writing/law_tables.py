"""Tables of a law: its constants, how often its terms come back, and its front."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jaxllc.data.drivers.forcing import BAND
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError, check_number
from jaxllc.law.confidence import confidence_of, intervals_of
from jaxllc.law.plain_time import with_called_forcing
from jaxllc.law.record import LawRecord
from jaxllc.law.writing.law_text import equation_line

if TYPE_CHECKING:
    import pandas

    from jaxllc.nodewise.edges.edge_table import EdgeTable


def constants_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.constants_table`."""
    import pandas

    columns = ["variable", "side", "term", "role", "value", "standard_error"]
    if any(c.unit for c in law.constants):
        columns.append("unit")
    rows = [
        [*(getattr(c, name) for name in columns), low, high]
        for c, (low, high) in zip(law.constants, intervals_of(law), strict=True)
    ]
    return pandas.DataFrame(rows, columns=[*columns, "low", "high"])


def confidence_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.confidence_table`."""
    import pandas

    columns = ["variable", "side", "term", "in_law", "frequency"]
    rows = [[getattr(t, name) for name in columns] for t in confidence_of(law).terms]
    return pandas.DataFrame(rows, columns=columns)


def nodes_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.nodes_table`."""
    import pandas

    if law.follows is None:
        raise InputError(
            "all nodes were asked to follow this law: it holds no probability for each"
        )
    names = law.data[0].node_names if law.data else tuple(map(str, range(len(law.follows))))
    table = pandas.DataFrame({"node": names, "follows": law.follows})
    return table.sort_values("follows", kind="stable", ignore_index=True)


def node_constants_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.node_constants_table`."""
    import pandas

    if not law.node_constants:
        raise InputError(
            "this law has no constants of nodes; discover(..., vary={'omega': 'node'}) asks for one"
        )
    columns: dict[str, Any] = {"node": law.node_constants[0].nodes}
    for one in law.node_constants:
        columns[one.name] = one.values
        columns[f"{one.name}_standard_error"] = one.standard_errors
        columns[f"{one.name}_shrunk"] = one.shrunk
    return pandas.DataFrame(columns)


def forcing_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.forcing_table`."""
    import pandas

    if not law.forcing:
        raise InputError(
            "this law has no forcing; discover(..., forcing='smooth') finds one that all nodes share, where "
            "the samples ask for it"
        )
    parts = []
    for one in law.forcing:
        values, half = one.at(one.times), BAND * one.errors(one.times)
        columns = {"time": one.times, "variable": one.variable, "value": values}
        parts.append(pandas.DataFrame({**columns, "lower": values - half, "upper": values + half}))
    return pandas.concat(parts, ignore_index=True)


def model_classes_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.model_classes_table`."""
    import pandas

    if not law.model_classes:
        raise InputError(
            "it was not asked what this law may lack; discover(..., classes='always') asks, also where the "
            "law explains the samples"
        )
    rows = [asdict(one) for one in law.model_classes]
    return pandas.DataFrame(rows).rename(columns={"name": "class"})


def edges_of(law: LawRecord) -> EdgeTable:
    """What the samples say of the edges; InputError where they were not asked."""
    if law.edges is None:
        raise InputError(
            "this law holds no probabilities of edges: these are asked for where some nodes do not follow "
            "the law, and are no part of its file"
        )
    return law.edges


def network_table(law: LawRecord, least: float) -> pandas.DataFrame:
    """See `Law.network_table`."""
    check_number("least", least, 0.0, 1.0)
    return edges_of(law).network_table(least)


def pareto_table(law: LawRecord) -> pandas.DataFrame:
    """See `Law.pareto_table`."""
    import pandas

    rows = [
        {
            "num_constants": row.num_constants,
            "chi_squared": row.chi_squared,
            "criterion": row.criterion,
            "held_out_error": row.held_out_error,
            "chosen": row.chosen,
            "law": with_called_forcing(
                "; ".join(
                    equation_line(v, Equation.from_text(*row.equations[v]), dynamics=law.dynamics)
                    for v in row.equations
                ),
                law,
            ),
        }
        for row in law.front
    ]
    return pandas.DataFrame(rows)
