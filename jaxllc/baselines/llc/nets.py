"""The two nets of the published road, trained by matching derivatives.

    f(z_i),    g(z_i, z_j) = g0(z_i, z_j) + sum_r g_r(z_i) h_r(z_j),    z: standardised states and features

g0 alone can be any function; the products beside it make interactions that are sums of products easy to
learn, as most of the field's are (the sine of a difference is one), and cost little: their factors are
computed at nodes. Loss: the mean absolute error of the rates, in units of their spread, and
`variance_weight` times the variance over nodes of each node's mean error.
Source: Hu, Cui and Yang, Nature Communications 16:6226 (2025), and its independent re-implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxllc.data.message_passing import Graph, graph_of, pass_messages
from jaxllc.neural.neural_terms import FixedWeights, StandardisedField
from jaxllc.running.waiting import computed
from jaxllc.settings.llc_settings import RoadSettings
from jaxllc.smoothing.local_polynomials import Rates

if TYPE_CHECKING:
    from jaxllc.data.network import Network

# Edges times samples in a step.
BUDGET = 6000
# Times, at most, that training tells where it stands.
REPORTS = 20


class Perceptron(nnx.Module):
    """Hidden tanh layers and a linear one, (..., q) -> (..., d)."""

    def __init__(self, sizes: Sequence[int], rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(sizes)])

    def __call__(self, inputs: jax.Array) -> jax.Array:
        *hidden, last = self.layers
        for layer in hidden:
            inputs = jnp.tanh(layer(inputs))
        return last(inputs)


class SelfNet(nnx.Module):
    """f, in the units of the rates."""

    def __init__(self, sizes: Sequence[int], scale: np.ndarray, rngs: nnx.Rngs):
        self.net, self.scale = (
            Perceptron(sizes, rngs),
            FixedWeights(jnp.asarray(scale, jnp.float32)),
        )

    def __call__(self, inputs: jax.Array) -> jax.Array:
        return self.net(inputs) * self.scale[...].reshape((1,) * (inputs.ndim - 1) + (-1,))


class InteractionNet(nnx.Module):
    """g, of the inputs of the receiver and then those of the sender."""

    def __init__(self, sizes: Sequence[int], rank: int, scale: np.ndarray, rngs: nnx.Rngs):
        own, *hidden, last = sizes
        # Edges are many: what each of them computes has one hidden layer.
        self.both = Perceptron([2 * own, hidden[0], last], rngs)
        sizes = [own, *hidden, rank * last]
        self.receiver, self.sender = Perceptron(sizes, rngs), Perceptron(sizes, rngs)
        self.scale = FixedWeights(jnp.asarray(scale, jnp.float32))

    def __call__(self, inputs: jax.Array) -> jax.Array:
        z_i, z_j = jnp.split(inputs, 2, axis=-1)
        return self.message(inputs, self.receiver(z_i), self.sender(z_j))

    def message(self, inputs: jax.Array, receiver: jax.Array, sender: jax.Array) -> jax.Array:
        """g from g1(z_i) and g2(z_j), which a caller may have computed once for each node."""
        scale = self.scale[...].reshape((1,) * (inputs.ndim - 1) + (-1,))
        products = (receiver * sender).reshape(*receiver.shape[:-1], -1, scale.shape[-1])
        return (self.both(inputs) + products.sum(axis=-2)) * scale


class MatchedField(StandardisedField):
    """Both nets as a vector field, a pytree whose parameters are the leaves."""

    def __init__(
        self,
        variables: Sequence[str],
        feature_names: Sequence[str],
        input_mean: np.ndarray,
        input_std: np.ndarray,
        rate_scale: np.ndarray,
        message_scale: np.ndarray,
        settings: RoadSettings,
        key: jax.Array,
    ):
        self.variables, self.feature_names = tuple(variables), tuple(feature_names)
        self.input_mean = FixedWeights(jnp.asarray(input_mean, jnp.float32))
        self.input_std = FixedWeights(jnp.asarray(input_std, jnp.float32))
        rngs = nnx.Rngs(key)
        sizes = [len(input_mean), *[settings.width] * settings.hidden, len(self.variables)]
        self.self_part = SelfNet(sizes, rate_scale, rngs)
        self.interaction_part = InteractionNet(sizes, settings.rank, message_scale, rngs)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        """As in `VectorField`; what a node sends and receives by is computed at nodes, not at edges."""
        z = self.standardise(state, graph.nodes)
        part = self.interaction_part
        nodes = {"z": z, "receiver": part.receiver(z), "sender": part.sender(z)}

        def message(_x_i, _x_j, receiver, sender):
            both = jnp.concatenate([receiver["z"], sender["z"]], axis=-1)
            return part.message(both, receiver["receiver"], sender["sender"])

        sums = pass_messages(message, state, graph._replace(nodes={**graph.nodes, **nodes}))
        return self.self_part(z) + sums


@dataclass(frozen=True, eq=False)
class TrainedNets:
    """field: `MatchedField`; rate_scale: (d,) spread of the rates; left: (d,) root mean square error of the
    rates in units of it; node_error: (node,) mean absolute error in these units; history: mean loss
    of the steps between reports.
    """

    field: MatchedField
    rate_scale: np.ndarray
    left: np.ndarray
    node_error: np.ndarray
    history: np.ndarray


def trained_nets(
    rates: Rates,
    network: Network,
    variables: Sequence[str],
    features: dict[str, np.ndarray],
    settings: RoadSettings,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedNets:
    """Train f and g on states and rates of all runs; features: {name: (node,)}, inputs of both nets.

    progress: called with a step and the mean loss of those since the last call.
    """
    states, slopes = np.concatenate(rates.states), np.concatenate(rates.rates)
    known = np.concatenate(rates.known)
    columns = (
        np.stack(list(features.values()), axis=1) if features else np.zeros((len(states[0]), 0))
    )
    mean = np.concatenate([states.mean(axis=(0, 1)), columns.mean(axis=0)])
    std = np.concatenate([states.std(axis=(0, 1)), columns.std(axis=0)])
    std = np.where(std > 1e-12 * (1.0 + np.abs(mean)), std, 1.0)
    scale = np.array([slopes[..., v][known[..., v]].std() for v in range(slopes.shape[2])])
    scale = np.where(scale > 0, scale, 1.0)
    strength = float(np.mean(np.abs(network.in_strength))) or 1.0
    field = MatchedField(
        variables, tuple(features), mean, std, scale, scale / strength, settings, jax.random.key(seed)
    )  # fmt: skip
    graph = jax.tree.map(_single, graph_of(network, features))
    split: Any = nnx.split(field, nnx.Param, ...)
    structure, params, rest = split
    arrays = tuple(_single(a) for a in (states, slopes / scale, known, scale))
    size = int(np.clip(BUDGET // max(network.num_edges, 1), 1, len(states)))
    numbers = jax.tree.map(
        jnp.float32, (settings.variance_weight, settings.learning_rate, settings.steps)
    )
    random_key = jax.random.key(seed + 1)
    state = _adam(*numbers[1:]).init(params)
    ends = np.unique(np.linspace(0, settings.steps, REPORTS + 1).astype(int))
    history = []
    for first, last in pairwise(ends.tolist()):
        params, state, loss = computed(
            _train,
            structure,
            params,
            state,
            rest,
            graph,
            arrays,
            numbers,
            random_key,
            first,
            last,
            size,
        )
        history.append(float(loss))
        if progress is not None:
            progress(last, history[-1])
    errors = np.asarray(computed(_errors, structure, params, rest, graph, arrays), float)
    counts = np.maximum(known.sum(axis=0), 1)
    left = np.sqrt((errors**2).sum(axis=(0, 1)) / counts.sum(axis=0))
    node_error = np.abs(errors).sum(axis=(0, 2)) / counts.sum(axis=1)
    field = nnx.merge(structure, params, rest)
    return TrainedNets(field, scale, left, node_error, np.array(history))


def _single(array) -> jax.Array:
    array = np.asarray(array)
    return jnp.asarray(array, jnp.int32 if array.dtype.kind == "i" else jnp.float32)


def _error(structure, params, rest, graph, states, slopes, known, scale):
    """Errors of rates (s, node, d) in units of their spread, nought where not observed."""
    field = nnx.merge(structure, params, rest)
    found = jax.vmap(lambda state: field.derivative(state, graph))(states)
    return (found / scale.reshape(1, 1, -1) - slopes) * known


@partial(jax.jit, static_argnames=("structure",))
def _errors(structure, params, rest, graph, arrays):
    states, slopes, known, scale = arrays

    def one(item):
        return _error(structure, params, rest, graph, *(a[None] for a in item), scale)[0]

    return jax.lax.map(one, (states, slopes, known))


@partial(jax.jit, static_argnames=("structure", "size"))
def _train(structure, params, state, rest, graph, arrays, numbers, random_key, first, last, size):
    """Steps `first` to `last` of Adam on `size` random samples of all nodes each, and their mean loss."""
    *data, scale = arrays
    variance_weight, *rates = numbers
    optimiser = _adam(*rates)

    def loss(params, batch):
        error = jnp.abs(_error(structure, params, rest, graph, *batch, scale))
        counts = batch[2].sum(axis=(0, 2))
        by_node = error.sum(axis=(0, 2)) / jnp.maximum(counts, 1.0)
        # A node that was not observed in these samples has no error to compare.
        seen = counts > 0
        number = jnp.maximum(seen.sum(), 1)
        mean = by_node.sum() / number
        variance = jnp.where(seen, (by_node - mean[None]) ** 2, 0.0).sum() / number
        return error.sum() / jnp.maximum(counts.sum(), 1.0) + variance_weight * variance

    def step(count, carried):
        params, state, total = carried
        key = jax.random.fold_in(random_key, count)
        chosen = jax.random.randint(key, (size,), 0, len(data[0]))
        value, gradient = jax.value_and_grad(loss)(params, [part[chosen] for part in data])
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, total + value

    params, state, total = jax.lax.fori_loop(first, last, step, (params, state, 0.0))
    return params, state, total / (last - first)


def _adam(learning_rate, steps) -> optax.GradientTransformation:
    """Adam with a rate that falls to nought in so many steps, as a cosine."""
    return optax.adam(lambda count: 0.5 * learning_rate * (1.0 + jnp.cos(jnp.pi * count / steps)))
