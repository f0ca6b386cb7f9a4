"""Fits of the two nets to the samples of a discovery, in any structure of the interaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import IN_STRENGTH
from jaxllc.errors import InputError
from jaxllc.neural.neural_rows import RowMaker, Rows
from jaxllc.neural.neural_terms import NeuralVectorField
from jaxllc.neural.sample_rates import SampleRates, rates_at_samples
from jaxllc.neural.structures import EITHER_END, Structure, times_factors
from jaxllc.neural.variable_projection import (
    SMALLEST_RESIDUAL,
    Hidden,
    Moments,
    fit_hidden_layers,
    moments,
    moments_over,
    project,
)
from jaxllc.running.waiting import computed
from jaxllc.smoothing.gauge import has_equal_input_weights

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

BUDGET = 30_000  # edges times grid times in a batch
SMALL_ENOUGH = 1e-10  # residual over variance at which clean data are explained


@dataclass(frozen=True, eq=False)
class Net:
    """The two terms as they were fitted.

    hidden: kernel and bias of the self term, then of the interaction; readout: (P, d), in the units of the
    data; residual: (d,) mean square left over the variance of the targets; gram: (P, P) of the columns.
    shift: (Pg,) what the columns of the interaction are measured from: their mean where a constant may stand
    in either term.
    """

    structure: Structure
    hidden: Hidden
    readout: np.ndarray
    residual: np.ndarray
    gram: np.ndarray
    history: list[float]
    message: str
    shift: np.ndarray

    @property
    def split(self) -> int:
        """Columns of the self term."""
        return len(self.readout) - len(self.shift)

    @property
    def mixings(self) -> tuple[np.ndarray, np.ndarray]:
        """What the standardised inputs of either term are multiplied by."""
        return self.structure.mixings(self.readout.shape[1], len(self.hidden[0]))

    def basis(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """Columns of the self term (0) or the interaction (1) at standardised inputs (n, q or 2 q)."""
        layer = (self.hidden[:2], self.hidden[2:])[number]
        found = basis_of(layer, inputs @ self.mixings[number])
        factors = self.structure.factors(number, inputs, self.readout.shape[1])
        return times_factors(found, factors)

    def columns(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """What the readouts (P, d) make the self term (0) or the interaction (1) of, at standardised inputs
        (n, q or 2 q): (n, P)."""
        found = np.zeros((len(inputs), len(self.readout)))
        if number:
            found[:, self.split :] = self.basis(1, inputs) - self.shift
        else:
            found[:, : self.split] = self.basis(0, inputs)
            found[:, self.split :] = self.shift
        return found

    def values(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """The self term (0) or the interaction (1) at standardised inputs, (n, d)."""
        return self.columns(number, inputs) @ self.readout


def basis_of(layer: tuple[np.ndarray, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Columns of a term on the host, as `neural_terms.basis` has them."""
    kernel, bias = layer
    return np.concatenate(
        [np.tanh(inputs @ kernel + bias), inputs, np.ones((len(inputs), 1))], axis=1
    )


