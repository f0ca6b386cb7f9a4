"""Flags of the settings of a training, and of its seeds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from jaxllc.commands.common_arguments import DEFAULT_SEED
from jaxllc.commands.progress import say
from jaxllc.errors import InputError
from jaxllc.signaling.settings import PRESETS, SignalingSettings, preset, seeds_in

_MOST_SEEDS = 10_000
_HELP = {
    "activation": "activation of the nodes: mml, leaky_relu or sigmoid",
    "epochs": "epochs; each shows every condition once",
    "batch_size": "conditions in a step, 0 for all of them",
    "iterations": "iterations towards the steady state in a step",
    "warm_start": "begin them where the step before ended",
    "adjoint_limit": "bound that the adjoint is bent to, 0 for none",
    "learning_rate_start": "learning rate at the start",
    "learning_rate": "learning rate at its peak",
    "learning_rate_end": "learning rate at the end",
    "peak_at": "part of the training at which the learning rate peaks",
    "end_at": "part of the training from which it stays at its end",
    "reset_every": "epochs between two resets of Adam, 0 for none",
    "input_noise_per_rate": "noise on the input of every node, per learning rate",
    "gradient_noise_per_rate": "noise on the gradient, per learning rate",
    "gradient_limit": "largest norm of the gradient, 0 for none",
    "input_scale": "factor of every ligand level",
    "output_scale": "factor of every TF at the start",
    "train_output_scale": "learn it",
    "initial_radius": "spectral radius of the weights at the start",
    "sign_penalty": "weight of edges with the wrong sign",
    "l2": "weight of the squares of weights and bias",
    "l1": "weight of the absolute values of weights",
    "spread_penalty": "weight of 1 / (w^2 + 0.5)",
    "ligand_bias_penalty": "weight of the squares of the bias of ligands",
    "output_scale_penalty": "weight of the squares of changes of the output scale",
    "uniform_penalty": "weight of nodes that do not use their whole range over the conditions",
    "uniform_silent": "weight of nodes that are never active",
    "uniform_high": "activity that a node should reach at most",
    "spectral_penalty": "weight of spectral radii near 1",
    "spectral_target": "spectral radius from which the penalty counts in full",
}


def add_settings_arguments(
    parser: argparse.ArgumentParser, base: str = "default", without: Sequence[str] = ()
) -> None:
    """A flag for each of `SignalingSettings`; one that is left out keeps the value of the preset.

    base: the preset where none is chosen. without: settings that the command has flags of its own for.
    """
    group = parser.add_argument_group(
        "settings of the training",
        f"Each flag overrides the preset or the file of settings; in brackets the preset {base}.",
    )
    group.add_argument(
        "--preset",
        metavar="NAME",
        help=f"{', '.join(PRESETS)}: the settings to start from ({base})",
    )
    group.add_argument("--settings", metavar="FILE.json", help="a settings.json to start from")
    for field in fields(SignalingSettings):
        if field.name in without:
            continue
        default: Any = getattr(preset(base), field.name)
        flag = f"--{field.name.replace('_', '-')}"
        shown = default if isinstance(default, str | bool) else f"{default:g}"
        text = f"{_HELP.get(field.name, field.name.replace('_', ' '))} ({shown})"
        if isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(flag, type=type(default), help=text, metavar="VALUE")


def settings_of(
    options: argparse.Namespace, base: str = "default", without: Sequence[str] = ()
) -> SignalingSettings:
    """The preset or the file of settings, with the flags that were given; see `add_settings_arguments`."""
    if options.preset is not None and options.settings is not None:
        raise InputError("give either --preset or --settings, not both")
    settings = preset(options.preset or base)
    if options.settings is not None:
        settings = SignalingSettings.read(options.settings)
    names = [field.name for field in fields(SignalingSettings) if field.name not in without]
    given = {name: getattr(options, name) for name in names}
    return replace(settings, **{name: x for name, x in given.items() if x is not None})


def seeds_of(options: argparse.Namespace) -> tuple[int, ...]:
    """The seeds that were given, else those in the file of settings, else 0."""
    if getattr(options, "seeds", None) is not None:
        return tuple(options.seeds)
    if options.settings is not None and options.seed is DEFAULT_SEED:
        found = seeds_in(options.settings)
        if found and not options.quiet:
            several = "s" if len(found) > 1 else ""
            say(f"seed{several} {', '.join(map(str, found))} from {options.settings}")
        return found or (0,)
    return (int(options.seed),)


def seeds(text: str) -> tuple[int, ...]:
    """The seeds in a text such as 0,1,2 or 0:10, as a type of an argument."""
    parts = text.split(":") if ":" in text else text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a list such as 0,1,2 nor a range 0:10"
        )
    numbers = tuple(int(part) for part in parts)
    if ":" in text:
        if len(numbers) != 2 or not 0 < numbers[1] - numbers[0] <= _MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"{text!r} is not a range of seeds such as 0:10")
        numbers = tuple(range(*numbers))
    if len(set(numbers)) < len(numbers) or max(numbers) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} names a seed twice, or one beyond {2**32 - 1}")
    return numbers
