"""Dynamics on a network: terms, vector fields, and their integration by diffrax."""
