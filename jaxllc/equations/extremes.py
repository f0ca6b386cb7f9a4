"""min and max in the normal form: the one way of writing that is kept out of many.

max(x + 1, y + 1) is 1 + max(x, y); max(2 x, 2 y) is 2 max(x, y); max(-x, -y) is -min(x, y);
max(x, max(y, z)) is max(x, y, z); max(x, -x) is abs(x).
"""

from __future__ import annotations

import math

from jaxllc.equations.term_shape import (
    ONE,
    TOLERANCE,
    Factor,
    Frozen,
    Monomial,
    Sum,
    add,
    freeze,
    reference_monomial,
    scale,
    shape,
    thaw,
)
from jaxllc.errors import InputError

MAX_ARGUMENTS = 200
_OTHER = {"min": "max", "max": "min"}


def canonical_extreme(name: str, arguments: list[Sum]) -> tuple[Sum, float, Factor | None]:
    """(a, c, factor) with min or max of the arguments = a + c factor; no factor where one is left.

    The factor is ("min" | "max", frozen arguments), or ("abs", a frozen argument yet to be scaled).
    """
    left = _largest_of_each(name, [a for b in arguments for a in _flat(name, b)])
    if len(left) == 1:
        return left[0], 0.0, None
    first, *others = left
    shared = {m: c for m, c in first.items() if all(_near(a.get(m, 0.0), c) for a in others)}
    left = [{m: c for m, c in a.items() if m not in shared} for a in left]
    if len(left) == 2 and not add(*left):
        return shared, 1.0 if name == "max" else -1.0, ("abs", freeze(left[0]))
    factor, name = _unit(name, left)
    left = sorted((scale(a, 1.0 / factor) for a in left), key=_place)
    return shared, factor, (name, tuple(freeze(a) for a in left))


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE)


def _flat(name: str, argument: Sum) -> list[Sum]:
    """Arguments that take the place of one that holds a min, max or abs of the same direction."""
    for monomial, coefficient in argument.items():
        inner = _inner(name if coefficient > 0 else _OTHER[name], monomial)
        if inner:
            rest = {m: c for m, c in argument.items() if m != monomial}
            flat = [a for b in inner for a in _flat(name, add(rest, scale(b, coefficient)))]
            if len(flat) > MAX_ARGUMENTS:
                raise InputError(f"The equation takes {name} of more than {MAX_ARGUMENTS} terms.")
            return flat
    return [argument]


def _inner(name: str, monomial: Monomial) -> list[Sum]:
    if len(monomial) != 1 or monomial[0][1] != 1:
        return []
    kind, argument = monomial[0][0]
    if kind == name:
        return [thaw(a) for a in argument]
    if kind == "abs" and name == "max":
        return [thaw(argument), scale(thaw(argument), -1.0)]
    return []


def _largest_of_each(name: str, arguments: list[Sum]) -> list[Sum]:
    """Of arguments that differ by a constant only, the one that counts."""
    best: dict[Frozen, Sum] = {}
    for argument in arguments:
        key = freeze({m: c for m, c in argument.items() if m != ONE})
        constant = argument.get(ONE, 0.0)
        known = best[key].get(ONE, 0.0) if key in best else None
        if known is None or (constant > known if name == "max" else constant < known):
            best[key] = argument
    return list(best.values())


def _unit(name: str, arguments: list[Sum]) -> tuple[float, str]:
    """What to divide by, so that the first coefficient is 1, and the name that is then right."""
    varying = [a for a in arguments if set(a) - {ONE}]
    first = min(_shapes(a) for a in varying)
    coefficients = [a[reference_monomial(a)] for a in varying if _shapes(a) == first]
    size = max(abs(c) for c in coefficients)
    signs = {c > 0 for c in coefficients if _near(abs(c), size)}
    flipped = name == "min" if len(signs) == 2 else False in signs
    return (-size, _OTHER[name]) if flipped else (size, name)


def _shapes(argument: Sum) -> tuple[tuple[str, ...], bool]:
    return tuple(sorted(shape(m) for m in argument if m != ONE)), ONE in argument


def _place(argument: Sum) -> tuple:
    leading = argument[reference_monomial(argument)] if set(argument) - {ONE} else 0.0
    return _shapes(argument), -leading, repr(freeze(argument))
