"""The axes in which a law is looked for: x = origin + unit * y, t = start + time unit * s.

States far from zero, as pressures near 100000 that move by one, hide their law: polynomials of x are nearly
one another, and the digits of a constant are lost in the offset. So variables whose mean is `FAR` times their
standard deviation are measured from a round number near them, times from the first sample, and what is
beyond all usual sizes in units of a power of ten. The law is written in x again, with x - origin kept whole.
Other data are left as they are: x_i*x_j, log(x_i) and Hill terms are not the same forms from another origin.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_building import product_of, replaced, sum_of
from jaxllc.equations.expressions import parse, to_text
from jaxllc.errors import InputError
from jaxllc.law.record import LawRecord
from jaxllc.settings.discover_settings import DiscoverSettings

# Mean of a variable, in standard deviations, from which on it may be measured from another origin than zero,
# and from which on it is: between them zero is one of the origins that are compared.
FAR, FARTHEST = 30.0, 300.0
# Standard deviations and durations within these are left in their units.
USUAL = (1e-12, 1e12)
# Beyond these, numbers of a law leave the range of a double.
_POSSIBLE = (1e-280, 1e280)
# Under this name, `Law.settings` keeps the origins.
MEASURED_FROM = "measured_from"
_IN_STRENGTH = sympy.Symbol("k_i")


@dataclass(frozen=True)
class Axes:
    """origins, units: of the variables that have others than 0 and 1; time_unit: of all runs."""

    origins: Mapping[str, sympy.Rational] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    time_unit: float = 1.0
    late: bool = False

    @property
    def usual(self) -> bool:
        """Whether nothing has to be written anew."""
        return not self.origins and not self.units and self.time_unit == 1.0 and not self.late

    # -- data ------------------------------------------------------------------------------------

    def inside(self, runs: Sequence[Trajectories]) -> list[Trajectories]:
        """The runs on these axes."""
        if self.usual:
            return list(runs)
        moved = []
        for run in runs:
            start = run.times[0] if self.late else 0.0
            times = (run.times - start) / self.time_unit
            states = (run.states - self._origin(run.variables)) / self._unit(run.variables)
            on_axes = {n: c.moved(start, self.time_unit) for n, c in run.inputs.items()}
            moved.append(replace(replaced_data(run, times, states), inputs=on_axes))
        return moved

    def _origin(self, variables: Sequence[str]) -> np.ndarray:
        return np.array([float(self.origins.get(v, 0)) for v in variables])

    def _unit(self, variables: Sequence[str]) -> np.ndarray:
        return np.array([self.units.get(v, 1.0) for v in variables])

    def settings_inside(self, settings: DiscoverSettings) -> DiscoverSettings:
        """Known terms on these axes; raises InputError where what is known has no meaning there."""
        if self.units or self.time_unit != 1.0:
            for name in ("known", "bounds", "forcing"):
                if getattr(settings, name) not in (None, "none"):
                    raise InputError(
                        f"{name} cannot be used with states or times of such a size: give them in another "
                        f"unit, with spreads between {USUAL[0]:g} and {USUAL[1]:g}"
                    )
        if not self.origins or not settings.known:
            return settings
        back = Axes({v: -c for v, c in self.origins.items()})
        known = {
            v: tuple(to_text(back.written(parse(t))) if t else t for t in texts)
            for v, texts in settings.known.items()
        }
        return replace(settings, known=known)

    # -- expressions -----------------------------------------------------------------------------

    def written(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression of y as one of x; x - origin stays whole, and cancels where it can."""

        def moved(e: sympy.Expr) -> sympy.Expr | None:
            if e.is_Symbol:
                return self._symbol(e)
            if e.is_Add:
                return self._unmoved_sum(e, moved)
            return None

        return replaced(expression, moved)

    def _place(self, symbol: sympy.Expr) -> tuple[str, str] | None:
        """Variable and side of a symbol that has another meaning on these axes."""
        if not symbol.is_Symbol or symbol.name[-2:] not in ("_i", "_j", "_s"):
            return None
        name = symbol.name[:-2]
        return (name, symbol.name[-1]) if name in self.origins or name in self.units else None

    def _symbol(self, symbol: sympy.Symbol) -> sympy.Expr:
        place = self._place(symbol)
        if place is None:
            return symbol
        name, side = place
        result: sympy.Expr = symbol
        if name in self.origins:
            shift = -self.origins[name]
            offset = product_of((shift, _IN_STRENGTH)) if side == "s" else shift
            result = sum_of((symbol, offset))
        if name in self.units:
            result = product_of((sympy.Float(1.0 / self.units[name]), result))
        return result

    def _unmoved_sum(self, total: sympy.Expr, moved: Any) -> sympy.Expr | None:
        """A sum in which the origins cancel, as x_j - x_i; None for others."""
        if self.units:
            return None
        number, strength = sympy.Integer(0), sympy.Integer(0)
        linear, others = [], []
        for term in total.args:
            coefficient, rest = term.as_coeff_Mul()
            place = self._place(rest)
            if place is not None:
                linear.append(term)
                shift = coefficient * self.origins[place[0]]
                number -= 0 if place[1] == "s" else shift
                strength -= shift if place[1] == "s" else 0
            elif term.is_Number:
                number += term
            else:
                strength += coefficient if rest == _IN_STRENGTH else 0
                others.append(term)
        scale = max((abs(float(c)) for c in self.origins.values()), default=0.0)
        if not linear or abs(float(number)) > 1e-13 * scale or abs(float(strength)) > 1e-13 * scale:
            return None
        if any(self._place(t.as_coeff_Mul()[1])[1] == "s" for t in linear):  # type: ignore[index]
            others = [t for t in others if t.as_coeff_Mul()[1] != _IN_STRENGTH]
        return sum_of([*linear, *(replaced(t, moved) for t in others)])

    def rate(self, variable: str) -> float:
        """dx/dt in units of dy/ds."""
        return self.units.get(variable, 1.0) / self.time_unit

    def equation(self, variable: str, equation: Equation) -> Equation:
        """An equation of dy/ds as one of dx/dt; raises InputError where a number leaves the doubles."""
        rate = sympy.Float(self.rate(variable))

        def term(expression: sympy.Expr) -> sympy.Expr:
            written = self.written(expression)
            if rate == 1:
                return written
            return sum_of(product_of((rate, t)) for t in sympy.Add.make_args(written))

        return Equation(*(term(e) for e in equation))

    def texts(self, equations: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Equations as text."""
        return {
            v: self.equation(v, Equation.from_text(*pair)).to_text()
            for v, pair in equations.items()
        }

    def sentence(self, text: str) -> str:
        """A sentence about y as one about x."""

        def written(match: re.Match[str]) -> str:
            whole = str(self._symbol(sympy.Symbol(match[0])))
            return whole if whole == match[0] else f"({whole})"

        return re.sub(r"\b[A-Za-z]\w*_[ijs]\b", written, text) if self.origins else text

    def notes(self) -> Iterator[str]:
        """What was done to the data before a law was looked for."""
        for name, origin in self.origins.items():
            yield (
                f"{name} was measured from {as_written(origin)}, as it lies far from 0 for its spread."
            )
        for name, unit in self.units.items():
            yield f"{name} was measured in units of {unit:g}, as its spread is an unusual number."
        if self.time_unit != 1.0:
            yield f"Times were measured in units of {self.time_unit:g}, as their span is an unusual number."


def origins_of(law: LawRecord) -> dict[str, float]:
    """What the variables of a law were measured from as it was found, where that was not zero."""
    given = law.settings.get(MEASURED_FROM)
    if not isinstance(given, Mapping):
        return {}
    return {
        str(v): float(c)
        for v, c in given.items()
        if v in law.equations and isinstance(c, int | float) and math.isfinite(c) and c
    }


def moved_to(
    equations: Mapping[str, Equation], origins: Mapping[str, float]
) -> dict[str, Equation]:
    """Equations of x as those of x - origin."""
    exact = {v: Fraction(repr(c)) for v, c in origins.items()}
    back = Axes({v: sympy.Rational(-c.numerator, c.denominator) for v, c in exact.items()})
    return {v: Equation(*map(back.written, e)) for v, e in equations.items()}


def as_written(number: sympy.Rational) -> str:
    """A decimal number as people write it."""
    return f"{int(number)}" if number.is_Integer else f"{float(number):.15g}"


def replaced_data(run: Trajectories, times: np.ndarray, states: np.ndarray) -> Trajectories:
    """A run with other times and states; raises InputError where times are no longer apart."""
    if (np.diff(times) <= 0).any():
        raise InputError(
            "times are too close to one another for their size: give them in another unit"
        )
    return replace(run, times=times, states=states)


def axes_of(runs: Sequence[Trajectories]) -> list[Axes]:
    """The axes that fit the sizes of the data: one, or several where more than one origin is likely."""
    spans = [float(run.times[-1] / 2 - run.times[0] / 2) * 2 for run in runs]
    late = any(abs(r.times[0]) > span > 0 for r, span in zip(runs, spans, strict=True))
    time_unit = unit_of(max(spans, default=1.0), "the times") or 1.0
    units: dict[str, float] = {}
    candidates: list[dict[str, sympy.Rational]] = [{} for _ in range(4)]
    for v, name in enumerate(runs[0].variables):
        seen = np.concatenate([run.states[..., v].ravel() for run in runs])
        seen = seen[np.isfinite(seen)]
        size = float(np.abs(seen).max()) if len(seen) else 0.0
        if size == 0:
            continue
        scaled = seen / size
        mean, spread = float(scaled.mean()), float(scaled.std())
        if spread == 0:
            continue
        if abs(mean) >= FAR * spread and len(seen) > 2:
            likely = _origins(seen)
            if abs(mean) < FARTHEST * spread:
                likely[0] = sympy.Rational(0)
            for number, origin in enumerate(likely):
                if origin:
                    candidates[number][name] = origin
        if unit := unit_of(spread * size, f"the states of {name}"):
            units[name] = unit
    distinct: list[Axes] = []
    for origins in candidates:
        axes = Axes(origins, units, time_unit, late)
        distinct += [] if axes in distinct else [axes]
    return distinct


def unit_of(spread: float, what: str) -> float | None:
    """A power of ten near a spread that is no usual number; raises InputError where there can be none."""
    if not math.isfinite(spread) or (spread and not _POSSIBLE[0] < spread < _POSSIBLE[1]):
        raise InputError(
            f"{what} spread over {spread:g}, at the end of the range of a double: give them in another unit"
        )
    if spread == 0 or USUAL[0] <= spread <= USUAL[1]:
        return None
    return 10.0 ** round(math.log10(spread))


def _origins(seen: np.ndarray) -> list[sympy.Rational]:
    """Round numbers at and near the values seen, those farther away rounder."""
    low, high = Fraction(float(seen.min())), Fraction(float(seen.max()))
    width = high - low
    found = []
    ends = [(low - m * width, high + m * width) for m in (10, 1, Fraction(1, 20))]
    # What is never negative often starts near zero.
    ends.append((low - width / 4, low + width / 20))
    for a, b in ends:
        found.append(_roundest(a, b, low) if a * b > 0 else sympy.Rational(0))
    return found


def _roundest(low: Fraction, high: Fraction, near: Fraction) -> sympy.Rational:
    """The number between two others that people would write with the fewest digits."""
    power = math.ceil(math.log10(float(max(abs(low), abs(high))))) + 1
    while True:
        step = Fraction(10) ** power
        first, last = math.ceil(low / step), math.floor(high / step)
        if first <= last:
            fives = [m for m in range(first, last + 1) if m % 5 == 0]
            best = min(fives or range(first, last + 1), key=lambda m: abs(m * step - near)) * step
            return sympy.Rational(best.numerator, best.denominator)
        power -= 1
