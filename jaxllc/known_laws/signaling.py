"""Signaling as an ODE: the sum over neighbours is the argument of a function.

    dx_i/dt = -x_i + phi(sum_j w_ij x_j + u_i + b_i)

phi is the MML function of LEMBAS (Nilsson et al., Nature Communications 13, 2022): leaky below 0,
linear up to 1/2, and saturating towards 1 above, as Michaelis-Menten kinetics do.
"""

from __future__ import annotations

from jaxllc.known_laws.known_law import KnownLaw


def mml(z: str) -> str:
    """0.01 z below 0; z up to 1/2; 1 - 1/(4 z) above: as one expression in the text z."""
    return f"min(max(0.01*({z}), {z}), 1 - 1/(4*max({z}, 0.5)))"


LAWS = (
    KnownLaw(
        name="signaling",
        terms={"x": (f"-x_i + {mml('x_s + u_i + b_i')}", "0")},
        parameters={},
        initial_range={"x": (0.0, 1.0)},
        feature_ranges={"u": (0.0, 1.0), "b": (-0.5, 0.1)},
        horizon=5.0,
        source="MML signaling model of LEMBAS as an ODE (this project)",
    ),
)
