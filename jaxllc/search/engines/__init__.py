"""Engines that propose expressions for samples of a term."""
