"""jaxllc: laws of networked dynamics that a person can read, and signaling models on prior networks."""

# Under its own name the function would hide the module.
from jaxllc.lazy_names import lazy_names as _lazy_names

# Where each public name lives; a name is loaded when it is first used, so that importing jaxllc is fast.
_HOMES = {
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

__all__ = sorted([*_HOMES, *_MODULES])

__getattr__, __dir__ = _lazy_names(__name__, _HOMES, _MODULES)
