"""Neurons and populations of neurons: Wilson-Cowan, rate model, FitzHugh-Nagumo, Hindmarsh-Rose."""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw


def _wilson_cowan(name: str, slope: float) -> KnownLaw:
    return KnownLaw(
        name=name,
        terms={"x": ("-x_i", "1/(1 + exp(-tau*(x_j - mu)))")},
        parameters={"tau": slope, "mu": 1},
        initial_range={"x": (0.0, 5.0)},
        horizon=4.0,
        source="Wilson-Cowan (ND2)",
    )


LAWS = (
    _wilson_cowan("neural", 5.1),
    _wilson_cowan("neural_smooth", 1),
    # The sum over neighbours is inside the function; the network brings the signs and sizes of synapses.
    KnownLaw(
        name="neural_rates",
        terms={"x": ("-x_i + tanh(g*x_s)", "0")},
        parameters={"g": 0.5},
        initial_range={"x": (-1.0, 1.0)},
        horizon=4.0,
        source="h' = -h + sum_j J_ij tanh(g h_j) (Sompolinsky, Crisanti and Sommers, Physical Review "
        "Letters 61, 1988), written for the rates x, of which h = sum_j J_ij x_j is the input",
    ),
    KnownLaw(
        name="fitzhugh_nagumo",
        terms={
            "x": ("x_i - x_i**3 - y_i", "-epsilon/k_i*(x_j - x_i)"),
            "y": ("a + b*x_i + c*y_i", "0"),
        },
        parameters={"epsilon": 1, "a": 0.28, "b": 0.5, "c": -0.04},
        initial_range={"x": (0.0, 1.0), "y": (-5.0, 5.0)},
        horizon=10.0,
        source="FitzHugh-Nagumo, coupling divided by the in-degree (ND2)",
    ),
    KnownLaw(
        name="hindmarsh_rose",
        terms={
            "x": (
                "y_i - x_i**3 + 3*x_i**2 - z_i + current",
                "g*(V - x_i)/(1 + exp(-tau*(x_j - mu)))",
            ),
            "y": ("1 - 5*x_i**2 - y_i", "0"),
            "z": ("r*(s*(x_i + 1.6) - z_i)", "0"),
        },
        parameters={
            "current": 3.24,
            "g": 0.15,
            "V": 2,
            "tau": 10,
            "mu": 1,
            "r": 0.005,
            "s": 4,
        },
        initial_range={"x": (-2.0, 2.0), "y": (-5.0, 1.0), "z": (0.0, 4.0)},
        horizon=20.0,
        source="Hindmarsh-Rose with chemical synapses (Gao, FEX)",
    ),
)
