"""Targets far from the corpus of the pre-trained engine: random trees, reproducible by a seed.

    python benchmarks/far_targets.py --seed 0        # writes targets in the format of a file of them

`far_trees` draws them, of 3 to 7 nodes; `fair_targets` says which are refused: poles, what is almost
constant, constants that the data do not determine, forms that a simpler one replaces. Refused, too, is a
tree that sympy writes with fewer operators than it has, and a skeleton that is there already. Those of
seed 0 are kept in `far_targets.txt`, so that a later generator leaves them as they are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import sympy
from fair_targets import operators as count_operators
from fair_targets import reason_to_refuse
from far_trees import far_target
from random_targets import Generated, fair_draws
from symbolic_targets import Target, targets_of_file

from jaxllc.errors import InputError

SIZES = (3, 4, 5, 6, 7)  # nodes
PER_SIZE = 40
KEPT = Path(__file__).parent / "far_targets.txt"
_STREAM = 3


@lru_cache(maxsize=4)
def generate(seed: int = 0, per_size: int = PER_SIZE) -> Generated:
    """Far targets, per_size of each number of nodes; no two have one skeleton.

    Raises InputError if there are not that many.
    """

    def draw(size: int, number: int, rng: np.random.Generator) -> tuple[Target, str]:
        target, operators = far_target(size, f"far{seed}-{size}-{number:02d}", rng)
        return target, _reason_to_refuse(target, operators)

    streams = {size: [seed, size, _STREAM] for size in SIZES}
    return fair_draws(draw, streams, per_size, "far targets of {} nodes")


def _reason_to_refuse(target: Target, operators: int) -> str:
    try:
        with np.errstate(all="ignore"):
            why = reason_to_refuse(target, operators)
    except InputError:  # sympy wrote it with functions of complex numbers
        return "not defined"
    except np.linalg.LinAlgError:  # no constant has any effect
        return "constants not determined"
    if why:
        return why
    # The root of a square is a magnitude once the variables are known to be real.
    real = {x: sympy.Symbol(x.name, real=True) for x in target.expression.free_symbols}
    shorter = count_operators(target.expression.xreplace(real)) != operators
    return "collapses" if shorter else ""


def far_targets(seed: int = 0) -> list[Target]:
    """The far targets of a seed; those of seed 0 out of their file."""
    if seed != 0:
        return generate(seed).targets
    # The name tells the nodes of the tree: far0-5-03.
    return [
        replace(target, family=f"far {target.name.split('-')[1]}")
        for target in targets_of_file(KEPT)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Targets far from the corpus.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-size", type=int, default=PER_SIZE, help="of each number of nodes")
    options = parser.parse_args()
    drawn = generate(options.seed, options.per_size)
    print(f"# Far targets of seed {options.seed}: {drawn}.")
    print("# name; variables; expression; low:high per variable")
    for target in drawn.targets:
        ranges = " ".join(f"{low:g}:{high:g}" for low, high in target.ranges)
        print(f"{target.name}; {' '.join(target.variables)}; {target.text}; {ranges}")


if __name__ == "__main__":
    main()
