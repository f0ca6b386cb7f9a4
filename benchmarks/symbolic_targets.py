"""Targets of the search for one term: functions with known expressions and the boxes they are sampled in.

core: the 30 self and interaction terms of the systems that network dynamics is tested on; extra: 12
more of the same kind, for which nothing was tuned; random, nested: drawn by `random_targets`, as laws or
as whole trees. A file of targets has the format of the tables below, one a line:

    name; variables; expression; low:high per variable        # variables and ranges by spaces or commas
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import sympy

from jaxllc.equations.expressions import evaluate, parse, symbol_names
from jaxllc.errors import InputError

CORE_SELF = """
biochemical self; x_i; 1 - 0.1*x_i; 0:8
gene self; x_i; -x_i; 0:4
gene quadratic self; x_i; -x_i**2; 0:4
mutualistic self; x_i; 1 + x_i*(1 - x_i/5)*(x_i - 1); 0:6
Lotka-Volterra self; x_i; 0.5*x_i - x_i**2; 0:1.5
neural self; x_i; -x_i; -3:4
epidemic self; x_i; -0.5*x_i; 0:1
Kuramoto self; x_i; 0.7; -3.1:3.1
FitzHugh-Nagumo self 1; x_i y_i; x_i - x_i**3 - y_i; -1.5:1.5 -1:1.5
FitzHugh-Nagumo self 2; x_i y_i; 0.28 + 0.5*x_i - 0.04*y_i; -1.5:1.5 -1:1.5
Rossler self 1; x_i y_i z_i; -y_i - z_i; -9:11 -10:8 0:22
Rossler self 2; x_i y_i z_i; x_i + 0.35*y_i; -9:11 -10:8 0:22
Rossler self 3; x_i y_i z_i; 0.2 + z_i*(x_i - 5.7); -9:11 -10:8 0:22
Hindmarsh-Rose self 1; x_i y_i z_i; y_i - x_i**3 + 3*x_i**2 - z_i + 3.24; -1.5:2 -10:1 2.7:3.5
Hindmarsh-Rose self 2; x_i y_i z_i; 1 - 5*x_i**2 - y_i; -1.5:2 -10:1 2.7:3.5
Hindmarsh-Rose self 3; x_i y_i z_i; 0.005*(4*(x_i + 1.6) - z_i); -1.5:2 -10:1 2.7:3.5
"""

CORE_INTERACTION = """
biochemical; x_i x_j; -x_i*x_j; 0:4 0:4
gene; x_i x_j; x_j**2/(x_j**2 + 1); 0:4 0:4
gene cubic; x_i x_j; x_j**3/(x_j**3 + 3.375); 0:4 0:4
mutualistic; x_i x_j; x_i*x_j/(5 + 0.9*x_i + 0.1*x_j); 0:6 0:6
Lotka-Volterra; x_i x_j; -0.8*x_i*x_j; 0:1.5 0:1.5
neural; x_i x_j; sigmoid(x_j - 1); -3:4 -3:4
neural steep; x_i x_j; sigmoid(3.1*(x_j - 0.7)); -3:4 -3:4
epidemic; x_i x_j; (1 - x_i)*x_j; 0:1 0:1
Kuramoto; x_i x_j; sin(x_j - x_i); -3.1:3.1 -3.1:3.1
FitzHugh-Nagumo; x_i y_i x_j y_j; 0.2*(x_j - x_i); -1.5:1.5 -1:1.5 -1.5:1.5 -1:1.5
Rossler; x_i y_i z_i x_j y_j z_j; 0.15*(x_j - x_i); -9:11 -10:8 0:22 -9:11 -10:8 0:22
Hindmarsh-Rose; x_i x_j; 0.15*(2 - x_i)*sigmoid(10*(x_j - 1)); -1.5:2 -1.5:2
Hindmarsh-Rose of 6; x_i y_i z_i x_j y_j z_j; 0.15*(2 - x_i)*sigmoid(10*(x_j - 1)); \
    -1.5:2 -10:1 2.7:3.5 -1.5:2 -10:1 2.7:3.5