@dataclass(eq=False)
class NetFits:
    """Fits nets to one set of samples, all of one shape, so that one program serves them.

    features: node features that both terms read. rates: fit rates at the samples, given or from polynomials
    through clean samples, not integrals. balanced: a variable that has reached its noise leaves the hidden
    layers to the others.
    seconds: of compilation.
    """

    data: GridData
    network: Network
    features: tuple[str, ...]
    width: int = 24
    ridge: float = 1e-12
    seed: int = 0
    budget: int = BUDGET
    rates: bool | SampleRates = False
    deadline: float | None = None
    progress: Callable[[str, int, float], None] | None = None
    balanced: bool = False
    seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        data, constants = self.data, feature_columns(self.data, self.network, self.features)
        states = np.concatenate([s.T.reshape(-1, s.shape[0]) for s in data.states])
        stacked = np.concatenate([constants] * data.num_runs)
        mean = np.concatenate([states.mean(axis=0), stacked.mean(axis=0)])
        std = np.concatenate([states.std(axis=0), stacked.std(axis=0)])
        self.mean, self.std = mean, np.where(std > 1e-12 * (1.0 + np.abs(mean)), std, 1.0)
        self._constants, self._rates = constants, None
        self._at, self.scale = data, self.std[: data.num_variables]
        self.floor = (data.noise / self.scale) ** 2
        if self.rates:
            given = self.rates if isinstance(self.rates, SampleRates) else rates_at_samples(data)
            self._at, self._rates, error = given
            spread = np.concatenate(self._rates, axis=2).std(axis=(1, 2))
            self.scale = np.where(spread > 0, spread, 1.0)
            self.floor = np.maximum((error / self.scale) ** 2, 1e-13)
        self.maker = cache(self._maker)
        self._compiled: set[tuple[int, int]] = set()

    def _maker(self, normalised: bool) -> RowMaker:
        network, features = self.network, self._constants
        if normalised:
            strength = np.where(network.in_strength != 0, network.in_strength, 1.0)
            network = replace(network, weights=network.weights / strength[network.receivers])
        maker = RowMaker(
            self._at, network, features, self.mean, self.std, self.scale, self.budget, self.seed, self._rates
        )  # fmt: skip
        if maker.num_series == 0:
            raise InputError(
                "No node is observed together with all its senders; observe more nodes, or drop the "
                "unobserved ones from the network."
            )
        return maker

    @property
    def target(self) -> float:
        """The loss at which the noise of the samples is reached."""
        least = self._least if self.balanced else 0.0
        return float(np.sum(np.log(np.maximum(self.floor, SMALL_ENOUGH) + least)))

    @property
    def _least(self) -> float | np.ndarray:
        """Residual over the variance that is added to that of each variable."""
        return np.maximum(self.floor, SMALLEST_RESIDUAL) if self.balanced else SMALLEST_RESIDUAL

    def empty_field(self, seed: int, structure: Structure) -> NeuralVectorField:
        """A field with random hidden layers."""
        return NeuralVectorField(
            self.data.variables, self.features, self.mean, self.std, self.width,
            jax.random.key(seed), structure,
        )  # fmt: skip

    def random_layers(self, seed: int) -> Hidden:
        """Hidden layers to start from, the same for all structures."""
        return hidden_of(self.empty_field(seed, EITHER_END))

    def fit(
        self,
        structure: Structure = EITHER_END,
        steps: int = 60,
        batch: int | None = 0,
        seed: int | None = None,
        start: Hidden | None = None,
        quiet: bool = False,
    ) -> Net:
        """A net by variable projection, its readouts to all batches.

        batch: of the series that the hidden layers are fitted to, None: all; start: hidden layers, random
        ones by default.
        """
        maker = self.maker(structure.normalised)
        if start is None:
            start = self.random_layers(self.seed if seed is None else seed)
        last = max(maker.num_batches - 1, 0)
        numbers = range(last + 1) if batch is None else [min(batch, last)]
        batches = [self._rows(structure, number) for number in numbers]
        first = batches[0]
        if first.copies not in self._compiled:
            begun = time.perf_counter()
            computed(moments, start, first)
            self.seconds += time.perf_counter() - begun
            self._compiled.add(first.copies)
        after_step = None
        if self.progress is not None and not quiet:
            after_step = partial(self.progress, "hidden layers")
        hidden, history, message = fit_hidden_layers(
            start, batches, steps=steps, ridge=self.ridge, target=self.target, least=self._least,
            deadline=self.deadline, after_step=after_step,
        )  # fmt: skip
        sums = self._sums(structure, hidden)
        found = project(sums, hidden, self.ridge, first.copies, self._least)
        size = len(found.readout)
        layers: Any = tuple(map(np.asarray, hidden))
        return self.net_of(
            structure,
            layers,
            found.readout,
            found.residual,
            sums.gram[:size, :size],
            history,
            message,
        )

    def net_of(
        self,
        structure: Structure,
        hidden: Hidden,
        readout: np.ndarray,
        residual: np.ndarray,
        gram: np.ndarray,
        history: list[float],
        message: str,
    ) -> Net:
        """A net of these layers and readouts (P, d), the latter in units of the targets; see `Net`."""
        readout = readout * self.scale[None, :]
        net = Net(structure, hidden, readout, residual, gram, history, message, np.zeros(0))
        return self._shifted(net)

    def changed(self, net: Net, hidden: Hidden, readout: np.ndarray, history: list[float]) -> Net:
        """A net with other layers and readouts (P, d), and what these leave of the samples."""
        sums = self._sums(net.structure, hidden)
        size, own = len(readout), readout / self.scale[None, :]
        gram, products = sums.gram[:size, :size], sums.products[:size]
        left = sums.squares - 2.0 * np.sum(own * products, 0) + np.sum(own * (gram @ own), 0)
        other = replace(
            net, hidden=hidden, readout=readout, residual=np.maximum(left, 0.0) / sums.count, gram=gram,
            history=[*net.history, *history],
        )  # fmt: skip
        return self._shifted(other)

    def _rows(self, structure: Structure, number: int) -> Rows:
        """A batch as a structure reads it."""
        made = self.maker(structure.normalised).batch(number)
        count = self.data.num_variables
        own_mixing, mixing = structure.mixings(count, len(self.mean))
        made = made._replace(
            inputs=made.inputs @ own_mixing,
            pair_inputs=made.pair_inputs @ mixing,
            factors=structure.factors(0, made.inputs, count),
            pair_factors=structure.factors(1, made.pair_inputs, count),
        )
        return jax.tree.map(jnp.asarray, made)

    def _sums(self, structure: Structure, hidden: Hidden) -> Moments:
        """Moments of all batches."""
        number = self.maker(structure.normalised).num_batches
        return moments_over(hidden, [self._rows(structure, b) for b in range(number)])

    def _shifted(self, net: Net) -> Net:
        """The net with what the columns of its interaction are measured from."""
        found = net.basis(1, self.points()[1])
        moves = self._exchangeable(net.structure)
        return replace(net, shift=found.mean(axis=0) if moves else np.zeros(found.shape[1]))

    def _exchangeable(self, structure: Structure) -> bool:
        """Whether a constant in the interaction adds up to one in the self term."""
        network = self.network
        if network.in_degree.min() == 0:
            return False
        return structure.normalised or has_equal_input_weights(network)

    def field_of(self, net: Net) -> NeuralVectorField:
        """A net as a vector field, what it reads written into its kernel."""
        field_ = self.empty_field(0, net.structure)
        write_net(field_, net.mixings, net.hidden, net.readout)
        return field_

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Standardised inputs where the data lie: of nodes (n, q), of edges (m, 2 q), and their k_i (m,)."""
        maker = self.maker(False)
        rows = maker.batch(0)
        nodes, times = maker.receivers(0), rows.inputs.shape[1]
        counted = rows.graph.edges[: len(nodes)] != 0
        pairs = rows.pair_inputs[: len(nodes)][counted]
        strength = np.repeat(self.network.in_strength[nodes[counted]], times)
        return (
            rows.inputs.reshape(-1, rows.inputs.shape[-1]),
            pairs.reshape(-1, pairs.shape[-1]),
            strength,
        )


def named_points(
    names: Sequence[str], sides: str, inputs: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names such as x_i, and values in the units of the data, of standardised inputs (n, q) of each side."""
    points = inputs * np.tile(std, len(sides)) + np.tile(mean, len(sides))
    return tuple(f"{name}_{side}" for side in sides for name in names), points


