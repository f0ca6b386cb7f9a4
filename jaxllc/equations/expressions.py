"""Equations as text, as sympy expressions, and as numbers.

A law is read from text by a recursive-descent parser that knows arithmetic and a list of named
functions, and nothing else: no text is ever handed to Python or to sympy to interpret. What is read is
put together by `expression_building`, as it is written, so that no text takes long. Symbols are
`x_i` (receiver) and `x_j` (sender) for a variable x, `a_i` and `a_j` for a node feature a, and
`k_i` for the in-strength of the receiver.

Numbers come out of an expression through its tape.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
import sympy

from jaxllc.equations import expression_calculus
from jaxllc.equations.expression_building import call, power_of, product_of, sum_of
from jaxllc.equations.expression_text import to_text
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import EXTREMES, FUNCTIONS, KNOWN_NAMES, NOT_REAL
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.equations.tapes.unrolled import run
from jaxllc.errors import InputError

__all__ = ["FUNCTIONS", "constants", "evaluate", "parse", "symbol_names", "to_text"]

# Limits that keep a crafted text from taking long: every accepted constant fits a double.
MAX_LENGTH = 20_000
MAX_DEPTH = 40
MAX_EXPONENT = 100
MAX_DIGITS = 100
MAX_HILL_SIZE = 200  # parts of x in hill(x, K, n)
MAX_ARGUMENTS = 10  # of min and max, which sympy may compare pair by pair

_MINUS = sympy.Integer(-1)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<operator>\*\*|[-+*/(),]))",
    re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> sympy.Expr:
    """Read an expression: + - * / **, numbers, names, parentheses and named functions.

    Functions: those of one argument in `FUNCTIONS`, min(a, b, ...), max(a, b, ...), and
    hill(x, K, n) for a number n, which is read as x**n/(K**n + x**n).
    Raises InputError, with the position, for anything else, and for constants that are not
    real numbers within the range of a double.
    """
    if not isinstance(text, str):
        raise InputError(f"An expression must be text, but it is a {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"The expression has {len(text)} characters; at most {MAX_LENGTH} are read."
        )
    return _Parser(_tokens(text), text).read()


def _tokens(text: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            at = position + len(text[position:]) - len(text[position:].lstrip())
            raise InputError(
                f"Unexpected character {text[at]!r} at position {at + 1} of the expression; only "
                "numbers, names, parentheses, commas and + - * / ** are read."
            )
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    tokens.append(_Token("end", "the end", end))
    return tokens


class _Parser:
    """sum := product (+|- product)*; product := signed (*|/ signed)*; signed := [-|+] power;
    power := atom [** signed]; atom := number | name | name(sum, ...) | (sum)."""

    def __init__(self, tokens: list[_Token], text: str):
        self.tokens, self.text, self.next, self.depth = tokens, text, 0, 0

    def read(self) -> sympy.Expr:
        result = self.sum()
        if self.token.kind != "end":
            self.fail(f"Unexpected {self.token.text!r}")
        return result

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def take(self, *operators: str) -> str | None:
        if self.token.kind == "operator" and self.token.text in operators:
            self.next += 1
            return self.tokens[self.next - 1].text
        return None

    def fail(self, what: str) -> NoReturn:
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        raise InputError(f"{what} at position {self.token.position + 1} of {shown!r}.")

    def sum(self) -> sympy.Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"The expression is nested more than {MAX_DEPTH} deep")
        terms = [self.product()]
        while sign := self.take("+", "-"):
            term = self.product()
            terms.append(term if sign == "+" else self.built(product_of, (_MINUS, term)))
        self.depth -= 1
        return self.built(sum_of, terms) if len(terms) > 1 else terms[0]

    def product(self) -> sympy.Expr:
        factors = self.signed()
        while operator := self.take("*", "/"):
            more = self.signed()
            if operator == "/":
                more = [self.power_of(factor, _MINUS) for factor in more]
            factors += more
        return self.built(product_of, factors) if len(factors) > 1 else factors[0]

    def signed(self) -> list[sympy.Expr]:
        factors: list[sympy.Expr] = []
        while sign := self.take("+", "-"):
            if sign == "-":
                factors = [] if factors else [_MINUS]
        return [*factors, self.power()]

    def power(self) -> sympy.Expr:
        base = self.atom()
        if self.take("**"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail(f"The expression is nested more than {MAX_DEPTH} deep")
            exponent = self.signed()
            self.depth -= 1
            base = self.power_of(base, self.built(product_of, exponent))
        return base

    def power_of(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        if not exponent.free_symbols:
            size = self.constant(exponent)
            if abs(size) > MAX_EXPONENT:
                self.fail(f"An exponent beyond {MAX_EXPONENT}")
            if not base.free_symbols:
                value = self.constant(base)
                try:
                    math.pow(value, size)
                except (ValueError, OverflowError):
                    self.fail("A constant that is not a real number within the range of a double")
        return self.built(power_of, base, exponent)

    def atom(self) -> sympy.Expr:
        token = self.token
        if self.take("("):
            inside = self.sum()
            self.close()
            return inside
        if token.kind == "number":
            self.next += 1
            return self.number(token.text)
        if token.kind == "name":
            self.next += 1
            if self.take("("):
                if token.text not in KNOWN_NAMES:
                    self.next -= 2
                    self.fail(f"Unknown function {token.text!r} (known: {', '.join(KNOWN_NAMES)})")
                return self.call(token.text)
            if token.text in KNOWN_NAMES:
                self.fail(f"The function {token.text!r} needs an argument in parentheses")
            return sympy.pi if token.text == "pi" else sympy.Symbol(token.text)
        self.fail(f"Expected a number, a name or a parenthesis, but found {token.text!r}")

    def close(self) -> None:
        if self.token.text == ",":
            self.fail("Unexpected ',', which stands only between the arguments of a function,")
        if not self.take(")"):
            self.fail("A closing parenthesis is missing")

    def call(self, name: str) -> sympy.Expr:
        """A function whose opening parenthesis was read."""
        if self.token.text == ")":
            self.fail(
                f"The function {name!r} needs an argument in parentheses; an empty pair stands"
            )
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        count = len(arguments)
        if name in EXTREMES and count < 2:
            self.fail(f"The function {name!r} takes two or more arguments, not 1, and ends")
        expected = TABLE[name].arguments
        if name not in EXTREMES and count != expected:
            plural = "" if expected == 1 else "s"
            self.fail(
                f"The function {name!r} takes {expected} argument{plural}, not {count}, and ends"
            )
        self.close()
        if name in EXTREMES:
            result = self.built(call, name, arguments)
            if len(result.args) > MAX_ARGUMENTS:
                self.fail(f"More than {MAX_ARGUMENTS} arguments of {name!r} end")
            return result
        if name == "hill":
            return self.hill(*arguments)
        (inside,) = arguments
        if not inside.free_symbols:
            self.constant(inside, name)
        return self.built(call, name, arguments)

    def hill(self, x: sympy.Expr, K: sympy.Expr, n: sympy.Expr) -> sympy.Expr:
        if n.free_symbols:
            self.fail("hill(x, K, n) with an n that is not a number ends")
        # x is written twice, so hill in hill in hill grows exponentially.
        if sum(1 for _ in sympy.preorder_traversal(x)) > MAX_HILL_SIZE:
            self.fail("hill(x, K, n) of too long an x ends")
        above = self.power_of(x, n)
        below = self.built(sum_of, (self.power_of(K, n), above))
        return self.built(product_of, (above, self.power_of(below, _MINUS)))

    def number(self, text: str) -> sympy.Expr:
        if len(text) > MAX_DIGITS:
            self.fail(f"A number of more than {MAX_DIGITS} digits")
        if text.isdigit():
            return sympy.Integer(int(text))
        if not math.isfinite(float(text)):
            self.fail(f"The number {text} is beyond the range of a double, and stands")
        return sympy.Float(float(text))

    def constant(self, expression: sympy.Expr, function: str | None = None) -> float:
        """The value of an expression without symbols, found without sympy's own arithmetic."""
        try:
            with np.errstate(all="ignore"):
                # Not by a tape, where exp is bounded.
                value = float(expression_calculus.evaluate(expression, {}))
                if function is not None:
                    value = float(TABLE[function].exact_value(value))
        except (OverflowError, ZeroDivisionError):
            value = math.nan
        if not math.isfinite(value):
            self.fail("A constant that is not a real number within the range of a double")
        return value

    def built(self, build: Callable[..., sympy.Expr], *parts: Any) -> sympy.Expr:
        """What `build` makes of the parts; what has no symbol must be a number that a double holds."""
        try:
            result = build(*parts)
        except InputError:
            self.fail("A constant that is not a real number within the range of a double")
        if result.has(*NOT_REAL):
            self.fail("A division by zero or another value that is not a real number")
        for factor in sympy.Mul.make_args(result):
            if factor.is_Pow and factor.exp.is_Number and abs(float(factor.exp)) > MAX_EXPONENT:
                self.fail(f"An exponent beyond {MAX_EXPONENT}")
        fixed = [a for a in result.args if not a.free_symbols] if result.is_Mul else [result]
        if any(not part.is_Number and not part.free_symbols for part in fixed):
            self.constant(sympy.Mul(*fixed, evaluate=False))
        return result


def evaluate(expression: sympy.Expr, values: Mapping[str, Any], xp: Any = np) -> Any:
    """The value of an expression; `xp` is numpy or jax.numpy.

    values: an array (or number) per symbol name, of shapes that broadcast together.
    """
    tape = law_tape(expression)
    (value,) = run(tape.instructions, tape.constants, values, xp)
    return value


def constants(expression: sympy.Expr) -> list[float]:
    """The numeric constants of an expression, in the canonical order of `law_tape`."""
    return list(law_tape(expression).constants)


def symbol_names(expression: sympy.Expr) -> set[str]:
    """Names of the symbols in an expression."""
    return {symbol.name for symbol in expression.free_symbols}
