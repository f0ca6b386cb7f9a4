"""Laws as JSON files: numbers, names and expressions as text, read by the safe parser only.

In a self term x_s stands for sum_j A_ij x_j, as in `Equation`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxllc.data.drivers.forcing import FORCING
from jaxllc.data.drivers.input_course import TIME
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.errors import InputError, first_repeat
from jaxllc.files.file_values import count, finite, flag, number, plain, text, texts
from jaxllc.files.json_text import read_json
from jaxllc.files.output_file import output_file
from jaxllc.law.confidence import confidence_from, rival_from
from jaxllc.law.plain_time import plain_names
from jaxllc.law.record import (
    FLOW,
    MAP,
    Constant,
    FrontRow,
    LawRecord,
    NodeConstant,
)
from jaxllc.law.skill import CONSTANT, NO_CHANGE
from jaxllc.law.writing.forcing_record import forcing_record, forcings_from
from jaxllc.law.writing.snapping_record import snapping_from, snapping_record

Kind = TypeVar("Kind", bound=LawRecord)


FORMAT = "jaxllc law"
VERSION = 1
_SIDES = ("self", "interaction")
_MOST_ROWS = 1000  # of the front, and of rivals
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def save_law(law: LawRecord, path: str | os.PathLike) -> None:
    """Write a law; its network and data are not part of the file."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "equations": {v: _texts(e) for v, e in law.equations.items()},
        "feature_names": list(law.feature_names),
        "inputs": law.inputs,
        "forcing": [forcing_record(one) for one in law.forcing],
        "held": list(law.held),
        "constants": [asdict(c) for c in law.constants],
        "front": [asdict(_readable(row)) for row in law.front],
        "adjusted_r2": law.adjusted_r2,
        "skill": law.skill,
        "noise": law.noise,
        "converged": law.converged,
        "finished": law.finished,
        "doubt": law.doubt,
        "snapping": None if law.snapping is None else snapping_record(law.snapping),
        "notes": list(law.notes),
        "seconds": law.seconds,
        "settings": law.settings,
        "covariance": None if law.covariance is None else law.covariance.tolist(),
        "confidence": None if law.confidence is None else asdict(law.confidence),
        "rivals": [asdict(r) for r in law.rivals],
        "dynamics": law.dynamics,
        "process_noise": law.process_noise,
        "step": law.step,
        "follows": None if law.follows is None else list(law.follows),
        "node_constants": [_node_constant_record(one) for one in law.node_constants],
    }
    written = json.dumps(plain(content), indent=1, allow_nan=False)
    with output_file(path) as temporary:
        temporary.write_text(written + "\n", encoding="utf-8")


def _check_readable(*terms: str) -> None:
    """Raises InputError for a term that would not be read again, as one too long or too deep."""
    try:
        Equation.from_text(*terms)
    except InputError as error:
        raise InputError(
            f"the law cannot be saved, as it could not be read again: {error}"
        ) from None


def _readable(row: FrontRow) -> FrontRow:
    for terms in row.equations.values():
        _check_readable(*terms)
    return row


def _node_constant_record(one: NodeConstant) -> dict[str, Any]:
    arrays = {"values": list(one.values), "standard_errors": list(one.standard_errors)}
    plain_parts = {"name": one.name, "variable": one.variable, "term": one.term}
    return {
        **plain_parts,
        **arrays,
        "mean": one.mean,
        "spread": one.spread,
        "nodes": list(one.nodes),
    }


def _node_constant(row: Mapping[str, Any], names: _Names) -> NodeConstant:
    """As `_node_constant_record` wrote it; raises where its parts do not fit together."""
    name, nodes = text(row["name"]), texts(row["nodes"])
    values = np.array([finite(v) for v in row["values"]], dtype=float)
    errors = np.array([number(v) for v in row["standard_errors"]], dtype=float)
    if name not in names.given:
        raise ValueError(f"{name[:40]!r} is a constant of nodes that no equation may hold")
    if not len(values) == len(errors) == len(nodes):
        raise ValueError(f"the constant {name[:40]!r} has not one value for each node")
    return NodeConstant(
        name,
        names.variable(row["variable"]),
        text(row["term"]),
        values,
        errors,
        finite(row["mean"]),
        finite(row["spread"]),
        nodes,
    )


def _follows(content: Any) -> np.ndarray | None:
    """Probabilities of the nodes, null for those that were not asked."""
    if content is None:
        return None
    found = np.array([number(v) for v in content], dtype=float)
    if np.any((found < 0) | (found > 1)):
        raise ValueError("what is said of the nodes that follow is no list of probabilities")
    return found


