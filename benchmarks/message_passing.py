"""What a sum over incoming edges costs by jraph's GraphNetwork, by its functions, and by a plain segment sum.

    python benchmarks/message_passing.py
    python benchmarks/message_passing.py --nodes 1000 --degrees 5,50 --json message_passing.json

A row is a random network, a form of the sum, and what is computed: the sums themselves, their derivative in
one direction (jvp), or the gradient of a function of them. Forms take turns in each round; a ratio is the
median over rounds of processor seconds over those of the plain segment sum in the same round. Sums: segment
sums that are left in the compiled program.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from common import environment, integers, kept_rows, median, print_environment
from own_process import one_thread

PLAIN, NETWORK, FUNCTIONS = "segment sum", "GraphNetwork", "pass_messages"
NOT_SAID, SHUFFLED = "order not said", "edges shuffled"
NUM_VARIABLES = 2
LEAST_SECONDS = 0.02  # of a round of one form, so that the clock is fine enough


def interaction(x_i: Any, x_j: Any, features_i: Any, features_j: Any) -> Any:
    """A saturating term, as those of genes and neurons are."""
    return features_j["omega"][:, None] * x_j**2 / (1.0 + x_j**2) - 0.1 * x_i


def graph_network(state: Any, graph: Any) -> Any:
    """The sum by jraph.GraphNetwork, which also sums by sender, for an update that does not ask for it."""

    def message(weights: Any, sent: Any, received: Any, _: Any) -> Any:
        ends = received["state"], sent["state"], received["features"], sent["features"]
        return weights[:, None] * interaction(*ends)

    def segment_sum(values: Any, segments: Any, number: int) -> Any:
        ordered = segments is graph.receivers
        return jraph.segment_sum(values, segments, number, indices_are_sorted=ordered)

    network = jraph.GraphNetwork(
        update_edge_fn=message,
        update_node_fn=lambda _nodes, _sent, received, _globals: received,
        aggregate_edges_for_nodes_fn=segment_sum,
    )
    return network(graph._replace(nodes={"state": state, "features": graph.nodes})).nodes


def pass_messages(state: Any, graph: Any) -> Any:
    """The sum as the package makes it."""
    from jaxllc.data.message_passing import pass_messages

    return pass_messages(interaction, state, graph)


def plain_sum(ordered: bool) -> Callable[[Any, Any], Any]:
    """The sum by jax.ops.segment_sum alone, told or not that edges are sorted by receiver."""

    def sums(state: Any, graph: Any) -> Any:
        nodes, receivers, senders = graph.nodes, graph.receivers, graph.senders
        message = interaction(
            state[receivers],
            state[senders],
            {name: values[receivers] for name, values in nodes.items()},
            {name: values[senders] for name, values in nodes.items()},
        )
        return jax.ops.segment_sum(
            graph.edges[:, None] * message,
            receivers,
            num_segments=len(state),
            indices_are_sorted=ordered,
        )

    return sums


FORMS = {
    PLAIN: plain_sum(True),
    NETWORK: graph_network,
    FUNCTIONS: pass_messages,
    NOT_SAID: plain_sum(False),
    SHUFFLED: plain_sum(False),
}


def programs(sums: Callable[[Any, Any], Any]) -> dict[str, Callable[[Any, Any, Any], Any]]:
    """What is computed of the sums at a state, in a direction of the same shape."""

    def jvp(state: Any, direction: Any, graph: Any) -> Any:
        return jax.jvp(lambda x: sums(x, graph), (state,), (direction,))

    def gradient(state: Any, direction: Any, graph: Any) -> Any:
        return jax.grad(lambda x: jnp.sum(direction * sums(x, graph)))(state)

    return {"sums": lambda state, _, graph: sums(state, graph), "jvp": jvp, "gradient": gradient}


def arrays(num_nodes: int, degree: int) -> tuple[Any, Any, dict[str, Any]]:
    """A state, a direction, and the graph with its edges sorted and shuffled."""
    from jaxllc import generators

    rng = np.random.default_rng(0)
    network = generators.erdos_renyi(num_nodes, degree, seed=1)
    graph = network.to_graph({"omega": rng.random(num_nodes)})
    order = rng.permutation(network.num_edges)
    shuffled = graph._replace(
        edges=graph.edges[order], senders=graph.senders[order], receivers=graph.receivers[order]
    )
    state, direction = rng.random((2, num_nodes, NUM_VARIABLES))
    graphs = {form: shuffled if form == SHUFFLED else graph for form in FORMS}
    return *map(jnp.asarray, (state, direction)), jax.tree.map(jnp.asarray, graphs)


def processor_seconds(program: Any, values: tuple, calls: int) -> float:
    """Of one call, on average over so many."""
    began = time.process_time()
    for _ in range(calls):
        result = program(*values)
    jax.block_until_ready(result)
    return (time.process_time() - began) / calls


def trace_seconds(sums: Callable[[Any, Any], Any], kind: str, values: tuple) -> float:
    """Processor seconds of a trace, by a function that JAX has not seen yet."""
    program = jax.jit(programs(sums)[kind])
    began = time.process_time()
    program.trace(*values)
    return time.process_time() - began


def rows(nodes: list[int], degrees: list[int], rounds: int) -> Iterator[dict[str, Any]]:
    """Every size, computation and form; a size that fails is a row that says so."""
    for num_nodes in nodes:
        for degree in degrees:
            try:
                yield from rows_of(num_nodes, degree, rounds)
            except Exception as error:
                what = {"nodes": num_nodes, "degree": degree}
                yield {**what, "failure": f"{type(error).__name__}: {error}"}


def rows_of(num_nodes: int, degree: int, rounds: int) -> Iterator[dict[str, Any]]:
    """The rows of one size."""
    state, direction, graphs = arrays(num_nodes, degree)
    for kind in programs(graph_network):
        made, found = {}, {}
        for form, sums in FORMS.items():
            values = (state, direction, graphs[form])
            program = jax.jit(programs(sums)[kind])
            traces = [trace_seconds(sums, kind, values) for _ in range(5)]
            traced = program.trace(*values)
            began = time.process_time()
            ready = traced.lower().compile()
            ended = time.process_time()
            left = re.findall(r"= \S+ scatter\(", ready.as_text())
            made[form] = (ready, values)
            found[form] = {
                "trace_ms": 1e3 * median(traces),
                "compile_ms": 1e3 * (ended - began),
                "scatters": len(left),
                "difference": difference(ready(*values), made[PLAIN][0](*made[PLAIN][1])),
            }
        calls = {}
        for form, (program, values) in made.items():
            once = processor_seconds(program, values, 3)
            calls[form] = max(1, int(LEAST_SECONDS / max(once, 1e-6)))
        taken: dict[str, list[float]] = {form: [] for form in FORMS}
        for number in range(rounds):
            forms = list(FORMS)[:: 1 if number % 2 else -1]
            for form in forms:
                taken[form].append(processor_seconds(*made[form], calls[form]))
        for form in FORMS:
            ratio = np.array(taken[form]) / np.array(taken[PLAIN])
            yield {
                "nodes": num_nodes,
                "degree": degree,
                "kind": kind,
                "form": form,
                **found[form],
                "run_us": 1e6 * float(np.median(taken[form])),
                "ratio": float(np.median(ratio)),
                "ratio_low": float(np.quantile(ratio, 0.25)),
                "ratio_high": float(np.quantile(ratio, 0.75)),
            }


def difference(found: Any, expected: Any) -> float:
    """The largest difference of two results, of the largest value."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in pairs)


