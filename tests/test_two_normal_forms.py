"""The two normal forms of a skeleton, sums of trees and arrays of truth values, tell the same ones apart.

`normal_form` reads an expression with numbers, `canonical` says which monomials and functions it is made of.
Made for different ends, each identifies some of what the other tells apart; that is listed, and tested, at
the end. Skeletons that hold nothing of the list are equal by one form if and only if they are by the other.
"""

import itertools

import numpy as np
import pytest
import sympy

from jaxllc.equations.functions import FUNCTIONS
from jaxllc.metrics import skeleton
from jaxllc.pretrained.skeletons.alphabet import KIND, KINDS, alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    Structures,
    canonical,
    empty,
    identity,
    joined,
)
from jaxllc.pretrained.training.corpus_structures import draw_structures

SYMBOLS = alphabet(2)
INPUTS = sympy.symbols("x y")
MONOMIALS = [
    sympy.Mul(*(x ** int(e) for x, e in zip(INPUTS, row, strict=True))) for row in SYMBOLS.exponents
]
ONE = 0  # the place of the monomial 1
COUNT = 150


# --- from arrays to an expression with numbers ---------------------------------------------------


def number(rng):
    """Positive, a phase within a quarter turn, and of a positive logarithm: signs belong to trees only."""
    return sympy.Float(rng.uniform(1.1, 1.5), 15)


def polynomial(row, rng):
    return sympy.Add(*(number(rng) * MONOMIALS[m] for m in np.flatnonzero(row)))


def function(kind, argument, rng):
    name = KINDS[kind - 1]
    if name == "reciprocal":
        return 1 / argument
    if name == "power":
        return argument.as_coeff_Mul()[1] ** number(rng)
    return FUNCTIONS[name](argument)


def expression_of(structures, rng, k=0):
    """A skeleton with random constants."""
    base, outer, kind, argument, inner_kind, inner = (part[k] for part in structures)
    total = polynomial(base, rng)
    for g in np.flatnonzero(kind.any(1)):
        product = polynomial(outer[g], rng)
        for f in np.flatnonzero(kind[g]):
            inside = polynomial(argument[g, f], rng)
            if inner_kind[g, f]:
                inside += number(rng) * function(
                    inner_kind[g, f], polynomial(inner[g, f], rng), rng
                )
            product *= function(kind[g, f], inside, rng)
        total += product
    return total


# --- the same function written otherwise ---------------------------------------------------------


def other_arrays(structures, rng):
    """The same functions: groups and factors in another order, and written with other functions."""
    parts = Structures(*(part.copy() for part in structures))
    _, outer, kind, argument, inner_kind, inner = parts
    for k in range(len(parts)):
        groups, factors = rng.permutation(kind.shape[1]), rng.permutation(kind.shape[2])
        outer[k] = outer[k, groups]
        for part in (kind, argument, inner_kind, inner):
            part[k] = part[k, groups][:, factors]
        for g, f in np.argwhere(kind[k] > 0):
            plain, one = not inner_kind[k, g, f], kind[k, g, f]
            if one == KIND["exp"] and rng.random() < 0.5:
                argument[k, g, f, ONE] = True
            if one == KIND["sigmoid"] and plain and argument[k, g, f, ONE] and rng.random() < 0.5:
                inner[k, g, f] = argument[k, g, f]
                argument[k, g, f] = False
                argument[k, g, f, ONE] = True
                kind[k, g, f], inner_kind[k, g, f] = KIND["reciprocal"], KIND["exp"]
            if one == KIND["log"] and plain and argument[k, g, f].sum() == 1 and rng.random() < 0.5:
                (m,) = np.flatnonzero(argument[k, g, f])
                square = SYMBOLS.index.get(tuple(int(e) for e in 2 * SYMBOLS.exponents[m]))
                if square is not None and (SYMBOLS.exponents[m] > 0).sum() == 1:
                    argument[k, g, f, [m, square]] = False, True
    return parts


