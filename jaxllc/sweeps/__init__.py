"""Sweeps: many runs over a grid, recorded one by one, trained side by side, resumed where they ended."""

import importlib
from typing import Any

_HOMES = {
    "Choice": "grids",
    "Grid": "grids",
    "Integers": "grids",
    "LogUniform": "grids",
    "Outcome": "runner",
    "Snapshots": "snapshots",
    "SweepResult": "runner",
    "TrainedMember": "figures",
    "Uniform": "grids",
    "grid": "grids",
    "log_range": "grids",
    "points": "grids",
    "random_draws": "grids",
    "read_records": "records",
    "read_snapshots": "snapshots",
    "sweep": "runner",
    "train_sweep": "training",
    "zipped": "grids",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxllc.sweeps' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"jaxllc.sweeps.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
