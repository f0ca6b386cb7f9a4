"""The network that writes skeletons: descriptors -> a context vector -> symbols, one after the other.

Two decoders. "prefix" adds up an embedding for each symbol in its place of the string and reads the sum, so
that what is written so far is a set of parts, as it is in the normal form; it has the least to compute, and
finds more after equal time (`benchmarks/results/pretrained_designs.txt`).
"transformer" attends to all symbols (Vaswani et al. 2017), the context standing before them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxllc.errors import InputError
from jaxllc.pretrained.descriptors import num_descriptors
from jaxllc.pretrained.skeletons.alphabet import LENGTH, MOST_VARIABLES, Alphabet, alphabet

DECODERS = ("prefix", "transformer")
# The largest sizes: a file that asks for more was not written by a training.
_MOST = {
    "num_variables": MOST_VARIABLES, "width": 20_000, "blocks": 100, "decoder_width": 20_000, "layers": 100,
    "heads": 1000, "memory": 1000,
}  # fmt: skip
NEVER = -1e9  # the logarithm of no likelihood


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of the network.

    num_variables: of the alphabet. width, blocks: of what reads the descriptors. decoder: one of DECODERS;
    decoder_width, layers: of it; heads: of the attention; memory: vectors of context it attends to.
    """

    num_variables: int = 3
    width: int = 320
    blocks: int = 3
    decoder: str = "prefix"
    decoder_width: int = 256
    layers: int = 2
    heads: int = 4
    memory: int = 4

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise InputError(f"{name} is {value!r:.60}; give an integer from 1 to {most}")
        if self.decoder not in DECODERS:
            raise InputError(f"decoder is {self.decoder!r:.60}; choose from {', '.join(DECODERS)}")
        if self.decoder_width % self.heads:
            raise InputError(
                f"decoder_width is {self.decoder_width}; give a multiple of heads, {self.heads}"
            )

    @property
    def alphabet(self) -> Alphabet:
        return alphabet(self.num_variables)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Fixed(nnx.Variable):
    """Numbers of the model that are not trained."""


def _normalised(x: jax.Array) -> jax.Array:
    """To root mean square 1 (Zhang and Sennrich 2019)."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


class _Block(nnx.Module):
    """A residual layer: x + out(silu(in(x)))."""

    def __init__(self, width: int, rngs: nnx.Rngs, hidden: int = 2):
        start = nnx.initializers.variance_scaling(0.25, "fan_in", "truncated_normal")
        self.first = nnx.Linear(width, hidden * width, rngs=rngs)
        self.second = nnx.Linear(hidden * width, width, rngs=rngs, kernel_init=start)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.second(jax.nn.silu(self.first(_normalised(x))))


class Tower(nnx.Module):
    """Descriptors (b, d) -> context (b, width)."""

    def __init__(self, settings: ModelSettings, rngs: nnx.Rngs):
        size = num_descriptors(settings.alphabet)
        self.mean = Fixed(jnp.zeros(size))
        self.scale = Fixed(jnp.ones(size))
        self.first = nnx.Linear(size, settings.width, rngs=rngs)
        self.blocks = nnx.List([_Block(settings.width, rngs) for _ in range(settings.blocks)])

    def __call__(self, descriptors: jax.Array) -> jax.Array:
        mean, scale = self.mean[...], self.scale[...]
        x = self.first((descriptors - mean[None]) * scale[None])
        for block in self.blocks:
            x = block(x)
        return _normalised(x)


class PrefixDecoder(nnx.Module):
    """Symbols from the sum of embeddings of those before, each by its place in the string."""

    def __init__(self, settings: ModelSettings, rngs: nnx.Rngs):
        symbols, width = settings.alphabet, settings.decoder_width
        self.size = symbols.size
        places = symbols.automaton.num_states * symbols.size
        start = nnx.initializers.normal(0.3)
        self.summed = nnx.Embed(places, width, rngs=rngs, embedding_init=start)
        self.newest = nnx.Embed(places, width, rngs=rngs, embedding_init=start)
        self.context = nnx.Linear(settings.width, width, rngs=rngs)
        self.blocks = nnx.List([_Block(width, rngs) for _ in range(settings.layers)])
        self.out = nnx.Linear(width, symbols.size, rngs=rngs)

    def __call__(
        self, context: jax.Array, symbols: jax.Array, states: jax.Array, at: jax.Array
    ) -> jax.Array:
        """Features (k, width) for the symbols after those at the places `at` (k,) of the flattened symbols
        (b, t), which come with their states."""
        place = states * self.size + symbols
        before = jnp.cumsum(self.summed(place), axis=1)
        features = self.context(context)[:, None] + before + self.newest(place)
        return features.reshape(symbols.size, -1)[at]

    def logits(self, features: jax.Array) -> jax.Array:
        """Features (..., width) -> logits (..., symbol)."""
        for block in self.blocks:
            features = block(features)
        return self.out(_normalised(features))

    def begin(self, context: jax.Array) -> Any:
        return self.context(context)

    def step(self, carry: Any, symbol: jax.Array, state: jax.Array, place: jax.Array):
        """Logits (b, symbol) after one more symbol (b,), whose state is given, and what to carry on."""
        at = state * self.size + symbol
        carry = carry + self.summed(at)
        return carry, self.logits(carry + self.newest(at))


class _Attention(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        start = nnx.initializers.variance_scaling(0.25, "fan_in", "truncated_normal")
        self.qkv = nnx.Linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs, kernel_init=start)

    def project(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries, keys and values of (..., width): (..., head, d) each."""
        joint = self.qkv(_normalised(x))
        parts = joint.reshape(*x.shape[:-1], 3, self.heads, -1)
        return parts[..., 0, :, :], parts[..., 1, :, :], parts[..., 2, :, :]

    def attend(self, queries, keys, values, mask) -> jax.Array:
        """What positions take up, (b, t, width); mask: (t, s), or one that spreads to it, of which position
        may see which."""
        scores = jnp.einsum("bthd,bshd->bhts", queries, keys) / np.sqrt(queries.shape[-1])
        scores = jnp.where(mask[None, None], scores.astype(jnp.float32), -1e9)
        weights = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
        mixed = jnp.einsum("bhts,bshd->bthd", weights, values)
        return mixed.reshape(*mixed.shape[:2], -1)


