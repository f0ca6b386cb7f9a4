"""Spreading: epidemics, two epidemics at once, populations, heat."""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw


def _coevolving(name: str, coupling: float, horizon: float) -> KnownLaw:
    # Read as: the rate at which a disease infects a node grows with the node's prevalence of
    # the other disease, b (1 + c y_i); cooperation for c > 0.
    return KnownLaw(
        name=name,
        terms={
            "x": ("-r*x_i", "b*(1 + c*y_i)*(1 - x_i)*x_j"),
            "y": ("-r*y_i", "b*(1 + c*x_i)*(1 - y_i)*y_j"),
        },
        parameters={"b": 0.1, "r": 0.2, "c": coupling},
        initial_range={"x": (0.0, 1.0), "y": (0.0, 1.0)},
        horizon=horizon,
        source="Coevolving SIS diseases (NDP4ND)",
    )


LAWS = (
    KnownLaw(
        name="epidemic",
        terms={"x": ("-delta*x_i", "R*(1 - x_i)*x_j")},
        parameters={"delta": 0.5, "R": 0.5},
        initial_range={"x": (0.0, 1.0)},
        horizon=3.0,
        source="SIS (GKAN-ODE, ND2)",
    ),
    KnownLaw(
        name="epidemic_heterogeneous",
        terms={"x": ("-delta_i*x_i", "R*(1 - x_i)*x_j")},
        parameters={"R": 0.5},
        initial_range={"x": (0.0, 1.0)},
        feature_ranges={"delta": (0.0, 1.0)},
        horizon=3.0,
        source="SIS with a recovery rate per node (ND2)",
    ),
    _coevolving("coevolving_epidemics", 1, 6.0),
    _coevolving("coevolving_epidemics_weak", 0.1, 8.0),
    _coevolving("coevolving_epidemics_strong", 10, 2.0),
    KnownLaw(
        name="population",
        terms={"x": ("-B*x_i", "R*x_j**3")},
        parameters={"B": 0.5, "R": 0.2},
        initial_range={"x": (-1.0, 1.0)},
        horizon=10.0,
        source="Population (GKAN-ODE)",
    ),
    KnownLaw(
        name="heat",
        terms={"x": ("0", "K*(x_j - x_i)")},
        parameters={"K": 1},
        initial_range={"x": (0.0, 25.0)},
        horizon=1.0,
        source="Heat diffusion (NDCN)",
    ),
)
