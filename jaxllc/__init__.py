"""jaxllc: laws of networked dynamics that a person can read, and signaling models on prior networks."""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names as _lazy_names

# For type checkers and editors, which do not run what follows.
if TYPE_CHECKING:
    from jaxllc import (
        generators,
        known_laws,
        metrics,
        plotting,
        self_pruning,
        signaling,
        sweeps,
        symbolic,
    )
    from jaxllc.data.inputs import match
    from jaxllc.data.network import Network
    from jaxllc.data.readers import read_edges, read_features, read_states
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.discovery.entry import discover
    from jaxllc.dynamics.integrate import simulate
    from jaxllc.dynamics.vector_field import VectorField
    from jaxllc.errors import InputError
    from jaxllc.law.law import Law, load_law
    from jaxllc.settings.discover_settings import DiscoverSettings
    from jaxllc.version import __version__

# Where each public name lives; a name is loaded when it is first used, so that importing jaxllc is fast.
_HOMES = {
    "DiscoverSettings": "settings.discover_settings",
    "InputError": "errors",
    "Law": "law.law",
    "Network": "data.network",
    "Trajectories": "data.trajectories",
    "VectorField": "dynamics.vector_field",
    "__version__": "version",
    "discover": "discovery.entry",
    "load_law": "law.law",
    "match": "data.inputs",
    "read_edges": "data.readers",
    "read_features": "data.readers",
    "read_states": "data.readers",
    "simulate": "dynamics.integrate",
}
_MODULES = (
    "generators",
    "known_laws",
    "metrics",
    "plotting",
    "self_pruning",
    "signaling",
    "sweeps",
    "symbolic",
)

__all__ = [
    "DiscoverSettings",
    "InputError",
    "Law",
    "Network",
    "Trajectories",
    "VectorField",
    "__version__",
    "discover",
    "generators",
    "known_laws",
    "load_law",
    "match",
    "metrics",
    "plotting",
    "read_edges",
    "read_features",
    "read_states",
    "self_pruning",
    "signaling",
    "simulate",
    "sweeps",
    "symbolic",
]

if not TYPE_CHECKING:  # or any name would pass
    __getattr__, __dir__ = _lazy_names(__name__, _HOMES, _MODULES)
