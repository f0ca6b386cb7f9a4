"""The catalogue of known laws, one file per field, each law defined once as equations.

jaxllc.known_laws.names()
jaxllc.known_laws.get("epidemic").simulate(network, times)
"""

from __future__ import annotations

from functools import lru_cache

from jaxllc.errors import InputError, nearest_match, quoted
from jaxllc.known_laws import chaos, ecology, epidemics, genes, neurons, oscillators, signaling
from jaxllc.known_laws.known_law import KnownLaw

__all__ = ["KnownLaw", "get", "names"]


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, KnownLaw]:
    fields = (genes, ecology, neurons, epidemics, oscillators, chaos, signaling)
    return {law.name: law for module in fields for law in module.LAWS}


def names() -> list[str]:
    """The names of all known laws.

    Example:
        >>> "epidemic" in names()
        True
    """
    return list(_catalogue())


def get(name: str) -> KnownLaw:
    """The known law of that name; raises InputError, with the nearest match, for another.

    Example:
        >>> print(get("epidemic"))
        dx_i/dt = -0.5*x_i + sum_j A_ij (0.5*x_j*(-x_i + 1))
    """
    catalogue = _catalogue()
    if not isinstance(name, str) or name not in catalogue:
        raise InputError(
            f"There is no known law {quoted(name, 60)}{nearest_match(str(name), catalogue)}; known laws: "
            f"{', '.join(catalogue)}."
        )
    return catalogue[name]
