"""KnownLaw: a law of the catalogue, defined once as equations, from which its field is made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.trajectory_input import feature_arrays
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse, to_text
from jaxllc.equations.sum_symbols import with_sums_written_out
from jaxllc.errors import InputError, check_integer, check_number, nearest_match

if TYPE_CHECKING:
    import sympy

    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.dynamics.vector_field import VectorField

Range = tuple[float, float]
_MOST = 100_000_000  # nodes and times that are drawn


@dataclass(frozen=True)
class KnownLaw:
    """dx_i/dt = self_term + sum_j A_ij interaction_term, for each variable.

    name: in the catalogue. source: where the law is from. terms: {variable: (self term, interaction term)}
    as text in which `parameters` are named. initial_range: the interval that initial states are drawn from,
    per variable. feature_ranges: the same for node features. horizon: a duration over which the transient
    tells the law, in the units of the equation.
    """

    name: str
    terms: Mapping[str, tuple[str, str]]
    parameters: Mapping[str, float]
    initial_range: Mapping[str, Range]
    horizon: float
    source: str
    feature_ranges: Mapping[str, Range] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables of a node."""
        return tuple(self.terms)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the node features that the law reads."""
        return tuple(self.feature_ranges)

    @cached_property
    def equations(self) -> dict[str, Equation]:
        """The equations with the numbers of `parameters` in them."""
        return self.with_parameters()

    def with_parameters(self, **changed: float) -> dict[str, Equation]:
        """The equations with other values for some parameters.

        changed: their values, by name. Raises InputError for a parameter that the law does not have.
        """
        for name in changed:
            if name not in self.parameters:
                raise InputError(
                    f"{self.name!r} has no parameter {name!r}{nearest_match(name, self.parameters)}"
                    f"; its parameters are {', '.join(self.parameters)}."
                )
        for name, value in changed.items():
            check_number(name, value)
        values = {**self.parameters, **{name: float(value) for name, value in changed.items()}}
        return {
            variable: Equation(*(_with_numbers(text, values) for text in texts))
            for variable, texts in self.terms.items()
        }

    def vector_field(self) -> VectorField:
        """The field of this law, made from `equations`."""
        from jaxllc.dynamics.vector_field import from_equations

        return from_equations(self.equations, self.feature_names)

    def default_times(self, num_times: int = 200) -> np.ndarray:
        """num_times equal steps from 0 to `horizon`, (num_times,); raises InputError for less than one."""
        check_integer("num_times", num_times, 1, most=_MOST)
        return np.linspace(0.0, self.horizon, num_times)

    def sample_initial_state(self, num_nodes: int, seed: int = 0) -> np.ndarray:
        """Uniform in `initial_range`, (num_nodes, d) for d variables.

        seed: the same one gives the same state. Raises InputError for numbers out of range.
        """
        check_integer("num_nodes", num_nodes, 1, most=_MOST)
        check_integer("seed", seed, 0)
        generator = np.random.default_rng([seed, 0])
        ranges = [self.initial_range[variable] for variable in self.variables]
        return np.stack([generator.uniform(*r, size=num_nodes) for r in ranges], axis=-1)

    def sample_features(self, num_nodes: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Uniform in `feature_ranges`, {name: (num_nodes,)}.

        seed: the same one gives the same features. Raises InputError for numbers out of range.
        """
        check_integer("num_nodes", num_nodes, 1, most=_MOST)
        check_integer("seed", seed, 0)
        generator = np.random.default_rng([seed, 1])
        return {
            name: generator.uniform(*interval, size=num_nodes)
            for name, interval in self.feature_ranges.items()
        }

    def simulate(
        self,
        network: Network,
        times: Sequence[float] | np.ndarray | None = None,
        initial_state: np.ndarray | None = None,
        seed: int = 0,
        node_features: Mapping[str, np.ndarray] | None = None,
        **solver_options: Any,
    ) -> Trajectories:
        """Trajectories of this law on `network`; what is left out is drawn from the ranges.

        times: (T,) in the units of the equation, by default `default_times()`. initial_state: (N, d);
        (R, N, d) gives a list of R runs. node_features: {name: (N,)}. seed: of the initial state and the
        features that are left out. A run that diverges or stalls warns, and is nan from there.
        solver_options go to `jaxllc.simulate`, which also lists what is raised, beside InputError for what
        is no network.
        """
        from jaxllc.dynamics.integrate import simulate

        if not hasattr(network, "num_nodes"):
            raise InputError(
                f"network must be a Network, not a {type(network).__name__}; check the order of the arguments"
            )
        if initial_state is None:
            initial_state = self.sample_initial_state(network.num_nodes, seed)
        given = feature_arrays(node_features, network.names, network.num_nodes)
        features = {**self.sample_features(network.num_nodes, seed), **given}
        result = simulate(
            self.vector_field(),
            network,
            self.default_times() if times is None else times,
            initial_state,
            features,
            **solver_options,
        )
        for run in result if isinstance(result, list) else [result]:
            if not run.success:
                warnings.warn(f"{self.name}: {run.message}", RuntimeWarning, stacklevel=2)
        if isinstance(result, list):
            return [run.trajectories for run in result]  # type: ignore[return-value]
        return result.trajectories

    def __str__(self) -> str:
        lines = []
        for variable, (self_term, interaction_term) in self.equations.items():
            line = f"d{variable}_i/dt = {with_sums_written_out(to_text(self_term))}"
            if interaction_term != 0:
                line += f" + sum_j A_ij ({to_text(interaction_term)})"
            lines.append(line)
        return "\n".join(lines)


def _with_numbers(text: str, values: Mapping[str, float]) -> sympy.Expr:
    import sympy

    numbers = {sympy.Symbol(name): parse(repr(value)) for name, value in values.items()}
    return parse(text).subs(numbers, simultaneous=True)
