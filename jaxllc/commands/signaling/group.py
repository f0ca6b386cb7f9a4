"""Train, validate and use models of signaling on a signed prior network.

A recurrent model on the prior network predicts how active transcription factors (TFs) become in the
steady state, from the ligands that a cell is given.
"""

from __future__ import annotations

from jaxllc.commands import Command

COMMANDS = (
    Command(
        "train",
        "jaxllc.commands.signaling.train_command",
        "Train a model of signaling on a prior network, ligand levels and TF activities.",
    ),
    Command(
        "cross-validate",
        "jaxllc.commands.signaling.cross_validate",
        "How well a model of signaling predicts conditions that it was not trained on.",
    ),
    Command(
        "predict",
        "jaxllc.commands.signaling.predict",
        "Predict TF activities for other ligands, and with nodes knocked out.",
    ),
    Command(
        "self-prune",
        "jaxllc.commands.signaling.self_prune",
        "Add spurious edges to a prior network, train, and see which edges the models let go of.",
    ),
)
