"""discover(): from trajectories and a network to the law, through smoothing, search and the judge.

Nets and the integral form propose; the likelihood of the data decides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from numbers import Integral
from typing import Any, Unpack

from jaxllc.data.drivers.forcing import with_shapes, without_shapes
from jaxllc.data.drivers.held_states import held_nodes
from jaxllc.data.inputs import checked_alone, checked_data
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.diagnosis.findings import data_notes, law_notes
from jaxllc.discovery.data_sizes import check_sizes
from jaxllc.discovery.library_road import LibraryRoad
from jaxllc.discovery.needed_forcing import forcing_notes
from jaxllc.discovery.neural_road import NeuralRoad
from jaxllc.discovery.origin_choice import chosen_axes
from jaxllc.discovery.prior_checks import check_free_names
from jaxllc.discovery.stages import Progress
from jaxllc.discovery.steps.transitions_road import TransitionsRoad
from jaxllc.discovery.without_network.network_road import NetworkRoad
from jaxllc.discovery.without_network.weights_road import WeightsRoad
from jaxllc.errors import InputError
from jaxllc.law.law import Law
from jaxllc.law.law_outside_axes import outside
from jaxllc.law.plain_time import with_called_forcing
from jaxllc.running.time_limit import TimeLimit
from jaxllc.settings.checks import checked_settings
from jaxllc.settings.discover_settings import (
    DiscoverChoices,
    DiscoverSettings,
    by_steps,
    check_forcing,
)


def discover(
    data: Trajectories | Sequence[Trajectories],
    network: Network | Sequence[Network] | None,
    seed: int = 0,
    settings: DiscoverSettings | None = None,
    progress: Progress | None = None,
    inputs: Mapping[str, Any] | None = None,
    **choices: Unpack[DiscoverChoices],
) -> Law:
    """Find the law dx_i/dt = f(x_i) + sum_j A_ij g(x_i, x_j) of trajectories on a network.

    data: one or several `Trajectories`, states (time, node, variable), nan where not observed; or tables or
    paths of them, as `jaxllc.read_states` reads them. Constants come in their units: a rate is per unit of
    the times, a coefficient takes the states as they are.
    network: a `Network`, or a table or path of edges as `jaxllc.read_edges` reads it. Where both name their
    nodes, names tell which is which; else the nodes of both stand in one order. Several networks, such as
    those of two cities, are a list with one for each entry of a list of data: one law of all of them is
    found on their disjoint union, which `law.network` and `law.data` then hold, with nodes "0:a" and "1:a"
    where names are shared. Runs of the same times on different networks cost as one; else a run counts
    with all nodes of the union, of which those of other networks are not observed.
    None: nobody knows who acts on whom, and the network is found with the law (see the notes of the law):
    `law.network`, and `law.network_table()` with the probability of each edge. Where the samples do not tell
    the edges, `doubt` says why and what would help, and `law.network` is None.
    seed: of the starts of nets and searches, of samples that are drawn, and of the bootstrap; the same seed
    gives the same law on the same machine, unless time runs out.
    settings, choices: `DiscoverSettings`, or its fields as keyword arguments.
    progress: called with a stage and what happens in it.
    inputs: what acts on the nodes from outside, {"u": source}: a table or path with the columns time and
    value, or time and one for each node (and run, where runs differ); a pair (times, values) with values
    (T,) or (T, node); a function of time; "time" for the time itself, as in {"t": "time"}; the name of a
    variable of the states; or a list of these, one for each run. An input is a straight line between its
    times, and a time that stands twice a jump; what takes few values is read as steps, which a note says.
    The law may then hold u_i and u_j, and t, with waves of any frequency that the samples resolve.
    Returns the `Law`: equations, constants with standard errors, rivals, and notes on what the data do not
    determine. An interrupt ends early: the best law so far is returned, with `finished` False, once there is
    one. A law that does not stand on its own samples says so in `doubt`; what else speaks against it, such as
    samples that it does not explain up to their noise, in its notes.
    Raises InputError where data and network do not fit, and for choices that are not possible.
    Source: the two terms of Hu, Cui and Yang, Nature Communications 16:6226 (2025), searched here by sparse
    regression of the integral form, nets and engines, and decided by the likelihood of the trajectories;
    preset "llc" is the published way.

    >>> import numpy as np
    >>> import jaxllc
    >>> network = jaxllc.generators.erdos_renyi(12, 3, seed=1)
    >>> times = np.linspace(0, 4, 40)
    >>> data = jaxllc.known_laws.get("epidemic").simulate(network, times, seed=0)
    >>> print(jaxllc.discover(data, network))
    dx_i/dt = -0.5*x_i + sum_j A_ij (-0.5*x_i*x_j + 0.5*x_j)
    >>> other = jaxllc.generators.barabasi_albert(9, 2, seed=2)
    >>> more = jaxllc.known_laws.get("epidemic").simulate(other, times, seed=1)
    >>> print(jaxllc.discover([data, more], [network, other]))
    dx_i/dt = -0.5*x_i + sum_j A_ij (-0.5*x_i*x_j + 0.5*x_j)
    """
    from threadpoolctl import threadpool_limits

    settings = checked_settings(settings, choices)
    if progress is not None and not callable(progress):
        raise InputError(f"progress must be a function of (stage, what), not {progress!r:.80}")
    if not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"seed must be a whole number from 0, not {seed!r}")
    if network is None:
        runs = checked_alone(data)
        if inputs or runs[0].inputs:
            raise InputError("inputs need a network: without one, leave them out")
    else:
        runs, network = checked_data(data, network, inputs)
    if runs[0].inputs and settings.preset != "default":
        raise InputError(
            f"the preset {settings.preset!r} fits nets, which take no inputs: leave out inputs, or the preset"
        )
    if by_steps(settings) and runs[0].inputs:
        raise InputError('process_noise=True and dynamics="map" take no inputs: leave out inputs')
    if settings.process_noise and network is None:
        raise InputError("process_noise=True needs a network: give the network, or leave it out")
    check_forcing(settings, network is not None)
    check_free_names(settings.vary, runs[0])
    held_nodes(settings.held, runs[0].node_names)
    limit = TimeLimit(settings.search_seconds)
    say = progress or (lambda stage, what: None)
    # The matrices here are small: more threads in each product cost more than they bring.
    with threadpool_limits(1):
        if network is None:
            solve = partial(_on_network, runs, seed, settings, progress, limit)
            return NetworkRoad(runs, seed, settings, limit, say, solve).run()
        if settings.weights == "unknown":
            return WeightsRoad(runs, network, seed, settings, limit, say).run()
        return _on_network(runs, seed, settings, progress, limit, network)


def _on_network(
    runs: list[Trajectories],
    seed: int,
    settings: DiscoverSettings,
    progress: Progress | None,
    limit: TimeLimit,
    network: Network,
) -> Law:
    """The law on a network."""
    if by_steps(settings):
        return _by_steps(runs, network, seed, settings, progress, limit)
    if settings.forcing == "smooth":
        return _beside_a_forcing(runs, seed, settings, progress, limit, network)
    return _flow(runs, seed, settings, progress, limit, network)


def _beside_a_forcing(
    runs: list[Trajectories],
    seed: int,
    settings: DiscoverSettings,
    progress: Progress | None,
    limit: TimeLimit,
    network: Network,
) -> Law:
    """The law of rates with a forcing that all nodes share."""
    with_all, (start, stop) = with_shapes(runs)
    law = _flow(with_all, seed, settings, progress, limit, network)
    # Inside, times may count from the first sample of each run.
    forcing = tuple(replace(one, start=start, stop=stop) for one in law.forcing)
    law = replace(law, data=without_shapes(law.data), forcing=forcing)
    notes = (with_called_forcing(note, law) for note in law.notes)
    return replace(law, notes=(*notes, *forcing_notes(law)))


def _flow(
    runs: list[Trajectories],
    seed: int,
    settings: DiscoverSettings,
    progress: Progress | None,
    limit: TimeLimit,
    network: Network,
) -> Law:
    """The law of rates."""
    with limit.current():
        axes = chosen_axes(runs, network, seed, settings)
    inside, plain = axes.inside(runs), axes.settings_inside(settings)
    seen = data_notes(runs, network, inside)
    if progress is not None:
        for note in seen:
            progress("data", note)
    if settings.preset == "llc":
        from jaxllc.baselines.llc import preset_law

        law = preset_law(inside, network, seed, plain, progress)
    else:
        road = NeuralRoad if settings.preset == "neural" else LibraryRoad
        law = road(inside, network, seed, plain, progress, limit).run()
    said = [*(note for run in runs for note in run.notes), *network.notes]
    left = map(axes.sentence, law_notes(law, inside, network, seen))
    law = outside(axes, law, runs, settings)
    if own := {one.name: one.values for one in law.node_constants}:
        law = replace(law, data=tuple(run.with_features(own) for run in law.data))
    return replace(law, notes=tuple(dict.fromkeys([*said, *seen, *left, *law.notes])))


def _by_steps(
    runs: list[Trajectories],
    network: Network,
    seed: int,
    settings: DiscoverSettings,
    progress: Progress | None,
    limit: TimeLimit,
) -> Law:
    """The law of the steps between samples."""
    check_sizes(runs, network)
    said = [note for run in runs for note in run.notes] + list(network.notes)
    law = TransitionsRoad(runs, network, seed, settings, progress, limit).run()
    return replace(law, notes=tuple(dict.fromkeys([*said, *law.notes])))


def _with_choices(function: Callable[..., Law]) -> inspect.Signature:
    """The signature of `discover` with each choice by its name and default, for `help`."""
    kind = inspect.Parameter.KEYWORD_ONLY
    first = list(inspect.signature(function).parameters.values())[:-1]
    single = [
        inspect.Parameter(f.name, kind, default=f.default, annotation=f.type)
        for f in fields(DiscoverSettings)
    ]
    return inspect.Signature([*first, *single], return_annotation="Law")


discover.__signature__ = _with_choices(discover)  # type: ignore[attr-defined]