heat; x_i x_j; x_j - x_i; 0:4 0:4
"""

EXTRA = """
Sakaguchi; x_i x_j; sin(x_j - x_i - 0.3); -3.1:3.1 -3.1:3.1
second harmonic; x_i x_j; sin(x_j - x_i) + 0.25*sin(2*(x_j - x_i)); -3.1:3.1 -3.1:3.1
tanh of sender; x_i x_j; 0.6*tanh(1.2*x_j); -3:3 -3:3
inhibition; x_i x_j; 1/(1 + x_j**2); 0:4 0:4
Holling; x_i x_j; x_i*x_j/(1 + 0.5*x_i); 0:4 0:4
exponential decay; x_i; 0.3 + exp(-0.7*x_i); 0:5
pendulum; x_i y_i; -0.3*y_i - 1.5*sin(x_i); -3.1:3.1 -2:2
van der Pol; x_i y_i; 2*(1 - x_i**2)*y_i - x_i; -2.2:2.2 -4:4
Lorenz z; x_i y_i z_i; x_i*y_i - 2.6667*z_i; -18:18 -24:24 2:45
Allee; x_i; 0.8*x_i*(1 - x_i/4) - 1.2*x_i**2/(1 + x_i**2); 0:5
tanh of difference; x_i x_j; 0.7*tanh(2*(x_j - x_i)); -2:2 -2:2
cubed difference; x_i x_j; (x_j - x_i)**3; -1.5:1.5 -1.5:1.5
"""

# Symbols, their ranges and the expression of a target; the most that a file may ask for.
MOST_VARIABLES = 12


@dataclass(frozen=True)
class Target:
    """A function to be found again.

    text: its expression; ranges: (low, high) of each variable; family: "core self", "core interaction",
    "extra", "random 1" to "random 5" (the number of operators), "nested 1" to "nested 5", or "own" for
    those of a file.
    """

    name: str
    variables: tuple[str, ...]
    text: str
    ranges: tuple[tuple[float, float], ...]
    family: str = "own"

    @cached_property
    def expression(self) -> sympy.Expr:
        # With the numbers of products put into their sums, as 2*(x + 1) into 2*x + 2: one constant less.
        return parse(self.text).doit()

    def points(self, count: int, seed: int) -> np.ndarray:
        """Points uniform in the box, (count, variable); other targets get other points."""
        low, high = np.array(self.ranges).T
        return self.generator(seed).uniform(low, high, (count, len(low)))

    def values(self, points: np.ndarray) -> np.ndarray:
        """The function at points, (n,)."""
        return values_at(self.expression, self.variables, points)

    def generator(self, seed: int) -> np.random.Generator:
        return np.random.default_rng([zlib.crc32(self.name.encode()), seed])


def values_at(
    expression: sympy.Expr, variables: Sequence[str], points: np.ndarray, **constants: float
) -> np.ndarray:
    """An expression at points (n, variable), (n,): nan or inf where it is not defined."""
    if expression.has(sympy.I):  # a root or logarithm of a negative constant
        return np.full(len(points), np.nan)
    symbols = {name: points[:, k] for k, name in enumerate(variables)}
    with np.errstate(all="ignore"):
        found = evaluate(expression, {**symbols, **constants})
    return np.broadcast_to(np.asarray(found, float), (len(points),))


def targets(families: Sequence[str] = ("core", "extra"), random_seed: int = 0) -> list[Target]:
    """The targets of some families: core, extra, random, nested."""
    chosen: list[Target] = []
    for family in families:
        if family == "core":
            chosen += _table(CORE_SELF, "core self") + _table(CORE_INTERACTION, "core interaction")
        elif family == "extra":
            chosen += _table(EXTRA, "extra")
        elif family in ("random", "nested"):
            from random_targets import random_targets

            chosen += random_targets(family, random_seed)
        else:
            raise InputError(
                f"there is no family {family!r}; families are core, extra, random, nested"
            )
    return chosen


def _table(text: str, family: str) -> list[Target]:
    return read_targets(text.splitlines(), family, family)


# --- a file of targets --------------------------------------------------------------------------


def targets_of_file(path: str | Path) -> list[Target]:
    """The targets of a file; raises InputError with the file and the line of a mistake."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    found = read_targets(text.splitlines(), str(path))
    if not found:
        raise InputError(
            f"{path} holds no target; write one a line: name; variables; expression; low:high"
        )
    return found


def read_targets(lines: Sequence[str], place: str, family: str = "own") -> list[Target]:
    """Targets of lines; # starts a comment, blank lines are passed over."""
    found: list[Target] = []
    for number, line in enumerate(lines, 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        try:
            target = _target(line, family)
            if target.name in {other.name for other in found}:
                raise InputError(f"the name {target.name!r} stands twice; give each target its own")
        except InputError as error:
            raise InputError(f"{place}, line {number}: {error}") from None
        found.append(target)
    return found


def _target(line: str, family: str) -> Target:
    fields = [field.strip() for field in line.split(";")]
    if len(fields) == 5 and not fields[-1]:
        fields.pop()
    if len(fields) != 4:
        raise InputError(
            f"{len(fields)} fields between semicolons where there must be 4: "
            "name; variables; expression; low:high per variable"
        )
    name, variable_text, text, range_text = fields
    if not name:
        raise InputError("the name is missing")
    variables = tuple(re.split(r"[\s,]+", variable_text.strip(" \t,")))
    for variable in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            raise InputError(f"{variable!r} is not a name of a variable, such as x_i")
    if len(set(variables)) < len(variables):
        raise InputError(f"a variable stands twice in {variable_text!r}")
    if len(variables) > MOST_VARIABLES:
        raise InputError(f"{len(variables)} variables; at most {MOST_VARIABLES} are taken")
    unknown = sorted(symbol_names(parse(text)) - set(variables))
    if unknown:
        raise InputError(
            f"the expression holds {', '.join(unknown)}, not among the variables {', '.join(variables)}"
        )
    target = Target(name, variables, text, _ranges(range_text, variables), family)
    values = target.values(target.points(500, 0))
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"{text} is not finite at {np.sum(~np.isfinite(values))} of 500 points of the box; "
            "narrow the ranges"
        )
    return target


def _ranges(text: str, variables: Sequence[str]) -> tuple[tuple[float, float], ...]:
    parts = re.sub(r"\s*:\s*", ":", text).replace(",", " ").split()
    if len(parts) != len(variables):
        raise InputError(
            f"{len(parts)} ranges for {len(variables)} variables; write low:high for each of "
            f"{', '.join(variables)}"
        )
    ranges = []
    for part in parts:
        try:
            low, high = (float(number) for number in part.split(":"))
        except ValueError:
            raise InputError(f"the range {part!r} is not of the form low:high") from None
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"the range {part!r} needs finite numbers, the lower one first")
        ranges.append((low, high))
    return tuple(ranges)