def otherwise(e, rng):
    """The same function by another tree: shuffled, multiplied out, constants moved, functions turned."""
    if not e.args:
        return e
    parts = [otherwise(a, rng) for a in e.args]
    if e.is_Add or e.is_Mul:
        if e.is_Mul and rng.random() < 0.5:
            return sympy.expand_mul(e.func(*parts))
        return e.func(*(parts[k] for k in rng.permutation(len(parts))), evaluate=False)
    c, turned = number(rng), rng.random() < 0.5
    inside = parts[0]
    if not turned:
        return e.func(*parts)
    if e.is_Pow:
        return e.func(c * inside, e.exp) * c**-e.exp
    name = e.func.__name__
    if name == "exp":
        return sympy.exp(inside - c) * sympy.exp(c)
    if name == "sigmoid" and not inside.has(sympy.log):  # its exponential would be a power
        return 1 / (1 + sympy.exp(-inside))
    if name in ("sin", "tanh"):
        return -e.func(-inside)
    if name == "cos":
        return sympy.sin(inside + sympy.Float(np.pi / 2, 15))
    if name == "Abs":
        return sympy.Abs(-c * inside) / c
    return e.func(*parts)


# --- what both forms can tell ---------------------------------------------------------------------


def is_told_by_both(structures, k):
    """Whether a skeleton holds nothing of the list at the end."""
    base, outer, kind, argument, inner_kind, inner = (part[k] for part in structures)
    groups = [g for g in range(len(kind)) if kind[g].any()]
    functions = [
        sorted(
            (
                int(kind[g, f]),
                argument[g, f].tobytes(),
                int(inner_kind[g, f]),
                inner[g, f].tobytes(),
            )
            for f in np.flatnonzero(kind[g])
        )
        for g in groups
    ]
    if any(a == b for a, b in itertools.combinations(functions, 2)):
        return False
    for g in groups:
        names = {KINDS[n - 1] for n in kind[g] if n}
        if len(names) > 1 and names & {"abs", "sqrt", "reciprocal", "power", "log"}:
            return False
        if (kind[g] > 0).sum() > len(names):
            return False
        if "power" in names and list(np.flatnonzero(outer[g])) != [ONE]:
            return False
        if "log" in names and np.any(outer[g] & ~base):
            return False
        if "reciprocal" in names and common_factor(outer[g] | argument[g, 0]):
            return False
        if KIND["log"] in inner_kind[g] and not argument[g, 0, ONE]:
            return False
        if "reciprocal" in names and KIND["reciprocal"] in inner_kind[g]:
            return False
    return True


def common_factor(row):
    return SYMBOLS.exponents[row].min(0).any()


def near(structures, rng):
    """Skeletons that differ from these by a monomial, in canonical form."""
    parts = Structures(*(part.copy() for part in structures))
    for k in range(len(parts)):
        rows = [parts.base[k], *parts.outer[k][parts.kind[k].any(1)]]
        rows += list(parts.argument[k][parts.kind[k] > 0])
        which = rng.integers(len(rows))
        m = rng.integers(SYMBOLS.num_monomials)
        if which == 0:
            parts.base[k, m] ^= True
        elif which <= parts.kind[k].any(1).sum():
            parts.outer[k, which - 1, m] ^= True
        else:
            g, f = np.argwhere(parts.kind[k] > 0)[which - 1 - parts.kind[k].any(1).sum()]
            parts.argument[k, g, f, m] ^= True
    found, good = canonical(parts, SYMBOLS)
    return found.taken(np.flatnonzero(good))


def test_both_forms_divide_skeletons_into_the_same_classes():
    rng = np.random.default_rng(0)
    drawn = draw_structures(rng, COUNT, SYMBOLS)
    drawn = joined([drawn, near(drawn, rng)])
    kept = np.array([k for k in range(len(drawn)) if is_told_by_both(drawn, k)])
    assert len(kept) > 0.7 * len(drawn)
    drawn = drawn.taken(kept)
    anew = other_arrays(drawn, rng)
    by_arrays = [*identity(drawn), *identity(canonical(anew, SYMBOLS)[0])]
    by_trees = [skeleton(expression_of(drawn, rng, k)) for k in range(len(drawn))]
    by_trees += [skeleton(otherwise(expression_of(anew, rng, k), rng)) for k in range(len(anew))]
    classes = set(zip(by_arrays, by_trees, strict=True))
    assert len(classes) == len(set(by_arrays)) == len(set(by_trees))
    assert len(drawn) / 2 < len(classes) <= len(drawn)


