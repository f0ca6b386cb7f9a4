"""Ways to write a skeleton anew: multiplied out, over one denominator, as a product, with other functions.

One function has several forms with different numbers of constants: (a + b x)(c + d y) multiplied out has
four instead of three; a sigmoid with an offset is a tanh. A candidate is therefore judged in each of its
forms, and the form with the fewest constants wins by its score.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy

from jaxllc.equations.expression_building import is_real
from jaxllc.equations.function_table import TABLE, bounded_exp
from jaxllc.equations.functions import FUNCTIONS, record_of, sigmoid
from jaxllc.equations.normal_form import combined, normal_form
from jaxllc.equations.skeletons import (
    Maker,
    Skeleton,
    as_written,
    constant,
    from_sum,
    parts_of,
    renumbered,
)
from jaxllc.equations.term_shape import Sum
from jaxllc.errors import InputError
from jaxllc.search.forms.search_work import spend


def forms(expression: sympy.Expr, few: bool = False) -> Iterator[Skeleton]:
    """The ways to write an expression with numbers: as it stands and multiplied out, and, unless few are
    wanted, over one denominator, as a product, and with sigmoids for tanh or the reverse; none of what is not
    real."""
    if not is_real(expression):
        return
    spend("forms", 1)
    seen: set[sympy.Expr] = set()
    ways = (as_written(expression), _normal(expression)) if few else _forms(expression)
    for skeleton in ways:
        spend("forms", 1)
        if skeleton is not None and skeleton.key not in seen:
            seen.add(skeleton.key)
            yield skeleton


def _forms(expression: sympy.Expr) -> Iterator[Skeleton | None]:
    yield as_written(expression)
    yield _normal(expression)
    yield _normal(expression, over_one=True)
    yield _factored(expression)
    yield from _over_its_denominator(expression)
    if expression.has(sympy.tanh):
        yield _normal(expression.replace(sympy.tanh, lambda u: 2 * sigmoid(2 * u) - 1))
    if expression.has(sigmoid) or expression.has(sympy.exp):
        yield _with_tanh(expression)
    if expression.has(sympy.sin) and expression.has(sympy.cos):
        yield _with_phase(expression)
    if expression.has(sympy.log) and expression.is_Add:
        yield from _in_logarithms(expression)
    for part in parts_of(expression, sympy.log):
        yield _of_ratio(expression, part)
    yield from _in_linear_range(expression)


def _terms(expression: sympy.Expr, over_one: bool = False) -> Sum | None:
    """The normal form; None where there is none, or it would be too large."""
    try:
        terms = normal_form(expression)
        return combined(terms) if over_one else terms
    except (InputError, OverflowError, RecursionError):
        return None


def _normal(expression: sympy.Expr, over_one: bool = False) -> Skeleton | None:
    terms = _terms(expression, over_one)
    return None if terms is None else from_sum(terms)


# How unlike two groups of coefficients may be for a product to be tried; the refit then decides.
_PROPORTIONAL = 0.15


def _factored(expression: sympy.Expr) -> Skeleton | None:
    """The sum as a product of two, where its coefficients nearly say so: a c + a d x + b c y + b d x y."""
    terms = _terms(expression) or {}
    for factor in {f: None for monomial in terms for f, _ in monomial}:
        groups: dict[float, Sum] = {}
        for monomial, coefficient in terms.items():
            powers = dict(monomial)
            power = powers.pop(factor, 0)
            groups.setdefault(power, {})[tuple(powers.items())] = coefficient
        first = next(iter(groups.values()))
        if len(groups) < 2 or len(first) < 2 or any(set(g) != set(first) for g in groups.values()):
            continue
        rows = np.array([[group[m] for m in first] for group in groups.values()])
        left, size, right = np.linalg.svd(rows / np.abs(rows).max(axis=0), full_matrices=False)
        if size[1] > _PROPORTIONAL * size[0]:
            continue
        shared = right[0] * np.abs(rows).max(axis=0)
        place = int(np.argmax(np.abs(shared)))
        lead = shared[place]
        maker = Maker()
        other = maker.sum(
            {m: c / lead for m, c in zip(first, shared, strict=True)}, list(first)[place]
        )
        shares = left[:, 0] * size[0] * lead
        own = sympy.Add(
            *(
                maker.number(s) * maker.raised(factor, p)
                for s, p in zip(shares, groups, strict=True)
            )
        )
        return renumbered(own * other, {constant(k): v for k, v in enumerate(maker.values)})
    return None


# What is left of a coefficient, relative to it, when it counts as cancelled.
_CANCELLED = 0.05


def _with_tanh(expression: sympy.Expr) -> Skeleton | None:
    """Sigmoids as tanh, without the terms that cancel nearly: x - 2 x sigmoid(u) is -x tanh(u/2)."""
    plain = _terms(expression) or {}
    numeric = from_sum(plain).numeric()
    if not numeric.has(sigmoid):
        return None
    terms = _terms(numeric.replace(sigmoid, lambda u: (1 + sympy.tanh(u / 2)) / 2)) or {}
    kept = {m: c for m, c in terms.items() if abs(c) > _CANCELLED * abs(plain.get(m, 0.0))}
    return from_sum(kept) if kept else None


def _with_phase(expression: sympy.Expr) -> Skeleton | None:
    """a sin u + b cos v, with u and v nearly alike, as one sine with a phase."""
    terms = list(sympy.Add.make_args(expression))
    for k, first in enumerate(terms):
        for other in terms[k + 1 :]:
            merged = _one_wave(first, other)
            if merged is not None:
                return _normal(sympy.Add(*(t for t in terms if t not in (first, other)), merged))
    return None


def _one_wave(first: sympy.Expr, other: sympy.Expr) -> sympy.Expr | None:
    waves = [parts_of(t, sympy.sin, sympy.cos) for t in (first, other)]
    if [len(w) for w in waves] != [1, 1]:
        return None
    (one,), (two,) = waves
    coefficient, rest = (first / one).as_coeff_Mul()
    second, other_rest = (other / two).as_coeff_Mul()
    if rest != other_rest or rest.has(one.func) or not (coefficient.is_number and second.is_number):
        return None
    numbers = []
    for argument in (one.args[0], two.args[0]):
        pieces = dict(a.as_coeff_Mul()[::-1] for a in sympy.Add.make_args(argument))
        numbers.append(pieces)
    if set(numbers[0]) != set(numbers[1]):
        return None
    ratios = [float(numbers[1][m] / numbers[0][m]) for m in numbers[0] if m != 1]
    sign = 1.0 if ratios and ratios[0] > 0 else -1.0
    if any(abs(sign * r - 1) > 0.15 for r in ratios):
        return None
    # Each wave as an amplitude and a phase beyond the first one's argument.
    turn = sympy.pi / 2
    phases = [float(turn) if w.func is sympy.cos else 0.0 for w in (one, two)]
    shift = float(sign * numbers[1].get(sympy.Integer(1), 0) - numbers[0].get(sympy.Integer(1), 0))
    amplitude = float(second) * (sign if two.func is sympy.sin else 1.0)
    whole = float(coefficient) * np.exp(1j * phases[0]) + amplitude * np.exp(
        1j * (phases[1] + shift)
    )
    return sympy.Float(abs(whole)) * rest * sympy.sin(one.args[0] + sympy.Float(np.angle(whole)))


# How far from one a coefficient is, relative to its own size, when it is tried as one.
_UNIT = 0.1


def _over_its_denominator(expression: sympy.Expr) -> Iterator[Skeleton]:
    """P/Q + c as (P + c Q)/Q without what cancels nearly, and with ones for coefficients that are nearly."""
    number, terms = expression.as_coeff_Add()
    below = [f for f in sympy.Mul.make_args(terms) if f.is_Pow and f.exp == -1 and f.base.is_Add]
    if number == 0 or len(below) != 1:
        return
    denominator = below[0].base
    parts = [sympy.expand_mul(terms / below[0]), sympy.expand_mul(number * denominator)]
    sizes: dict[sympy.Expr, float] = {}
    whole: dict[sympy.Expr, float] = {}
    for part in parts:
        for multiple, coefficient in part.as_coefficients_dict().items():
            if not coefficient.is_number:
                return
            whole[multiple] = whole.get(multiple, 0.0) + float(coefficient)
            sizes[multiple] = sizes.get(multiple, 0.0) + abs(float(coefficient))
    kept = {m: c for m, c in whole.items() if abs(c) > _CANCELLED * sizes[m]}
    for unit in (0.0, _UNIT):
        numbers = {
            m: sympy.Integer(round(c)) if abs(abs(c) - 1) < unit else sympy.Float(c)
            for m, c in kept.items()
        }
        yield as_written(sympy.Add(*(c * m for m, c in numbers.items())) / denominator)


# How far from one a number is set to one.
_NEAR_ONE = 0.3


def _in_logarithms(expression: sympy.Expr) -> Iterator[Skeleton]:
    """a m log(x + c) + d m as a m log(1 + b x), where d is nearly -a log(c): a constant less."""
    terms = expression.args
    for logarithm in terms:
        for part in parts_of(logarithm, sympy.log):
            inside = part.args[0]
            coefficient, multiple = (logarithm / part).as_coeff_Mul()
            beside = [t for t in terms if t.as_coeff_Mul()[1] == multiple]
            if not (inside.is_Add and len(beside) == 1 and coefficient.is_number):
                continue
            offset = float(beside[0].as_coeff_Mul()[0] / coefficient)
            shift, rest = inside.as_coeff_Add()
            scale = float(bounded_exp(offset, np))
            if abs(scale * float(shift) - 1) < _NEAR_ONE:
                grown = sympy.Add(*(sympy.Float(scale) * t for t in sympy.Add.make_args(rest)))
                whole = coefficient * multiple * sympy.log(1 + grown, evaluate=False)
                others = [t for t in terms if t not in (logarithm, beside[0])]
                yield as_written(sympy.Add(*others, whole))


def _of_ratio(expression: sympy.Expr, part: sympy.Expr) -> Skeleton | None:
    """log(a (x + b)/(y + c)) as log(x + b) - log(y + c), where a is nearly one."""
    scale, found = 1.0, []
    for factor in sympy.Mul.make_args(part.args[0]):
        base, power = factor.as_base_exp()
        lead, rest = (base, None) if base.is_number else (sympy.Integer(1), base)
        if base.is_Add:
            first = next(t for t in base.args if t.free_symbols)
            lead, rest = first.as_coeff_Mul()
            rest += sympy.Add(*(t / lead for t in base.args if t is not first))
        if not (power.is_number and lead > 0):
            return None
        scale *= float(lead) ** float(power)
        found += [power * sympy.log(rest)] if rest is not None else []
    if len(found) < 2 or abs(np.log(scale)) > _NEAR_ONE:
        return None
    return as_written(expression.xreplace({part: sympy.Add(*found)}))


def _in_linear_range(expression: sympy.Expr) -> Iterator[Skeleton | None]:
    """Each function replaced by its first-order expansion, which is all of it that a small argument shows."""
    bent = [FUNCTIONS[r.name] for r in TABLE.values() if r.linear is not None]
    for part in parts_of(expression, *bent):
        record = record_of(part.func)
        assert record is not None
        assert record.linear is not None
        value, slope = map(sympy.sympify, record.linear)
        yield _normal(expression.xreplace({part: value + slope * part.args[0]}))
