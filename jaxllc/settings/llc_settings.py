"""Settings of the published road, and which of those of `discover` it reads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from jaxllc.equations.function_table import DEFAULT_FUNCTIONS
from jaxllc.errors import InputError, check_integer, nearest_match

PRESETS = ("default", "neural", "llc")
# Fields of DiscoverSettings that the preset "llc" reads, and those that "neural" does not.
READ = ("preset", "functions", "division")
NOT_NEURAL = (
    "neural",
    "demand",
    "nodes",
    "held",
    "vary",
    "forcing",
    "edges",
    "edge_prior",
    "weights",
    "classes",
)
# Ways to train the nets of the published road.
NETS = ("projection", "adam")


@dataclass(frozen=True)
class RoadSettings:
    """Choices of the published road; `jaxllc.discover(preset="llc")` takes these values.

    nets: "projection": by linear least squares and Levenberg-Marquardt in double precision, g of as few
    inputs as explain the rates; "adam": as in the re-implementation of the paper.
    beam: skeletons that are written for each order of the inputs. restarts: of BFGS, for each skeleton.
    Of the nets by Adam alone: variance_weight: of the variance over nodes in the loss, beside the mean
    absolute error. width, hidden: units of a hidden layer and number of such layers, of each net. rank:
    products of a function of the receiver and one of the sender in g. steps, learning_rate: of Adam.
    """

    nets: str = "projection"
    variance_weight: float = 0.01
    width: int = 32
    hidden: int = 2
    rank: int = 4
    steps: int = 6000
    learning_rate: float = 1e-2
    beam: int = 64
    restarts: int = 6

    def __post_init__(self) -> None:
        if not isinstance(self.nets, str) or self.nets not in NETS:
            raise InputError(
                f"nets is {self.nets!r}{nearest_match(str(self.nets), NETS)}; it is {' or '.join(NETS)}"
            )
        for name in ("width", "hidden", "rank", "steps", "beam", "restarts"):
            check_integer(name, getattr(self, name), 1)
        if not self.variance_weight >= 0:
            raise InputError(
                f"variance_weight is {self.variance_weight!r}; give a number of at least 0"
            )
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate!r}; give a positive number")


def check_preset(settings: Any) -> None:
    """Raises InputError for an unknown preset, and for a setting that the chosen one does not read.

    settings: `DiscoverSettings`.
    """
    if not isinstance(settings.preset, str) or settings.preset not in PRESETS:
        raise InputError(
            f"there is no preset {settings.preset!r}{nearest_match(str(settings.preset), PRESETS)}; "
            f"there are {', '.join(PRESETS)}"
        )
    if settings.preset == "default":
        return
    for field in fields(settings):
        value = getattr(settings, field.name)
        unread = field.name in NOT_NEURAL if settings.preset == "neural" else field.name not in READ
        # The nets of that preset, which are always fitted, may be finished through the solver.
        unread &= (settings.preset, field.name, value) != ("neural", "neural", "solver")
        if unread and value != field.default:
            only = f" of the settings it reads {' and '.join(READ[1:])} only:"
            raise InputError(
                f"the preset {settings.preset!r} does not read {field.name}, which is {value!r};"
                f"{only if settings.preset == 'llc' else ''} leave out {field.name}, or the preset"
            )
    if settings.preset != "llc":
        return
    for name in settings.functions:
        if name not in DEFAULT_FUNCTIONS:
            raise InputError(
                f"the preset 'llc' cannot write {name}; its functions are {', '.join(DEFAULT_FUNCTIONS)}"
            )
