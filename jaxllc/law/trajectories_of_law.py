"""The trajectories of a law: its vector field, and runs of it from initial states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.drivers.held_states import states_of_nodes
from jaxllc.data.drivers.input_course import TIME, InputCourse
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, listed, nearest_match
from jaxllc.law.axes import moved_to, origins_of
from jaxllc.law.plain_time import plain_names
from jaxllc.law.record import LawRecord
from jaxllc.tables.real_numbers import real_numbers

if TYPE_CHECKING:
    from jaxllc.dynamics.integrate import Simulation
    from jaxllc.dynamics.vector_field import VectorField


def vector_field_of(law: LawRecord) -> VectorField:
    """The law as a vector field for `jaxllc.simulate`; raises InputError for a map."""
    if law.is_map:
        raise InputError(
            "this law is a map, x_i(k+1) = ..., and has no vector field: law.simulate(initial_state, times) "
            "iterates it"
        )
    return _field_of(law)


def _field_of(law: LawRecord) -> VectorField:
    """The right sides of a law as a field, whatever they give."""
    from jaxllc.dynamics.vector_field import from_equations, measured_from

    given = (*law.feature_names, *(name for name in law.inputs if name in _read(law)))
    plain = plain_names(law.inputs)
    field, origins = from_equations(law.equations, given, plain), origins_of(law)
    if not origins:
        return field
    moved = from_equations(moved_to(law.equations, origins), given, plain)
    return measured_from(field, moved, origins)


def run_law(
    law: LawRecord,
    initial_state: np.ndarray,
    times: Sequence[float] | np.ndarray,
    network: Network | None = None,
    node_features: Mapping[str, np.ndarray] | None = None,
    inputs: Mapping[str, Any] | None = None,
    held: Mapping[str, Any] | Trajectories | None = None,
    **options: Any,
) -> Simulation:
    """See `Law.run`."""
    from jaxllc.dynamics.integrate import iterate, simulate

    network = law.network if network is None else network
    if network is None:
        raise InputError(
            "this law knows no network: give one, law.simulate(x0, times, network=...)"
        )
    if node_features is None:
        node_features = known_features(law, network)
    if options.get("process_noise") is True and law.process_noise:
        options["process_noise"] = law.process_noise
    given = (network, times, initial_state, node_features)
    if law.is_map:
        if inputs or held:
            raise InputError("a map takes neither inputs nor held nodes: leave them out")
        unknown = sorted(set(options) - {"process_noise", "seed"})
        if unknown:
            raise InputError(
                f"a map is iterated without a solver: leave out {', '.join(unknown)}; process_noise and seed "
                "are what it reads"
            )
        found = iterate(_field_of(law), *given, step=law.step, **options)
    else:
        driving, fixed = _inputs_of(law, network, inputs, times), _held_of(law, network, held)
        found = simulate(_field_of(law), *given, driving, fixed, **options)
    return found  # type: ignore[return-value]  # a list of them for the states of several runs


def known_features(law: LawRecord, network: Network) -> dict[str, np.ndarray] | None:
    """The features of the data and the constants of the nodes, where a network can be that of the law; None
    where there are none."""
    own = {one.name: one.values for one in law.node_constants}
    if law.data and network is law.network:
        return {**law.data[0].node_features, **own}
    fits = all(len(values) == network.num_nodes for values in own.values())
    same_names = not own or network.names in (None, law.node_constants[0].nodes)
    return own if own and fits and same_names and law.network in (None, network) else None


def _read(law: LawRecord) -> set[str]:
    """Names of what the equations of a law read."""
    symbols = {s.name for e in law.equations.values() for term in e for s in term.free_symbols}
    return {name if name in law.inputs else name[:-2] for name in symbols}


def _inputs_of(
    law: LawRecord, network: Network, given: Mapping[str, Any] | None, times: Any
) -> dict[str, Any]:
    """The inputs that a law reads, those that are not given from its data; the time needs no table, and a
    forcing is the law's own."""
    found, read = dict(given or {}), _read(law)
    for name in found:
        if name not in law.inputs and name not in read - {*law.equations, *law.feature_names, "k"}:
            raise InputError(
                f"the law has no input {name!r}{nearest_match(name, law.inputs)}; it has "
                f"{', '.join(law.inputs) or 'none'}"
            )
    for one in law.forcing:
        if one.name not in found:
            span = real_numbers(times, "times").ravel()
            if len(span) and np.isfinite(span).all():
                one.check_covers(float(span.min()), float(span.max()))
            found[one.name] = one.course()
    for name, kind in law.inputs.items():
        if name in read and name not in found:
            found[name] = TIME if kind == TIME else _of_data(law, name, network)
    return found


def _of_data(law: LawRecord, name: str, network: Network) -> InputCourse:
    """An input as it was in the data of a law."""
    mend = f"give it, law.simulate(x0, times, inputs={{{name!r}: (times, values)}})"
    if not law.data:
        raise InputError(
            f"the law reads the input {name!r}, and a law from a file has no data: {mend}"
        )
    first = law.data[0].inputs[name]
    if network is not law.network and not first.common:
        raise InputError(
            f"the input {name!r} is known for the nodes of the law's network only: {mend}"
        )
    if any(not run.inputs[name].equals(first) for run in law.data[1:]):
        raise InputError(
            f"the input {name!r} differs between the runs of the law: {mend}, or that of a run, "
            f"inputs=law.data[0].inputs"
        )
    return first


def _held_of(
    law: LawRecord, network: Network, given: Mapping[str, Any] | Trajectories | None
) -> Mapping[str, Any]:
    """The states of the held nodes, those that are not given from the data of the law."""
    if isinstance(given, Trajectories):
        return states_of_nodes(given, [name for name in law.held if name in given.node_names])
    if given is not None:
        return given
    here = [name for name in law.held if name in network.names]
    # On another network a node of the same name is another node.
    if not here or (law.network is not None and network is not law.network):
        return {}
    mend = (
        f"give their states, held={{{here[0]!r}: (times, states)}} or held=run, or let them follow the law, "
        "held={}"
    )
    if not law.data:
        raise InputError(
            f"the nodes {listed(here)} of the law are held, and a law from a file has no data: {mend}"
        )
    found = states_of_nodes(law.data[0], here)
    for run in law.data[1:]:
        other = states_of_nodes(run, here)
        if not all(found[name].equals(other[name]) for name in here):
            raise InputError(
                f"the states of the held nodes {listed(here)} differ between the runs of the law: {mend}"
            )
    return found
