"""Signaling models: a recurrent network on a signed prior network that predicts TFs from ligands (LEMBAS)."""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names

if TYPE_CHECKING:
    from jaxllc.signaling.data.conditions import Conditions
    from jaxllc.signaling.data.folds import leave_out_folds, published_folds, read_folds
    from jaxllc.signaling.model.continuous_time import simulate_signaling
    from jaxllc.signaling.model.signaling_model import Prediction, SignalingModel
    from jaxllc.signaling.model.synthetic import GroundTruth, simulate_conditions
    from jaxllc.signaling.network.prior_network import PriorNetwork
    from jaxllc.signaling.network.spurious_edges import add_spurious_edges, is_spurious
    from jaxllc.signaling.settings import PRESETS, SignalingSettings, preset
    from jaxllc.signaling.training.cross_validation import CrossValidation, cross_validate
    from jaxllc.signaling.training.signaling_training import SignalingFit, train

_HOMES = {
    "Conditions": "data.conditions",
    "CrossValidation": "training.cross_validation",
    "GroundTruth": "model.synthetic",
    "PRESETS": "settings",
    "Prediction": "model.signaling_model",
    "PriorNetwork": "network.prior_network",
    "SignalingFit": "training.signaling_training",
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
    "train": "training.signaling_training",
}

__all__ = [
    "PRESETS",
    "Conditions",
    "CrossValidation",
    "GroundTruth",
    "Prediction",
    "PriorNetwork",
    "SignalingFit",
    "SignalingModel",
    "SignalingSettings",
    "add_spurious_edges",
    "cross_validate",
    "is_spurious",
    "leave_out_folds",
    "preset",
    "published_folds",
    "read_folds",
    "self_pruning_study",
    "simulate_conditions",
    "simulate_signaling",
    "train",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
