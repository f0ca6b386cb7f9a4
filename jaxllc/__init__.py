"""jaxllc: laws of networked dynamics that a person can read, and signaling models on prior networks."""

import sys
from types import ModuleType
from typing import Any

# Under its own name the function would hide the module.
from jaxllc.lazy_names import lazy_names as _lazy_names

# Where each public name lives; a name is loaded when it is first used, so that importing jaxllc is fast.
_HOMES = {
    "InputError": "errors",
    "Law": "law",
    "Network": "network",
    "Trajectories": "trajectories",
    "VectorField": "vector_field",
    "__version__": "version",
    "discover": "discovery",
    "load_law": "law",
    "match": "tables",
    "read_edges": "tables",
    "read_features": "tables",
    "read_states": "tables",
    "simulate": "simulate",
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

__all__ = sorted([*_HOMES, *_MODULES])

__getattr__, __dir__ = _lazy_names(__name__, _HOMES, _MODULES)


class _Package(ModuleType):
    """Keeps `jaxllc.simulate` the function: importing the file of that name would replace it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