def write_net(
    field_: NeuralVectorField, mixings: tuple[Any, Any], hidden: Hidden, readout: Any
) -> None:
    """Make a field that of a net: what its terms read goes into their kernels; traceable."""
    split = field_.self_part.readout[...].shape[0]
    for part, mixing, layer, own in (
        (field_.self_part, mixings[0], hidden[:2], readout[:split]),
        (field_.interaction_part, mixings[1], hidden[2:], readout[split:]),
    ):
        kernel, bias = layer
        width, (inputs, _) = kernel.shape[1], mixing.shape
        through = jnp.asarray(own).reshape(-1, width + inputs + 1, own.shape[1])
        through = through.at[:, width:-1].set(mixing @ through[:, width:-1])
        values = (mixing @ kernel, bias, through.reshape(own.shape))
        part.kernel[...], part.bias[...], part.readout[...] = map(jnp.asarray, values)


def hidden_of(neural: Any) -> Hidden:
    """Kernel and bias of either term."""
    parts = (neural.self_part, neural.interaction_part)
    return tuple(np.asarray(p[...], float) for q in parts for p in (q.kernel, q.bias))  # type: ignore[return-value]


def feature_columns(data: GridData, network: Network, names: Sequence[str]) -> np.ndarray:
    """Features of the nodes, (node, feature); "k" is the in-strength. InputError for an unknown one."""
    columns = []
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{name!r:.80} is no name of a node feature; give text, such as 'k'")
        if name == IN_STRENGTH:
            columns.append(network.in_strength)
        elif name in data.features:
            columns.append(data.features[name])
        else:
            known = ", ".join([*data.features, IN_STRENGTH])
            raise InputError(f"The runs have no node feature {name!r}; they have: {known}.")
    return np.stack(columns, axis=1) if columns else np.empty((network.num_nodes, 0))
