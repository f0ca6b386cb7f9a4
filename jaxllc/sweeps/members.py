"""The members of a sweep of trainings: points of a grid, checked, with the networks and data they are of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import Any

import jax
import numpy as np

from jaxllc.errors import (
    InputError,
    check_integer,
    check_mapping,
    check_seed,
    listed,
    nearest_match,
)
from jaxllc.signaling.arguments import check_kind
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.data.folds import folds_of
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.structure import Data, Structure
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.signaling.training.checkpoint import fingerprint
from jaxllc.signaling.training.side_by_side import Members, filled_up
from jaxllc.signaling.training.signaling_training import dtype, initial_state, prepare
from jaxllc.signaling.training.training_state import Rates, Shape
from jaxllc.sweeps.devices.padding import Rows, of_one_shape, padded_state, rows_of
from jaxllc.sweeps.grids import Grid, Point, key_of

_OWN = ("seed", "fold", "network")  # fields of a point beside those of the settings


@dataclass(frozen=True)
class Member:
    """One training: its point, the settings that follow from it, and what it is trained on."""

    point: Point
    settings: SignalingSettings
    seed: int
    fold: int | None
    network: str | None


@dataclass(frozen=True, eq=False)
class Problem:
    """What all members share: conditions as arrays (B, ...), folds, and each network as arrays.

    structures: as a single run has them. padded: the same in one shape for all, by the name of the network,
    None for the prior network itself. filled: the rows of the data of a member, by how many conditions it
    is trained on; as many as that where it says nothing.
    """

    conditions: Conditions
    data: Data
    folds: dict[int, tuple[str, ...]]
    priors: dict[str | None, PriorNetwork]
    structures: dict[str | None, Structure]
    padded: dict[str | None, Structure]
    filled: Mapping[int, Rows] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        prior: PriorNetwork,
        conditions: Conditions,
        settings: SignalingSettings,
        folds: Sequence[Sequence[str]] | Mapping[int, Sequence[str]] | None,
        networks: Mapping[str, PriorNetwork] | None,
    ) -> Problem:
        """The problem in arrays; raises InputError where nothing can be learned or names do not fit."""
        priors: dict[str | None, PriorNetwork] = {None: prior}
        if networks is not None:
            check_mapping("networks", networks, "{'without': prior.without_edges([0])}")
            for label, one in networks.items():
                check_kind(f"networks[{label!r:.80}]", one, PriorNetwork, "PriorNetwork.read")
            priors.update(networks.items())
        for name, network in priors.items():
            if network.names != prior.names:
                raise InputError(
                    f"the network {name!r} of networks has other nodes than the prior network; add or leave "
                    "out edges alone, as PriorNetwork.with_edges and without_edges do"
                )
        prepared = {name: prepare(one, conditions, settings) for name, one in priors.items()}
        conditions, _, data = prepared[None]
        chosen = {}
        if folds is not None:
            numbers = list(folds) if isinstance(folds, Mapping) else None
            for number in numbers or ():
                check_integer("a number of folds", number, 0)
            chosen = dict(zip(numbers or count(), folds_of(folds, conditions), strict=False))
        structures = {name: structure for name, (_, structure, _) in prepared.items()}
        shaped = structures
        if networks:
            shaped = dict(
                zip(structures, of_one_shape([*structures.values()], prior.num_nodes), strict=True)
            )
        return cls(conditions, data, chosen, priors, structures, shaped)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to mind of the networks and the conditions."""
        of_networks = (note for prior in self.priors.values() for note in prior.notes)
        return once(*of_networks, *self.conditions.notes)

    def study(self, settings: SignalingSettings) -> str:
        """The fingerprint of the prior network, the conditions and the settings that points start from."""
        return fingerprint(self.structures[None], self.data, settings, 0)

    def identity(self, member: Member) -> list[Any]:
        """What the names in a point stand for: the network's fingerprint and the held-out conditions."""
        mark = fingerprint(self.structures[member.network], self.data, member.settings, member.seed)
        return [mark, list(self.held_out(member))]

    def held_out(self, member: Member) -> tuple[str, ...]:
        """The names of the conditions that a member does not see."""
        return () if member.fold is None else self.folds[member.fold]

    def kept(self, member: Member) -> np.ndarray:
        """The conditions that a member is trained on, as indices."""
        left_out = [self.conditions.position[name] for name in self.held_out(member)]
        return np.setdiff1d(np.arange(self.conditions.num_conditions), left_out)

    def rows(self, member: Member) -> Rows:
        """The rows of the data of a member: more than it has conditions, where a larger program serves it.

        Batches that do not hold all rows are of the member's own conditions alone.
        """
        own = len(self.kept(member))
        rows, batch = self.filled.get(own, Rows(own)), member.settings.batch_size
        return Rows(own) if 0 < batch < rows.number else rows

    def shape(self, member: Member) -> Shape:
        """What shapes the program of a member's step."""
        return Shape.of(member.settings, *self.rows(member))

    def group(self, member: Member) -> Hashable:
        """Members of one group share a program: shape, epochs, and the rows of the data."""
        return self.shape(member), member.settings.epochs, self.rows(member).number

    def structure(self, member: Member) -> Structure:
        """The structure in the common shape, with the member's own input scale."""
        return self._scaled(self.padded[member.network], member)

    def arrays(self, member: Member) -> Members:
        """A member's arrays at its begin: those of a single run with its settings and seed."""
        data = filled_up(self.data, self.kept(member), self.rows(member).number)
        plain = self._scaled(self.structures[member.network], member)
        state = initial_state(plain, data, member.settings, member.seed)
        structure = self.structure(member)
        if structure.real is not None:
            state = padded_state(state, len(structure.real))
        return Members(structure, data, Rates.of(member.settings, dtype()), state)

    def _scaled(self, structure: Structure, member: Member) -> Structure:
        scale = np.full_like(structure.input_scale, member.settings.input_scale)
        return structure._replace(input_scale=scale)

    def with_members(self, members: Sequence[Member]) -> Problem:
        """The problem with the rows that its members fill their data up to, so that they share programs.

        Raises InputError for a fold that is not there, or that leaves no measured activity.
        """
        counts = set()
        for fold in dict.fromkeys(member.fold for member in members):
            member = next(one for one in members if one.fold == fold)
            if fold is not None and fold not in self.folds:
                raise InputError(
                    f"fold is {fold} in the point {key_of(member.point)}, but folds has {len(self.folds)}, "
                    "of other numbers; give the folds of held-out conditions as folds, numbered from 0"
                )
            kept = self.kept(member)
            if not np.asarray(self.data.observed)[kept].any():
                raise InputError(
                    f"without the conditions of fold {fold} no TF activity was measured; hold out others"
                )
            counts.add(len(kept))
        return replace(self, filled=rows_of(counts))


