"""Flags that every command has."""

from __future__ import annotations

import argparse

from jaxllc.errors import InputError, first_repeat


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


def add_input_argument(parser: argparse.ArgumentParser) -> None:
    """Add --input."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=_input,
        metavar="NAME=FILE.csv",
        help="what acts on the nodes from outside: time and a value, or time and a column per node; "
        "NAME=time is the time itself, NAME=VARIABLE a variable of the states; may stand several times",
    )


def _input(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    if not (equals and name and source):
        raise argparse.ArgumentTypeError(
            f"{text[:200]!r} is not NAME=FILE.csv, such as u=light.csv"
        )
    return name, source


def inputs_of(options: argparse.Namespace) -> dict[str, str]:
    """The inputs that were given, by name; raises InputError for one that is given twice."""
    repeated = first_repeat([name for name, _ in options.input])
    if repeated is not None:
        raise InputError(f"--input {repeated} is given twice; give each input once")
    return dict(options.input)


class _DefaultSeed(int):
    """The seed where none is given: another default may take its place."""


DEFAULT_SEED = _DefaultSeed(0)
