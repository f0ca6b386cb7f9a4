"""Strings out of a model: the likeliest ones by beam search, or samples without replacement.

Both keep to the automaton of the alphabet, so that all that comes out can be read as skeletons.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxllc.errors import InputError, check_integer
from jaxllc.pretrained.model import NEVER, SkeletonModel
from jaxllc.pretrained.skeletons.alphabet import LENGTH, Alphabet
from jaxllc.running.waiting import computed


class Decoded(NamedTuple):
    """strings: (b, width, LENGTH), likeliest first; log_likelihood: (b, width), very low if none was left."""

    strings: np.ndarray
    log_likelihood: np.ndarray


def decode(
    model: SkeletonModel,
    descriptors: np.ndarray,
    allowed: np.ndarray | None = None,
    width: int = 20,
    temperature: float = 0.0,
    seed: int = 0,
    rows: int | None = None,
    needed: np.ndarray | None = None,
) -> Decoded:
    """So many different strings for each description (b, d).

    allowed: (b, symbol) which symbols may be written, all by default; the constant and one variable always
    must. temperature: 0 for beam search; else that of samples without replacement (stochastic beam search;
    Kool, van Hoof and Welling 2019). rows: descriptions at a time, all by default; the last ones are padded,
    so that it compiles once for each (rows, width), whatever b. needed: (symbol,) of which each string holds
    at least one, where there are any.
    Raises InputError for a width or rows below 1, or a negative temperature.
    """
    check_integer("width", width, 1)
    rows = len(descriptors) if rows is None else rows
    check_integer("rows", rows, 1)
    if not temperature >= 0:
        raise InputError(f"temperature is {temperature}; give a number of at least 0")
    symbols = model.settings.alphabet
    if allowed is None:
        allowed = np.ones((len(descriptors), symbols.size), bool)
    graph, state = nnx.split(model)
    key, heat = jax.random.key(seed), jnp.float32(temperature)
    must = jnp.asarray(np.zeros(symbols.size, bool) if needed is None else needed)
    found = []
    for first in range(0, len(descriptors), rows):
        some = np.arange(first, min(first + rows, len(descriptors)))
        padded = np.pad(some, (0, rows - len(some)), mode="edge")
        parts = (jnp.asarray(descriptors[padded]), jnp.asarray(allowed[padded]))
        block = jax.random.fold_in(key, first)
        written = computed(_decode, graph, state, *parts, must, block, heat, width, temperature > 0)
        found.append([np.asarray(part)[: len(some)] for part in written])
    return Decoded(*(np.concatenate(part) for part in zip(*found, strict=True)))


def allowed_symbols(
    present: np.ndarray, symbols: Alphabet, kinds: np.ndarray | None = None, largest_power: int = 4
) -> np.ndarray:
    """(b, symbol) what may be written of these variables, (b, variable), and kinds, (kind,) bool."""
    absent = (~present).astype(int) @ (symbols.exponents > 0).T > 0
    allowed = np.ones((len(present), symbols.size), bool)
    allowed[:, : symbols.num_monomials] = ~absent & (symbols.exponents.max(1) <= largest_power)
    if kinds is not None:
        allowed[:, symbols.num_monomials : symbols.opening] = kinds
    return allowed


class _Beam(NamedTuple):
    """symbols: (b, w, LENGTH); state, last: (b, w) of the automaton, and the monomial before; complete:
    (b, w) whether what is needed is there; score: (b, w) log-likelihood; key: (b, w) what the best are chosen
    by; carry: of the decoder, over b w rows."""

    symbols: Any
    state: Any
    last: Any
    complete: Any
    score: Any
    key: Any
    carry: Any


@partial(jax.jit, static_argnames=("graph", "width", "sampled"))
def _decode(graph, state, descriptors, allowed, needed, random_key, temperature, width, sampled):
    model = nnx.merge(graph, state)
    symbols = model.settings.alphabet
    automaton = symbols.automaton
    follows, remaining = jnp.asarray(automaton.follows), jnp.asarray(automaton.remaining)
    size, count = symbols.size, len(descriptors)
    number = jnp.arange(size)[None, None]
    is_monomial = number < symbols.num_monomials
    # A string that is complete goes on with padding.
    allowed = allowed | (number[0] == symbols.padding)

    context = jnp.repeat(model.tower(descriptors), width, axis=0)
    start = jnp.full((count, width), NEVER).at[:, 0].set(0.0)
    beam = _Beam(
        jnp.full((count, width, LENGTH), symbols.padding),
        jnp.zeros((count, width), jnp.int32),
        jnp.full((count, width), -1),
        jnp.full((count, width), ~needed.any()),
        start,
        start,
        model.decoder.begin(context),
    )
    first = jnp.full((count * width,), symbols.padding)

    def step(carried, t):
        beam, newest = carried
        after, logits = model.decoder.step(beam.carry, newest, beam.state.reshape(-1), t)
        logits = logits.astype(jnp.float32).reshape(count, width, size)
        next_state = follows[beam.state]
        fits = (next_state >= 0) & (remaining[next_state] <= LENGTH - 1 - t)
        fits &= beam.complete[..., None] | (number != symbols.end)
        fits &= allowed[:, None] & ~(is_monomial & (number <= beam.last[..., None]))
        ended = beam.state == automaton.num_states - 1
        heat = jnp.where(sampled, temperature, 1.0)
        logits = jnp.where(fits, logits / heat, NEVER)
        gain = jnp.where(ended[..., None], jnp.where(fits, 0.0, NEVER), jax.nn.log_softmax(logits))
        score = jnp.where(fits, beam.score[..., None] + gain, 2 * NEVER)
        key = score
        if sampled:
            key = _perturbed(jax.random.fold_in(random_key, t), beam.key, score, fits)
        best, place = jax.lax.top_k(key.reshape(count, width * size), width)
        parent, symbol = place // size, place % size

        def of_parent(part):
            return jnp.take_along_axis(part, parent, axis=1)

        def of_rows(part):
            shaped = part.reshape(count, width, *part.shape[1:])
            index = parent.reshape(count, width, *(1,) * (part.ndim - 1))
            return jnp.take_along_axis(shaped, index, axis=1).reshape(part.shape)

        chosen = jnp.take_along_axis(beam.symbols, parent[..., None], axis=1)
        grown = _Beam(
            chosen.at[:, :, t].set(symbol),
            follows[of_parent(beam.state), symbol],
            jnp.where(symbol < symbols.num_monomials, symbol, -1),
            of_parent(beam.complete) | needed[symbol],
            jnp.take_along_axis(score.reshape(count, -1), place, axis=1),
            best,
            jax.tree.map(of_rows, after),
        )
        return (grown, symbol.reshape(-1)), None

    (beam, _), _ = jax.lax.scan(step, (beam, first), jnp.arange(LENGTH))
    order = jnp.argsort(-beam.score, axis=1)
    return (
        jnp.take_along_axis(beam.symbols, order[..., None], axis=1),
        jnp.take_along_axis(beam.score, order, axis=1),
    )


def _perturbed(random_key, parent, score, fits):
    """Scores with Gumbel noise whose largest among the children of each parent is that of the parent."""
    noisy = jnp.where(fits, score + jax.random.gumbel(random_key, score.shape), 2 * NEVER)
    largest = noisy.max(-1, keepdims=True)
    gap = jnp.where(noisy < largest, -jnp.expm1(jnp.minimum(noisy - largest, -1e-12)), 1e-30)
    v = parent[..., None] - noisy + jnp.log(gap)
    found = parent[..., None] - jnp.maximum(v, 0.0) - jnp.log1p(jnp.exp(-jnp.abs(v)))
    found = jnp.where(noisy >= largest, parent[..., None], found)
    return jnp.where(fits & (parent[..., None] > 0.5 * NEVER), found, 2 * NEVER)
