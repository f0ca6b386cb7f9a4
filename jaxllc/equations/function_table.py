"""The table of functions: all that jaxllc knows of one stands in its record here, and nowhere else.

What reads a law, writes it, evaluates it, brings it to its normal form or searches for it asks the table, so
a function is added by one record (`functions.register`). Nothing is imported here: settings and data name
functions before sympy or JAX is loaded. Values are given for numpy and jax.numpy alike, which are handed in.

Identities between functions, such as tanh u = 2 sigmoid(2 u) - 1, stand where they are used.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial, reduce
from typing import Any


def largest_exponent(largest: float = sys.float_info.max) -> float:
    """The largest argument of exp, of numbers up to the largest of a double or of another type.

    Just below overflow, so that the gradient of 1/(1 + exp(u)) is 0 beyond it and never nan.
    """
    return math.log(largest) - 1.0


def bounded_exp(argument: Any, xp: Any) -> Any:
    """exp of an argument kept below `largest_exponent`: the one clamp of laws, tapes and normal forms."""
    largest = float(xp.finfo(getattr(argument, "dtype", float)).max)
    return xp.exp(xp.minimum(argument, largest_exponent(largest)))


@dataclass(frozen=True)
class Function:
    """One function of expressions.

    name: in laws. sympy: of its class there; without one a class is made, which needs a `definition`.
    derivatives: by each argument, each a function (arguments..., result, f) in which f has the functions of
        the table by name, and `sign` and `less`: of expressions in sympy, of arrays elsewhere.
    value: (arguments..., xp) with xp numpy or jax.numpy, finite where it can be; if not given xp's own.
    exact: path of what takes its place in the columns of a search, where infinity says what to leave out.
    on_tape: takes the place of `value` on a tape.
    definition: (argument, f) in other functions. written_out: laws hold the definition in its stead.
    arguments: how many; more: or more than that. whole: an expression holds it (hill is written out as read).
    lowest: no real value below this argument. parity: 1 even, -1 odd. positive: no value is below zero.
    scaled: a factor of its argument can be taken out of it, as of log and abs.
    middle: a constant in its argument is told as the place of its middle, mu in sigmoid((x - mu)/tau).
    additive: the formula of a sum splits it into products of functions of either part.
    linear: (value, slope) at zero, where a small argument shows no more of it.
    cost: nats to write it down in a search. group: in which a dictionary of features holds it.
    place: among the functions that searches use unless asked otherwise. exchanged: in the order of functions
        that growth puts in place of another.
    latex: a LaTeX command, sympy's way if not given. operon, pysr: its name, or definition, in these engines,
        which do without it where there is none. twin: differs by constants only, so that an engine needs one.
    """

    name: str
    sympy: str = ""
    derivatives: tuple[Callable[..., Any], ...] = ()
    value: Callable[..., Any] | None = None
    exact: str = ""
    on_tape: Callable[..., Any] | None = None
    definition: Callable[..., Any] | None = None
    written_out: bool = False
    arguments: int = 1
    more: bool = False
    whole: bool = True
    lowest: float = -math.inf
    parity: int = 0
    positive: bool = False
    scaled: bool = False
    middle: bool = False
    additive: bool = False
    linear: tuple[Fraction | float, Fraction | float] | None = None
    cost: float = 3.0
    group: str = "step"
    place: int | None = None
    exchanged: int | None = None
    latex: str = ""
    operon: str = ""
    pysr: str = ""
    twin: str = ""

    def of(self, xp: Any, *arguments: Any) -> Any:
        """Its value on arrays of xp, numpy or jax.numpy."""
        if self.value is None:
            return getattr(xp, self.name)(*arguments)
        return self.value(*arguments, xp)

    def tape_value(self, xp: Any, *arguments: Any) -> Any:
        """Its value on a tape."""
        return self.of(xp, *arguments) if self.on_tape is None else self.on_tape(*arguments, xp)

    @cached_property
    def exact_value(self) -> Callable[..., Any]:
        """Its value on arrays of numpy, infinite where it is too large for a double."""
        if self.exact:
            module, _, name = self.exact.rpartition(".")
            return getattr(importlib.import_module(module), name)
        xp = importlib.import_module("numpy")
        of = partial(self.of, xp)
        return (lambda *values: reduce(of, values)) if self.more else of

    def of_number(self, argument: float) -> float:
        """Its value at one number; ValueError or OverflowError where that is no finite real number."""
        if self.name == "abs":
            return abs(argument)
        function = getattr(math, self.name, None)
        value = float(self.exact_value(argument) if function is None else function(argument))
        if not math.isfinite(value):
            raise ValueError(f"{self.name}({argument}) is not finite")
        return value


class OnArrays:
    """The functions of the table on arrays of numpy or jax.numpy, by name, for `Function.derivatives`."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(TABLE[name].of, self.xp)

    def sign(self, u: Any) -> Any:
        return self.xp.sign(u)

    def less(self, a: Any, b: Any) -> Any:
        """1 where a is less than b, else 0."""
        return self.xp.where(a < b, 1.0, 0.0)


