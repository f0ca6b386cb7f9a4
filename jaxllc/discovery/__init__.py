"""`discover`, stage by stage: from runs and a network to a law."""
