"""Phases that pull each other: Kuramoto."""

from __future__ import annotations

from math import pi

from jaxllc.known_laws.known_law import KnownLaw

LAWS = (
    KnownLaw(
        name="kuramoto",
        terms={"x": ("omega", "R*sin(x_j - x_i)")},
        parameters={"omega": 2, "R": 0.5},
        initial_range={"x": (0.0, 2 * pi)},
        horizon=3.0,
        source="Kuramoto (GKAN-ODE)",
    ),
    KnownLaw(
        name="kuramoto_heterogeneous",
        terms={"x": ("omega_i", "R*sin(x_j - x_i)")},
        parameters={"R": 0.5},
        initial_range={"x": (0.0, 2 * pi)},
        feature_ranges={"omega": (1.0, 3.0)},
        horizon=3.0,
        source="Kuramoto with a frequency per node (PI-NDSR)",
    ),
)
