"""What is known of a law: a record, which other files read, draw and write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.drivers.forcing import Forcing
from jaxllc.data.network import Network
from jaxllc.equations.equation import Equation

if TYPE_CHECKING:
    import sympy

    from jaxllc.nodewise.edges.edge_table import EdgeTable


# What a law gives: rates of change, or the next state.
FLOW, MAP = "flow", "map"


@dataclass(frozen=True)
class Constant:
    """One constant of a law: the term it stands in, its value and its standard error.

    role: "coefficient", which inner constant it is ("w0", "w1"), or its name in a known term.
    unit: such as "1/s", "1" where it is dimensionless; empty where no units were given.
    """

    variable: str
    side: str
    term: str
    role: str
    value: float
    standard_error: float
    unit: str = ""


@dataclass(frozen=True)
class FrontRow:
    """One law of the Pareto front, as text."""

    num_constants: int
    chi_squared: float
    criterion: float
    held_out_error: float
    equations: dict[str, tuple[str, str]]
    chosen: bool


@dataclass(frozen=True)
class TermFrequency:
    """A term, and the share of replicates whose best law holds it."""

    variable: str
    side: str
    term: str
    in_law: bool
    frequency: float


@dataclass(frozen=True)
class Confidence:
    """What the bootstrap says of a law.

    law_frequency: share of replicates whose best law is this one; it says nothing where laws is 1.
    terms: every term of the law, and the terms of other laws that more than `OFTEN` of replicates hold.
    intervals: (low, high) of each of the law's constants, 2.5 and 97.5 percentiles; nan where the data leave
        a constant open.
    replicates: how many times the weights were drawn; groups: how many parts of the data got a weight
        each; laws: how many fitted laws were compared.
    """

    law_frequency: float
    terms: tuple[TermFrequency, ...]
    intervals: tuple[tuple[float, float], ...]
    replicates: int
    groups: int
    laws: int


@dataclass(frozen=True)
class Rival:
    """Another law that these samples leave possible, as text.

    frequency: share of replicates whose best law it is; criterion_difference: its information criterion minus
    that of the law.
    """

    equations: dict[str, tuple[str, str]]
    num_constants: int
    criterion_difference: float
    frequency: float


@dataclass(frozen=True)
class Snapping:
    """Constants of a law with some of them set.

    values, covariance: of all constants, those that stayed free at their conditional mean; exact: the exact
    numbers of constants that were set, {position: number}; tied: {position: (other position, sign)};
    chi_squared: what the constraints cost; limit: what they may; gain: bits by which they shorten the law.
    """

    values: np.ndarray
    covariance: np.ndarray
    exact: dict[int, sympy.Expr]
    tied: dict[int, tuple[int, int]]
    chi_squared: float
    limit: float
    gain: float = 0.0

    @property
    def count(self) -> int:
        """Number of constraints."""
        return len(self.exact) + len(self.tied)


@dataclass(frozen=True)
class ModelClass:
    """What the equation of a variable may lack, such as constants of nodes or a common forcing.

    gain: fall of the criterion with it; follow, followed: share of the nodes that follow one law with and
    without it; needed: whether the samples ask for it beyond chance.
    """

    name: str
    variable: str
    gain: float
    follow: float
    followed: float
    needed: bool


@dataclass(frozen=True, eq=False)
class NodeConstant:
    """A constant that every node has of its own, which a law holds as it holds a node feature.

    variable: whose equation holds it; term: what it multiplies, empty for the strength of all interactions,
    whose mean is one. values, standard_errors: (node,); mean, spread: mean and standard deviation over
    nodes, the latter without what the errors add. nodes: their names.
    """

    name: str
    variable: str
    term: str
    values: np.ndarray
    standard_errors: np.ndarray
    mean: float
    spread: float
    nodes: tuple[str, ...]

    @property
    def shrunk(self) -> np.ndarray:
        """(node,) the values drawn to the mean, as far as their errors and the spread ask for."""
        errors = np.where(np.isfinite(self.standard_errors), self.standard_errors, np.inf)
        share = self.spread**2 / np.maximum(self.spread**2 + errors**2, 1e-300)
        return self.mean + share * (self.values - self.mean)


@dataclass(frozen=True)
class LawRecord:
    """The fields of a law; `jaxllc.Law` says what they are."""

    equations: dict[str, Equation]
    constants: tuple[Constant, ...] = ()
    front: tuple[FrontRow, ...] = ()
    adjusted_r2: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    converged: bool = True
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    network: Network | None = field(default=None, compare=False, repr=False)
    data: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    fitted_states: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    covariance: np.ndarray | None = field(default=None, compare=False, repr=False)
    confidence: Confidence | None = field(default=None, compare=False, repr=False)
    rivals: tuple[Rival, ...] = field(default=(), compare=False, repr=False)
    finished: bool = True
    skill: dict[str, dict[str, float]] = field(default_factory=dict)
    doubt: str = ""
    snapping: Snapping | None = field(default=None, compare=False, repr=False)
    follows: np.ndarray | None = field(default=None, compare=False, repr=False)
    edges: EdgeTable | None = field(default=None, compare=False, repr=False)
    node_constants: tuple[NodeConstant, ...] = field(default=(), compare=False, repr=False)
    model_classes: tuple[ModelClass, ...] = field(default=(), compare=False, repr=False)
    forcing: tuple[Forcing, ...] = field(default=(), compare=False, repr=False)
    dynamics: str = FLOW
    process_noise: dict[str, float] = field(default_factory=dict)
    step: float = 1.0

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(self.equations)

    @property
    def is_map(self) -> bool:
        """Whether it gives the next state rather than a rate."""
        return self.dynamics == MAP

    @property
    def by_steps(self) -> bool:
        """Whether it was fitted to steps from one sample to the next, and not to whole trajectories."""
        return self.is_map or bool(self.process_noise)

    @property
    def trusted(self) -> bool:
        """Whether the law is a finding; `doubt` says why not."""
        return not self.doubt
