"""Skeletons as strings and arrays: alphabet, canonical form, draws, neighbours, and fits of constants."""
