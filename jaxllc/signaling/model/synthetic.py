"""Signaling networks whose parameters are known, and the conditions that they would show.

A ground truth is read from the published table of parameters (Nilsson et al., Nature Communications 13,
2022), or drawn at random. Conditions are random ligand levels with the steady state that they lead to.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.errors import (
    InputError,
    check_integer,
    check_number,
    check_path,
    check_seed,
    listed,
    listing,
    quoted,
)
from jaxllc.signaling.arguments import check_kind
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.model.activations import activation as activation_named
from jaxllc.signaling.model.parameter_table import ParameterRows
from jaxllc.signaling.model.signaling_model import SignalingModel
from jaxllc.signaling.model.spectral_radius import radius_of_weights
from jaxllc.signaling.model.steady_state import Solver
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.network.structure import Parameters, Structure, settle, structure_of

# Conditions solved at once, always so many: digits must not depend on how many are asked for.
_CHUNK = 32
_MOST_CONDITIONS = 10_000_000
_TOLERANCE, _MAX_STEPS = 1e-12, 20_000
_RADIUS = 0.8
_HUB = 0.6  # the k-th most active sender has a share of k^-0.6, about as in the published networks


@dataclass(frozen=True, eq=False, repr=False)
class GroundTruth:
    """A signaling network whose parameters are known.

    ligands, tfs: node names of inputs and outputs. parameters: float64 weights (E,) and bias (N,) in the
    order of `prior`, output_scale (TFs,). input_scale: float64 (ligands,). activation: the name of phi, as
    in SignalingSettings. notes: what reading reported, a sentence each.

    Raises InputError for names that are no nodes, and for arrays of another shape.

    Example: `truth = GroundTruth.read("synthNet-equationParams.txt")`, then
    `simulate_conditions(truth, 400)`.
    """

    prior: PriorNetwork
    ligands: tuple[str, ...]
    tfs: tuple[str, ...]
    parameters: Parameters
    input_scale: np.ndarray
    activation: str = "mml"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        model = SignalingModel(self.prior, self.ligands, self.tfs, self.parameters, self.activation)
        scale = np.asarray(listing("input_scale", self.input_scale, "numbers", "[3.0]"), object)
        if all(isinstance(one, Real) for one in scale.flat):
            scale = scale.astype(np.float64)
        if scale.shape != (len(model.ligands),) or scale.dtype.kind not in "iuf":
            raise InputError(
                f"input_scale is {quoted(self.input_scale, 80)}; give a number for each of the "
                f"{len(model.ligands)} ligands"
            )
        notes = listing("notes", self.notes, "sentences", "[]")
        for name, value in (
            ("ligands", model.ligands),
            ("tfs", model.tfs),
            ("parameters", model.parameters),
            ("input_scale", scale),
            ("notes", tuple(str(note) for note in notes)),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike,
        prior: PriorNetwork | None = None,
        activation: str = "mml",
    ) -> GroundTruth:
        """The ground truth in a table with the columns Source, Target, Type and Value; path: of it.

        Type is Weight (of an edge), or Bias, Projection (of a TF) or Input (of a ligand) of the node in
        Source, with an empty Target. The sign of a weight is the known sign of its edge. With `prior`,
        edges and signs are those of `prior`, and an edge without a row has the weight 0. activation: the
        name of phi, which the table does not hold. A node
        without a Bias row has the bias 0. Raises InputError for a missing column, an unknown type or
        node, a repeated row, an empty value, and a table without Weight, Projection or Input rows.
        """
        activation_named(activation)
        check_path("path", path)
        if prior is not None:
            prior = prior_of(prior)
        rows = ParameterRows(path)
        edges = rows.of("Weight")
        if prior is None:
            signs = np.sign(rows.values[edges])
            prior = PriorNetwork.from_edges(rows.sources[edges], rows.targets[edges], signs)
        senders = rows.nodes(edges, rows.sources, prior, "Source")
        receivers = rows.nodes(edges, rows.targets, prior, "Target")
        # The edges of a prior network are sorted by receiver and sender.
        key = prior.receivers.astype(np.int64) * prior.num_nodes + prior.senders
        wanted = receivers * prior.num_nodes + senders
        edge = np.minimum(np.searchsorted(key, wanted), prior.num_edges - 1)
        absent = key[edge] != wanted
        if absent.any():
            row = edges[int(absent.argmax())]
            raise InputError(
                f"{rows.table.place(row, rows.type_column)}: the prior network has no edge "
                f"{rows.sources[row]!r} -> {rows.targets[row]!r}; remove the row or add the edge"
            )
        weights = np.zeros(prior.num_edges)
        weights[edge] = rows.values[edges]
        bias = np.zeros(prior.num_nodes)
        with_bias = rows.of("Bias", needed=False)
        bias[rows.nodes(with_bias, rows.sources, prior, "Source")] = rows.values[with_bias]
        outputs, inputs = rows.of("Projection"), rows.of("Input")
        for nodes in (outputs, inputs):
            rows.nodes(nodes, rows.sources, prior, "Source")
        notes = [
            f"{missing} of {total} {noun} of the prior network have no row in {path} and are taken as 0"
            for missing, total, noun in (
                (prior.num_edges - len(edges), prior.num_edges, "weights"),
                (prior.num_nodes - len(with_bias), prior.num_nodes, "biases"),
            )
            if missing
        ]
        return cls(
            prior,
            tuple(rows.sources[inputs]),
            tuple(rows.sources[outputs]),
            Parameters(weights, bias, rows.values[outputs]),
            rows.values[inputs],
            activation,
            tuple(notes),
        )

    @cached_property
    def structure(self) -> Structure:
        """The arrays that the numerics take."""
        structure = structure_of(self.prior, self.ligands, self.tfs)
        return structure._replace(input_scale=self.input_scale)

    def describe(self) -> str:
        """One line: the network, and how many ligands and TFs."""
        return f"{self.prior.describe()}; {len(self.ligands)} ligands, {len(self.tfs)} TFs"

    def __repr__(self) -> str:
        return f"GroundTruth({self.describe()})"


def simulate_conditions(
    truth: GroundTruth,
    num_conditions: int,
    ligands_at_once: Sequence[int] = (2, 3, 5),
    seed: int = 0,
    noise: float = 0.0,
) -> Conditions:
    """`num_conditions` random conditions and the TF activities of the ground truth there, in float64.

    truth: a GroundTruth. Each condition has one of the numbers `ligands_at_once` of ligands, chosen at
    random, with levels uniform in 0 to 1; the other ligands are 0. noise: standard deviation of the normal
    noise added to every activity. seed: the same one gives the same conditions, and the first conditions of
    a larger number are those of a smaller one. Where a steady state is not reached, the activities are nan
    and a note says so; InputError if that is so in all conditions, and for numbers out of range.

    Example: `simulate_conditions(GroundTruth.read("synthNet-equationParams.txt"), 400, noise=0.05)`.
    """
    check_kind("truth", truth, GroundTruth, "GroundTruth.read or synthetic_problem")
    num_ligands = len(truth.ligands)
    if isinstance(ligands_at_once, Integral):
        ligands_at_once = [int(ligands_at_once)]
    given = listing("ligands_at_once", ligands_at_once, "integers", "(2, 3)")
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in given)
    numbers = np.array(given if whole else [0.5])
    whole = numbers.ndim == 1 and numbers.size > 0 and numbers.dtype.kind in "iu"
    if not whole or numbers.min() < 0 or numbers.max() > num_ligands:
        raise InputError(
            f"ligands_at_once must hold integers from 0 to {num_ligands}, the number of ligands, not "
            f"{quoted(ligands_at_once, 80)}"
        )
    check_integer("num_conditions", num_conditions, 1, most=_MOST_CONDITIONS)
    check_number("noise", noise, 0)
    check_seed("seed", seed)
    # One stream per quantity, drawn condition by condition, so that more conditions only add rows.
    count, choice, level, error = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)
    )
    whole_chunks = -(-num_conditions // _CHUNK) * _CHUNK
    shape = (whole_chunks, num_ligands)
    at_once = numbers[(count.random(whole_chunks) * len(numbers)).astype(int)]
    rank = choice.random(shape).argsort(axis=1).argsort(axis=1)
    levels = np.where(rank < at_once[:, None], level.random(shape), 0.0)
    activities, unfinished = (x[:num_conditions] for x in _steady_activities(truth, levels))
    activities += noise * error.standard_normal(activities.shape)
    activities[unfinished] = np.nan
    names = tuple(f"condition_{n:05d}" for n in range(1, num_conditions + 1))
    notes = []
    if unfinished.any():
        which = [names[n] for n in np.flatnonzero(unfinished)]
        if unfinished.all():
            raise InputError(
                f"none of {num_conditions} conditions reaches a steady state within {_MAX_STEPS} "
                "iterations; the ground truth oscillates or diverges, so make its weights smaller"
            )
        notes.append(
            f"{len(which)} of {num_conditions} conditions reach no steady state within {_MAX_STEPS} "
            f"iterations, and their TF activities are nan: {listed(which, shown=20)}"
        )
    shown = activities[np.isfinite(activities)]
    return Conditions(
        names,
        truth.ligands,
        truth.tfs,
        levels[:num_conditions],
        activities,
        tuple(notes),
        expected=(float(shown.min(initial=0.0)), float(shown.max(initial=1.0))),
    )


def synthetic_problem(
    num_nodes: int, num_edges: int, num_ligands: int, num_tfs: int, seed: int = 0
) -> GroundTruth:
    """A random signed network with hubs, and parameters that give W a spectral radius of 0.8.

    Ligands have no incoming edges. A path of strong edges leads from a ligand to every other node, and
    the edges beside these are weak; four of five stimulate, and every sign is known. A node that its
    strong edge inhibits has a bias of about 0.5. Cost and memory grow linearly with the edges. A network
    without feedback loops has a radius of 0, whatever its weights; beyond 20,000 nodes the 0.8 is met to half
    a percent. Raises InputError for numbers that do not fit together.
    """
    check_integer("num_ligands", num_ligands, 1)
    check_integer("num_tfs", num_tfs, 1)
    check_integer("num_nodes", num_nodes, num_ligands + num_tfs, "the ligands and TFs")
    others = num_nodes - num_ligands
    check_integer("num_edges", num_edges, others, "one for each node that is no ligand")
    if num_edges > others * (num_nodes - 1):
        raise InputError(
            f"num_edges is {num_edges}, but {num_nodes} nodes of which {num_ligands} are ligands have "
            f"room for {others * (num_nodes - 1)} edges; give fewer edges or more nodes"
        )
    check_seed("seed", seed)
    random = np.random.default_rng(seed)
    key, strong = _random_edges(random, num_nodes, num_ligands, num_edges)
    receivers, senders = np.divmod(key, num_nodes)
    signs = np.where(random.random(num_edges) < 0.8, 1, -1)
    size = random.random(num_edges)
    weights = signs * np.where(strong, 0.5 + 0.5 * size, 0.25 * size)
    names = tuple(
        f"{kind}_{n:0{len(str(size))}d}"
        for kind, size in (
            ("ligand", num_ligands),
            ("node", num_nodes - num_ligands - num_tfs),
            ("tf", num_tfs),
        )
        for n in range(1, size + 1)
    )
    prior = PriorNetwork(
        senders.astype(np.int32),
        receivers.astype(np.int32),
        signs.astype(np.int8),
        np.ones(num_edges, dtype=bool),
        names,
        ("",) * num_edges,
    )
    for array in (prior.senders, prior.receivers, prior.signs, prior.sign_known):
        array.flags.writeable = False
    bias = random.normal(0.0, 0.05, num_nodes)
    bias[receivers[strong & (signs < 0)]] += 0.5
    bias[:num_ligands] = 0.0
    truth = GroundTruth(
        prior,
        names[:num_ligands],
        names[num_nodes - num_tfs :],
        Parameters(weights, bias, np.full(num_tfs, 1.2)),
        np.full(num_ligands, 3.0),
    )
    radius = radius_of_weights(truth.structure.wires, weights, 1e-6)
    if radius > 0:
        weights *= _RADIUS / radius
    return truth


def _random_edges(
    random: np.random.Generator, num_nodes: int, num_ligands: int, num_edges: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted numbers receiver * N + sender of all edges, and which of them are the strong ones.

    The strong edges are a forest: each node that is no ligand hears one node nearer to the ligands.
    """
    others = num_nodes - num_ligands
    order = np.append(np.arange(num_ligands), num_ligands + random.permutation(others))
    place = np.arange(num_ligands, num_nodes)
    tree = order[place] * num_nodes + order[(random.random(others) * place).astype(int)]
    if 4 * num_edges > others * num_nodes:
        free = np.setdiff1d(np.arange(num_ligands * num_nodes, num_nodes**2), tree)
        free = free[free // num_nodes != free % num_nodes]
        edges = np.append(tree, random.choice(free, num_edges - others, replace=False))
        edges.sort()
        return edges, np.isin(edges, tree)
    share = np.cumsum(np.arange(1.0, num_nodes + 1) ** -_HUB)
    rank = random.permutation(num_nodes)
    edges = np.sort(tree)
    while len(edges) < num_edges:
        missing = num_edges - len(edges)
        drawn = np.searchsorted(share, random.random(missing) * share[-1])
        senders = rank[np.minimum(drawn, num_nodes - 1)]
        receivers = random.integers(num_ligands, num_nodes, missing)
        new = (receivers * num_nodes + senders)[receivers != senders]
        # Far faster than np.union1d, which hashes.
        edges = np.sort(np.append(edges, new))
        edges = edges[np.append(True, np.diff(edges) > 0)]
    return edges, np.isin(edges, tree)


def _steady_activities(truth: GroundTruth, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TF activities (B, TFs), and where no steady state was reached, bool (B,); B in whole chunks."""
    solver, found = Solver(_MAX_STEPS), []
    with jax.enable_x64(True):
        structure, parameters = jax.tree.map(jnp.asarray, (truth.structure, truth.parameters))
        for first in range(0, len(levels), _CHUNK):
            chunk = levels[first : first + _CHUNK]
            steady, outputs = settle(
                truth.activation, solver, structure, parameters, chunk, _TOLERANCE
            )
            found.append([np.asarray(outputs), np.asarray(steady.residual)])
    activities, residual = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # A residual that is not a number is not that of a steady state either.
    return activities, ~(residual <= 10 * _TOLERANCE)