def _dynamics(content: Any) -> str:
    if text(content) not in (FLOW, MAP):
        raise ValueError(f"its dynamics are {content[:40]!r}, neither {FLOW} nor {MAP}")
    return str(content)


def _process_noise(content: Mapping[str, Any], names: _Names) -> dict[str, float]:
    found = _by_variable(content, "process_noise", names)
    if any(value < 0 for value in found.values()):
        raise ValueError("a process noise is negative")
    return found


def _step(content: Any) -> float:
    value = finite(content)
    if value <= 0:
        raise ValueError(f"its step is {value:g}, which is not above 0")
    return value


def _texts(equation: Equation) -> dict[str, str]:
    self_term, interaction_term = equation.to_text()
    _check_readable(self_term, interaction_term)
    return {"self_term": self_term, "interaction_term": interaction_term}


def read_law(path: str | os.PathLike, kind: type[Kind]) -> Kind:
    """Read a law; raises InputError for anything that is not one, or whose parts do not fit together."""
    content = _content(path)
    try:
        equations = {
            text(v): Equation.from_text(text(e["self_term"]), text(e["interaction_term"]))
            for v, e in content["equations"].items()
        }
        inputs = _inputs(content.get("inputs", {}))
        features = texts(content.get("feature_names", []))
        names = _checked_names(equations, features, inputs)
        _check_equations(equations, names)
        rows = _rows(content, "constants", list(equations))
        roles = {text(row["role"]) for row in rows}
        constants = tuple(_constant(row, names, roles) for row in rows)
        confidence = confidence_from(content.get("confidence"))
        if confidence is not None and len(confidence.intervals) != len(constants):
            raise ValueError(
                f"{len(constants)} constants have {len(confidence.intervals)} intervals"
            )
        rivals = tuple(rival_from(r) for r in _rows(content, "rivals"))
        front = tuple(_front_row(row) for row in _rows(content, "front"))
        for other in (*(row.equations for row in front), *(r.equations for r in rivals)):
            _check_other(other, names)
        return kind(
            equations=equations,
            constants=constants,
            front=front,
            adjusted_r2=_by_variable(content, "adjusted_r2", names),
            noise=_by_variable(content, "noise", names),
            feature_names=features,
            inputs=inputs,
            forcing=forcings_from(_rows(content, "forcing"), equations, inputs),
            held=texts(content.get("held", [])),
            converged=flag(content.get("converged", True)),
            finished=flag(content.get("finished", True)),
            notes=texts(content.get("notes", [])),
            seconds={text(k): number(v) for k, v in content.get("seconds", {}).items()},
            settings=dict(content.get("settings", {})),
            covariance=_covariance(content.get("covariance"), len(constants)),
            confidence=confidence,
            rivals=rivals,
            skill={
                names.variable(k): {r: number(both[r]) for r in (NO_CHANGE, CONSTANT)}
                for k, both in content.get("skill", {}).items()
            },
            doubt=text(content.get("doubt", "")),
            snapping=snapping_from(content.get("snapping"), len(constants)),
            follows=_follows(content.get("follows")),
            node_constants=tuple(
                _node_constant(row, names) for row in _rows(content, "node_constants")
            ),
            dynamics=_dynamics(content.get("dynamics", FLOW)),
            process_noise=_process_noise(content, names),
            step=_step(content.get("step", 1.0)),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path} is not a complete law: {reason[:200]}; save it again with Law.save"
        ) from None


def _content(path: str | os.PathLike) -> dict[str, Any]:
    content = read_json(path, "give a file that Law.save wrote")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a jaxllc law; Law.save writes one")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} has the format version {str(content.get('version'))[:40]}; "
            f"this jaxllc reads version {VERSION}"
        )
    return content


def _rows(content: Mapping[str, Any], name: str, variables: Iterable[str] = ()) -> list[Any]:
    rows = content.get(name, [])
    if not isinstance(rows, list):
        raise TypeError(f"{name} is not a list")
    most = _MOST_ROWS * max(1, len(list(variables)))
    if len(rows) > most:
        raise ValueError(f"{name} has {len(rows)} rows, and {most} are the most that are read")
    return rows


class _Names(NamedTuple):
    """What the terms of a law may read; given: node features and inputs; plain: names without a side."""

    variables: tuple[str, ...]
    given: tuple[str, ...]
    plain: tuple[str, ...]

    def symbols(self, side: str) -> set[str]:
        suffixes = f"i{SUM_SIDE}" if side == "self" else "ij"
        names = (*self.variables, *self.given, "k")
        return {*self.plain, *(f"{name}_{s}" for name in names for s in suffixes)}

    def variable(self, value: Any) -> str:
        """A name, where it is one of the variables."""
        if text(value) not in self.variables:
            raise ValueError(f"{value[:40]!r} is not one of its variables")
        return value


