"""Targets drawn at random, a number of each size, and reproducible by a seed: the families random and nested.

random: terms that look like laws (`random_laws`); nested: whole trees, uniform over operators
(`nested_trees`), the harder set without the prior knowledge of what laws look like. Both hold 1 to 5
operators over 1 to 3 variables, with constants where they matter and a box. An operator is a binary
operation or a function between variables or subexpressions; products and sums with constants do not
count, and a Hill function counts as one. `fair_targets` says which draws are refused; their share is
part of what `generate` returns, and is large.

    python benchmarks/random_targets.py --seed 7        # writes targets in the format of a file of them
    python benchmarks/random_targets.py --family nested

Those of seed 0 are kept in `random_targets.txt` and `nested_targets.txt`, so that a later generator
leaves them as they are.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
import sympy
from exactness import skeleton_of
from fair_targets import operators, reason_to_refuse
from nested_trees import nested
from random_laws import law
from symbolic_targets import Target, targets_of_file

from jaxllc.equations.expressions import to_text
from jaxllc.errors import InputError

SIZES = (1, 2, 3, 4, 5)  # operators
PER_SIZE = 12


@dataclass(frozen=True)
class Family:
    """draw: a target of so many operators and a name; prefix: of the names; stream: added to the seed.

    The points of a target are seeded by its name, so that another prefix would make other targets.
    """

    draw: Callable[[int, str, np.random.Generator], Target]
    prefix: str
    stream: tuple[int, ...]


RANDOM_FAMILIES = {"random": Family(law, "law", (1,)), "nested": Family(nested, "r", ())}


def kept(family: str) -> Path:
    """The file of the targets of seed 0."""
    return Path(__file__).parent / f"{family}_targets.txt"


@dataclass(frozen=True)
class Generated:
    """targets: accepted, by size; drawn: how many draws that took; refused: how many of them and why."""

    targets: list[Target]
    drawn: int
    refused: dict[str, int]

    def __str__(self) -> str:
        reasons = ", ".join(f"{why} {n}" for why, n in sorted(self.refused.items()))
        share = 1 - len(self.targets) / self.drawn
        return f"{self.drawn} drawn, {100 * share:.1f} % refused ({reasons})"


@lru_cache(maxsize=8)
def generate(family: str = "random", seed: int = 0, per_stratum: int = PER_SIZE) -> Generated:
    """Targets of a random family, per_stratum of each number of operators; no two have one skeleton.

    Raises InputError if there are not that many.
    """
    source = RANDOM_FAMILIES[family]

    def draw(size: int, number: int, rng: np.random.Generator) -> tuple[Target, str]:
        target = source.draw(size, f"{source.prefix}{seed}-{size}-{number:02d}", rng)
        return target, reason_to_refuse(target, size)

    streams = {size: [seed, size, *source.stream] for size in SIZES}
    return fair_draws(draw, streams, per_stratum, f"{family} targets of {{}} operators")


def fair_draws(
    draw: Callable[[int, int, np.random.Generator], tuple[Target, str]],
    streams: dict[int, list[int]],
    per_size: int,
    name: str,
) -> Generated:
    """Targets, per_size of each size; no two have one skeleton.

    draw: gives a target of a size and a number, and why it is refused, if it is; streams: the seed of each
    size; name: of the targets of a size, for the error. Raises InputError if there are not that many.
    """
    accepted: list[Target] = []
    refused: Counter[str] = Counter()
    skeletons: set[str] = set()
    drawn = 0
    for size, stream in streams.items():
        rng = np.random.default_rng(stream)
        found, tries = 0, 0
        while found < per_size:
            tries += 1
            if tries > 4_000 + 2_000 * per_size:
                raise InputError(
                    f"only {found} {name.format(size)} were found; ask for fewer than {per_size}"
                )
            drawn += 1
            target, why = draw(size, found + 1, rng)
            key = "" if why else hidden(target)
            if not why and key in skeletons:
                why = "a skeleton that is there already"
            if why:
                refused[why] += 1
                continue
            skeletons.add(key)
            accepted.append(replace(target, text=to_text(rounded(target.expression))))
            found += 1
    return Generated(accepted, drawn, dict(refused))


def random_targets(family: str = "random", seed: int = 0) -> list[Target]:
    """The targets of a random family and a seed; those of seed 0 out of their file."""
    if seed != 0:
        return generate(family, seed).targets
    return [
        replace(target, family=f"{family} {operators(target.expression)}")
        for target in targets_of_file(kept(family))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Random targets of the search for one term.")
    parser.add_argument("--family", choices=list(RANDOM_FAMILIES), default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--per-size", type=int, default=PER_SIZE, help="of each number of operators"
    )
    options = parser.parse_args()
    drawn = generate(options.family, options.seed, options.per_size)
    print(f"# {options.family.capitalize()} targets of seed {options.seed}: {drawn}.")
    print("# name; variables; expression; low:high per variable")
    for target in drawn.targets:
        ranges = " ".join(f"{low:g}:{high:g}" for low, high in target.ranges)
        print(f"{target.name}; {' '.join(target.variables)}; {target.text}; {ranges}")


def rounded(expression: sympy.Expr) -> sympy.Expr:
    """Constants without the rounding errors of products such as 0.63*0.63."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({f: sympy.Float(float(f"{float(f):.6g}")) for f in floats})


def hidden(target: Target) -> str:
    """The skeleton with its constants hidden, the same whatever the variables are called."""
    form = skeleton_of(target.expression, target.variables).form
    symbols = sorted(form.free_symbols, key=str)
    constants = {s: sympy.Symbol("c") for s in symbols if s.name not in target.variables}
    form = form.xreplace(constants)
    variables = [sympy.Symbol(name) for name in target.variables]
    names = [sympy.Symbol(f"v{k}") for k in range(len(variables))]
    return min(
        str(form.xreplace(dict(zip(variables, order, strict=True))))
        for order in permutations(names)
    )


if __name__ == "__main__":
    main()
