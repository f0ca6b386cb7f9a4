"""Inside the cell: protein-protein reactions and gene regulation."""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw


def _gene(name: str, self_power: int) -> KnownLaw:
    return KnownLaw(
        name=name,
        terms={"x": ("-B*x_i**f", "x_j**h/(x_j**h + 1)")},
        parameters={"B": 1, "f": self_power, "h": 2},
        initial_range={"x": (0.1, 5.0)},
        horizon=5.0 if self_power == 1 else 2.0,
        source="Gene regulation by Michaelis-Menten kinetics (NDCN, ND2)",
    )


LAWS = (
    KnownLaw(
        name="biochemical",
        terms={"x": ("F - B*x_i", "-R*x_i*x_j")},
        parameters={"F": 1, "B": 0.5, "R": 0.5},
        initial_range={"x": (0.0, 1.0)},
        horizon=2.0,  # the source stops at 1
        source="Mass action of proteins (GKAN-ODE)",
    ),
    _gene("gene", 1),
    _gene("gene_quadratic", 2),
)
