"""A normal form of equations: a sum of terms, each a coefficient times factors with inner constants.

It makes equal what is written differently: products are multiplied out; 1/(a + b x) is scaled so
that a is 1; exp(u)/(1 + exp(u)) and 1/(1 + exp(-u)) are one sigmoid; sin(x_j - x_i) and
-sin(x_i - x_j) are one term; max(-x, -y) is -min(x, y). What stands under a power or a logarithm
is taken for positive where it has to be: log(x y) is log(x) + log(y).
`term_shape` says how sums, terms and factors are held.
"""

from __future__ import annotations

import math

import sympy

from jaxllc.equations.expression_building import real_value
from jaxllc.equations.extremes import canonical_extreme
from jaxllc.equations.function_table import TABLE, largest_exponent
from jaxllc.equations.functions import EXTREMES, NAME_OF_FUNCTION
from jaxllc.equations.functions import sigmoid as sigmoid_function
from jaxllc.equations.term_shape import (
    ONE,
    TOLERANCE,
    Factor,
    Monomial,
    Sum,
    add,
    exact_power,
    freeze,
    order,
    reference_monomial,
    scale,
    sorted_monomial,
    thaw,
)
from jaxllc.errors import InputError

EXPONENT_TOLERANCE = 1e-6
MAX_TERMS = 2_000
MAX_POWER = 12


def normal_form(expression: sympy.Expr) -> Sum:
    """The sum of terms that an expression is, {monomial: coefficient}.

    Raises InputError for functions that a law cannot hold, and for products too large to expand.
    """
    e = expression
    if e.is_Symbol:
        return {((("symbol", e.name), 1),): 1.0}
    if e.is_number:
        return _constant(real_value(e))
    if e.is_Add:
        return add(*(normal_form(term) for term in e.args))
    if e.is_Mul:
        product = _constant(1.0)
        for factor in e.args:
            product = multiply(product, normal_form(factor))
        return product
    if e.is_Pow:
        if e.exp.is_number:
            return power(normal_form(e.base), real_value(e.exp))
        return exponential(multiply(normal_form(e.exp), _apply("log", normal_form(e.base))))
    if isinstance(e, sympy.exp):
        return exponential(normal_form(e.args[0]))
    if isinstance(e, sigmoid_function):
        return sigmoid(normal_form(e.args[0]), 1)
    if e.func not in NAME_OF_FUNCTION:
        raise InputError(f"{e.func.__name__} cannot stand in a law.")
    if NAME_OF_FUNCTION[e.func] in EXTREMES:
        return _extreme(NAME_OF_FUNCTION[e.func], [normal_form(a) for a in e.args])
    return _apply(NAME_OF_FUNCTION[e.func], normal_form(e.args[0]))


# --- arithmetic ---------------------------------------------------------------------------------


def _constant(value: float) -> Sum:
    return {ONE: value} if value else {}


def multiply(a: Sum, b: Sum) -> Sum:
    """The product, multiplied out."""
    if len(a) * len(b) > MAX_TERMS:
        raise InputError(
            f"The equation multiplies out to more than {MAX_TERMS} terms; simplify it first."
        )
    return add(*(scale(_product(m, n), c * d) for m, c in a.items() for n, d in b.items()))


def _product(m: Monomial, n: Monomial) -> Sum:
    powers: dict[Factor, float] = dict(m)
    exponents = [thaw(f[1]) for f, _ in (*m, *n) if f[0] == "exp"]
    for factor, p in n:
        powers[factor] = exact_power(powers.get(factor, 0) + p)
    powers = {f: p for f, p in powers.items() if f[0] != "exp" and p != 0}
    exponent = add(*exponents)
    coefficient = 1.0
    for factor, p in list(powers.items()):
        # exp(-p v) sigmoid(v)^p = sigmoid(-v)^p
        if exponent and factor[0] == "sigmoid" and p > 0:
            v = thaw(factor[1])
            offset = v.get(ONE, 0.0)
            slope = {k: c for k, c in v.items() if k != ONE}
            if not _close(add(exponent, scale(slope, p))):
                continue
            del powers[factor]
            flipped = ("sigmoid", freeze(scale(v, -1.0)))
            powers[flipped] = powers.get(flipped, 0) + p
            coefficient, exponent = math.exp(p * offset), {}
    if exponent:
        powers[("exp", freeze(exponent))] = 1
    expanded = [
        (f, p)
        for f, p in powers.items()
        if f[0] == "sum" and 0 < p <= MAX_POWER and float(p).is_integer()
    ]
    for factor, _ in expanded:
        del powers[factor]
    result: Sum = {sorted_monomial(powers): coefficient}
    for factor, p in expanded:
        result = multiply(result, power(thaw(factor[1]), p))
    return result


def _close(difference: Sum) -> bool:
    return all(abs(c) < 1e-8 for c in difference.values())


