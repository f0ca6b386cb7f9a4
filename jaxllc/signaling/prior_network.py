"""PriorNetwork: which node may act on which, and with which sign, before any data is seen.

An edge stimulates, inhibits, or has an unknown sign; what is unknown is a mask of its own. Rules for
tables (Nilsson et al., Nature Communications 13, 2022): neither flag set means unknown, both set
counts as inhibition, and repeated rows are one edge, in which a known sign wins over unknown.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, listed

if TYPE_CHECKING:
    import pandas as pd

    from jaxllc.signaling.prior_tables import EdgeRows

_EXAMPLES = 3
_WORDS = {1: "activates", -1: "inhibits", 0: "unknown"}


@dataclass(frozen=True, eq=False, repr=False)
class PriorNetwork:
    """Signed directed prior network; edges sorted by (receiver, sender), nodes sorted by name.

    senders, receivers: int32 (E,), node indices. signs: int8 (E,), +1 stimulation, -1 inhibition, to
    be used only where sign_known, bool (E,), is true. names: N node names. sources: for each edge
    where it comes from, "" if that is not known. notes: what reading reported, a sentence each.

    Example: `prior = PriorNetwork.read("macrophage-Model.tsv"); print(prior.describe())`.
    """

    senders: np.ndarray
    receivers: np.ndarray
    signs: np.ndarray
    sign_known: np.ndarray
    names: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str | os.PathLike) -> "PriorNetwork":
        """The network in a table of edges or a SIF file; `prior_tables` says which columns are known.

        Undirected rows are left out. What was left out, merged or contradictory stands in `notes`.
        Raises InputError for missing columns, an empty node name, and a cell that is no sign.
        """
        from jaxllc.signaling.prior_tables import read_edge_rows

        return _merged(read_edge_rows(path))

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame", place: str = "the table") -> "PriorNetwork":
        """The network in a DataFrame with the columns of a table; `place` names it in errors."""
        from jaxllc.signaling.prior_tables import frame_edge_rows

        return _merged(frame_edge_rows(frame, place))

    @classmethod
    def from_edges(
        cls,
        senders: Sequence[str] | np.ndarray,
        receivers: Sequence[str] | np.ndarray,
        signs: Sequence | np.ndarray | None = None,
    ) -> "PriorNetwork":
        """A network from node names (E,) and signs (E,): +1, -1, or None, nan or 0 if unknown.

        Raises InputError for lists of unequal length, no edges, an empty name and any other sign.
        """
        from jaxllc.signaling.prior_tables import EdgeRows

        tails, heads = _names_given(senders, "senders"), _names_given(receivers, "receivers")
        given = np.zeros(len(tails)) if signs is None else _signs_given(signs)
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

        A SIF file has no place for the sources of edges.
        """
        from jaxllc.output_file import output_file

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
        """Only the nodes on a path from an input to an output, and the edges among them.

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
        """The network without these nodes and their edges; the other nodes stay, even if alone."""
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

        signs: as `from_edges` takes them; unknown if left out. Raises InputError for a name that is not a
        node, a sign that is none, and for an edge that is there already.
        """
        given = np.zeros(len(senders)) if signs is None else _signs_given(signs)
        if not len(senders) == len(receivers) == len(given):
            raise InputError(
                f"senders, receivers and signs must have one length, not {len(senders)}, {len(receivers)} "
                f"and {len(given)}"
            )
        added = len(senders)
        sender_indices = np.append(self.senders, self._indices(senders, "senders"))
        receiver_indices = np.append(self.receivers, self._indices(receivers, "receivers"))
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
        return _network(
            sender_indices,
            receiver_indices,
            np.append(self.signs, given)[order],
            np.append(self.sign_known, given != 0)[order],
            self.names,
            tuple(sources),
            self.notes,
        )

    def without_edges(self, edges: Sequence[int] | np.ndarray) -> "PriorNetwork":
        """The network without the edges of these indices; all nodes stay, even if alone."""
        indices = np.asarray(edges, dtype=int) if len(edges) == 0 else np.asarray(edges)
        outside = indices.dtype.kind not in "iu" or indices.ndim != 1
        if outside or (indices.size and not 0 <= indices.min() <= indices.max() < self.num_edges):
            raise InputError(
                f"edges must be a list of integers from 0 to {self.num_edges - 1}, not {edges!r:.80}"
            )
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
        names = [names] if isinstance(names, str) else [str(name) for name in names]
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
            senders=_fixed(self.senders[kept]),
            receivers=_fixed(self.receivers[kept]),
            signs=_fixed(self.signs[kept]),
            sign_known=_fixed(self.sign_known[kept]),
            sources=tuple(self.sources[e] for e in np.flatnonzero(kept)),
        )

    def _with_nodes(self, kept: np.ndarray) -> "PriorNetwork":
        edges = self._with_edges_where(kept[self.senders] & kept[self.receivers])
        new_index = (np.cumsum(kept) - 1).astype(np.int32)
        return replace(
            edges,
            senders=_fixed(new_index[edges.senders]),
            receivers=_fixed(new_index[edges.receivers]),
            names=tuple(self._named(kept)),
        )


