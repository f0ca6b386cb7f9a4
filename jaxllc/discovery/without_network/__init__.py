"""Discoveries without a network: edges and law in turn, and what the samples do not tell."""
