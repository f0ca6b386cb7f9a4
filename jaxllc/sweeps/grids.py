"""Grid: which runs a sweep is made of, an ordered tuple of points, each a plain dict of JSON values.

A point is known by its key, the canonical JSON of it: records name runs by their keys, so that a grid may be
extended, cut or put in another order, and what is done stays done.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np

from jaxllc.errors import InputError, as_finite, check_integer, check_seed, listing, quoted

Point = dict[str, Any]
GridLike: TypeAlias = "Grid | Mapping[str, Iterable[Any]] | Iterable[Point]"

_DIGITS = 12  # of numbers in a range: 1e-5, not 9.999999999999999e-06
_LARGEST_INTEGER = 2**62
_MOST = 1_000_000  # points that are made at once
_TRIES = 100  # draws for each point that is wanted, before random_draws gives up


@dataclass(frozen=True)
class Grid:
    """An ordered tuple of different points; `*` is the product of two grids, `+` their union.

    Raises InputError for values that JSON cannot hold, and for a point that stands twice.

    Example:
        >>> grid(l2=[1e-6, 1e-5]) * zipped(seed=range(3), fold=range(3)) + grid(l2=[0.0], seed=range(3))
        Grid(9 points over l2, seed, fold)
    """

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        given = listing("points", self.points, "points", "[{'l2': 1e-5, 'seed': 0}]")
        plain = tuple(_plain_point(point) for point in given)
        object.__setattr__(self, "points", plain)
        seen: set[str] = set()
        for key in self.keys:
            if key in seen:
                raise InputError(f"the point {key} stands twice in the grid; give each point once")
            seen.add(key)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key of each point, in order."""
        return tuple(key_of(point) for point in self.points)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all fields of the points, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for point in self.points for name in point))

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return (dict(point) for point in self.points)

    def __getitem__(self, which: slice) -> Grid:
        if not isinstance(which, slice):
            raise InputError(f"a grid is cut by a slice such as grid[:10], not by {which!r}")
        return Grid(self.points[which])

    def __mul__(self, other: Grid) -> Grid:
        """Every point of this grid with every one of the other, which must not share an axis."""
        _check_grid(other)
        shared = [name for name in self.axes if name in other.axes]
        if shared:
            raise InputError(
                f"both grids of the product have the axis {shared[0]!r}; leave it out of one of them, or "
                "join the grids by +"
            )
        return Grid(tuple({**a, **b} for a, b in itertools.product(self.points, other.points)))

    def __add__(self, other: Grid) -> Grid:
        """The points of this grid, then those of the other that are not in this one."""
        _check_grid(other)
        here = set(self.keys)
        new = (p for p, key in zip(other.points, other.keys, strict=True) if key not in here)
        return Grid((*self.points, *new))

    def __repr__(self) -> str:
        return f"Grid({len(self)} points over {', '.join(self.axes) or 'no axis'})"


def key_of(point: Mapping[str, Any]) -> str:
    """The canonical JSON of a point: equal for equal points, whatever the order of their fields."""
    return json.dumps(point, sort_keys=True, separators=(",", ":"), allow_nan=False)


def grid(**axes: Iterable[Any]) -> Grid:
    """The product of the axes, the last one fastest; without axes one empty point.

    axes: the values of each field. Raises InputError for one without values, or values that JSON cannot hold.

    Example:
        >>> grid(l2=[1e-6, 1e-5], seed=range(50))
        Grid(100 points over l2, seed)
    """
    columns = _columns(axes)
    rows = itertools.product(*columns.values())
    return Grid(tuple(dict(zip(columns, row, strict=True)) for row in rows))


def zipped(**axes: Iterable[Any]) -> Grid:
    """The first values of all axes together, then the second ones, and so on.

    Raises InputError for axes of unequal length, and as `grid` does.

    Example:
        >>> zipped(seed=range(20), fold=range(20))
        Grid(20 points over seed, fold)
    """
    columns = _columns(axes)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"zipped needs axes of one length, not {said}; join unequal ones by grid")
    rows = zip(*columns.values(), strict=True) if columns else [()]
    return Grid(tuple(dict(zip(columns, row, strict=True)) for row in rows))


def points(given: Iterable[Point]) -> Grid:
    """A grid of any points, in this order.

    given: dicts. Raises InputError for what is none, and as Grid does.

    Example:
        >>> points([{"l2": 1e-5, "seed": 0}, {"l1": 1e-4}])
        Grid(2 points over l2, seed, l1)
    """
    return Grid(tuple(listing("points", given, "points", "[{'l2': 1e-5, 'seed': 0}]")))


def grid_of(given: GridLike) -> Grid:
    """A grid as it is; the product of a mapping from axes to values; or points, one after the other.

    A DataFrame has a point in each row. Raises InputError for anything else.

    Example: `grid_of({"l2": [1e-6, 1e-5], "seed": range(3)})` is `grid(l2=[1e-6, 1e-5], seed=range(3))`.
    """
    if isinstance(given, Grid):
        return given
    if isinstance(given, Mapping):
        if not all(isinstance(name, str) for name in given):
            raise InputError(f"grid is {quoted(dict(given), 80)}; give text for the names of axes")
        return grid(**given)
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        return points(given.to_dict("records"))
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise InputError(
            f"grid is {quoted(given, 60)}; make one by grid, zipped, points or random_draws, or give a "
            "mapping such as {'l2': [1e-6, 1e-5], 'seed': [0, 1]} or a list of points"
        )
    return points(given)