# --- what one form tells apart and the other does not --------------------------------------------

X, XX, UNIT = (1, 0), (2, 0), (0, 0)


def written(base=(), groups=()):
    """One skeleton from names: groups of (outer, [(kind, argument, inner kind, its argument), ...])."""
    one = empty(1, SYMBOLS.num_monomials)

    def mark(row, exponents):
        row[[SYMBOLS.index[e] for e in exponents]] = True

    mark(one.base[0], base)
    for g, (outer, factors) in enumerate(groups):
        mark(one.outer[0, g], outer)
        for f, (kind, argument, *nested) in enumerate(factors):
            one.kind[0, g, f] = KIND[kind]
            mark(one.argument[0, g, f], argument)
            if nested:
                one.inner_kind[0, g, f] = KIND[nested[0]]
                mark(one.inner[0, g, f], nested[1])
    return one


def group(kind, argument, outer=(UNIT,)):
    return outer, [(kind, argument)]


TREES_ALONE = {
    "a power takes in the monomial beside it": (
        written([], [group("power", [X])]),
        written([], [group("power", [X], [X])]),
    ),
    "the scale of a logarithm is a summand": (
        written([], [group("log", [UNIT, X])]),
        written([UNIT], [group("log", [UNIT, X])]),
    ),
    "a common factor of a fraction cancels": (
        written([], [group("reciprocal", [UNIT, X])]),
        written([], [group("reciprocal", [X, XX], [X])]),
    ),
    "a function whose constants recur is one term for each monomial": (
        written([], [group("exp", [X], [UNIT, X])]),
        written([], [group("exp", [X]), group("exp", [X], [X])]),
    ),
    "magnitudes of products are products": (
        written([], [group("abs", [X, XX])]),
        written([], [([UNIT], [("abs", [X]), ("abs", [UNIT, X])])]),
    ),
    "a fraction within one is multiplied out": (
        written([], [group("reciprocal", [UNIT, X], [UNIT, X])]),
        written([], [([UNIT], [("reciprocal", [UNIT], "reciprocal", [UNIT, X])])]),
    ),
}
ARRAYS_ALONE = {
    "a phase makes a cosine a sine": (
        written([], [group("cos", [UNIT, X])]),
        written([], [group("sin", [UNIT, X])]),
    ),
    "a constant beside a tanh makes it a sigmoid": (
        written([UNIT], [group("tanh", [X])]),
        written([UNIT], [group("sigmoid", [X])]),
    ),
    "what division leaves in the polynomial goes there": (
        written([UNIT], [group("reciprocal", [UNIT, X], [X])]),
        written([UNIT], [group("reciprocal", [UNIT, X])]),
    ),
}


def equal_by_arrays(pair):
    forms, good = canonical(joined(list(pair)), SYMBOLS)
    assert good.all()
    return len(set(identity(forms))) == 1


def equal_by_trees(pair):
    rng = np.random.default_rng(0)
    return len({skeleton(expression_of(one, rng)) for one in pair}) == 1


@pytest.mark.parametrize("pair", TREES_ALONE.values(), ids=TREES_ALONE.keys())
def test_what_trees_alone_identify(pair):
    assert equal_by_trees(pair)
    assert not equal_by_arrays(pair)
    assert not all(is_told_by_both(canonical(one, SYMBOLS)[0], 0) for one in pair)


@pytest.mark.parametrize("pair", ARRAYS_ALONE.values(), ids=ARRAYS_ALONE.keys())
def test_what_arrays_alone_identify(pair):
    assert equal_by_arrays(pair)
    assert not equal_by_trees(pair)


def test_trees_alone_know_signs():
    x = INPUTS[0]
    assert skeleton(sympy.sqrt(1 + 1.2 * x)) != skeleton(sympy.sqrt(1.2 * x - 1))
