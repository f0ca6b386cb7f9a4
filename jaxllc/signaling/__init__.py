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
    "add_spurious_edges": "spurious_edges",
    "is_spurious": "spurious_edges",
    "read_folds": "folds",
    "self_pruning_study": "jaxllc.self_pruning.study",  # it stands on the sweeps, and they on this package
    "simulate_conditions": "synthetic",
    "simulate_signaling": "continuous_time",
    "train": "training",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxllc.signaling' has no attribute {name!r}")
    home = _HOMES[name]
    module = home if home.startswith("jaxllc.") else f"jaxllc.signaling.{home}"
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
