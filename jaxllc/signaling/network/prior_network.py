"""PriorNetwork: which node may act on which, and with which sign, before any data is seen.

An edge stimulates, inhibits, or has an unknown sign; what is unknown is a mask of its own. Rules for
tables (Nilsson et al., Nature Communications 13, 2022): neither flag set means unknown, both set
counts as inhibition, and repeated rows are one edge, in which a known sign wins over unknown.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_path, first_repeat, listed, listing, quoted
from jaxllc.files.output_file import output_file
from jaxllc.signaling.arguments import is_frame, kind_of
from jaxllc.signaling.data.condition_record import ConditionRecord
from jaxllc.signaling.network.edge_rows import EdgeRows
from jaxllc.signaling.network.given_edges import (
    flags_given,
    names_given,
    signs_given,
    whole_numbers,
)
from jaxllc.signaling.network.merged_edges import merged
from jaxllc.signaling.network.prior_tables import frame_edge_rows, read_edge_rows

if TYPE_CHECKING:
    import pandas as pd

_OF_EDGES = ("senders", "receivers", "signs", "sign_known", "sources")
_WORDS = {1: "activates", -1: "inhibits", 0: "unknown"}


@dataclass(frozen=True, eq=False, repr=False)
class PriorNetwork:
    """Signed directed prior network; edges sorted by (receiver, sender), nodes sorted by name.

    senders, receivers: int32 (E,), node indices. signs: int8 (E,), +1 stimulation, -1 inhibition, to
    be used only where sign_known, bool (E,), is true. names: N node names. sources: for each edge
    where it comes from, "" if that is not known. notes: what reading reported, a sentence each.
    other_ends: sender column, receiver column and node names of each other pair of columns of the table
    that might be the ends of the edges.

    Raises InputError for arrays of unequal length, names that repeat, and edges that are none.

    Example:
        >>> prior = PriorNetwork.from_edges(["EGF", "EGFR"], ["EGFR", "STAT3"], [1, None])
        >>> print(prior.describe())
        3 nodes, 2 edges: 1 stimulating, 0 inhibiting, 1 of unknown sign
    """

    senders: np.ndarray
    receivers: np.ndarray
    signs: np.ndarray
    sign_known: np.ndarray
    names: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()
    other_ends: tuple[tuple[str, str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        fill = object.__setattr__
        for name, kind in (("senders", np.int32), ("receivers", np.int32), ("signs", np.int8)):
            fill(self, name, whole_numbers(getattr(self, name), kind, name))
        fill(self, "sign_known", flags_given(self.sign_known, "sign_known"))
        for name in ("names", "sources", "notes"):
            texts = listing(name, getattr(self, name), "text", "['STAT1', 'STAT3']")
            fill(self, name, tuple(str(text) for text in texts))
        lengths = {len(getattr(self, name)) for name in _OF_EDGES}
        if len(lengths) > 1:
            raise InputError(
                f"{', '.join(_OF_EDGES)} must have one length, not {sorted(lengths)}; "
                "PriorNetwork.from_edges takes names and signs"
            )
        repeated = first_repeat(self.names)
        if repeated is not None:
            raise InputError(f"names holds {quoted(repeated, 80)} twice; give each node a name")
        ends = np.concatenate([self.senders, self.receivers])
        if ends.size and not 0 <= ends.min() <= ends.max() < len(self.names):
            raise InputError(
                f"senders and receivers hold {ends.min()} to {ends.max()}, but there are {len(self.names)} "
                "nodes, numbered from 0; PriorNetwork.from_edges takes names"
            )
        key = self.receivers.astype(np.int64) * len(self.names) + self.senders
        if (np.diff(key) <= 0).any():
            raise InputError(
                "the edges are not sorted by receiver and sender, each once; PriorNetwork.from_edges takes "
                "them in any order"
            )

    @classmethod
    def read(
        cls,
        path: str | os.PathLike,
        *,
        conditions: ConditionRecord | None = None,
        columns: Sequence[str] | None = None,
    ) -> "PriorNetwork":
        """The network in a table of edges or a SIF file; `edge_columns` says which columns are known.

        path: of the file. conditions: where the table has several pairs of columns for the ends of an edge,
        such as source and target beside source_genesymbol and target_genesymbol, those are taken whose
        nodes are most of its ligands and TFs. columns: the two columns themselves. A weight that is never
        negative is no sign. Undirected rows are left out. What was left out, merged or contradictory stands
        in `notes`. Raises InputError for missing columns, an empty node name, and a cell that is no sign.
        """
        check_path("path", path, "PriorNetwork.from_frame takes a DataFrame")
        return _merged(read_edge_rows(path, _nodes_of(conditions), columns))

    @classmethod
    def from_frame(
        cls,
        frame: "pd.DataFrame",
        place: str = "the table",
        *,
        conditions: ConditionRecord | None = None,
        columns: Sequence[str] | None = None,
    ) -> "PriorNetwork":
        """The network in a DataFrame with the columns of a table; `place` names it in errors.

        frame: a row per edge. conditions, columns, and what is raised: as in `read`.
        """
        return _merged(frame_edge_rows(frame, place, _nodes_of(conditions), columns))

    @classmethod
    def from_edges(
        cls,
        senders: Sequence[str] | np.ndarray,
        receivers: Sequence[str] | np.ndarray,
        signs: Sequence | np.ndarray | None = None,
    ) -> "PriorNetwork":
        """A network from lists of edges.

        senders, receivers: node names (E,). signs: (E,), +1, -1, or None, nan or 0 if unknown. Raises
        InputError for lists of unequal length, no edges, an empty name and any other sign.
        """
        tails, heads = names_given(senders, "senders"), names_given(receivers, "receivers")
        given = np.zeros(len(tails)) if signs is None else signs_given(signs)
        if not len(tails) == len(heads) == len(given):
            raise InputError(
                f"senders, receivers and signs must have one length, not {len(tails)}, {len(heads)} "
                f"and {len(given)}"
            )
        if len(given) == 0:
            raise InputError("senders and receivers are empty; a prior network needs edges")
        sources = np.full(len(given), "", dtype=object)
        place = "edge number {}".format
        return _merged(EdgeRows(tails, heads, given > 0, given < 0, sources, place))

    def to_frame(self) -> "pd.DataFrame":
        """Columns source, target, stimulation, inhibition, sources: what `from_frame` reads back.

        A node without any edge does not appear in it.
        """
        import pandas as pd

        names = np.array(self.names, dtype=object)
        return pd.DataFrame(
            {
                "source": names[self.senders],
                "target": names[self.receivers],
                "stimulation": (self.sign_known & (self.signs > 0)).astype(int),
                "inhibition": (self.sign_known & (self.signs < 0)).astype(int),
                "sources": np.array(self.sources, dtype=object),
            }
        )

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table that `read` reads back: with tabs for .tsv, SIF for .sif, else with commas.

        A SIF file has no place for the sources of edges. Raises InputError for a path that cannot be written.
        """
        check_path("path", path)
        suffix = Path(path).suffix.lower()
        frame = self.to_frame()
        with output_file(path) as temporary:
            if suffix == ".sif":
                signs = np.where(self.sign_known, self.signs, 0).tolist()
                words = [_WORDS[sign] for sign in signs]
                rows = zip(frame["source"], words, frame["target"], strict=True)
                text = "".join("\t".join(row) + "\n" for row in rows)
                temporary.write_text(text, encoding="utf-8")
            else:
                frame.to_csv(temporary, index=False, sep="\t" if suffix == ".tsv" else ",")

    @property
    def num_nodes(self) -> int:
        """The number of nodes N."""
        return len(self.names)

    @property
    def num_edges(self) -> int:
        """The number of edges E."""
        return len(self.senders)

    @cached_property
    def position(self) -> dict[str, int]:
        """The index of each node name."""
        return {name: n for n, name in enumerate(self.names)}

    def unreached(self, inputs: Sequence[str]) -> list[str]:
        """The nodes to which no path leads from any of `inputs`; an input reaches itself."""
        return self._named(~self._reached(inputs, "inputs"))

    def leading_nowhere(self, outputs: Sequence[str]) -> list[str]:
        """The nodes from which no path leads to any of `outputs`; an output leads to itself."""
        return self._named(~self._reached(outputs, "outputs", backwards=True))

    def has_path(self, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
        """Whether a path leads from any of `inputs` to any of `outputs`."""
        return bool(self._reached(inputs, "inputs")[self._indices(outputs, "outputs")].any())

    def trimmed(self, inputs: Sequence[str], outputs: Sequence[str]) -> "PriorNetwork":
        """Only the nodes on a path from one of `inputs` to one of `outputs`, and the edges among them.

        A path may pass a node twice, so feedback loops on the way stay. Inputs and outputs on no path
        go as well. Raises InputError when no path leads from any input to any output.
        """
        on_path = self._reached(inputs, "inputs") & self._reached(outputs, "outputs", True)
        if not on_path.any():
            raise InputError(
                f"no path leads from the inputs {listed(list(inputs))} to the outputs "
                f"{listed(list(outputs))}; add the edges between them or check the names"
            )
        return self._with_nodes(on_path)

    def without_nodes(self, names: Sequence[str]) -> "PriorNetwork":
        """The network without the nodes of these names and their edges; the others stay, even if alone.

        Raises InputError for a name that is not a node.
        """
        kept = np.ones(self.num_nodes, dtype=bool)
        kept[self._indices(names, "names")] = False
        return self._with_nodes(kept)

    def with_edges(
        self,
        senders: Sequence[str] | np.ndarray,
        receivers: Sequence[str] | np.ndarray,
        signs: Sequence | np.ndarray | None = None,
    ) -> "PriorNetwork":
        """The network with more edges between nodes it has; self-loops are allowed.

        senders, receivers, signs: as `from_edges` takes them; signs unknown if left out. Raises InputError
        for a name that is not a node, a sign that is none, and for an edge that is there already.
        """
        tails = self._indices(senders, "senders")
        heads = self._indices(receivers, "receivers")
        given = np.zeros(len(tails)) if signs is None else signs_given(signs)
        if not len(tails) == len(heads) == len(given):
            raise InputError(
                f"senders, receivers and signs must have one length, not {len(tails)}, {len(heads)} "
                f"and {len(given)}"
            )
        added = len(tails)
        sender_indices = np.append(self.senders, tails)
        receiver_indices = np.append(self.receivers, heads)
        order = np.lexsort((sender_indices, receiver_indices))
        sender_indices, receiver_indices = sender_indices[order], receiver_indices[order]
        repeats = (np.diff(sender_indices) == 0) & (np.diff(receiver_indices) == 0)
        if repeats.any():
            e = int(repeats.argmax())
            raise InputError(
                f"the edge {self.names[sender_indices[e]]!r} -> {self.names[receiver_indices[e]]!r} "
                "is in the network or in the added edges already; add each edge once"
            )
        sources = np.array([*self.sources, *[""] * added], dtype=object)[order]
        return replace(
            self,
            senders=sender_indices,
            receivers=receiver_indices,
            signs=np.append(self.signs, given)[order],
            sign_known=np.append(self.sign_known, given != 0)[order],
            sources=tuple(sources),
        )

    def without_edges(self, edges: Sequence[int] | np.ndarray) -> "PriorNetwork":
        """The network without the edges of these indices; all nodes stay, even if alone.

        Raises InputError for an index that is none.
        """
        given = listing("edges", edges, "integers", "[0, 3]")
        whole = all(isinstance(e, Integral) and not isinstance(e, bool | np.bool_) for e in given)
        if not whole or any(not 0 <= e < self.num_edges for e in given):
            raise InputError(
                f"edges must be a list of integers from 0 to {self.num_edges - 1}, not {quoted(edges, 80)}"
            )
        indices = np.array(given, dtype=int)
        kept = np.ones(self.num_edges, dtype=bool)
        kept[indices] = False
        return self._with_edges_where(kept)

    def describe(self) -> str:
        """One line: how many nodes and edges, and the edges of each sign."""
        stimulating = int((self.sign_known & (self.signs > 0)).sum())
        known = int(self.sign_known.sum())
        return (
            f"{self.num_nodes} nodes, {self.num_edges} edges: {stimulating} stimulating, "
            f"{known - stimulating} inhibiting, {self.num_edges - known} of unknown sign"
        )

    def __repr__(self) -> str:
        return f"PriorNetwork({self.describe()})"

    def _named(self, where: np.ndarray) -> list[str]:
        return [self.names[n] for n in np.flatnonzero(where)]

    def _indices(self, names: Sequence[str] | np.ndarray, argument: str) -> np.ndarray:
        if isinstance(names, str):
            names = [names]
        names = [str(name) for name in listing(argument, names, "node names", "['STAT1']")]
        unknown = [name for name in names if name not in self.position]
        if unknown:
            raise InputError(
                f"{argument} holds {listed(unknown, self.names)}, not among the {self.num_nodes} nodes "
                "of the prior network; correct or remove it"
            )
        return np.array([self.position[name] for name in names], dtype=np.int64)

    def _reached(self, starts: Sequence[str], argument: str, backwards: bool = False) -> np.ndarray:
        """Which nodes a path from the starts reaches, bool (N,); linear in the edges."""
        import scipy.sparse.csgraph

        N, indices = self.num_nodes, np.unique(self._indices(starts, argument))
        tails, heads = self.senders, self.receivers
        if backwards:
            tails, heads = heads, tails
        # One node more, with an edge to each start, turns many searches into one.
        tails = np.append(tails, np.full(len(indices), N))
        heads = np.append(heads, indices)
        graph = scipy.sparse.csr_array((np.ones(len(tails)), (tails, heads)), shape=(N + 1, N + 1))
        found = scipy.sparse.csgraph.breadth_first_order(graph, N, return_predecessors=False)
        reached = np.zeros(N + 1, dtype=bool)
        reached[found] = True
        return reached[:N]

    def _with_edges_where(self, kept: np.ndarray) -> "PriorNetwork":
        return replace(
            self,
            senders=self.senders[kept],
            receivers=self.receivers[kept],
            signs=self.signs[kept],
            sign_known=self.sign_known[kept],
            sources=tuple(self.sources[e] for e in np.flatnonzero(kept)),
        )

    def _with_nodes(self, kept: np.ndarray) -> "PriorNetwork":
        edges = self._with_edges_where(kept[self.senders] & kept[self.receivers])
        new_index = (np.cumsum(kept) - 1).astype(np.int32)
        return replace(
            edges,
            senders=new_index[edges.senders],
            receivers=new_index[edges.receivers],
            names=tuple(self._named(kept)),
        )


def prior_of(
    value: Any, conditions: ConditionRecord | None = None, argument: str = "prior"
) -> PriorNetwork:
    """A prior network as it is, or in a file or DataFrame of edges, whose ends fit the conditions."""
    if isinstance(value, PriorNetwork):
        return value
    if isinstance(value, str | os.PathLike) and value:
        return PriorNetwork.read(value, conditions=conditions)
    if is_frame(value):
        return PriorNetwork.from_frame(value, argument, conditions=conditions)
    raise InputError(
        f"{argument} is {kind_of(value)}; give a PriorNetwork, the path of a table of edges, or a DataFrame "
        "such as PriorNetwork.from_frame takes; PriorNetwork.from_edges(senders, receivers, signs) makes one"
    )


def _merged(rows: EdgeRows) -> PriorNetwork:
    return PriorNetwork(*merged(rows), rows.other_ends)


def _nodes_of(conditions: ConditionRecord | None) -> set[str]:
    """The ligands and TFs of conditions; raises InputError for what is none."""
    if conditions is None:
        return set()
    if not isinstance(conditions, ConditionRecord):
        raise InputError(
            f"conditions is a {type(conditions).__name__}; give Conditions, as Conditions.read(ligands, tfs) "
            "returns them"
        )
    return {*conditions.ligands, *conditions.tfs}
