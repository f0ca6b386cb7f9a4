"""Signaling models: a recurrent network on a signed prior network that predicts TFs from ligands (LEMBAS)."""

from jaxllc.lazy_names import lazy_names

_HOMES = {
    "Conditions": "data.conditions",
    "CrossValidation": "training.cross_validation",
    "GroundTruth": "model.synthetic",
    "PRESETS": "settings",
    "Prediction": "model.signaling_model",
    "PriorNetwork": "network.prior_network",
    "SignalingFit": "training.train",
    "SignalingModel": "model.signaling_model",
    "SignalingSettings": "settings",
    "cross_validate": "training.cross_validation",
    "leave_out_folds": "data.folds",
    "preset": "settings",
    "published_folds": "data.folds",
    "add_spurious_edges": "network.spurious_edges",
    "is_spurious": "network.spurious_edges",
    "read_folds": "data.folds",
    "self_pruning_study": "jaxllc.self_pruning.study",  # it stands on the sweeps, and they on this package
    "simulate_conditions": "model.synthetic",
    "simulate_signaling": "model.continuous_time",
    "train": "training.train",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
