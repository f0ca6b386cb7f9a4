"""What `simulate` is given, checked: the field, the solver's numbers, and values of nodes by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectory_input import feature_arrays
from jaxllc.errors import InputError, check_integer, nearest_match
from jaxllc.tables.labels import is_labelled_array, labels_of, names_tuple, order_of, take
from jaxllc.tables.real_numbers import is_frame, is_series, real_numbers

if TYPE_CHECKING:
    from jaxllc.dynamics.vector_field import VectorField


def checked_network(network: Any) -> None:
    """Raises InputError for what is no network."""
    if not isinstance(network, Network):
        raise InputError(
            f"network must be a Network, not a {type(network).__name__}; check the order of the "
            "arguments, and see Network.from_adjacency for a matrix."
        )


def field_of(field: Any) -> Any:
    """A vector field; of a law, its own. Raises InputError for anything else."""
    if isinstance(field, type) or not (
        hasattr(field, "derivative") or hasattr(field, "vector_field")
    ):
        raise InputError(
            f"field must be a vector field, such as law.vector_field(), not a {type(field).__name__}; "
            "check the order of the arguments"
        )
    return field if hasattr(field, "derivative") else field.vector_field()


def check_solver(
    solver: Any, known: Mapping[str, str], rtol: Any, atol: Any, max_steps: Any
) -> None:
    """Raises InputError for an unknown solver, and for tolerances and a number of steps that cannot be."""
    if not isinstance(solver, str) or solver not in known:
        raise InputError(
            f"Unknown solver {_short(solver)}{nearest_match(str(solver)[:40], known)}; "
            f"solvers are {', '.join(known)}."
        )
    for name, value in (("rtol", rtol), ("atol", atol)):
        number = real_numbers(value, name)
        if number.ndim or not 0 < number < np.inf:
            raise InputError(f"{name} must be one positive number, not {_short(value)}")
    check_integer("max_steps", max_steps, 1)
    if max_steps > 2**31 - 1:
        raise InputError(f"max_steps is {_short(max_steps)}; give at most {2**31 - 1}")


def float_dtype(dtype: Any) -> np.dtype:
    """float32 or float64; raises InputError for another type."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = np.dtype(bool)
    if dtype is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype must be float32 or float64, not {_short(dtype)}")
    return found


def state_values(
    values: Any, names: tuple[str, ...], variables: tuple[str, ...], what: str = "initial_state"
) -> np.ndarray:
    """A state of all nodes as float64, brought into the order of names and variables by its labels.

    values: an array; a Series or mapping by node; a DataFrame with a row for each node and a column for each
    variable; or a DataArray.
    """
    if not isinstance(values, Mapping | Iterable) and not hasattr(values, "__array__"):
        raise InputError(
            f"{what} must be an array of numbers, not a {type(values).__name__}; check the order of the "
            "arguments."
        )
    if isinstance(values, Mapping):
        labels = names_tuple(values.keys(), what)
        array = real_numbers(list(values.values()), what)
        return array[order_of(labels, names, what, "the network")]
    if is_frame(values) or is_series(values) or is_labelled_array(values):
        if len(values.shape) > 2:
            return real_numbers(values, what)
        rows = labels_of(values, 0, f"rows of {what}")
        if rows is not None and rows != names:
            values = take(values, order_of(rows, names, what, "the network"), 0)
        columns = labels_of(values, 1, f"columns of {what}") if len(values.shape) == 2 else None
        if columns is not None and columns != variables:
            values = take(values, order_of(columns, variables, what, "the law's variables"), 1)
    return real_numbers(values, what)


def checked_times(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """The times as float64 (T,); InputError unless they are two or more, finite and increasing."""
    points = real_numbers(times, "times")
    if points.ndim != 1 or len(points) < 2:
        raise InputError(f"times must have shape (T,) with T >= 2, not {points.shape}.")
    if not np.isfinite(points).all():
        raise InputError("times holds a value that is not finite.")
    bad = np.flatnonzero(np.diff(points) <= 0)
    if len(bad):
        at = int(bad[0])
        raise InputError(
            f"times must increase, but times[{at + 1}] = {points[at + 1]:g} follows "
            f"{points[at]:g}; sort them and drop repeats."
        )
    return points


def checked_features(
    field: VectorField,
    network: Network,
    given: Mapping[str, np.ndarray] | None,
    driving: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """The node features {name: (N,)}; InputError for one that the field needs, neither given nor driving."""
    features = feature_arrays(given, network.names, network.num_nodes)
    for name, values in features.items():
        if values.shape != (network.num_nodes,) or not np.isfinite(values).all():
            raise InputError(
                f"The node feature {name!r} must hold one finite number for each of the "
                f"{network.num_nodes} nodes; it has shape {values.shape}."
            )
    for name in field.feature_names:
        if name not in features and name not in driving:
            raise InputError(
                f"The law needs the node feature {name!r}{nearest_match(name, features)}; give it in "
                f"node_features as an array of {network.num_nodes} numbers, or in inputs if it changes with "
                "time."
            )
    return features


def checked_initial_state(
    field: VectorField, network: Network, initial_state: np.ndarray
) -> tuple[np.ndarray, bool]:
    state = state_values(initial_state, network.names, field.variables)
    shape = (network.num_nodes, len(field.variables))
    if state.ndim == 1 and shape[1] == 1:
        state = state[:, None]
    if state.ndim not in (2, 3) or state.shape[-2:] != shape or 0 in state.shape:
        raise InputError(
            f"initial_state must have shape {shape} (node, variable), or for R runs "
            f"(R, {shape[0]}, {shape[1]}), not {state.shape}."
        )
    if not np.isfinite(state).all():
        raise InputError("initial_state holds a value that is not finite.")
    return (state, True) if state.ndim == 3 else (state[None], False)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def without_advice(message: str) -> str:
    """The sentence of a run without its mend, for those who cannot choose a solver."""
    return f"{message.partition(';')[0].rstrip('.')}."