def _merged(rows: "EdgeRows") -> PriorNetwork:
    """One edge for all rows that join the same two nodes; notes say what was merged and how."""
    import pandas as pd

    codes, found = pd.factorize(np.concatenate([rows.senders, rows.receivers]))
    names = tuple(sorted(str(name) for name in found))
    position = {name: n for n, name in enumerate(names)}
    ends = np.array([position[name] for name in found], dtype=np.int64)[codes].reshape(2, -1)
    key = ends[1] * len(names) + ends[0]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    stimulation, inhibition = rows.stimulation[order], rows.inhibition[order]
    both = stimulation & inhibition
    stimulates = np.logical_or.reduceat(stimulation & ~both, starts)
    inhibits = np.logical_or.reduceat(inhibition, starts)
    unsigned = np.logical_or.reduceat(~stimulation & ~inhibition, starts)
    known = stimulates | inhibits
    repeated = counts > 1
    sources = rows.sources[order[starts]]
    for e in np.flatnonzero(repeated):
        sources[e] = _joined(rows.sources[order[starts[e] : starts[e] + counts[e]]])
    senders, receivers = ends[:, order[starts]]

    def examples(edges: np.ndarray) -> str:
        shown = [
            f"{names[senders[e]]!r} -> {names[receivers[e]]!r} ("
            + ", ".join(rows.place(int(r)) for r in order[starts[e] : starts[e] + counts[e]][:4])
            + ")"
            for e in edges[:_EXAMPLES]
        ]
        more = f" and {len(edges) - _EXAMPLES} more" if len(edges) > _EXAMPLES else ""
        return ", ".join(shown) + more

    notes = list(rows.notes)
    if both.any():
        edges = np.flatnonzero(np.logical_or.reduceat(both, starts))
        notes.append(
            f"both flags are set in {_counted(int(both.sum()), 'row')}, which counts as inhibition: "
            f"{examples(edges)}"
        )
    if repeated.any():
        decided = int((repeated & known & unsigned).sum())
        notes.append(
            f"{int(counts[repeated].sum())} rows that repeat were merged into "
            f"{_counted(int(repeated.sum()), 'edge')}, in {decided} of which a known sign won over "
            f"unknown: {examples(np.flatnonzero(repeated))}"
        )
    torn = repeated & stimulates & inhibits
    if torn.any():
        notes.append(
            f"the rows contradict each other in the sign of {_counted(int(torn.sum()), 'edge')}, "
            f"which counts as inhibition: {examples(np.flatnonzero(torn))}"
        )
    signs = np.where(inhibits, -1, np.where(stimulates, 1, 0))
    return _network(senders, receivers, signs, known, names, tuple(sources), tuple(notes))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _joined(sources: np.ndarray) -> str:
    """All sources of the rows of one edge, each once, in an order that does not depend on the rows."""
    parts = {part.strip() for text in sources for part in text.split(";")}
    return ";".join(sorted(parts - {""}))


def _network(
    senders: np.ndarray,
    receivers: np.ndarray,
    signs: np.ndarray,
    sign_known: np.ndarray,
    names: tuple[str, ...],
    sources: tuple[str, ...],
    notes: tuple[str, ...],
) -> PriorNetwork:
    return PriorNetwork(
        _fixed(senders.astype(np.int32)),
        _fixed(receivers.astype(np.int32)),
        _fixed(signs.astype(np.int8)),
        _fixed(sign_known),
        names,
        sources,
        notes,
    )


def _fixed(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _names_given(names: Any, argument: str) -> np.ndarray:
    texts = ["" if name is None or name != name else str(name).strip() for name in names]
    if "" in texts:
        raise InputError(f"{argument}[{texts.index('')}] is empty; every edge needs two node names")
    return np.array(texts, dtype=object)


def _signs_given(signs: Any) -> np.ndarray:
    try:
        values = np.array([np.nan if sign is None else sign for sign in signs], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"signs must hold +1, -1 or None for unknown: {error}") from error
    values = np.nan_to_num(values, nan=0.0)
    wrong = ~np.isin(values, (-1.0, 0.0, 1.0))
    if wrong.any():
        e = int(wrong.argmax())
        raise InputError(f"signs[{e}] is {values[e]:g}; write +1, -1 or None for unknown")
    return values
