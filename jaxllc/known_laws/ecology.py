"""Species that help or compete: mutualistic, Lotka-Volterra, mutualistic pairs."""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw

LAWS = (
    KnownLaw(
        name="mutualistic",
        terms={
            "x": ("b + x_i*(1 - x_i/K)*(x_i/C - 1)", "x_i*x_j/(D + E*x_i + H*x_j)"),
        },
        parameters={"b": 0.1, "K": 5, "C": 1, "D": 5, "E": 0.9, "H": 0.1},
        initial_range={"x": (0.0, 25.0)},
        horizon=3.0,
        source="Mutualistic populations with an Allee effect (NDCN)",
    ),
    KnownLaw(
        name="lotka_volterra",
        terms={"x": ("x_i*(alpha - theta*x_i)", "-x_i*x_j")},
        parameters={"alpha": 0.5, "theta": 0.8},
        initial_range={"x": (0.0, 1.0)},
        horizon=5.0,
        source="Competitive Lotka-Volterra (ND2, PI-NDSR)",
    ),
    KnownLaw(
        name="lotka_volterra_heterogeneous",
        terms={"x": ("x_i*(alpha_i - theta_i*x_i)", "-x_i*x_j")},
        parameters={},
        initial_range={"x": (0.0, 1.0)},
        feature_ranges={"alpha": (0.0, 1.0), "theta": (0.0, 1.0)},
        horizon=5.0,
        source="Competitive Lotka-Volterra with rates per node (ND2, PI-NDSR)",
    ),
    KnownLaw(
        name="mutualistic_pairs",
        terms={"x": ("x_i*(alpha_i - theta_i*x_i)", "x_i*x_j**2/(x_j**2 + 1)")},
        parameters={},
        initial_range={"x": (0.1, 5.0)},
        feature_ranges={"alpha": (0.0, 1.0), "theta": (0.5, 1.0)},
        horizon=2.0,
        source="Mutualistic interaction of species pairs, rates per node (ND2)",
    ),
)
