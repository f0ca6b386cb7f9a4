"""jaxllc: laws of networked dynamics that a person can read, and signaling models on prior networks."""

import importlib
import sys
from types import ModuleType
from typing import Any

# Where each public name lives; a name is loaded when it is first used, so that importing jaxllc is fast.
_HOMES = {
    "InputError": "errors",
    "Law": "law",
    "Network": "network",
    "Trajectories": "trajectories",
    "VectorField": "vector_field",
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
)

__all__ = [*sorted(_HOMES), *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"jaxllc.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"jaxllc.{name}")
    else:
        raise AttributeError(f"module 'jaxllc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("jaxllc")
    except PackageNotFoundError:
        return "0+source"


class _Package(ModuleType):
    """Keeps `jaxllc.simulate` the function: importing the file of that name would replace it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