_RECORDS = (
    Function(
        "sin",
        "sin",
        (lambda u, c, f: f.cos(u),),
        parity=-1,
        additive=True,
        linear=(0, 1),
        group="wave",
        place=3,
        exchanged=0,
        operon="sin",
        pysr="sin",
        twin="cos",
    ),
    Function(
        "cos",
        "cos",
        (lambda u, c, f: -f.sin(u),),
        parity=1,
        additive=True,
        group="wave",
        place=4,
        operon="cos",
        pysr="cos",
    ),
    Function(
        "tan",
        "tan",
        (lambda u, c, f: 1 + c * c,),
        parity=-1,
        linear=(0, 1),
        group="wave",
        operon="tan",
        pysr="tan",
    ),
    Function(
        "exp",
        "exp",
        (lambda u, c, f: c,),
        bounded_exp,
        "numpy.exp",
        positive=True,
        linear=(1, 1),
        cost=2.5,
        group="exponential",
        place=0,
        exchanged=2,
        operon="exp",
        pysr="exp",
    ),
    Function(
        "log",
        "log",
        (lambda u, c, f: 1.0 / u,),
        lowest=0.0,
        scaled=True,
        group="root",
        place=1,
        operon="log",
        pysr="log",
    ),
    Function(
        "sqrt",
        "sqrt",
        (lambda u, c, f: 0.5 / c,),
        lowest=0.0,
        positive=True,
        group="root",
        place=2,
        operon="sqrt",
        pysr="sqrt",
    ),
    Function(
        "tanh",
        "tanh",
        (lambda u, c, f: 1.0 - c * c,),
        parity=-1,
        linear=(0, 1),
        place=5,
        exchanged=1,
        operon="tanh",
        pysr="tanh",
        twin="sigmoid",
    ),
    Function(
        "sinh",
        "sinh",
        (lambda u, c, f: f.cosh(u),),
        parity=-1,
        linear=(0, 1),
        group="exponential",
        operon="sinh",
        pysr="sinh",
    ),
    Function(
        "cosh",
        "cosh",
        (lambda u, c, f: f.sinh(u),),
        parity=1,
        positive=True,
        group="exponential",
        operon="cosh",
        pysr="cosh",
    ),
    # Of a tape the value is the same up to rounding, which refits of old and new searches should share.
    Function(
        "sigmoid",
        "",
        (lambda u, c, f: c * (1 - c),),
        lambda u, xp: 1.0 / (1.0 + bounded_exp(-u, xp)),
        "scipy.special.expit",
        lambda u, xp: 0.5 * (1.0 + xp.tanh(0.5 * u)),
        lambda u, f: 1 / (1 + f.exp(-u)),
        written_out=True,
        positive=True,
        middle=True,
        linear=(Fraction(1, 2), Fraction(1, 4)),
        place=6,
        exchanged=3,
        operon="tanh",
        pysr="sigmoid(u) = 1 / (1 + exp(-u))",
    ),
    Function(
        "abs",
        "Abs",
        (lambda u, c, f: f.sign(u),),
        parity=1,
        positive=True,
        scaled=True,
        group="kink",
        place=7,
        operon="abs",
        pysr="abs",
    ),
    Function(
        "min",
        "Min",
        (lambda a, b, c, f: f.less(a, b), lambda a, b, c, f: 1.0 - f.less(a, b)),
        lambda a, b, xp: xp.minimum(a, b),
        arguments=2,
        more=True,
        group="kink",
        place=8,
        operon="fmin",
        pysr="min",
    ),
    Function(
        "max",
        "Max",
        (lambda a, b, c, f: 1.0 - f.less(a, b), lambda a, b, c, f: f.less(a, b)),
        lambda a, b, xp: xp.maximum(a, b),
        arguments=2,
        more=True,
        group="kink",
        place=9,
        operon="fmax",
        pysr="max",
    ),
    Function("hill", arguments=3, whole=False),
)
# By name, in the order of texts; `functions.register` adds to it, so no one keeps a copy.
TABLE: dict[str, Function] = {record.name: record for record in _RECORDS}


def _defaults() -> tuple[str, ...]:
    placed = [(r.place, r.name) for r in _RECORDS if r.place is not None]
    return tuple(name for _, name in sorted(placed))


# Functions that searches use unless asked otherwise.
DEFAULT_FUNCTIONS = _defaults()


def searchable() -> tuple[str, ...]:
    """Names of all functions that a search can be asked for, those that it uses anyway first."""
    rest = (r.name for r in TABLE.values() if r.whole and r.name not in DEFAULT_FUNCTIONS)
    return (*DEFAULT_FUNCTIONS, *rest)