class TransformerDecoder(nnx.Module):
    """Symbols from attention to those before and to a few vectors made of the context."""

    def __init__(self, settings: ModelSettings, rngs: nnx.Rngs):
        symbols, width = settings.alphabet, settings.decoder_width
        self.memory, self.width, self.heads = settings.memory, width, settings.heads
        start = nnx.initializers.normal(0.5)
        self.symbol = nnx.Embed(symbols.size, width, rngs=rngs, embedding_init=start)
        states = symbols.automaton.num_states
        self.state = nnx.Embed(states, width, rngs=rngs, embedding_init=start)
        self.place = nnx.Embed(
            LENGTH, width, rngs=rngs, embedding_init=nnx.initializers.normal(0.2)
        )
        self.context = nnx.Linear(settings.width, settings.memory * width, rngs=rngs)
        self.attentions = nnx.List(
            [_Attention(width, settings.heads, rngs) for _ in range(settings.layers)]
        )
        self.blocks = nnx.List([_Block(width, rngs, hidden=3) for _ in range(settings.layers)])
        self.out = nnx.Linear(width, symbols.size, rngs=rngs)

    def _before(self, context: jax.Array) -> jax.Array:
        return self.context(context).reshape(len(context), self.memory, self.width)

    def __call__(
        self, context: jax.Array, symbols: jax.Array, states: jax.Array, at: jax.Array
    ) -> jax.Array:
        """Features (k, width) for the symbols after those at the places `at` (k,) of the flattened symbols
        (b, t), which come with their states. Only what stands there is seen."""
        count, length = symbols.shape
        near = jnp.minimum(at, count * length - 1)
        x = self.symbol(symbols.reshape(-1)[near]) + self.state(states.reshape(-1)[near])
        x = x + self.place(near % length)
        # All layers but the attention itself work on the symbols that count, without the padding.
        x = jnp.concatenate([self._before(context).reshape(-1, self.width), x])
        first = count * self.memory
        step = jnp.arange(self.memory + length)
        mask = (step[:, None] >= step[None]) | (step < self.memory)[None]

        def spread(some: jax.Array) -> jax.Array:
            shape = some.shape[1:]
            room = jnp.zeros((count * length, *shape), some.dtype)
            strings = room.at[at].set(some[first:], mode="drop").reshape(count, length, *shape)
            return jnp.concatenate([some[:first].reshape(count, -1, *shape), strings], axis=1)

        for attention, block in zip(self.attentions, self.blocks, strict=True):
            queries, keys, values = map(spread, attention.project(x))
            mixed = attention.attend(queries, keys, values, mask)
            strings = mixed[:, self.memory :].reshape(count * length, -1)[near]
            joint = jnp.concatenate([mixed[:, : self.memory].reshape(first, -1), strings])
            x = block(x + attention.out(joint))
        return x[first:]

    def logits(self, features: jax.Array) -> jax.Array:
        """Features (..., width) -> logits (..., symbol)."""
        return self.out(_normalised(features))

    def begin(self, context: jax.Array) -> Any:
        """Keys and values of the context, with room for those of the symbols, for each layer."""
        x = self._before(context)
        everything = jnp.ones((self.memory, self.memory), bool)
        carry = []
        for attention, block in zip(self.attentions, self.blocks, strict=True):
            queries, keys, values = attention.project(x)
            room = ((0, 0), (0, LENGTH), (0, 0), (0, 0))
            carry.append((jnp.pad(keys, room), jnp.pad(values, room)))
            mixed = attention.attend(queries, keys, values, everything)
            x = block(x + attention.out(mixed))
        return carry

    def step(self, carry: Any, symbol: jax.Array, state: jax.Array, place: jax.Array):
        """Logits (b, symbol) after one more symbol (b,), whose state is given, and what to carry on."""
        x = self.symbol(symbol) + self.state(state) + self.place(place)[None]
        x = x[:, None]
        seen = (jnp.arange(self.memory + LENGTH) <= self.memory + place)[None]
        after = []
        layers = zip(self.attentions, self.blocks, carry, strict=True)
        for attention, block, (keys, values) in layers:
            query, key, value = attention.project(x)
            at = (0, self.memory + place, 0, 0)
            keys = jax.lax.dynamic_update_slice(keys, key, at)
            values = jax.lax.dynamic_update_slice(values, value, at)
            x = block(x + attention.out(attention.attend(query, keys, values, seen)))
            after.append((keys, values))
        return after, self.logits(x[:, 0])


