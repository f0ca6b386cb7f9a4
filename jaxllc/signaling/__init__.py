"""Signaling models: a recurrent network on a signed prior network that predicts TFs from ligands (LEMBAS)."""

import importlib
from typing import Any

_HOMES = {
    "Conditions": "conditions",
    "CrossValidation": "cross_validation",
    "GroundTruth": "synthetic",
    "PRESETS": "settings",
    "Prediction": "model",
    "PriorNetwork": "prior_network",
    "SignalingFit": "training",
    "SignalingModel": "model",
    "SignalingSettings": "settings",
    "cross_validate": "cross_validation",
    "leave_out_folds": "folds",
    "preset": "settings",
    "published_folds": "folds",
    "read_folds": "folds",
    "simulate_conditions": "synthetic",
    "simulate_signaling": "continuous_time",
    "train": "training",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxllc.signaling' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"jaxllc.signaling.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