def _checked_names(
    equations: Mapping[str, Equation], features: tuple[str, ...], inputs: Mapping[str, str]
) -> _Names:
    if not equations:
        raise ValueError("it holds no equation")
    names = _Names(tuple(equations), (*features, *inputs), plain_names(inputs))
    for name in (*equations, *names.given):
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name[:40]!r} cannot name a variable, node feature or input of a law"
            )
    repeated = first_repeat([*equations, *names.given])
    if repeated is not None:
        raise ValueError(f"{repeated[:40]!r} names two of its variables, node features and inputs")
    return names


def _inputs(content: Any) -> dict[str, str]:
    """Names of inputs, and whether each is the time."""
    found = {text(name): text(kind) for name, kind in content.items()}
    for name, kind in found.items():
        if kind not in ("", TIME, FORCING):
            raise ValueError(
                f"the input {name[:40]!r} is {kind[:40]!r}, not {TIME!r}, {FORCING!r} or nothing"
            )
    return found


def _check_equations(equations: Mapping[str, Equation], names: _Names) -> None:
    for variable, equation in equations.items():
        for side, term in zip(_SIDES, equation, strict=True):
            unknown = sorted({s.name for s in term.free_symbols} - names.symbols(side))
            if unknown:
                raise InputError(
                    f"the {side} term of {variable} uses {', '.join(unknown)[:80]}, which is neither a "
                    f"variable nor a node feature or input of the law"
                )


def _check_other(equations: Mapping[str, tuple[str, str]], names: _Names) -> None:
    """The same for a law of the front or a rival: it is of the same variables."""
    if set(equations) != set(names.variables):
        raise ValueError("a law of its front or a rival is not of its variables")
    _check_equations({v: Equation.from_text(*both) for v, both in equations.items()}, names)


def _constant(content: Mapping[str, Any], names: _Names, roles: set[str]) -> Constant:
    variable, side = names.variable(content["variable"]), text(content["side"])
    if side not in _SIDES:
        raise ValueError(f"the side of a constant is {side[:40]!r}, not self or interaction")
    term, role = text(content["term"]), text(content["role"])
    # Constants stand in their terms by name: as w0, or as a user named them.
    unknown = {x.name for x in parse(term).free_symbols} - names.symbols(side) - roles
    unknown = {name for name in unknown if not re.fullmatch(r"w\d{1,3}", name)}
    if unknown:
        raise ValueError(
            f"the term {term[:60]!r} of a constant of {variable} holds {', '.join(sorted(unknown))[:80]}, "
            "which the law does not know"
        )
    error = number(content["standard_error"])
    if error < 0:
        raise ValueError(f"the standard error of a constant of {variable} is negative")
    return Constant(
        variable, side, term, role, finite(content["value"]), error, text(content.get("unit", ""))
    )


def _by_variable(content: Mapping[str, Any], name: str, names: _Names) -> dict[str, float]:
    return {names.variable(k): number(v) for k, v in content.get(name, {}).items()}


def _front_row(content: Mapping[str, Any]) -> FrontRow:
    equations = {}
    for variable, both in content["equations"].items():
        self_term, interaction_term = texts(both)
        equations[text(variable)] = (self_term, interaction_term)
    return FrontRow(
        count(content["num_constants"]),
        number(content["chi_squared"]),
        number(content["criterion"]),
        number(content["held_out_error"]),
        equations,
        flag(content["chosen"]),
    )


def _covariance(rows: Any, size: int) -> np.ndarray | None:
    """The covariance of the constants; null stands for what the data leave open."""
    if rows is None:
        return None
    if not isinstance(rows, list) or any(not isinstance(row, list) for row in rows):
        raise TypeError("the covariance is not a list of rows")
    if len(rows) != size or any(len(row) != size for row in rows):
        raise ValueError(f"the covariance is not {size} by {size}, as the {size} constants ask for")
    matrix = np.array([[number(value) for value in row] for row in rows], dtype=float)
    matrix = matrix.reshape(size, size)
    known = np.isfinite(matrix)
    variance = np.diag(matrix)
    if np.any(variance < 0):
        raise ValueError("the covariance has a negative variance")
    if np.any(known != known.T) or not np.allclose(
        matrix[known], matrix.T[known], rtol=1e-6, atol=1e-9 * float(np.nanmax(variance, initial=0))
    ):
        raise ValueError("the covariance is not symmetric")
    return matrix
