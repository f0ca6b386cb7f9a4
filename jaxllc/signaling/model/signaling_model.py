"""SignalingModel: a prior network with learned parameters; predictions for new ligands and knock-outs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.errors import (
    InputError,
    check_integer,
    check_number,
    check_path,
    first_repeat,
    listed,
    listing,
    quoted,
)
from jaxllc.files.array_file import TEXT, ArrayOf, read_arrays, write_arrays
from jaxllc.files.file_values import finite, text, texts
from jaxllc.files.json_text import parse_json
from jaxllc.files.output_file import output_file
from jaxllc.running.waiting import computed
from jaxllc.signaling.arguments import check_kind, names_of
from jaxllc.signaling.data.ligand_levels import LevelsLike, levels_for
from jaxllc.signaling.model.activations import activation
from jaxllc.signaling.model.spectral_radius import SpectralRadius, spectral_radius
from jaxllc.signaling.model.steady_state import Solver, SteadyState
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.structure import Parameters, Structure, settle, structure_of

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = "jaxllc signaling model 1"
_ARRAYS = {
    "description": TEXT,
    "senders": ArrayOf("iu", ("edges",)),
    "receivers": ArrayOf("iu", ("edges",)),
    "signs": ArrayOf("iu", ("edges",)),
    "sign_known": ArrayOf("b", ("edges",)),
    "weights": ArrayOf("f", ("edges",)),
    "bias": ArrayOf("f", (None,)),
    "output_scale": ArrayOf("f", (None,)),
}
TOLERANCE = 1e-5  # relative change below which a state is steady
MAX_STEPS = 5000
MEMORY = 10  # plain steps before each extrapolation


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a model says for some conditions.

    tfs: DataFrame (conditions x TFs). states: DataFrame (conditions x nodes). converged: bool (B,), whether
    the steady state of a condition was reached. residual: (B,), relative change of its last iteration.
    notes: sentences on what is not to be trusted.
    """

    tfs: pd.DataFrame
    states: pd.DataFrame
    converged: np.ndarray
    residual: np.ndarray
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        count, total = int(self.converged.sum()), len(self.converged)
        return f"Prediction({total} conditions, {self.tfs.shape[1]} TFs, {count} converged)"


