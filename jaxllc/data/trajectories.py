"""Trajectories: what was seen of every node of a network over time, in one run."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.trajectory_input import feature_arrays, labelled_states, variable_names
from jaxllc.data.trajectory_table import run_of
from jaxllc.equations.function_table import TABLE
from jaxllc.errors import InputError, check_integer, first_repeat, listed, listing
from jaxllc.files.output_file import output_file
from jaxllc.tables.labels import names_tuple
from jaxllc.tables.real_numbers import real_numbers
from jaxllc.tables.sample_times import sample_times

if TYPE_CHECKING:
    import pandas

_SYMBOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# k_i is the in-strength in every law, and a function's name cannot be a variable's.
_FUNCTIONS = {name for r in TABLE.values() if r.sympy and not r.more for name in (r.name, r.sympy)}
_TAKEN_NAMES = frozenset(("k", *_FUNCTIONS))


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Trajectories:
    """One run of all nodes; several runs are a list of these.

    times: float64 (T,), strictly increasing, in the user's unit; dates and durations are counted from the
    first sample in the unit `time_unit`, which a note says. states: float64 (T, N, d), or (T, N) for one
    variable; nan where nothing was observed, or masked. variables: d names, each a symbol of the law.
    node_features: {name: (N,)}, known constants of the nodes. names: N node names, or None. notes: what
    reading saw in a file, such as the unit of times made from dates; a law of these data repeats them.
    inputs: {name: course}, what acts on the nodes from outside; `jaxllc.discover` makes courses of tables.
    Labels of a DataFrame or DataArray are names: columns of the states (`names` then sets their order), the
    index of a feature.
    Raises InputError for shapes that do not fit, times out of order, infinite states, unusable names.

    >>> from jaxllc import Trajectories
    >>> run = Trajectories([0.0, 0.5, 1.0], [[1.0, 2.0], [0.8, 1.7], [0.6, 1.5]], names=["a", "b"])
    >>> run.num_times, run.num_nodes, run.variables
    (3, 2, ('x',))
    """

    times: np.ndarray
    states: np.ndarray
    variables: tuple[str, ...]
    node_features: dict[str, np.ndarray]
    names: tuple[str, ...] | None
    notes: tuple[str, ...]
    time_unit: str
    inputs: dict[str, InputCourse]

    def __init__(
        self,
        times: ArrayLike,
        states: ArrayLike,
        variables: Sequence[str] = ("x",),
        node_features: Mapping[str, ArrayLike] | None = None,
        names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        time_unit: str = "",
        inputs: Mapping[str, InputCourse] | None = None,
    ) -> None:
        counted = sample_times(times)
        array, symbols, found = labelled_states(times, states, variable_names(variables), names)
        said = (
            [notes] if isinstance(notes, str) else listing("notes", notes, "sentences", "['...']")
        )
        if not all(isinstance(note, str) for note in said):
            raise InputError("notes must be sentences, each a text")
        fields = {
            "times": counted.times,
            "states": array,
            "variables": symbols,
            "names": found,
            "notes": tuple(dict.fromkeys([*said, *counted.notes])),
            "time_unit": counted.unit or str(time_unit),
            "inputs": dict(inputs or {}),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)  # the class is frozen
        self._check_times()
        self._check_states()
        features = feature_arrays(node_features, found, self.num_nodes)
        object.__setattr__(self, "node_features", features)
        for value in (self.times, self.states, *features.values()):
            value.flags.writeable = False
        self._check_names()

    def _check_times(self) -> None:
        if self.times.ndim != 1 or self.times.size == 0:
            raise InputError(f"times must be a list of numbers, not of shape {self.times.shape}")
        if not np.isfinite(self.times).all():
            raise InputError(f"times[{np.isfinite(self.times).argmin()}] is not a finite number")
        steps = np.diff(self.times)
        if (steps <= 0).any():
            t = int((steps <= 0).argmax())
            raise InputError(
                f"times must increase, but times[{t + 1}] = {self.times[t + 1]:g} comes after "
                f"times[{t}] = {self.times[t]:g}; sort the samples and drop repeated times"
            )

    def _check_states(self) -> None:
        if self.states.ndim != 3 or self.states.shape[0] != len(self.times):
            raise InputError(
                f"states must be (time, node) or (time, node, variable) with {len(self.times)} times, "
                f"not of shape {self.states.shape}"
            )
        if self.states.shape[1] == 0 or self.states.shape[2] == 0:
            raise InputError(f"states of shape {self.states.shape} hold no node")
        if self.states.shape[2] != len(self.variables):
            raise InputError(
                f"states hold {self.states.shape[2]} variables per node, but variables="
                f"{self.variables!r} names {len(self.variables)}; pass one name for each"
            )
        if np.isinf(self.states).any():
            t, n, v = (int(index[0]) for index in np.nonzero(np.isinf(self.states)))
            raise InputError(
                f"states[{t}, {n}, {v}] is infinite; use nan for what was not observed"
            )

    def _check_names(self) -> None:
        for name in (*self.variables, *self.node_features, *self.inputs):
            if not _SYMBOL_NAME.match(name) or name in _TAKEN_NAMES:
                raise InputError(
                    f"{name!r} cannot name a variable, node feature or input: use letters, digits and _, a "
                    f"letter first, and none of {', '.join(sorted(_TAKEN_NAMES))}"
                )
        symbols = (*self.variables, *self.node_features, *self.inputs)
        if len(set(symbols)) != len(symbols):
            raise InputError(
                f"variables, node features and inputs repeat a name: {', '.join(symbols)}"
            )
        for name, value in self.node_features.items():
            if value.shape != (self.num_nodes,) or not np.isfinite(value).all():
                raise InputError(
                    f"node feature {name!r} must be one finite number for each of "
                    f"{self.num_nodes} nodes"
                )
        if self.names is not None:
            if len(self.names) != self.num_nodes:
                raise InputError(f"there are {len(self.names)} names for {self.num_nodes} nodes")
            repeated = first_repeat(self.names)
            if repeated is not None:
                raise InputError(f"the node name {repeated!r} is repeated")

    @property
    def num_times(self) -> int:
        """The number of sample times T."""
        return self.states.shape[0]

    @property
    def num_nodes(self) -> int:
        """The number of nodes N."""
        return self.states.shape[1]

    @property
    def num_variables(self) -> int:
        """The number of variables per node d."""
        return self.states.shape[2]

    @cached_property
    def observed(self) -> np.ndarray:
        """Which entries of the states were observed, bool (T, N, d)."""
        return ~np.isnan(self.states)

    @property
    def node_names(self) -> tuple[str, ...]:
        """The names, or "0", "1", ... where none were given."""
        return self.names or tuple(str(n) for n in range(self.num_nodes))

    def window(self, start: float | None = None, stop: float | None = None) -> "Trajectories":
        """The samples with start <= time <= stop, in the unit of the times; None leaves that side open.

        Raises InputError where no sample lies between them.
        """
        low = -np.inf if start is None else _one_number(start, "start")
        high = np.inf if stop is None else _one_number(stop, "stop")
        inside = (self.times >= low) & (self.times <= high)
        if not inside.any():
            raise InputError(
                f"no sample lies in the window from {low:g} to {high:g}; the times run from "
                f"{self.times[0]:g} to {self.times[-1]:g}"
            )
        return replace(self, times=self.times[inside], states=self.states[inside])

    def with_noise(self, snr_db: float, seed: int) -> "Trajectories":
        """The run with white noise at SNR = 20 log10(std of signal / std of noise) dB in each variable.

        seed: of the noise. Raises InputError for a seed that is not a whole number from 0.
        """
        check_integer("seed", seed, 0)
        rng = np.random.default_rng(seed)
        scale = np.nanstd(self.states, axis=(0, 1)) * 10 ** (-_one_number(snr_db, "snr_db") / 20)
        noise = rng.standard_normal(self.states.shape) * scale[None, None, :]
        return replace(self, states=self.states + noise)

    def select(self, names: Sequence[str]) -> "Trajectories":
        """The nodes `names`, in this order, with their features; InputError for one that is not there."""
        names = names_tuple(names)
        position = {name: n for n, name in enumerate(self.node_names)}
        unknown = [name for name in names if name not in position]
        if unknown:
            raise InputError(f"the states hold no node {listed(unknown, self.node_names)}")
        index = np.array([position[name] for name in names], dtype=int)
        return replace(
            self,
            states=self.states[:, index],
            node_features={name: value[index] for name, value in self.node_features.items()},
            names=tuple(names),
            inputs={name: course.selected(index) for name, course in self.inputs.items()},
        )

    def with_features(self, node_features: Mapping[str, ArrayLike]) -> "Trajectories":
        """The same run with `node_features` {name: (N,)} added to, or in place of, its own.

        Raises InputError for features of another length, or of nodes that are not those of the run.
        """
        added = feature_arrays(node_features, self.names, self.num_nodes)
        return replace(self, node_features={**self.node_features, **added})

    @classmethod
    def from_frame(
        cls, frame: "pandas.DataFrame", node_features: Mapping[str, ArrayLike] | None = None
    ) -> "Trajectories":
        """One run out of a table, wide or long, as `jaxllc.read_states` reads a file.

        The time is a column time or t, or else the index; dates are counted from the first. Columns of two
        levels are (node, variable). Raises InputError as `read_states`, and where the table holds several
        runs.
        """
        run = run_of(frame, cls)
        return run if node_features is None else run.with_features(node_features)

    def to_frame(self) -> "pandas.DataFrame":
        """A wide table: time, then a column per node, or "node.variable" for several variables."""
        import pandas as pd

        columns = list(self.node_names)
        # A column is read as "node.variable" if all columns have a dot, so such names get theirs.
        if self.variables != ("x",) or all("." in name for name in columns):
            columns = [f"{node}.{variable}" for node in columns for variable in self.variables]
        flat = self.states.reshape(self.num_times, -1)
        frame = pd.DataFrame(flat, columns=pd.Index(columns, dtype=object))
        frame.insert(0, "time", self.times, allow_duplicates=True)
        return frame

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write `to_frame`, every number so that it reads back unchanged."""
        with output_file(path) as temporary:
            self.to_frame().to_csv(temporary, index=False)

    def __repr__(self) -> str:
        seen = self.observed.mean() if self.states.size else 0.0
        unit = f" {self.time_unit}" if self.time_unit else ""
        return (
            f"Trajectories({self.num_times} times from {self.times[0]:g} to {self.times[-1]:g}{unit}, "
            f"{self.num_nodes} nodes, variables {', '.join(self.variables)}, {seen:.0%} observed)"
        )


def _one_number(value: Any, what: str) -> float:
    number = real_numbers(value, what)
    if number.ndim or np.isnan(number):
        raise InputError(f"{what} must be one number, not {value!r:.80}")
    return float(number)
