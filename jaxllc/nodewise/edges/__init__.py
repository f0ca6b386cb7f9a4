"""Edges under a law: which senders the samples of a receiver ask for."""
