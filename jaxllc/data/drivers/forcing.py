"""An unknown forcing: a smooth function of the time that acts on all nodes alike, and is found with a law.

It is a sum of Legendre polynomials of the time between the first and the last sample of all runs, on the
clock that these share. That of degree zero is left to the law, whose own constant cannot be told from it: the
mean of a forcing over that time is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

# In the place of a table: the input is a forcing that was found with the law.
FORCING = "forcing"
# Polynomials of a forcing: at least, which tell a period and a half, at most, and as a share of the sample
# times at most. Knots between which a polynomial is a straight line, dense where it bends most.
DEGREES, _MOST = 11, 35
_SHARE = 2 / 3
_KNOTS = 513
# Times of a table, and quantile of a band of 95 %.
_TIMES = 101
BAND = 1.959964
_NAME = "legendre"


@dataclass(frozen=True, eq=False)
class Forcing:
    """A forcing of one variable; rates of that variable, in its units per unit of time.

    name: its symbol in the equations. start, stop: between which times it is known. coefficients: of the
    Legendre polynomials of degree 1, 2, ... of the time, scaled to [-1, 1]; covariance: of these, nan where
    the samples leave them open.
    """

    variable: str
    name: str
    start: float
    stop: float
    coefficients: Float[np.ndarray, " degree"]
    covariance: Float[np.ndarray, "degree degree"]

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """Times for a table, evenly from start to stop."""
        return np.linspace(self.start, self.stop, _TIMES)

    def at(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Values at some times; nan where it is not known."""
        values = self.coefficients @ _polynomials(self._scaled(times), len(self.coefficients))
        return np.where(self._known(times), values, np.nan)

    def errors(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Standard errors of these."""
        shapes = _polynomials(self._scaled(times), len(self.coefficients))
        variance = np.einsum("at,ab,bt->t", shapes, self.covariance, shapes)
        return np.where(self._known(times), np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def course(self) -> InputCourse:
        """The same as an input, as the law was fitted with it."""
        knots = _knots()
        values = self.coefficients @ _polynomials(knots, len(self.coefficients))
        return InputCourse(_moved(knots, self.start, self.stop), values[None])

    def check_covers(self, first: float, last: float) -> None:
        """Raises InputError where it is asked for at times at which it is not known."""
        if not (self._known(np.array([first, last]))).all():
            raise InputError(
                f"the forcing {self.name} is known from {self.start:.6g} to {self.stop:.6g}, the time of the "
                f"samples, and not outside it, but times go from {first:.6g} to {last:.6g}; give times "
                f"within it, or a forcing of your own, inputs={{{self.name!r}: (times, values)}}"
            )

    def _known(self, times: np.ndarray) -> np.ndarray:
        return np.abs(self._scaled(times)) <= 1.0 + 1e-9

    def _scaled(self, times: np.ndarray) -> np.ndarray:
        middle, half = (self.stop + self.start) / 2, (self.stop - self.start) / 2
        return (np.asarray(times, dtype=float) - middle) / half


def with_shapes(runs: Sequence[Trajectories]) -> tuple[list[Trajectories], tuple[float, float]]:
    """The runs with an input for each polynomial, lowest degree first, and the first and last time of all."""
    start = min(float(run.times[0]) for run in runs)
    stop = max(float(run.times[-1]) for run in runs)
    first, name = runs[0], _NAME
    while any(n.startswith(name) for n in (*first.variables, *first.node_features, *first.inputs)):
        name += "e"
    knots = _knots()
    count = len(np.unique(np.concatenate([run.times for run in runs])))
    degrees = min(_MOST, max(1, int(_SHARE * count)))
    shapes = {
        f"{name}{degree}": InputCourse(_moved(knots, start, stop), values[None], is_shape=True)
        for degree, values in enumerate(_polynomials(knots, degrees), 1)
    }
    return [replace(run, inputs={**run.inputs, **shapes}) for run in runs], (start, stop)


def without_shapes(runs: Sequence[Trajectories]) -> tuple[Trajectories, ...]:
    """The runs without the inputs that `with_shapes` added."""
    return tuple(
        replace(run, inputs={n: c for n, c in run.inputs.items() if not c.is_shape}) for run in runs
    )


def forcing_name(variable: str, taken: Sequence[str]) -> str:
    """The symbol of the forcing of a variable: one that nothing has, and that belongs to no node."""
    for name in (f"u_{variable}", f"u{variable}", f"forcing_{variable}", f"forcing{variable}"):
        if name not in taken and not name.endswith(("_i", "_j", "_s")):
            return name
    raise InputError(
        f"u_{variable}, u{variable}, forcing_{variable} and forcing{variable} are names of the data, so that "
        f"there is none left for the forcing of {variable}: give one of these another name"
    )


def _knots() -> np.ndarray:
    return np.sin(np.pi / 2 * np.linspace(-1.0, 1.0, _KNOTS))


def _moved(knots: np.ndarray, start: float, stop: float) -> np.ndarray:
    times = (stop + start) / 2 + (stop - start) / 2 * knots
    times[0], times[-1] = start, stop
    return times


def _polynomials(scaled: np.ndarray, degrees: int) -> Float[np.ndarray, "degree time"]:
    return np.polynomial.legendre.legvander(np.clip(scaled, -1.0, 1.0), degrees)[..., 1:].T
