"""Kinds of terms to judge a search by: other writings than those it was developed on, and random trees.

The first six kinds are writings of laws; the rest are trees over parts of laws, of two to five operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from random_parts import constant


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _exponent(rng: np.random.Generator) -> str:
    while True:
        value = float(f"{rng.uniform(0.25, 2.8):.2g}")
        if abs(2 * value - round(2 * value)) > 0.2:
            return f"{value:g}"


def _scaling(rng: np.random.Generator) -> str:
    a, b, p, q = constant(rng), constant(rng), _exponent(rng), _exponent(rng)
    forms = (f"{a}*u**{p}*v**{q}", f"{a}*u**{p} - {b}*u**{q}", f"{a}*u**{p}/({b} + u**{p})")
    return _one((*forms, f"{a}*u**{p}*exp(-{b}*v)", f"{a}*(u + {b}*v)**{p}"), rng)


def _roots_and_logarithms(rng: np.random.Generator) -> str:
    a, b, c = constant(rng, sign=True), constant(rng), constant(rng)
    forms = (
        f"{a}*sqrt(u**2 + {b}*v**2)",
        f"{a}*u*log({b}/u) - {c}*v",
        f"{a}*log(1 + {b}*u*v)",
        f"{a}*sqrt(u)/({b} + v)",
        f"sqrt(u*v)/({b} + u)",
    )
    return _one(forms, rng)


def _limited(rng: np.random.Generator) -> str:
    a, b, c, d = (constant(rng) for _ in range(4))
    forms = (
        f"{a}*u/({b} + u)*exp(-{c}*v) - {d}*u",
        f"{a}*(1 - exp(-{b}*u*v))",
        f"{a}*u*v/(({b} + u)*(1 + {c}*v))",
        f"{a}*tanh({b}*u)/({c} + v**2)",
        f"{a}*u/({b} + u + u**2/{c})",
    )
    return _one(forms, rng)


def _growth(rng: np.random.Generator) -> str:
    r, k, c, h = constant(rng), constant(rng, 1.5, 4), constant(rng), constant(rng)
    forms = (
        f"{r}*u*log({k}/u) - {c}*u*v/({h} + u)",
        f"{r}*u*(1 - u/{k})*(u - {h})",
        f"{r}*u*(1 - (u + {c}*v)/{k})",
        f"{r}*u*exp(1 - u/{k}) - {c}*v",
        f"{r}*u*(1 - u/{k}) - {c}*sigmoid({h}*(u - v))",
    )
    return _one(forms, rng)


def _degrees(rng: np.random.Generator) -> str:
    a, b, c, d = (constant(rng) for _ in range(4))
    forms = (
        f"({a} + {b}*u*v)/({c} + u**2)",
        f"{a}*u**3/({b} + u + v**2)",
        f"{a}*v/({b} + u*v**2)",
        f"({a}*u - v)/({b} + u + v)",
        f"{a}*u**2*v/({b} + {c}*u + v**2) - {d}*u",
    )
    return _one(forms, rng)


def _waves(rng: np.random.Generator) -> str:
    a, b, c = (constant(rng, sign=True) for _ in range(3))
    w = constant(rng, 0.5, 1.5)
    forms = (
        f"{a}*sin(v - u) + {b}*sin(2*(v - u)) + {c}*u",
        f"{a}*sin({w}*u) + {b}*cos({w}*v)",
        f"{a}*sin({w}*u)*v + {b}*u",
        f"{a}*cos(u)*sin(v) + {c}*v",
        f"{a}*sin(u)**2 + {b}*v",
    )
    return _one(forms, rng)


def _part(rng: np.random.Generator) -> str:
    u, v = ("u", "v") if rng.random() < 0.5 else ("v", "u")
    a, b, n = constant(rng), constant(rng), 1 + rng.integers(3)
    parts = (
        f"{u}**{_exponent(rng)}",
        f"{u}**{n}/({a} + {u}**{n})",
        f"exp(-{constant(rng, 0.3, 1.5)}*{u})",
        f"(1 - exp(-{a}*{u}))",
        f"log(1 + {a}*{u})",
        f"sqrt({a} + {u})",
        f"tanh({a}*{u})",
        f"1/({a} + {u} + {b}*{v})",
        f"1/({a} + {u}**2)",
        f"sqrt({u}*{v})",
        f"{u}",
        f"{u}*{v}",
    )
    return _one(parts, rng)


def _tree(rng: np.random.Generator) -> str:
    a, b = constant(rng, sign=True), constant(rng, sign=True)
    first, second, third = _part(rng), _part(rng), _part(rng)
    forms = (
        f"{a}*{first}*{second}",
        f"{a}*{first} + {b}*{second}",
        f"{a}*{first}*{second} + {b}*{third}",
    )
    return _one(forms, rng)


_POSITIVE = ((0.2, 4.0), (0.1, 3.0), (0.3, 5.0))
_BOTH_SIGNS = ((-3.0, 3.0), (-2.0, 4.0))

KINDS: dict[str, tuple[Callable[[np.random.Generator], str], Sequence[tuple[float, float]]]] = {
    "scaling": (_scaling, _POSITIVE),
    "roots and logarithms": (_roots_and_logarithms, _POSITIVE),
    "limited": (_limited, _POSITIVE),
    "growth": (_growth, _POSITIVE),
    "degrees": (_degrees, _POSITIVE),
    "waves": (_waves, _BOTH_SIGNS),
    "trees": (_tree, _POSITIVE),
    "more trees": (_tree, _POSITIVE),
    "other trees": (_tree, _POSITIVE),
}
