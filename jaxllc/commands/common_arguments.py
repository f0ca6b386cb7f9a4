"""Flags that every command has."""

from __future__ import annotations

import argparse


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --seed, --json, --quiet and --traceback."""
    common = parser.add_argument_group("common options")
    common.add_argument(
        "--seed",
        type=_seed,
        default=DEFAULT_SEED,
        metavar="N",
        help="random seed; the same seed gives the same result (0)",
    )
    common.add_argument("--json", action="store_true", help="one JSON object on stdout")
    common.add_argument("--quiet", action="store_true", help="no progress and no remarks on stderr")
    common.add_argument("--traceback", action="store_true", help="show where a failure happened")


def _seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return value


class _DefaultSeed(int):
    """The seed where none is given: another default may take its place."""


DEFAULT_SEED = _DefaultSeed(0)
