"""Training of signaling models, with checkpoints and cross-validation."""
