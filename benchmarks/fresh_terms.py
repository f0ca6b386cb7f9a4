"""Terms of kinds that no table lists, drawn anew: one generator to develop on, one to judge by.

    python benchmarks/fresh_terms.py --seed 3            # 60 terms to develop on, a line each
    python benchmarks/symbolic.py --families develop --conditions clean,mixed --random-seed 3
    python benchmarks/symbolic.py --families judge --conditions clean,mixed

develop: eight kinds that the search missed, in two to four writings each. judge: other writings
(`fresh_judge`), and trees of up to five operators; its seed was written down before the search was
changed, and it was not run before the change was done: whoever changes the search again takes another
seed. Both refuse what `fair_targets` refuses, and a fifth term of one skeleton.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence

import fresh_judge
import numpy as np
from fair_targets import operators, reason_to_refuse
from random_parts import constant
from random_targets import hidden
from symbolic_targets import Target

from jaxllc.errors import InputError

JUDGE_SEED = 418357
NUM_TERMS = 60
FAMILIES = ("develop", "judge")
LARGEST = 5  # operators of a term to judge by
_STREAM = 11
# Terms of a kind that differ in constants only; draws for a kind before it is given up.
_MOST_ALIKE, _MOST_DRAWS = 4, 5000

# Text of a term of the variables u and v.
Kind = Callable[[np.random.Generator], str]


def _exponent(rng: np.random.Generator, low: float = 0.25, high: float = 2.8) -> str:
    """An exponent that is at least a tenth away from every half of a whole number."""
    while True:
        value = float(f"{rng.uniform(low, high):.2g}")
        if abs(2 * value - round(2 * value)) > 0.2:
            return f"{value:g}"


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _power_law(rng: np.random.Generator) -> str:
    a, b, p = constant(rng), constant(rng, sign=True), _exponent(rng)
    return _one((f"{a}*u**{p} + {b}*v", f"{a}*u**{p} + {b}*u", f"{a} + {b}*v*u**{p}"), rng)


def _root_of_product(rng: np.random.Generator) -> str:
    a, b = constant(rng, sign=True), constant(rng)
    forms = (f"{a}*sqrt(u*v) + {b}*u", f"{a}*sqrt({b} + u*v)", f"{a}*sqrt(u*({b} + v))")
    return _one((*forms, f"{a}*u - {b}*sqrt(u*v) + v"), rng)


def _logarithm(rng: np.random.Generator) -> str:
    a, b, c = constant(rng, sign=True), constant(rng), constant(rng)
    forms = (f"{a}*u*log(v/u)", f"{a}*log(1 + {b}*u) + {c}*v", f"log(({b} + u)/({c} + v))")
    return _one((*forms, f"{a}*v*log(1 + {b}*u)"), rng)


def _saturating(u: str, rng: np.random.Generator) -> str:
    a, n = constant(rng), 1 + rng.integers(3)
    forms = (f"{u}**{n}/({a} + {u}**{n})", f"tanh({a}*{u})", f"(1 - exp(-{a}*{u}))")
    return _one(forms, rng)


def _two_saturating(rng: np.random.Generator) -> str:
    product = f"{constant(rng)}*{_saturating('u', rng)}*{_saturating('v', rng)}"
    return _one((product, f"{constant(rng, sign=True)}*u + {product}"), rng)


def _growth_and_loss(rng: np.random.Generator) -> str:
    r, k, c, h = constant(rng), constant(rng, 1.5, 4), constant(rng), constant(rng)
    growth = f"{r}*u*(1 - u/{k})"
    loss = (f"u**2/({h} + u**2)", f"v*u**2/({h} + u**2)", f"v*tanh({h}*u)")
    return f"{growth} - {c}*{_one(loss, rng)}"


def _ratio(rng: np.random.Generator) -> str:
    a, b, c = constant(rng), constant(rng), constant(rng)
    forms = (
        f"{a}*u**2/({b} + u + {c}*v)",
        f"{a}*u/({b} + u**3)",
        f"({a} + u)/({b} + v**2)",
        f"{a}*u*v/({b} + u**2 + v)",
    )
    return _one(forms, rng)


def _harmonics(rng: np.random.Generator) -> str:
    a, b, c, _ = (constant(rng, sign=True) for _ in range(4))
    waves = f"{a}*sin(u) + {b}*sin(2*u)"
    phase = f"{a}*cos(u) + {b}*cos(2*u)"
    return _one((f"{waves} + {c}*v", f"{phase} + {c}*v**2", f"{waves} + {c}*u*v"), rng)


def _rise_and_decay(rng: np.random.Generator) -> str:
    a, b, c = constant(rng), constant(rng, 0.5, 3), constant(rng, 0.3, 1.5)
    rise = f"{a}*(1 - exp(-{b}*u))"
    return _one((f"{rise}*exp(-{c}*v)", f"{rise}*exp(-{c}*u)", f"{rise}*v*exp(-{c}*v)"), rng)


_POSITIVE = ((0.2, 4.0), (0.1, 3.0), (0.5, 5.0))
_WIDE = ((0.1, 6.0), (0.05, 4.0), (0.3, 8.0))
_BOTH_SIGNS = ((-3.0, 3.0), (-2.0, 4.0), (-3.1, 3.1))

KINDS: dict[str, tuple[Kind, Sequence[tuple[float, float]]]] = {
    "power law": (_power_law, _POSITIVE),
    "root of a product": (_root_of_product, _POSITIVE),
    "logarithm": (_logarithm, _WIDE),
    "two saturating": (_two_saturating, _WIDE),
    "growth and loss": (_growth_and_loss, _POSITIVE),
    "unlike degrees": (_ratio, _POSITIVE),
    "harmonics": (_harmonics, _BOTH_SIGNS),
    "rise and decay": (_rise_and_decay, _POSITIVE),
}


def fresh_terms(family: str = "develop", seed: int = 0) -> list[Target]:
    """60 terms of a generator; raises InputError for an unknown one."""
    if family not in FAMILIES:
        raise InputError(f"there is no generator {family!r}; choose from {', '.join(FAMILIES)}")
    kinds = list(KINDS) if family == "develop" else list(fresh_judge.KINDS)

    share, more = divmod(NUM_TERMS, len(kinds))
    found: list[Target] = []
    for place, kind in enumerate(kinds):
        rng = np.random.default_rng([seed, place, _STREAM, FAMILIES.index(family)])
        wanted, tries = len(found) + share + (place < more), 0
        of: Counter[str] = Counter()
        while len(found) < wanted:
            tries += 1
            if tries > _MOST_DRAWS:
                raise InputError(f"seed {seed} gives too few fair terms of the kind {kind!r}")
            target = _drawn(f"{family}{seed}-{place + 1}-{tries:03d}", family, kind, rng)
            if _reason(target):
                continue
            skeleton = hidden(target)
            if of[skeleton] < _MOST_ALIKE:
                of[skeleton] += 1
                found.append(target)
    return found


def _drawn(name: str, family: str, kind: str, rng: np.random.Generator) -> Target:
    write, boxes = (KINDS if family == "develop" else fresh_judge.KINDS)[kind]
    text = write(rng)
    ranges = [boxes[rng.integers(len(boxes))] for _ in "uv"]
    variables = ("x_i", "x_j") if rng.random() < 0.7 else ("x_i", "y_i")
    for letter, each in zip("uv", variables, strict=True):
        text = _renamed(text, letter, each)
    used = [k for k, each in enumerate(variables) if each in text]
    of_used = tuple(variables[k] for k in used), text, tuple(ranges[k] for k in used)
    return Target(name, *of_used, f"{family} {kind}")


def _renamed(text: str, letter: str, name: str) -> str:
    """The text with the variable `letter` called otherwise; letters of functions stay."""
    padded = f" {text} "
    return "".join(
        name if here == letter and not (before.isalpha() or after.isalpha()) else here
        for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    )


def _reason(target: Target) -> str:
    try:
        size = operators(target.expression)
    except InputError:
        return "not defined"
    if target.family.startswith("judge") and size > LARGEST:
        return "too large"
    try:
        return reason_to_refuse(target, size)
    except (InputError, np.linalg.LinAlgError):
        return "constants not determined"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fresh terms to develop a search on.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("# name; variables; expression; low:high per variable")
    for target in fresh_terms("develop", options.seed):
        ranges = " ".join(f"{low:g}:{high:g}" for low, high in target.ranges)
        print(f"{target.name}; {' '.join(target.variables)}; {target.text}; {ranges}")


if __name__ == "__main__":
    main()
