"""Settings of a training, as a frozen dataclass whose fields are also flags, and the published presets.

Sources of the presets: Nilsson et al., Nature Communications 13 (2022), and its supplement; for the
self-pruning study doi 10.1101/2025.10.24.684155 (2025).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from jaxllc.errors import (
    InputError,
    as_finite,
    check_mapping,
    check_path,
    listed,
    nearest_match,
    quoted,
)
from jaxllc.files.json_text import read_json
from jaxllc.signaling.model.activations import activation

# What a settings.json holds beside the settings: what else its run was told.
RUN = ("seed", "seeds", "study")


@dataclass(frozen=True)
class SignalingSettings:
    """How a signaling model is trained; the defaults are those measured best.

    activation: phi, "mml", "sigmoid" or "leaky_relu". An epoch of `epochs` shows every condition once;
    `batch_size` 0 shows them all in one step. With `warm_start`, states are carried from step to step with
    `iterations` each, and found anew from zero with `refresh_iterations` in every `refresh_every`-th epoch;
    the parameters of the best of these are kept. adjoint_limit: bound that adjoints are
    bent to, 0 for none. learning_rate: of Adam, from learning_rate_start up to it at the part
    `peak_at` of the epochs and down to learning_rate_end at `end_at`, half cosines; the moments begin anew
    every `reset_every` epochs, 0 for never.

    Noise of the drive of every node: standard deviation input_noise, plus input_noise_per_rate times the
    learning rate; gradient_noise and gradient_noise_per_rate are those of the gradient. gradient_limit:
    the largest norm of a gradient, 0 for none. input_scale, output_scale: factors of ligand levels, and at
    the begin of TF activities; train_output_scale: whether those are learned. initial_radius: the spectral
    radius of the weights at the begin.

    Weights of the penalties: sign_penalty of |w| of a wrong sign, l2 of w^2 and b^2, l1 of |w|,
    spread_penalty of 1 / (w^2 + 1/2), ligand_bias_penalty of b^2 of ligands, output_scale_penalty of
    changes of the output scale, uniform_penalty of nodes that do not use the range 0 to uniform_high
    (uniform_silent: of nodes that are never active), spectral_penalty of radii above spectral_target, with
    spectral_steepness. Formulas: `jaxllc.signaling.model.penalties`, of Nilsson et al., Nature
    Communications 13 (2022).

    Raises InputError for a value of another kind or out of its range.

    Example:
        >>> SignalingSettings(epochs=1000, l2=1e-5).learning_rate
        0.002
    """

    activation: str = "mml"
    epochs: int = 6000
    batch_size: int = 0
    # fixed point
    iterations: int = 8
    warm_start: bool = True
    refresh_every: int = 20
    refresh_iterations: int = 50
    adjoint_limit: float = 1.0
    # learning rate: half cosines from start to peak to end
    learning_rate_start: float = 1e-5
    learning_rate: float = 2e-3
    learning_rate_end: float = 1e-5
    peak_at: float = 0.2
    end_at: float = 0.95
    reset_every: int = 200
    # noise
    input_noise: float = 0.0
    input_noise_per_rate: float = 1.0
    gradient_noise: float = 0.0
    gradient_noise_per_rate: float = 0.0
    gradient_limit: float = 0.0
    # start
    input_scale: float = 3.0
    output_scale: float = 1.2
    train_output_scale: bool = True
    initial_radius: float = 0.8
    # penalties
    sign_penalty: float = 0.1
    l2: float = 3e-6
    l1: float = 0.0
    spread_penalty: float = 0.0
    ligand_bias_penalty: float = 1e-3
    output_scale_penalty: float = 1e-6
    uniform_penalty: float = 1e-5
    uniform_silent: float = 50.0
    uniform_high: float = 1 / 1.2
    spectral_penalty: float = 1e-3
    spectral_target: float = 0.6
    spectral_steepness: float = 21.0

    def __post_init__(self) -> None:
        activation(self.activation)
        for field in fields(self):
            value, wanted = _plain(getattr(self, field.name)), type(field.default)
            object.__setattr__(self, field.name, value)
            if field.name == "activation":
                continue
            if not _is(value, wanted):
                raise InputError(
                    f"{field.name} is {quoted(value, 80)}, but it must be {_KINDS[wanted]}"
                )
            low = _LOWEST.get(field.name, 0)
            if wanted is int and value > _HIGHEST:
                raise InputError(
                    f"{field.name} is {quoted(value, 80)}, but it must be at most {_HIGHEST:g}"
                )
            if value < low:
                raise InputError(f"{field.name} is {value}, but it must be at least {low}")
        if not 0 <= self.peak_at < self.end_at <= 1:
            raise InputError(
                f"peak_at is {self.peak_at} and end_at {self.end_at}, but they are parts of the training: "
                "0 <= peak_at < end_at <= 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], place: str = "the settings") -> SignalingSettings:
        """Settings from plain data; fields left out keep their defaults, unknown ones raise InputError.

        values: by the names of the fields. place: what errors call them.
        """
        check_mapping(place, values, "{'epochs': 1000}")
        types: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        unknown = [str(name) for name in values if name not in types]
        if unknown:
            raise InputError(f"{place} has no field {listed(unknown, types)}")
        given: dict[str, Any] = {}
        for name, value in values.items():
            wanted, value = types[name], _plain(value)
            if wanted is float and isinstance(value, int) and not isinstance(value, bool):
                value = as_finite(value) if as_finite(value) is not None else value
            if type(value) is not wanted:
                raise InputError(
                    f"{place}: {name} is {quoted(value, 80)}, but it must be of type {wanted.__name__}"
                )
            given[name] = value
        return cls(**given)

    @classmethod
    def read(cls, path: str | os.PathLike) -> SignalingSettings:
        """Settings from a JSON file, as `save` of a fit writes it, without what else it was told.

        path: of the file; raises InputError for one that holds something else.
        """
        check_path("path", path)
        values = read_json(path, "give a file of settings, such as a settings.json of a training")
        if not isinstance(values, dict):
            raise InputError(f"{path} must hold one JSON object with a value for each setting")
        values = {name: value for name, value in values.items() if name not in RUN}
        return cls.from_dict(values, str(path))


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item() if hasattr(value, "dtype") and np.ndim(value) == 0 else value


def seeds_in(path: str | os.PathLike) -> tuple[int, ...]:
    """The seeds of the run that wrote a file of settings; none where it does not say."""
    values = read_json(path, "give a file of settings, such as a settings.json of a training")
    found = values.get("seeds", values.get("seed", [])) if isinstance(values, dict) else []
    found = found if isinstance(found, list) else [found]
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise InputError(
                f"{path}: the seed {seed!r:.40} is not a whole number from 0 to {2**32 - 1}"
            )
    return tuple(found)


def _is(value: object, wanted: type) -> bool:
    """Whether a value is of the type of a setting; True and False are no numbers, whole numbers are."""
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    return isinstance(value, int if wanted is int else int | float) and as_finite(value) is not None


_KINDS = {bool: "True or False", int: "a whole number", float: "a number"}
_HIGHEST = 2**31 - 1
_LOWEST = {"epochs": 1, "iterations": 1, "spectral_steepness": 1e-6, "uniform_high": 1e-6}

_PUBLISHED = SignalingSettings(
    epochs=5000,
    batch_size=5,
    iterations=100,
    warm_start=False,
    peak_at=1000 / 5000,
    input_noise_per_rate=10.0,
    l2=1e-6,
    spread_penalty=1e-6,
    ligand_bias_penalty=1e-3,
    output_scale_penalty=1e-6,
    uniform_silent=50.0,
    uniform_high=0.99,
    spectral_target=0.871,
)

_DEFAULT = SignalingSettings()

# The published rates, noise and penalties of the self-pruning study, with our solver of steady states. Its
# L2 is what the study varies. There is no spread penalty, which keeps weights from fading away.
_SELF_PRUNING = replace(
    _DEFAULT,
    epochs=5000,
    learning_rate=1e-3,
    peak_at=0.1,
    input_noise_per_rate=0.0,
    gradient_noise=1e-9,
    initial_radius=0.9,
    l2=1e-5,
    uniform_penalty=0.0,
    spectral_target=0.871,
)

PRESETS = {
    "default": _DEFAULT,
    "close_fit": replace(_DEFAULT, epochs=10000, l2=1e-6, spectral_target=0.8),
    "many_conditions": replace(
        _DEFAULT,
        epochs=1500,
        batch_size=20,
        iterations=16,
        refresh_every=5,
        refresh_iterations=150,
        input_noise_per_rate=0.0,
        l2=1e-8,
        train_output_scale=False,
        ligand_bias_penalty=1e-5,
        uniform_penalty=1e-6,
        spectral_target=0.94,
    ),
    "macrophage": _PUBLISHED,
    "ligand": replace(
        _PUBLISHED,
        iterations=150,
        adjoint_limit=5.0,
        epochs=8000,
        learning_rate_start=1e-4,
        learning_rate=1e-3,
        peak_at=1000 / 8000,
        input_noise=1e-3,
        input_noise_per_rate=0.0,
        initial_radius=0.7,
        spread_penalty=0.0,
        ligand_bias_penalty=1e-4,
        output_scale_penalty=1e-4,
        uniform_silent=1.0,
        uniform_high=1 / 1.2,
        spectral_steepness=10.0,
        spectral_target=0.9,
    ),
    "synthetic": replace(
        _PUBLISHED,
        iterations=150,
        epochs=10000,
        peak_at=1000 / 10000,
        l2=1e-8,
        spread_penalty=1e-8,
        ligand_bias_penalty=1e-5,
        train_output_scale=False,
        uniform_penalty=1e-4,
        spectral_target=0.94,
    ),
    "self_pruning": _SELF_PRUNING,
    "self_pruning_ligand": replace(
        _SELF_PRUNING,
        adjoint_limit=5.0,
        epochs=16000,
        input_noise=1e-2,
        gradient_noise=0.0,
        gradient_noise_per_rate=1e-2,
        gradient_limit=1.0,
        ligand_bias_penalty=1e-4,
        output_scale_penalty=1e-4,
        spectral_steepness=10.0,
        spectral_target=0.9,
    ),
    "self_pruning_synthetic": replace(
        _SELF_PRUNING,
        ligand_bias_penalty=1e-5,
        train_output_scale=False,
        spectral_target=0.94,
    ),
}


def preset(name: str) -> SignalingSettings:
    """The settings of this name, of PRESETS; raises InputError for another.

    default: measured best on conditions that were held out. close_fit: nearer to the data, but not to other
    data. many_conditions: mini-batches, for hundreds of conditions with little noise. macrophage, ligand
    and synthetic: as published. self_pruning, self_pruning_ligand, self_pruning_synthetic: as the
    self-pruning study trains on these data.

    Example:
        >>> preset("close_fit").activation
        'mml'
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(
            f"there is no preset {quoted(name, 80)}{nearest_match(str(name), PRESETS)}; choose one of "
            f"{', '.join(PRESETS)}"
        )
    return PRESETS[name]


SettingsLike = SignalingSettings | Mapping[str, Any] | str | os.PathLike | None


def settings_of(settings: SettingsLike, base: str = "default") -> SignalingSettings:
    """Settings as they are, by the name of a preset, or in a JSON file; or a preset with some changed.

    A mapping holds what differs from the preset `base`, and None is that preset. Raises InputError for
    anything else.
    """
    if settings is None:
        return preset(base)
    if isinstance(settings, SignalingSettings):
        return settings
    if isinstance(settings, Mapping):
        return SignalingSettings.from_dict({**preset(base).to_dict(), **settings})
    if isinstance(settings, os.PathLike) or (
        isinstance(settings, str) and settings.lower().endswith(".json")
    ):
        return SignalingSettings.read(settings)
    if isinstance(settings, str):
        return preset(settings)
    raise InputError(
        f"settings must be SignalingSettings, the name of a preset, a mapping such as {{'epochs': 1000}} or "
        f"the path of a JSON file, not {quoted(settings, 80)}"
    )
