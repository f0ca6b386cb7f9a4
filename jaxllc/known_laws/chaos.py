"""Coupled chaotic systems: Rossler and Lorenz."""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw


def _rossler(name: str, frequency: str, coupling: str, **options: object) -> KnownLaw:
    parameters = {"epsilon": 0.5, "a": 0.165, "b": 0.2, "c": 5.7}
    if frequency == "w":
        parameters["w"] = 1
    return KnownLaw(
        name=name,
        terms={
            "x": (f"-{frequency}*y_i - z_i", f"epsilon*{coupling}"),
            "y": (f"{frequency}*x_i + a*y_i", "0"),
            "z": ("b + z_i*(x_i - c)", "0"),
        },
        parameters=parameters,
        initial_range={"x": (-5.0, 5.0), "y": (-5.0, 5.0), "z": (0.0, 2.0)},
        horizon=10.0,
        source="Coupled Rossler oscillators (ND2, Gao)",
        **options,  # type: ignore[arg-type]
    )


LAWS = (
    _rossler("rossler", "w", "sin(x_j - x_i)"),
    _rossler(
        "rossler_heterogeneous",
        "omega_i",
        "sin(x_j - x_i)",
        feature_ranges={"omega": (0.8, 1.2)},
    ),
    _rossler("rossler_diffusive", "w", "(x_j - x_i)"),
    KnownLaw(
        name="lorenz",
        terms={
            "x": ("sigma*(y_i - x_i)", "epsilon*(x_j - x_i)"),
            "y": ("x_i*(rho - z_i) - y_i", "0"),
            "z": ("x_i*y_i - beta*z_i", "0"),
        },
        parameters={"sigma": 10, "rho": 28, "beta": 8 / 3, "epsilon": 0.2},
        initial_range={"x": (-10.0, 10.0), "y": (-10.0, 10.0), "z": (10.0, 35.0)},
        horizon=2.0,
        source="Coupled Lorenz systems (Gao)",
    ),
)
