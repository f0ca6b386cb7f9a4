"""Signaling models: a recurrent network on a signed prior network that predicts TFs from ligands (LEMBAS)."""

from jaxllc.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