def power(base: Sum, exponent: float) -> Sum:
    """base ** exponent; whole positive powers are multiplied out, others become factors."""
    if abs(exponent - round(exponent)) < EXPONENT_TOLERANCE:
        exponent = round(exponent)
    whole = isinstance(exponent, int)
    exponent = exponent if whole else round(exponent, 6)
    if exponent == 0:
        return _constant(1.0)
    if not base:
        if exponent < 0:
            raise InputError("The equation divides by zero.")
        return {}
    if whole and 1 <= exponent <= MAX_POWER and len(base) > 1:
        result = base
        for _ in range(int(exponent) - 1):
            result = multiply(result, base)
        return result
    if len(base) > 1 and any(_is_denominator(f, p) for m in base for f, p in m):
        above, below = _fraction(base)
        result = power(above, exponent)
        for factor, times in below.items():
            result = multiply(result, power(power(thaw(factor[1]), times), -exponent))
        return result
    coefficient, common, rest = _split(base)
    if not whole and coefficient < 0:
        coefficient, rest = -coefficient, scale(rest, -1.0)
    if not whole and len(rest) == 1 and rest.get(ONE, 1.0) < 0:
        raise InputError("The equation takes a root of a negative number.")
    try:
        number = _constant(coefficient**exponent)
    except OverflowError:
        raise InputError("A constant of the equation is beyond the range of a double.") from None
    result = number
    for factor, p in common:
        if factor[0] == "exp":
            result = multiply(result, exponential(scale(thaw(factor[1]), exponent)))
        else:
            result = multiply(result, {((factor, p * exponent),): 1.0})
    if set(rest) == {ONE}:
        return result
    if whole and exponent < 0 and len(rest) == 2 and ONE in rest:
        (other,) = (m for m in rest if m != ONE)
        ratio = rest[other] / rest[ONE]
        if ratio > 0 and len(other) == 1 and other[0][0][0] == "exp":
            argument = add(scale(thaw(other[0][0][1]), -1.0), _constant(-math.log(ratio)))
            return multiply(result, sigmoid(argument, -exponent))
    return multiply(result, {((("sum", freeze(rest)), exponent),): 1.0})


def _is_denominator(factor: Factor, power: float) -> bool:
    """Whether a factor is a whole negative power of a sum, which a fraction brings below its line."""
    return factor[0] == "sum" and power < 0 and isinstance(power, int)


def _split(terms: Sum) -> tuple[float, Monomial, Sum]:
    """terms = coefficient * common monomial * rest, with 1 as the first coefficient of rest."""
    monomials = list(terms)
    powers = [dict(monomial) for monomial in monomials]
    # The lowest power over all monomials, so that 1 + 2/x is (2 + x)/x.
    factors = {f for monomial in powers for f in monomial if f[0] != "exp"}
    lowest = {f: min(monomial.get(f, 0) for monomial in powers) for f in factors}
    common: dict[Factor, float] = {f: p for f, p in lowest.items() if p}
    exponents = [[f for f, _ in m if f[0] == "exp"] for m in monomials]
    if all(exponents):
        first = min(monomials, key=order)
        common |= {f: p for f, p in first if f[0] == "exp"}
    inverse: Sum = {ONE: 1.0}
    for factor, p in common.items():
        if factor[0] == "exp":
            inverse = multiply(inverse, exponential(scale(thaw(factor[1]), -1.0)))
        else:
            inverse = multiply(inverse, {((factor, -p),): 1.0})
    rest = multiply(terms, inverse) if common else dict(terms)
    reference = ONE if ONE in rest else min(rest, key=order)
    coefficient = rest[reference]
    return coefficient, sorted_monomial(common), scale(rest, 1.0 / coefficient)


def exponential(argument: Sum) -> Sum:
    """exp of a sum: its constant becomes part of the coefficient."""
    constant = argument.get(ONE, 0.0)
    if abs(constant) > largest_exponent():
        raise InputError("A constant of the equation is beyond the range of a double.")
    rest = {m: c for m, c in argument.items() if m != ONE}
    if not rest:
        return {ONE: math.exp(constant)}
    return {((("exp", freeze(rest)), 1),): math.exp(constant)}


def sigmoid(argument: Sum, exponent: float) -> Sum:
    """(1/(1 + exp(-argument))) ** exponent."""
    if set(argument) <= {ONE}:
        value = argument.get(ONE, 0.0)
        return _constant((0.5 * (1.0 + math.tanh(0.5 * value))) ** exponent)
    return {((("sigmoid", freeze(argument)), exponent),): 1.0}


def _apply(name: str, argument: Sum) -> Sum:
    if set(argument) <= {ONE}:
        try:
            return _constant(TABLE[name].of_number(argument.get(ONE, 0.0)))
        except (ValueError, OverflowError):
            raise InputError(
                f"The equation takes {name} of a constant outside its range."
            ) from None
    if name == "abs":
        return _absolute(argument)
    if name == "log":
        return _logarithm(argument)
    sign = 1.0
    if name in ("sin", "cos"):
        name, sign, argument = _phase(name, argument)
    parity = TABLE[name].parity
    if parity and argument[reference_monomial(argument)] < 0:
        argument = scale(argument, -1.0)
        sign *= parity
    return {(((name, freeze(argument)), 1),): sign}