class SkeletonModel(nnx.Module):
    """Descriptors to skeletons: a tower and a decoder."""

    def __init__(self, settings: ModelSettings, rngs: nnx.Rngs):
        self.settings = settings
        self.tower = Tower(settings, rngs)
        decoder = PrefixDecoder if settings.decoder == "prefix" else TransformerDecoder
        self.decoder = decoder(settings, rngs)

    def log_likelihood(
        self,
        descriptors: jax.Array,
        symbols: jax.Array,
        states: jax.Array,
        places: jax.Array | None = None,
    ) -> jax.Array:
        """Log-probabilities of symbols in strings among those that may stand there, (k,).

        descriptors: (b, d); symbols, states: (b, LENGTH) the strings and the states after each symbol;
        places: (k,) numbers of symbols in the flattened strings, all by default. Padding gives nought, and
        so do places at or beyond b LENGTH.
        """
        count, length = symbols.shape
        alphabet_ = self.settings.alphabet
        if places is None:
            places = jnp.arange(count * length)
        before = jnp.pad(symbols[:, :-1], ((0, 0), (1, 0)), constant_values=alphabet_.padding)
        before_states = jnp.pad(states[:, :-1], ((0, 0), (1, 0)))
        features = self.decoder(self.tower(descriptors), before, before_states, places)
        at = jnp.minimum(places, count * length - 1)
        logits = self.decoder.logits(features).astype(jnp.float32)
        last, state = before.reshape(-1)[at], before_states.reshape(-1)[at]
        number = jnp.arange(alphabet_.size)[None]
        ordered = (number > last[:, None]) | (number >= alphabet_.num_monomials)
        ordered |= last[:, None] >= alphabet_.num_monomials
        fits = (jnp.asarray(alphabet_.automaton.follows)[state] >= 0) & ordered
        scores = jax.nn.log_softmax(jnp.where(fits, logits, NEVER))
        wanted = symbols.reshape(-1)[at]
        found = jnp.take_along_axis(scores, wanted[:, None], axis=1)[:, 0]
        counts = (places < count * length) & (wanted != alphabet_.padding)
        return jnp.where(counts, found, 0.0)


def new_model(settings: ModelSettings, seed: int = 0) -> SkeletonModel:
    """An untrained model."""
    return SkeletonModel(settings, nnx.Rngs(seed))


def blank_model(settings: ModelSettings) -> SkeletonModel:
    """A model whose numbers have shapes and types but no values yet, which takes no time to make."""
    return nnx.eval_shape(lambda: new_model(settings))


def num_parameters(model: SkeletonModel) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def states_of(strings: np.ndarray, symbols: Alphabet) -> np.ndarray:
    """(b, LENGTH) the state of the automaton after each symbol of valid strings."""
    follows = symbols.automaton.follows
    states = np.zeros(strings.shape, np.int32)
    state = np.zeros(len(strings), np.int32)
    for t in range(strings.shape[1]):
        state = follows[state, strings[:, t]]
        states[:, t] = state
    return states
