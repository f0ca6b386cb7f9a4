"""Laws as JSON files: numbers, names and expressions as text, read by the safe parser only.

In a self term x_s stands for sum_j A_ij x_j, as in `Equation`.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import MISSING, asdict, fields
from typing import Any

import numpy as np

from jaxllc.confidence import confidence_from, rival_from
from jaxllc.equations import Equation
from jaxllc.errors import InputError
from jaxllc.file_values import number, text
from jaxllc.law import Constant, FrontRow, Law
from jaxllc.output_file import output_file
from jaxllc.sum_symbols import SUM_SIDE

FORMAT = "jaxllc law"
VERSION = 1
_LARGEST_FILE = 20_000_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def save_law(law: Law, path: str | os.PathLike) -> None:
    """Write a law; its network and data are not part of the file."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "equations": {v: _texts(e) for v, e in law.equations.items()},
        "feature_names": list(law.feature_names),
        "constants": [asdict(c) for c in law.constants],
        "front": [asdict(row) for row in law.front],
        "adjusted_r2": law.adjusted_r2,
        "noise": law.noise,
        "converged": law.converged,
        "notes": list(law.notes),
        "seconds": law.seconds,
        "settings": law.settings,
        "covariance": None if law.covariance is None else law.covariance.tolist(),
        "confidence": None if law.confidence is None else asdict(law.confidence),
        "rivals": [asdict(r) for r in law.rivals],
    }
    written = json.dumps(_plain(content), indent=1, allow_nan=False)
    with output_file(path) as temporary:
        temporary.write_text(written + "\n", encoding="utf-8")


def _texts(equation: Equation) -> dict[str, str]:
    self_term, interaction_term = equation.to_text()
    return {"self_term": self_term, "interaction_term": interaction_term}


def _plain(value: Any) -> Any:
    """JSON knows no nan and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_law(path: str | os.PathLike) -> Law:
    """Read a law; raises InputError for anything that is not one."""
    content = _content(path)
    try:
        equations = {
            text(v): Equation.from_text(text(e["self_term"]), text(e["interaction_term"]))
            for v, e in content["equations"].items()
        }
        constants = tuple(_record(Constant, c) for c in content.get("constants", []))
        front = tuple(_front_row(row) for row in content.get("front", []))
        law = Law(
            equations=equations,
            constants=constants,
            front=front,
            adjusted_r2={text(k): number(v) for k, v in content.get("adjusted_r2", {}).items()},
            noise={text(k): number(v) for k, v in content.get("noise", {}).items()},
            feature_names=tuple(text(n) for n in content.get("feature_names", [])),
            converged=bool(content.get("converged", True)),
            notes=tuple(text(n) for n in content.get("notes", [])),
            seconds={text(k): number(v) for k, v in content.get("seconds", {}).items()},
            settings=dict(content.get("settings", {})),
            covariance=_covariance(content.get("covariance"), len(constants)),
            confidence=confidence_from(content.get("confidence")),
            rivals=tuple(rival_from(r) for r in content.get("rivals", [])),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = repr(error)[:200]
        raise InputError(
            f"{path} is not a complete law: {reason}; save it again with Law.save"
        ) from None
    _check_symbols(path, law)
    return law


def _content(path: str | os.PathLike) -> dict[str, Any]:
    try:
        if os.path.getsize(path) > _LARGEST_FILE:
            raise InputError(f"{path} is larger than {_LARGEST_FILE} bytes, which no law is")
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; Law.save writes such a file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError: no JSON, no UTF-8, or a number too long
        raise InputError(f"{path} is not a JSON file ({error}); Law.save writes one") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a jaxllc law; Law.save writes one")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} has the format version {str(content.get('version'))[:40]}; "
            f"this jaxllc reads version {VERSION}"
        )
    return content


def _record(kind: Any, content: dict[str, Any]) -> Any:
    values = {}
    for field in fields(kind):
        if field.name not in content and field.default is not MISSING:
            continue
        value = content[field.name]
        values[field.name] = number(value) if field.type == "float" else text(value)
    return kind(**values)


def _front_row(content: dict[str, Any]) -> FrontRow:
    equations = {}
    for variable, texts in content["equations"].items():
        self_term, interaction_term = (text(t) for t in texts)
        Equation.from_text(self_term, interaction_term)
        equations[text(variable)] = (self_term, interaction_term)
    return FrontRow(
        int(number(content["num_constants"])),
        number(content["chi_squared"]),
        number(content["criterion"]),
        number(content["held_out_error"]),
        equations,
        bool(content["chosen"]),
    )


def _covariance(rows: Any, count: int) -> np.ndarray | None:
    if rows is None:
        return None
    matrix = np.array([[number(value) for value in row] for row in rows], dtype=float)
    if matrix.size != count**2:
        raise ValueError(f"a covariance of {count} constants has {matrix.size} numbers")
    return matrix.reshape(count, count)


def _check_symbols(path: str | os.PathLike, law: Law) -> None:
    if not law.equations:
        raise InputError(f"{path} holds no equation; save it again with Law.save")
    names = (*law.variables, *law.feature_names)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{path}: {name[:40]!r} cannot name a variable or node feature of a law"
            )
    for variable, equation in law.equations.items():
        for place, term, sides in (
            ("self", equation.self_term, f"i{SUM_SIDE}"),
            ("interaction", equation.interaction_term, "ij"),
        ):
            known = {f"{name}_{side}" for name in (*names, "k") for side in sides}
            unknown = sorted({s.name for s in term.free_symbols} - known)
            if unknown:
                raise InputError(
                    f"{path}: the {place} term of {variable} uses {', '.join(unknown)}, which is neither a "
                    f"variable nor a node feature of the law"
                )