def _absolute(argument: Sum) -> Sum:
    coefficient, common, rest = _split(argument)
    result = _constant(abs(coefficient))
    for factor, p in common:
        positive = (factor[0] in TABLE and TABLE[factor[0]].positive) or p % 2 == 0
        size = factor if positive else ("abs", freeze({((factor, 1),): 1.0}))
        result = multiply(result, {((size, p),): 1.0})
    return result if set(rest) == {ONE} else multiply(result, {((("abs", freeze(rest)), 1),): 1.0})


def _logarithm(argument: Sum) -> Sum:
    coefficient, common, rest = _split(argument)
    if coefficient < 0:  # log(-x), of a negative x
        whole = freeze(scale(argument, -1.0 / coefficient))
        return add({((("log", whole), 1),): 1.0}, _constant(math.log(-coefficient)))
    result = _constant(math.log(coefficient))
    for factor, p in common:
        if factor[0] == "exp":
            result = add(result, scale(thaw(factor[1]), p))
        else:
            result = add(result, {((("log", freeze({((factor, 1),): 1.0})), 1),): float(p)})
    return result if set(rest) == {ONE} else add(result, {((("log", freeze(rest)), 1),): 1.0})


def _extreme(name: str, arguments: list[Sum]) -> Sum:
    apart, coefficient, factor = canonical_extreme(name, arguments)
    if factor is None:
        return apart
    if factor[0] == "abs":
        return add(apart, scale(_absolute(thaw(factor[1])), coefficient))
    return add(apart, {((factor, 1),): coefficient})


def _phase(name: str, argument: Sum) -> tuple[str, float, Sum]:
    """A phase of a quarter turn swaps sin and cos; others are brought to (-pi/2, pi/2)."""
    rest = {m: c for m, c in argument.items() if m != ONE}
    turns = argument.get(ONE, 0.0) / (math.pi / 2)
    quarter = round(turns)
    if abs(turns - quarter) < TOLERANCE:
        swapped = {"sin": "cos", "cos": "sin"}[name]
        sin_signs, cos_signs = (1, 1, -1, -1), (1, -1, -1, 1)
        sign = (sin_signs if name == "sin" else cos_signs)[quarter % 4]
        return (swapped if quarter % 2 else name), float(sign), rest
    half = round(turns / 2)
    rest[ONE] = (turns - 2 * half) * math.pi / 2
    return name, (-1.0 if half % 2 else 1.0), rest


# --- one fraction -------------------------------------------------------------------------------


def combined(terms: Sum) -> Sum:
    """The same sum over one common denominator, so that 1 - 1/(1 + x) becomes x/(1 + x)."""
    above, below = _fraction(terms)
    result = above
    for factor, p in below.items():
        result = multiply(result, power(thaw(factor[1]), -p))
    return result


def _fraction(terms: Sum) -> tuple[Sum, dict[Factor, int]]:
    raw = add(*(scale(_without_sigmoids(m), c) for m, c in terms.items()))
    below: dict[Factor, int] = {}
    for monomial in raw:
        for factor, p in monomial:
            if _is_denominator(factor, p):
                below[factor] = max(below.get(factor, 0), -int(p))
    above: Sum = {}
    for monomial, coefficient in raw.items():
        powers = dict(monomial)
        product: Sum = {ONE: coefficient}
        for factor, p in below.items():
            missing = p + int(powers.pop(factor, 0))
            product = multiply(product, power(thaw(factor[1]), missing))
        above = add(above, multiply(product, {sorted_monomial(powers): 1.0}))
    for factor in list(below):
        while below[factor] and (ratio := _ratio(above, thaw(factor[1]))) is not None:
            above, below[factor] = _constant(ratio), below[factor] - 1
    return above, {factor: p for factor, p in below.items() if p}


def _ratio(a: Sum, b: Sum) -> float | None:
    if not a or set(a) != set(b):
        return None
    ratios = [a[m] / b[m] for m in a]
    return ratios[0] if max(abs(r / ratios[0] - 1) for r in ratios) < TOLERANCE else None


def _without_sigmoids(monomial: Monomial) -> Sum:
    result: Sum = {ONE: 1.0}
    for factor, p in monomial:
        kind, argument = factor
        if kind not in ("sigmoid", "tanh") or not isinstance(p, int) or p < 0:
            result = multiply(result, {((factor, p),): 1.0})
            continue
        v = scale(thaw(argument), 2.0 if kind == "tanh" else 1.0)
        rising = v[reference_monomial(v)] > 0
        growth = exponential(v if rising else scale(v, -1.0))
        below = ("sum", freeze(add({ONE: 1.0}, growth)))
        numerator = growth if rising else {ONE: 1.0}
        if kind == "tanh":  # (exp(2u) - 1)/(exp(2u) + 1), for a rising u
            numerator = add(growth, {ONE: -1.0})
        for _ in range(p):
            result = multiply(result, multiply(numerator, {((below, -1),): 1.0}))
    return result
