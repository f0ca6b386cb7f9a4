"""Sweeps: many runs over a grid, recorded one by one, trained side by side, resumed where they ended."""

from jaxllc.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
