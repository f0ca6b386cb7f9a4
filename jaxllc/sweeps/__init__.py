"""Sweeps: many runs over a grid, recorded one by one, trained side by side, resumed where they ended."""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names

if TYPE_CHECKING:
    from jaxllc.sweeps.ensemble_of_nets import NetEnsemble, TermSpread, net_ensemble
    from jaxllc.sweeps.grids import (
        Choice,
        Grid,
        Integers,
        LogUniform,
        Uniform,
        grid,
        log_range,
        points,
        random_draws,
        zipped,
    )
    from jaxllc.sweeps.records import read_records
    from jaxllc.sweeps.runner import SweepResult, sweep
    from jaxllc.sweeps.snapshots import Snapshots, read_snapshots
    from jaxllc.sweeps.trained_member import TrainedMember
    from jaxllc.sweeps.training import train_sweep
    from jaxllc.sweeps.work import Outcome

_HOMES = {
    "Choice": "grids",
    "Grid": "grids",
    "Integers": "grids",
    "LogUniform": "grids",
    "NetEnsemble": "ensemble_of_nets",
    "Outcome": "work",
    "Snapshots": "snapshots",
    "SweepResult": "runner",
    "TermSpread": "ensemble_of_nets",
    "TrainedMember": "trained_member",
    "Uniform": "grids",
    "grid": "grids",
    "log_range": "grids",
    "net_ensemble": "ensemble_of_nets",
    "points": "grids",
    "random_draws": "grids",
    "read_records": "records",
    "read_snapshots": "snapshots",
    "sweep": "runner",
    "train_sweep": "training",
    "zipped": "grids",
}

__all__ = [
    "Choice",
    "Grid",
    "Integers",
    "LogUniform",
    "NetEnsemble",
    "Outcome",
    "Snapshots",
    "SweepResult",
    "TermSpread",
    "TrainedMember",
    "Uniform",
    "grid",
    "log_range",
    "net_ensemble",
    "points",
    "random_draws",
    "read_records",
    "read_snapshots",
    "sweep",
    "train_sweep",
    "zipped",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