def row_text(row: dict[str, Any]) -> str:
    """A row of the table."""
    if "failure" in row:
        return f"{row['nodes']:6d} {row['degree']:6d} failed: {row['failure']}"
    quartiles = f"{row['ratio_low']:.2f} to {row['ratio_high']:.2f}"
    return (
        f"{row['nodes']:6d} {row['degree']:6d} {row['kind']:9s} {row['form']:15s} {row['trace_ms']:8.1f} "
        f"{row['compile_ms']:10.1f} {row['scatters']:5d} {row['run_us']:10.1f} {row['ratio']:6.2f} "
        f"({quartiles}) {row['difference']:9.1e}"
    )


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rows, by form."""
    good = [row for row in found if "failure" not in row]
    return {
        form: {
            name: median(row[name] for row in good if row["form"] == form)
            for name in ("trace_ms", "compile_ms", "ratio", "difference")
        }
        for form in FORMS
    }


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description="What sums over edges cost, in processor seconds.")
    parser.add_argument("--nodes", type=integers, default=[100, 1000, 10_000])
    parser.add_argument("--degrees", type=integers, default=[5, 50], help="mean edges into a node")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two small networks, five rounds")
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    if options.quick:
        options.nodes, options.degrees, options.rounds = [100, 1000], [5], 5
    jax.config.update("jax_enable_x64", True)
    record = environment()
    print_environment(record)
    print(
        " nodes degree kind      form            trace ms compile ms  sums   run in us  ratio "
        "(quartiles)  difference"
    )
    found = kept_rows(
        rows(options.nodes, options.degrees, options.rounds), record, options.json, row_text, summary
    )  # fmt: skip
    of_all = summary(found)
    for form, medians in of_all.items():
        print(
            f"median {form:15s} trace {medians['trace_ms']:.1f} ms, compile {medians['compile_ms']:.1f} ms, "
            f"run {medians['ratio']:.2f} of the plain segment sum"
        )
    print(f"pass_messages / segment sum {of_all[FUNCTIONS]['ratio']:.2f}")


if __name__ == "__main__":
    main()