@dataclass(frozen=True, eq=False, repr=False)
class SignalingModel:
    """A trained model: h = phi(W h + u), u = bias + input_scale * ligands, TF activity = output_scale * h.

    prior: its network. ligands, tfs: names of the nodes that are inputs, and outputs. activation: the name of
    phi. parameters: weights (E,) in the order of the prior network's edges, bias (N,), output_scale (TFs,).
    notes: what there is to mind of the network and the conditions that it was trained on.

    Raises InputError for names that are no nodes, and for parameters of other lengths.
    """

    prior: PriorNetwork
    ligands: tuple[str, ...]
    tfs: tuple[str, ...]
    parameters: Parameters
    activation: str = "mml"
    input_scale: float = 3.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_kind("prior", self.prior, PriorNetwork, "PriorNetwork.read")
        activation(self.activation)
        check_number("input_scale", self.input_scale)
        fill = object.__setattr__
        for name in ("ligands", "tfs"):
            names = tuple(names_of(getattr(self, name), name))
            unknown = [one for one in names if one not in self.prior.position]
            if unknown:
                raise InputError(
                    f"{name} holds {listed(unknown, self.prior.names)}, which is no node of the prior network"
                )
            fill(self, name, names)
        fill(self, "notes", tuple(str(note) for note in listing("notes", self.notes, "text", "[]")))
        fill(self, "parameters", self._checked(self.parameters))

    def _checked(self, parameters: Any) -> Parameters:
        """The parameters as float64 arrays; raises InputError for other lengths."""
        lengths = self.prior.num_edges, self.prior.num_nodes, len(self.tfs)
        try:
            arrays = [np.asarray(values, np.float64) for values in parameters]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"parameters is {quoted(parameters, 80)}; give arrays of weights, bias and output_scale"
            ) from error
        shapes = [array.shape for array in arrays]
        if shapes != [(length,) for length in lengths]:
            raise InputError(
                f"parameters are of shapes {shapes}, but there are {lengths[0]} edges, {lengths[1]} nodes "
                f"and {lengths[2]} TFs; give weights, bias and output_scale of these lengths"
            )
        return Parameters(*arrays)

    @cached_property
    def structure(self) -> Structure:
        """The arrays of the network."""
        return structure_of(self.prior, self.ligands, self.tfs, self.input_scale)

    def predict(
        self,
        ligands: LevelsLike,
        knock_out: Sequence[str] = (),
        tolerance: float = TOLERANCE,
        max_steps: int = MAX_STEPS,
    ) -> Prediction:
        """The steady state of every condition, with the nodes `knock_out` removed from the network.

        ligands: Conditions, a table (conditions x ligands) as a DataFrame or the path of a file, a mapping
        from ligands to levels, or an array (B, ligands) in the order of `self.ligands`. A ligand of the model
        that it leaves out is absent, which the notes of the prediction say, as they say of negative levels.
        tolerance: the relative change in a step below which a state is steady; max_steps: at most so many.
        Raises InputError for names that the model does not know, unless their levels are all 0.
        """
        import pandas as pd

        check_number("tolerance", tolerance, 0, above=True)
        check_integer("max_steps", max_steps, 1)
        knock_out = names_of(knock_out, "knock_out")
        names, levels, said = levels_for(self.ligands, ligands)
        model = self._without(knock_out) if knock_out else self
        found, activities = model._solve(levels, tolerance, max_steps)
        state = np.array(found.state, np.float64).T  # a copy: that of a float64 array is read-only
        removed = [self.prior.position[name] for name in knock_out]
        state[:, removed] = 0.0
        activities[:, np.isin(np.asarray(self.structure.outputs), removed)] = 0.0
        residual = np.asarray(found.residual, np.float64)
        converged = residual <= tolerance
        return Prediction(
            pd.DataFrame(activities, index=names, columns=list(self.tfs)),
            pd.DataFrame(state, index=names, columns=list(self.prior.names)),
            converged,
            residual,
            (*said, *_convergence_notes(names, converged, residual, max_steps)),
        )

    def spectral_radius(self, ligands: LevelsLike) -> np.ndarray:
        """The spectral radius of diag(phi') W at the steady state of each condition, (B,).

        ligands: as `predict` takes them, which says what is raised.
        """
        return self.leading_eigenvalues(ligands).radius

    def leading_eigenvalues(self, ligands: LevelsLike) -> SpectralRadius:
        """The eigenvalue of largest modulus of each condition, with its residual.

        ligands: as `predict` takes them, which says what is raised.
        """
        _, levels, _ = levels_for(self.ligands, ligands)
        found, _ = self._solve(levels, 1e-6, MAX_STEPS)
        return spectral_radius(self.structure.wires, self.parameters.weights, found.slope)

    def save(self, path: str | os.PathLike) -> None:
        """Write one .npz file that `load` reads; it holds arrays and text only.

        Raises InputError for a path that cannot be written.
        """
        check_path("path", path)
        prior = self.prior
        content = {
            "format": _FORMAT,
            "names": list(prior.names),
            "ligands": list(self.ligands),
            "tfs": list(self.tfs),
            "sources": list(prior.sources),
            "activation": self.activation,
            "input_scale": self.input_scale,
            "notes": list(self.notes),
        }
        arrays = {
            "description": json.dumps(content),
            "senders": prior.senders,
            "receivers": prior.receivers,
            "signs": prior.signs,
            "sign_known": prior.sign_known,
            **self.parameters._asdict(),
        }
        with output_file(path) as temporary, temporary.open("wb") as file:
            write_arrays(file, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> SignalingModel:
        """Read what `save` wrote to this path; raises InputError for any other file."""
        check_path("path", path)
        path = Path(path)
        if path.is_dir():
            path = path / "model.npz"
        mend = "give a model.npz that a training wrote"
        arrays = read_arrays(path, _ARRAYS, "a signaling model", mend)
        try:
            content = parse_json(str(arrays.pop("description")))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r:.60}, not {_FORMAT!r}")
            return cls._of(content, arrays)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{path} is not a signaling model ({reason}); {mend}") from None

    @classmethod
    def _of(cls, content: dict[str, Any], arrays: dict[str, np.ndarray]) -> SignalingModel:
        names, sources = texts(content["names"]), texts(content["sources"])
        ligands, tfs = texts(content["ligands"]), texts(content["tfs"])
        parameters = Parameters(*(arrays[name] for name in Parameters._fields))
        num_edges, num_nodes = len(arrays["senders"]), len(names)
        for name, array, length in (
            ("sources", sources, num_edges),
            ("bias", parameters.bias, num_nodes),
            ("output_scale", parameters.output_scale, len(tfs)),
        ):
            if len(array) != length:
                raise ValueError(f"{name} has {len(array)} values, not {length}")
        for name in Parameters._fields:
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        for several in (names, ligands, tfs):
            repeated = first_repeat(several)
            if repeated is not None:
                raise ValueError(f"the name {repeated[:40]!r} stands twice")
        ends = np.concatenate([arrays["senders"], arrays["receivers"]])
        if len(ends) and not 0 <= ends.min() <= ends.max() < num_nodes:
            raise ValueError(f"an edge joins nodes beyond the {num_nodes} it has names for")
        if not np.isin(arrays["signs"], (-1, 0, 1)).all():
            raise ValueError("a sign is none of -1, 0 and 1")
        activation(text(content["activation"]))
        prior = PriorNetwork(
            arrays["senders"].astype(np.int32),
            arrays["receivers"].astype(np.int32),
            arrays["signs"].astype(np.int8),
            arrays["sign_known"],
            names,
            sources,
        )
        scale = finite(content["input_scale"])
        notes = texts(content.get("notes", []))  # of models from before they were kept
        model = cls(prior, ligands, tfs, parameters, content["activation"], scale, tuple(notes))
        _ = model.structure  # raises for a ligand or a TF that is no node
        return model

    def _solve(
        self, levels: np.ndarray, tolerance: float, max_steps: int
    ) -> tuple[SteadyState, np.ndarray]:
        # A few fixed numbers of columns, so that predictions of any size share a compilation.
        count = len(levels)
        padded = np.zeros((_padded(count), levels.shape[1]))
        padded[:count] = levels
        dtype = jnp.zeros(()).dtype
        parameters = jax.tree.map(lambda x: jnp.asarray(x, dtype), self.parameters)
        solver = Solver(steps=max_steps, memory=MEMORY)
        found, outputs = computed(
            settle,
            self.activation,
            solver,
            self.structure,
            parameters,
            jnp.asarray(padded, dtype),
            reachable(tolerance / 2, dtype),
        )
        found = found._replace(
            state=found.state[:, :count],
            residual=found.residual[:count],
            slope=found.slope[:, :count],
        )
        return found, np.asarray(outputs, np.float64)[:count].copy()

    def _without(self, nodes: Sequence[str]) -> SignalingModel:
        """The same shapes with every edge of `nodes`, and what drives them, at zero."""
        unknown = [name for name in nodes if name not in self.prior.position]
        if unknown:
            raise InputError(
                f"cannot knock out {listed(unknown, self.prior.names)}: the network has no such node"
            )
        removed = np.zeros(self.prior.num_nodes, bool)
        removed[[self.prior.position[name] for name in nodes]] = True
        touched = removed[self.prior.senders] | removed[self.prior.receivers]
        weights, bias, output_scale = self.parameters
        parameters = Parameters(
            np.where(touched, 0.0, weights), np.where(removed, 0.0, bias), output_scale
        )
        return replace(self, parameters=parameters)

    def __repr__(self) -> str:
        return (
            f"SignalingModel({self.prior.num_nodes} nodes, {self.prior.num_edges} edges, "
            f"{len(self.ligands)} ligands, {len(self.tfs)} TFs, {self.activation})"
        )


def reachable(tolerance: float, dtype: Any) -> float:
    """The tolerance, or a few roundings of the numbers, which residuals cannot fall below."""
    return max(tolerance, 4 * float(jnp.finfo(dtype).eps))


def _padded(count: int) -> int:
    """Columns to compute: 8, 16, 32, 64, then multiples of 64."""
    return next((n for n in (8, 16, 32) if count <= n), -(-max(count, 1) // 64) * 64)


def _convergence_notes(
    names: Sequence[str], converged: np.ndarray, residual: np.ndarray, max_steps: int
) -> tuple[str, ...]:
    if converged.all():
        return ()
    failed = [name for name, fine in zip(names, converged, strict=True) if not fine]
    worst = np.nanmax(np.where(np.isfinite(residual), residual, np.inf))
    return (
        f"{len(failed)} of {len(names)} conditions did not reach a steady state in {max_steps} iterations "
        f"(relative change up to {worst:.2g}): {listed(failed)}; a spectral radius near or above 1 does "
        "this, train with a larger spectral_penalty",
    )