def log_range(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` numbers from low to high, each by the same factor larger than the one before.

    Raises InputError unless 0 < low <= high, and for a count below 1.

    Example:
        >>> log_range(1e-6, 1e-4, 3)
        (1e-06, 1e-05, 0.0001)
    """
    check_integer("count", count, 1, most=_MOST)
    _check_bounds("log_range", low, high, positive=True)
    if count == 1 and low != high:
        raise InputError(f"count is 1, but {low:g} and {high:g} are two numbers; give at least 2")
    return tuple(
        float(f"{x:.{_DIGITS}g}") for x in np.geomspace(float(low), float(high), int(count))
    )


@dataclass(frozen=True)
class Uniform:
    """A number between low and high, each as likely; raises InputError unless low <= high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("Uniform", self.low, self.high)

    def draw(self, random: np.random.Generator) -> float:
        """One number, by this generator `random`."""
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """A number between low and high whose logarithm is uniform; raises InputError unless 0 < low <= high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("LogUniform", self.low, self.high, positive=True)

    def draw(self, random: np.random.Generator) -> float:
        """One number, by this generator `random`."""
        drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, float(self.low)), float(self.high))


@dataclass(frozen=True)
class Integers:
    """A whole number from low to high, both included; raises InputError for other numbers."""

    low: int
    high: int

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high)):
            whole = isinstance(value, Integral) and as_finite(value) is not None
            if not whole or abs(value) > _LARGEST_INTEGER:
                raise InputError(
                    f"{name} of Integers is {quoted(value, 80)}; give a whole number of at most 2**62"
                )
        _check_bounds("Integers", self.low, self.high)

    def draw(self, random: np.random.Generator) -> int:
        """One number, by this generator `random`."""
        return int(random.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True)
class Choice:
    """One of the values, each as likely; raises InputError where there are none."""

    values: Sequence[Any]

    def __post_init__(self) -> None:
        given = listing("values of Choice", self.values, "values", "['mml', 'sigmoid']")
        object.__setattr__(self, "values", tuple(given))
        if not self.values:
            raise InputError("values of Choice is empty; give what to choose from")

    def draw(self, random: np.random.Generator) -> Any:
        """One value, by this generator `random`."""
        return self.values[int(random.integers(len(self.values)))]


Distribution = Uniform | LogUniform | Integers | Choice


def random_draws(count: int, draws_seed: int, /, **axes: Distribution) -> Grid:
    """`count` different random points, each field drawn by its own distribution.

    draws_seed: the same one gives the same points. axes: a Uniform, LogUniform, Integers or Choice for each
    field. A larger count keeps the points of a smaller one, and each axis has random numbers of its own, so
    that a new axis leaves the values of the others as they are. An axis may be named seed: the first two
    arguments have no names.

    Raises InputError where the distributions do not have as many different points.

    Example:
        >>> random_draws(20, 0, l2=LogUniform(1e-6, 1e-4), learning_rate=Uniform(1e-3, 3e-3))
        Grid(20 points over l2, learning_rate)
    """
    check_integer("count", count, 1, most=_MOST)
    check_seed("the seed of the draws", draws_seed)
    for name, axis in axes.items():
        if not isinstance(axis, Distribution):
            raise InputError(
                f"{name} is {quoted(axis, 60)}; give Uniform, LogUniform, Integers or Choice for each axis"
            )
    streams = {name: np.random.default_rng([draws_seed, _number_of(name)]) for name in axes}
    drawn: dict[str, Point] = {}
    for _ in range(_TRIES * count):
        point = _plain_point({name: axis.draw(streams[name]) for name, axis in axes.items()})
        drawn.setdefault(key_of(point), point)
        if len(drawn) == count:
            return Grid(tuple(drawn.values()))
    raise InputError(
        f"count is {count}, but {_TRIES * count} draws gave only {len(drawn)} different points; ask for fewer"
    )


def _number_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _columns(axes: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for name, values in axes.items():
        alone = isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable)
        if alone or getattr(values, "ndim", 1) == 0 or hasattr(values, "columns"):
            shown = quoted(values, 60)
            raise InputError(f"{name} is {shown}; give a list of its values, such as [{shown}]")
        columns[name] = list(values)
        if not columns[name]:
            raise InputError(f"{name} has no value; give at least one, or leave the axis out")
    return columns


def _check_bounds(what: str, low: Any, high: Any, positive: bool = False) -> None:
    if None in (as_finite(low), as_finite(high)) or low > high or (positive and low <= 0):
        wanted = "0 < low <= high" if positive else "low <= high"
        raise InputError(
            f"{what} has low {quoted(low, 80)} and high {quoted(high, 80)}; it needs numbers, {wanted}"
        )


def _check_grid(other: Any) -> None:
    if not isinstance(other, Grid):
        raise InputError(
            f"a grid is joined with another grid, not with {quoted(other, 60)}; make one by grid or points"
        )


def _plain_point(point: Mapping[str, Any]) -> Point:
    if not isinstance(point, Mapping) or not all(isinstance(name, str) for name in point):
        raise InputError(
            f"a point of a grid is a dict with text for names, not {quoted(point, 80)}"
        )
    return {name: _plain(value, name) for name, value in point.items()}


def _plain(value: Any, name: str) -> Any:
    """The value as JSON gives it back: tuples as lists, NumPy numbers as Python's."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one, name) for one in value]
    if isinstance(value, Mapping) and all(isinstance(one, str) for one in value):
        return {one: _plain(inner, name) for one, inner in value.items()}
    raise InputError(
        f"{name} is {value!r:.60} in a point of the grid; give finite numbers, text, lists or None, "
        "which JSON can hold, such as the name of an object in place of it"
    )
