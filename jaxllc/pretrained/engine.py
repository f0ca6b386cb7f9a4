"""The engine that proposes what a trained model writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import sympy

from jaxllc.pretrained.alphabet import KINDS, Alphabet
from jaxllc.pretrained.decoding import allowed_symbols, decode
from jaxllc.pretrained.descriptors import describe
from jaxllc.pretrained.model import NEVER, SkeletonModel
from jaxllc.pretrained.normal_form import Structures, canonical, empty, identity, joined, renamed
from jaxllc.pretrained.starts import fitted
from jaxllc.pretrained.strings import structures_of
from jaxllc.symbolic.grammar import Grammar
from jaxllc.symbolic.term_samples import Samples

_MOST_POINTS = 256  # that are described
# What the name of a kind is among the functions of a grammar.
_IN_GRAMMAR = {"abs": ("abs", "min", "max"), "power": ("sqrt",)}


@dataclass(frozen=True, eq=False)
class PretrainedEngine:
    """Proposes the skeletons that a model finds likeliest, with constants.

    width: how many strings are written for each view of the samples; views: how many orders of the inputs
    the samples are shown in, the likelihoods being put together; temperature: as in `decode`. Of more inputs
    than the model has variables those are tried that explain the values best.
    """

    model: SkeletonModel
    width: int = 20
    views: int = 2
    temperature: float = 0.0
    choices: int = 2

    @property
    def name(self) -> str:
        return "pretrained"

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the samples' names, those with the fewest constants first."""
        found: list[tuple[int, float, sympy.Expr]] = []
        for inputs in best_inputs(samples, self.model.settings.num_variables, self.choices):
            if found and time.perf_counter() > deadline:
                break
            names = tuple(samples.names[k] for k in inputs)
            chosen = Samples(names, samples.points[:, inputs], samples.values, samples.error)
            skeletons = self.skeletons(chosen, grammar, seed)
            for fit in fitted(skeletons, chosen, self.model.settings.alphabet, seed):
                constants = len(fit.skeleton.values)
                found.append((constants, fit.mean_square, fit.skeleton.numeric()))
        found.sort(key=lambda item: item[:2])
        return [e for *_, e in found if grammar.allows(e)]

    def skeletons(
        self, samples: Samples, grammar: Grammar | None = None, seed: int = 0
    ) -> Structures:
        """The likeliest skeletons in canonical form, each once, the likeliest first."""
        symbols = self.model.settings.alphabet
        some = samples.thinned(_MOST_POINTS, seed)
        orders = _orders(symbols.num_variables, samples.num_inputs)[: self.views]
        points = np.zeros((len(orders), symbols.num_variables, len(some.values)))
        present = np.zeros(points.shape[:2], bool)
        for view, order in enumerate(orders):
            for k in range(samples.num_inputs):
                points[view, order[k]] = some.points[:, k]
                present[view, order[k]] = True
        values = np.broadcast_to(some.values, (len(orders), len(some.values)))
        descriptors = describe(points, values, present, symbols)
        kinds, largest = _allowed(grammar or Grammar())
        allowed = allowed_symbols(present, symbols, kinds, largest)
        written = decode(self.model, descriptors, allowed, self.width, self.temperature, seed)
        return self._together(written, orders, symbols)

    def _together(self, written, orders: Sequence[Sequence[int]], symbols: Alphabet) -> Structures:
        """What the views wrote, in the samples' own order of inputs, by the mean of their likelihoods."""
        parts, scores = [], []
        for strings, likelihood, order in zip(*written, orders, strict=True):
            real = likelihood > 0.5 * NEVER
            back = np.argsort(order)
            structures = structures_of(strings[real], symbols)
            place = symbols.renaming(back)
            structures, good = canonical(renamed(structures, place), symbols)
            parts.append(structures.taken(np.flatnonzero(good)))
            scores.append(likelihood[real][good])
        joint = joined(parts)
        if not len(joint):
            return empty(0, symbols.num_monomials)
        score = np.exp(np.concatenate(scores))
        _, first, group = np.unique(identity(joint), return_index=True, return_inverse=True)
        total = np.bincount(group, weights=score)
        return joint.taken(first[np.argsort(-total, kind="stable")])


def _orders(num_variables: int, num_inputs: int) -> list[tuple[int, ...]]:
    """Orders of all variables that differ in where the inputs go, the given one first."""
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for order in permutations(range(num_variables)):
        found.setdefault(order[:num_inputs], order)
        if len(found) >= 24:
            break
    return list(found.values())


def _allowed(grammar: Grammar) -> tuple[np.ndarray, int]:
    """Which kinds a grammar has, and the largest power."""
    functions = set(grammar.functions)
    kinds = [
        grammar.division
        if name == "reciprocal"
        else bool(functions & set(_IN_GRAMMAR.get(name, (name,))))
        for name in KINDS
    ]
    return np.array(kinds), grammar.largest_power


def best_inputs(samples: Samples, most: int, choices: int = 2) -> list[list[int]]:
    """The inputs to look at, at most `most` of them: the choices whose cubic polynomials explain most."""
    if samples.num_inputs <= most:
        return [list(range(samples.num_inputs))]
    some = samples.thinned(600, 0)
    points = some.points / (np.sqrt(np.mean(some.points**2, axis=0)) + 1e-300)
    target = some.values / some.error
    found = []
    for inputs in combinations(range(samples.num_inputs), most):
        columns = [np.ones(len(points))]
        level = [(columns[0], 0)]
        for _ in range(3):
            level = [(c * points[:, inputs[k]], k) for c, low in level for k in range(low, most)]
            columns += [c for c, _ in level]
        matrix = np.stack(columns, axis=1) / some.error[:, None]
        weights = np.linalg.lstsq(matrix, target, rcond=1e-10)[0]
        found.append((float(np.sum((target - matrix @ weights) ** 2)), list(inputs)))
    return [inputs for _, inputs in sorted(found)[:choices]]
