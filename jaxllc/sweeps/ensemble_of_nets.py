"""net_ensemble(): many pairs of nets for one set of trajectories, side by side on all devices."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxllc.data.inputs import checked_data
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import (
    InputError,
    check_callable,
    check_choice,
    check_integer,
    check_number,
    check_seed,
    listing,
)
from jaxllc.neural.ensemble_program import ensemble_program
from jaxllc.neural.net_ensembles import (
    FLOAT32,
    FLOAT64,
    STRUCTURES,
    EnsembleFits,
    NetPoint,
)
from jaxllc.neural.net_fits import Net, NetFits, named_points
from jaxllc.neural.sample_rates import rates_serve
from jaxllc.running.member_mesh import member_mesh, padded_to
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import refinement, within_samples
from jaxllc.smoothing.smooth import smooth
from jaxllc.sweeps.devices.devices import members_per_device
from jaxllc.sweeps.grids import Point
from jaxllc.sweeps.records import DIVERGED, DONE, fingerprint_of
from jaxllc.sweeps.runner import Progress, sweep
from jaxllc.sweeps.work import Outcome

if TYPE_CHECKING:
    import pandas as pd

# Of the median residual: a simpler structure that leaves no more than this is as good.
_AS_GOOD = 1.5
# Of the bootstrap: more are a mistake in writing.
_MOST_REPLICATES = 100_000
_TERMS = ("self", "interaction")


@dataclass(frozen=True, eq=False)
class TermSpread:
    """What the members of an ensemble say of one term.

    input_names: (q,) such as x_i, x_j, k_i; points: (n, q), in the units of the data. mean, std: {variable:
    (n,)}, of the members; error: {variable: (n,)}, root mean square of the standard errors that the members
    have of their readouts alone, as those of single fits. members: how many.
    """

    input_names: tuple[str, ...]
    points: np.ndarray
    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]
    error: dict[str, np.ndarray]
    members: int


@dataclass(frozen=True, eq=False, repr=False)
class NetEnsemble:
    """The nets of an ensemble, by what they left of the samples and what their terms are.

    table: DataFrame, a row per member: structure, seed, replicate, status ("done", "diverged", "failed"),
    note, residual_x for each variable x (mean square left of the samples, or of their rates, over the
    variance), loss, steps, message, seconds. finished: whether every member has a row. seconds: time spent
    now. notes: what to mind, a sentence each. variables: of a node. points: input names and values, (n, q),
    of either term. values: by structure, seed and replicate, what a member says there, as its record has it.
    """

    table: pd.DataFrame
    finished: bool
    seconds: float
    notes: tuple[str, ...]
    variables: tuple[str, ...] = field(repr=False)
    points: tuple[tuple[tuple[str, ...], np.ndarray], ...] = field(repr=False)
    values: Mapping[tuple[str, int, int], Mapping[str, Any]] = field(repr=False)

    def median_residual(self, structure: str) -> float:
        """The median over members of a structure of the residual, the geometric mean over variables.

        Raises InputError where none of them is done.
        """
        rows = self._done(structure)
        left = rows[[f"residual_{v}" for v in self.variables]].to_numpy(float)
        return float(np.median(np.exp(np.log(np.maximum(left, 1e-300)).mean(axis=1))))

    @property
    def structure(self) -> str:
        """The simplest structure that leaves about as little as any; InputError where no member is done."""
        done = self.table[self.table["status"] == DONE]
        named = [name for name in STRUCTURES if name in set(done["structure"])]
        if not named:
            raise InputError("no member of the ensemble is done; see the column note of its table")
        left = {name: self.median_residual(name) for name in named}
        good = [name for name in named if left[name] <= _AS_GOOD * min(left.values())]
        return min(good, key=lambda name: (STRUCTURES[name].rank, left[name]))

    def terms(self, structure: str | None = None) -> tuple[TermSpread, TermSpread]:
        """The self term and what A_ij multiplies, over the members of a structure that are done.

        structure: by default that of the property. Raises InputError where none of its members is done.
        """
        chosen = self.structure if structure is None else structure
        rows = self._done(chosen)
        keys = zip(rows["structure"], rows["seed"], rows["replicate"], strict=True)
        values = [self.values[name, int(seed), int(number)] for name, seed, number in keys]
        own, between = (
            self._spread(values, term, *points)
            for term, points in zip(_TERMS, self.points, strict=True)
        )
        return own, between

    def _spread(
        self, values: Sequence[Mapping[str, Any]], term: str, names: tuple[str, ...], at: np.ndarray
    ) -> TermSpread:
        def of(what: str, reduced: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
            each = {
                v: np.array([one[f"{what}_{v}"] for one in values], float) for v in self.variables
            }
            return {v: reduced(all_of_them) for v, all_of_them in each.items()}

        return TermSpread(
            names,
            at,
            of(term, lambda each: each.mean(axis=0)),
            of(term, lambda each: each.std(axis=0)),
            of(f"{term}_error", lambda each: np.sqrt((each**2).mean(axis=0))),
            len(values),
        )

    def _done(self, structure: str) -> pd.DataFrame:
        check_choice("structure", structure, tuple(STRUCTURES))
        rows = self.table[(self.table["status"] == DONE) & (self.table["structure"] == structure)]
        if not len(rows):
            raise InputError(
                f"no member of the structure {structure!r} is done; see the column note of the table"
            )
        return rows

    def summary(self) -> str:
        """A few lines: how many members are done, what each structure leaves, and what to mind."""
        counts = self.table["status"].value_counts()
        lines = [
            f"{len(self.table)} nets: {counts.get(DONE, 0)} done, {len(self.table) - counts.get(DONE, 0)} "
            f"not; {self.seconds:.1f} s"
        ]
        done = set(self.table.loc[self.table["status"] == DONE, "structure"])
        lines += [
            f"{name}: median residual {self.median_residual(name):.2g} of the variance"
            for name in STRUCTURES
            if name in done
        ]
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return f"NetEnsemble({self.summary().splitlines()[0]})"


def net_ensemble(
    data: Trajectories | Sequence[Trajectories],
    network: Network,
    seeds: Sequence[int] = range(8),
    structures: Sequence[str] = ("both",),
    replicates: int = 0,
    *,
    features: Sequence[str] | None = None,
    rates: bool | None = None,
    width: int = 24,
    steps: int = 60,
    ridge: float = 1e-12,
    num_points: int = 200,
    precision: str = FLOAT64,
    seed: int = 0,
    records: str | os.PathLike | None = None,
    together: int | None = None,
    memory: float | None = None,
    devices: Sequence[Any] | None = None,
    progress: Progress | None = None,
) -> NetEnsemble:
    """Fit many pairs of nets, f(x_i) and g(x_i, x_j), to trajectories, side by side in one vmapped program.

    Members are all combinations of seeds, structures and replicates; each is the pair of nets that variable
    projection and Levenberg-Marquardt find from its start, as the nets of `discover` are fitted: step by
    step the same, until rounding takes their paths apart, as it does with starts that differ by 1e-14. The
    spread of the members says how well the two terms are determined where the data lie.

    data, network: as `jaxllc.discover` takes them. seeds: of the random starts of the hidden layers.
    structures: what g reads: "sender", "difference" (of sender and receiver), "both", or each of these
    "over k_i", with A_ij/k_i in the place of A_ij. replicates: of the bootstrap, in each of which series
    (a node in a run) are drawn with replacement; 0: the series as they are. With R replicates there are R + 1
    members of each structure and seed, of which number 0 counts every series once.

    features: node features that both terms read, all of the data's by default; "k" is the in-strength.
    rates: fit the rates at the samples in place of their integrals; by default where data are clean and have
    few holes. width: hidden units of each term. steps: of Levenberg-Marquardt, at most. ridge: of the
    readouts, relative to the norms of their columns. num_points: at which the terms of all members are kept.
    precision: "float64", or "float32", which accelerators are faster in: its ridge is 7e-6 at least, nets of
    noisy samples leave a few percent more than those in float64, and those of clean samples 4 to 90 times as
    much.

    seed: of the series and points that are drawn; the same seed gives the same ensemble. records, progress:
    as `sweep` takes them. together: members in one program, over all devices; by default as many as fit into
    `memory`, bytes of each device, by default what is free on an accelerator, and one on each device of a
    CPU. devices: by default all local ones; the members are cut over them.

    A member that diverges has the status "diverged" and says how; the others go on as without it. Where a
    constant may stand in either term it is taken out of the interaction, as for `discover`.
    Raises InputError for data and network that do not fit, and for choices that are not possible.

    Example:
        >>> network = jaxllc.generators.erdos_renyi(10, 3, seed=1)
        >>> times = np.linspace(0, 4, 30)
        >>> data = jaxllc.known_laws.get("epidemic").simulate(network, times, seed=0)
        >>> ensemble = net_ensemble(data, network, range(2), ("sender", "both"), width=6, steps=15)
        >>> ensemble.structure
        'both'
        >>> own, between = ensemble.terms()
        >>> between.input_names, between.mean["x"].shape, between.members
        (('x_i', 'x_j', 'k_i'), (200,), 2)
    """
    check_seed("seed", seed)
    check_callable("progress", progress, "nets done, nets in all and what was done")
    points = _points(seeds, structures, replicates)
    for name, value in (("width", width), ("steps", steps), ("num_points", num_points)):
        check_integer(name, value, 1)
    check_number("ridge", ridge, 0, above=True)
    check_choice("precision", precision, (FLOAT64, FLOAT32))
    if rates is not None and not isinstance(rates, bool):
        raise InputError(
            f"rates is {rates!r:.80}; give True, False, or None to fit them to clean data"
        )
    if together is not None:
        check_integer("together", together, 1, "the nets fitted side by side")
    if memory is not None:
        check_number("memory", memory, 0, above=True, unit="bytes")
    runs, network = checked_data(data, network)
    if runs[0].inputs:
        raise InputError(
            f"the data have the inputs {', '.join(runs[0].inputs)}, which nets do not take: leave them out"
        )
    made = grid_data(runs, within_samples(smooth(runs, refinement(runs)), runs))
    named = tuple(
        made.features if features is None else listing("features", features, "names", "['k']")
    )
    with jax.enable_x64(True):
        rates = rates_serve(made, network) if rates is None else rates
        fits = NetFits(made, network, named, width, ridge, seed, rates=rates)
        trainer = _Trainer(
            EnsembleFits(fits, steps, precision), num_points, member_mesh(devices), len(points)
        )
    trainer.together, trainer.memory = together, memory
    study = [
        [named, bool(fits.rates), width, steps, ridge, num_points, precision, seed],
        trainer.mark(),
    ]
    result = sweep(
        trainer,
        points,
        records=records,
        study=study,
        together=trainer.size(),
        progress=progress,
    )
    kept = [name for name in result.table.columns if not name.startswith(_TERMS)]
    rows = result.table.to_dict("records")
    values = {(row["structure"], row["seed"], row["replicate"]): row for row in rows}
    notes = tuple(dict.fromkeys([*(note for run in runs for note in run.notes), *result.notes]))
    return NetEnsemble(
        result.table[kept], result.finished, result.seconds, notes, made.variables, trainer.at, values
    )  # fmt: skip


def _points(seeds: Any, structures: Any, replicates: Any) -> list[Point]:
    """The points of the members, checked."""
    named = [structures] if isinstance(structures, str) else structures
    named = listing("structures", named, "structures", "['sender', 'both']")
    for name in named:
        check_choice("an entry of structures", name, tuple(STRUCTURES))
    numbers = listing("seeds", seeds, "seeds", "range(8)")
    for number in numbers:
        check_seed("an entry of seeds", number)
    check_integer("replicates", replicates, 0)
    if replicates > _MOST_REPLICATES:
        raise InputError(f"replicates is {replicates!r:.80}; give at most {_MOST_REPLICATES}")
    if not named or not numbers:
        raise InputError(f"{'seeds' if named else 'structures'} is empty; give one at least")
    every = product(named, map(int, numbers), range(replicates + 1))
    return [{"structure": s, "seed": n, "replicate": r} for s, n, r in every]


class _Trainer:
    """Fits the members of a chunk: a batched function of points."""

    def __init__(self, ensemble: EnsembleFits, num_points: int, mesh: Mesh, count: int):
        self.ensemble, self.mesh, self.count = ensemble, mesh, count
        self.together: int | None = None
        self.memory: float | None = None
        fits = ensemble.fits
        generator = np.random.default_rng(fits.seed)
        *inputs, strength = fits.points()
        drawn = [generator.permutation(len(part))[:num_points] for part in inputs]
        self.inputs = [part[chosen] for part, chosen in zip(inputs, drawn, strict=True)]
        self.strength = [np.ones(len(drawn[0])), strength[drawn[1]]]
        names = (*fits.data.variables, *fits.features)
        found = []
        for number, sides in enumerate(("i", "ij")):
            named, at = named_points(names, sides, self.inputs[number], fits.mean, fits.std)
            if number and "k" not in fits.features:
                at, named = np.column_stack([at, self.strength[1]]), (*named, "k_i")
            found.append((named, at))
        self.at = tuple(found)

    def mark(self) -> str:
        """A hash of what the members are fitted to."""
        shared = self.ensemble.shared
        parts = (shared.inputs, shared.pair_inputs, shared.edges, shared.targets)
        return fingerprint_of(*([float(np.sum(part)), float(np.sum(part**2))] for part in parts))

    def size(self) -> int:
        """The members of a chunk, which is filled up to it."""
        if self.together is not None:
            wanted = self.together
        else:
            wanted = self.mesh.size * self._per_device()
        return padded_to(min(wanted, self.count), self.mesh)

    def _per_device(self) -> int:
        if self.memory is None and self.mesh.devices.flat[0].platform == "cpu":
            return 1
        ensemble = self.ensemble
        member = ensemble.member(NetPoint(STRUCTURES["both"], 0))
        with jax.enable_x64(ensemble.dtype == FLOAT64):
            program = ensemble_program(self.mesh, ensemble.steps)
            lowered = program.lower(*ensemble.arguments([member] * self.mesh.size))
            return members_per_device(lowered.compile(), self.mesh, self.memory)

    def __call__(self, points: Sequence[Point]) -> list[Outcome]:
        size = self.size()
        # Filled up with members that are not kept: another size would compile again.
        wanted = [points[n % len(points)] for n in range(size)]
        members = [NetPoint(STRUCTURES[p["structure"]], p["seed"], p["replicate"]) for p in wanted]
        found = self.ensemble.fitted(members, self.mesh)
        return [self._outcome(*one) for one in found[: len(points)]]

    def _outcome(self, net: Net, loss: float, steps: int, message: str) -> Outcome:
        variables = self.ensemble.fits.data.variables
        residual = dict(
            zip([f"residual_{v}" for v in variables], net.residual.tolist(), strict=True)
        )
        metrics: dict[str, Any] = {**residual, "loss": loss, "steps": steps, "message": message}
        finite = bool(np.isfinite(net.residual).all() and np.isfinite(net.readout).all())
        if finite:
            for number, term in enumerate(_TERMS):
                told = self.ensemble.values(net, number, self.inputs[number], self.strength[number])
                for what, each in zip((term, f"{term}_error"), told, strict=True):
                    metrics |= {
                        f"{what}_{v}": c.tolist() for v, c in zip(variables, each.T, strict=True)
                    }
        note = "" if finite else message or "What the nets leave is not a number."
        return Outcome(metrics, DONE if finite else DIVERGED, note)