def members_of(
    grid: Grid, settings: SignalingSettings, networks: Mapping[str, PriorNetwork] | None
) -> dict[str, Member]:
    """The member of each point, by its key; raises InputError for a point that no training can be made of."""
    known = {field.name for field in fields(SignalingSettings)}
    found = {}
    for point, key in zip(grid, grid.keys, strict=True):
        unknown = [name for name in point if name not in known and name not in _OWN]
        if unknown:
            raise InputError(
                f"the point {key} has a field {listed(unknown, [*known, *_OWN])}; give fields of "
                "SignalingSettings, seed, fold or network"
            )
        seed, fold, network = point.get("seed", 0), point.get("fold"), point.get("network")
        check_seed(f"seed in the point {key:.200}", seed)
        if fold is not None:
            check_integer(f"fold in the point {key}", fold, 0, "the number of one of folds")
        if network is not None and network not in (networks or {}):
            near = nearest_match(str(network), networks or {})
            raise InputError(
                f"network is {network!r}{near} in the point {key}; name one of networks, or leave it out for "
                "the prior network itself"
            )
        changes = {name: value for name, value in point.items() if name in known}
        try:
            own = SignalingSettings.from_dict({**settings.to_dict(), **changes})
        except InputError as error:
            raise InputError(f"the point {key} cannot be trained: {error}") from error
        found[key] = Member(point, own, seed, fold, network)
    return found


def number_format() -> str:
    """The kind of numbers that members are trained in, float32 or float64."""
    return str(jax.numpy.dtype(dtype()))
