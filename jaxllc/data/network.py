"""Network: directed weighted edges between named nodes, the A of dx_i/dt = f(x_i) + sum_j A_ij g(x_i, x_j).

Weights live on edges, never in N x N arrays. Edges are sorted by receiver, then sender, which makes
sums over incoming edges fast and two equal networks equal array by array.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.adjacency import read_adjacency
from jaxllc.data.edge_arrays import checked_edges, index_names
from jaxllc.data.edges_table import read_edge_arrays
from jaxllc.data.reverse_edges import with_reverse_edges
from jaxllc.data.trajectory_input import feature_arrays
from jaxllc.errors import InputError, check_integer, listed, quoted
from jaxllc.files.output_file import output_file
from jaxllc.tables.edge_ends import MOST_NUMBERED, edge_ends
from jaxllc.tables.labels import names_tuple, order_of
from jaxllc.tables.real_numbers import is_frame, real_numbers

if TYPE_CHECKING:
    import networkx
    import pandas
    import scipy.sparse

    from jaxllc.data.message_passing import Graph


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """Directed weighted edges between nodes; build it with `from_edges` or another `from_...`.

    senders, receivers: int32 (E,), node indices; edge e carries the influence of senders[e] on
    receivers[e]. weights: float64 (E,). names: N node names, unique. notes: what was seen when the network
    was read, such as edges of weight 0 that were dropped; a law found with it repeats them.

    >>> from jaxllc import Network
    >>> network = Network.from_edges(["a", "b", "a"], ["b", "c", "c"], [1.0, 0.5, 2.0])
    >>> network.describe()
    '3 nodes, 3 edges, in-degree 0 to 2, weights 0.5 to 2'
    >>> network.to_adjacency().toarray()[2]
    array([2. , 0.5, 0. ])
    """

    senders: np.ndarray
    receivers: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_edges(
        cls,
        senders: Sequence | np.ndarray,
        receivers: Sequence | np.ndarray | None = None,
        weights: Sequence | np.ndarray | None = None,
        names: Sequence[str] | None = None,
        num_nodes: int | None = None,
        signed: bool = False,
        undirected: bool = False,
    ) -> "Network":
        """A network from its edges: node indices or node names (E,), and weights (E,), 1 if left out.

        Names without `names` are ordered by number if all are integers, else by first appearance.
        undirected: each edge acts both ways, whether it is listed once or in both directions.
        Raises InputError for lengths that differ, a node out of range or not in `names`, a weight that
        is nan, infinite or (unless `signed`) negative, a repeated edge, and a self-loop.
        """
        if is_frame(senders) and receivers is None:
            return cls.from_frame(senders, names, signed, undirected)
        if receivers is None:
            raise InputError("from_edges() needs receivers beside senders, two lists of one length")
        senders, receivers = edge_ends(senders, "senders"), edge_ends(receivers, "receivers")
        if senders.shape != receivers.shape:
            raise InputError(
                "senders and receivers must be two lists of one length, not of shapes "
                f"{senders.shape} and {receivers.shape}"
            )
        if names is not None:
            names = names_tuple(names)
        if senders.size and "O" in (senders.dtype.kind, receivers.dtype.kind):
            names, senders, receivers = index_names(senders, receivers, names)
        if num_nodes is not None:
            check_integer("num_nodes", num_nodes, 0, most=MOST_NUMBERED)
        if names is None:
            found = int(max(senders.max(), receivers.max())) + 1 if senders.size else 0
            names = [str(n) for n in range(found if num_nodes is None else num_nodes)]
        if num_nodes is not None and num_nodes != len(names):
            raise InputError(f"num_nodes is {num_nodes}, but there are {len(names)} node names")
        network = build_network(senders, receivers, weights, names, signed)
        return network.to_undirected() if undirected else network

    @classmethod
    def from_frame(
        cls,
        frame: "pandas.DataFrame",
        names: Sequence[str] | None = None,
        signed: bool = False,
        undirected: bool = False,
    ) -> "Network":
        """A network from a table of edges: columns sender, receiver and, if wanted, weight.

        As `jaxllc.read_edges` reads a file, other words for the columns included; `names` fixes the nodes.
        Raises InputError as that does.
        """
        if not is_frame(frame):
            raise InputError(f"frame must be a pandas DataFrame, not {type(frame).__name__}")
        network = cls(*read_edge_arrays(frame, signed, names))
        return network.to_undirected() if undirected else network

    @classmethod
    def from_adjacency(
        cls,
        A: Any,
        names: Sequence[str] | None = None,
        signed: bool = False,
        undirected: bool = False,
    ) -> "Network":
        """A network from A (N, N), dense or scipy sparse; A[i, j] is the influence of j on i.

        A DataFrame or DataArray brings its names: rows and columns are put into one order, that of the rows,
        or of `names`; where its axes are called sender and receiver, these say which is which. A masked entry
        is no edge. undirected: each edge acts both ways, for a matrix of which one half is filled.
        Raises InputError where rows and columns are not the same nodes, and as `from_edges`.
        """
        if hasattr(A, "is_directed"):
            network = cls.from_networkx(A, signed=signed)
            if names is not None:
                wanted = names_tuple(names)
                order_of(network.names, wanted, "the graph", "names")
                network = network.subnetwork(wanted)
        else:
            matrix, names = read_adjacency(A, names)
            receivers, senders = matrix.coords
            network = build_network(senders, receivers, matrix.data, names, signed)
        return network.to_undirected() if undirected else network

    @classmethod
    def from_networkx(
        cls, graph: "networkx.Graph", weight: str = "weight", signed: bool = False
    ) -> "Network":
        """A network from a networkx graph; an edge u -> v is the influence of u on v.

        Undirected edges act both ways. Node names are `str(node)`; a missing weight counts as 1.
        """
        if not hasattr(graph, "is_directed"):
            raise InputError(
                f"graph must be a networkx graph, not {type(graph).__name__}; Network.from_adjacency() "
                "reads a matrix, Network.from_edges() lists of nodes"
            )
        if not isinstance(weight, str):
            raise InputError(
                f"weight must name an attribute of the edges, not {quoted(weight, 60)}"
            )
        position = {node: n for n, node in enumerate(graph.nodes)}
        senders = np.array([position[u] for u, _ in graph.edges()], dtype=int)
        receivers = np.array([position[v] for _, v in graph.edges()], dtype=int)
        weights = [1 if w is None else w for _, _, w in graph.edges(data=weight)]
        if not graph.is_directed():
            forward, loops = (senders, receivers), senders == receivers
            # A self-loop stays single, so that the error names it and not a repeated edge.
            senders = np.concatenate([senders, forward[1][~loops]])
            receivers = np.concatenate([receivers, forward[0][~loops]])
            weights += [w for w, loop in zip(weights, loops, strict=True) if not loop]
        names = [str(node) for node in graph.nodes]
        return build_network(senders, receivers, weights, names, signed)

    @classmethod
    def read_csv(
        cls, path: str | os.PathLike, signed: bool = False, undirected: bool = False
    ) -> "Network":
        """A network from a CSV file with the columns sender, receiver and, if wanted, weight."""
        network = cls(*read_edge_arrays(path, signed))
        return network.to_undirected() if undirected else network

    def to_undirected(self) -> "Network":
        """The network with every edge in both directions, of the same weight.

        Raises InputError where both directions are there and their weights differ.
        """
        return Network(*with_reverse_edges(self))

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write sender, receiver, weight; a node without any edge does not appear in such a file."""
        import pandas as pd

        names = np.array(self.names, dtype=object)
        frame = pd.DataFrame(
            {
                "sender": names[self.senders],
                "receiver": names[self.receivers],
                "weight": self.weights,
            }
        )
        with output_file(path) as temporary:
            frame.to_csv(temporary, index=False)

    def to_adjacency(self) -> "scipy.sparse.csr_array":
        """A (N, N), float64, with A[i, j] the influence of j on i."""
        import scipy.sparse

        shape = (self.num_nodes, self.num_nodes)
        return scipy.sparse.csr_array((self.weights, (self.receivers, self.senders)), shape=shape)

    def to_networkx(self) -> "networkx.DiGraph":
        """A directed graph whose nodes are the names and whose edges carry "weight"."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(self.names)
        edges = zip(self.senders, self.receivers, self.weights.tolist(), strict=True)
        graph.add_weighted_edges_from((self.names[u], self.names[v], w) for u, v, w in edges)
        return graph

    def to_graph(self, node_features: Mapping[str, np.ndarray] | None = None) -> "Graph":
        """A jraph.GraphsTuple: edges are the weights, nodes the features and the in-strength "k"."""
        from jaxllc.data.message_passing import graph_of

        return graph_of(self, feature_arrays(node_features, self.names, self.num_nodes))

    @property
    def num_nodes(self) -> int:
        """The number of nodes N."""
        return len(self.names)

    @property
    def num_edges(self) -> int:
        """The number of directed edges E."""
        return len(self.weights)

    @cached_property
    def in_degree(self) -> np.ndarray:
        """The number of incoming edges of each node, int (N,)."""
        return np.bincount(self.receivers, minlength=self.num_nodes)

    @cached_property
    def in_strength(self) -> np.ndarray:
        """The sum of the weights of the incoming edges of each node, float64 (N,)."""
        return np.bincount(self.receivers, weights=self.weights, minlength=self.num_nodes)

    def subnetwork(self, names: Sequence[str]) -> "Network":
        """The nodes `names`, in this order, and the edges among them; InputError for one it lacks."""
        names = names_tuple(names)
        position = {name: n for n, name in enumerate(self.names)}
        unknown = [name for name in names if name not in position]
        if unknown:
            raise InputError(f"the network has no node {listed(unknown, self.names)}")
        new_index = np.full(self.num_nodes, -1)
        new_index[[position[name] for name in names]] = np.arange(len(names))
        senders, receivers = new_index[self.senders], new_index[self.receivers]
        kept = (senders >= 0) & (receivers >= 0)
        kept_network = build_network(
            senders[kept], receivers[kept], self.weights[kept], list(names), signed=True
        )
        return replace(kept_network, notes=self.notes)

    def relabelled(self, permutation: Sequence[int] | np.ndarray) -> "Network":
        """The same network with node n of the result being node permutation[n] of this one.

        Raises InputError for what is no permutation of the numbers of the nodes.
        """
        permutation = real_numbers(permutation, "permutation")
        if not np.array_equal(np.sort(permutation.ravel()), np.arange(self.num_nodes)):
            raise InputError(
                f"permutation must hold each of 0 to {self.num_nodes - 1} exactly once"
            )
        return self.subnetwork([self.names[int(n)] for n in permutation.ravel()])

    def describe(self) -> str:
        """One line: how many nodes and edges, how many edges arrive at a node, and their weights."""
        line = f"{self.num_nodes} nodes, {self.num_edges} edges"
        if self.num_edges == 0:
            return line
        degrees = f"in-degree {self.in_degree.min()} to {self.in_degree.max()}"
        low, high = self.weights.min(), self.weights.max()
        weights = f"all weights {low:g}" if low == high else f"weights {low:g} to {high:g}"
        return f"{line}, {degrees}, {weights}"

    def __len__(self) -> int:
        return self.num_nodes

    def __repr__(self) -> str:
        return f"Network({self.describe()})"


def build_network(
    senders: np.ndarray,
    receivers: np.ndarray,
    weights: Sequence | np.ndarray | None,
    names: Sequence[str],
    signed: bool,
) -> Network:
    """The network of indexed edges; raises InputError as `Network.from_edges`."""
    return Network(*checked_edges(senders, receivers, weights, names, signed))
