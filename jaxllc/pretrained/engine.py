"""The engine that proposes what a trained model writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import jax
import numpy as np
import sympy

from jaxllc.equations.expression_building import is_real
from jaxllc.pretrained.decoding import allowed_symbols, decode
from jaxllc.pretrained.descriptors import describe, num_descriptors
from jaxllc.pretrained.local_search import LocalSearch, explains, ranked, searched
from jaxllc.pretrained.model import NEVER, SkeletonModel
from jaxllc.pretrained.skeletons.allowed_forms import allowed_form, allowed_kinds
from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    Structures,
    canonical,
    empty,
    identity,
    joined,
    renamed,
)
from jaxllc.pretrained.skeletons.hinges import with_extremes
from jaxllc.pretrained.skeletons.starts import Fitted, fitted, refined
from jaxllc.pretrained.skeletons.strings import structures_of
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import spend, work_is_over
from jaxllc.search.forms.term_samples import Samples

_MOST_POINTS = 256  # that are described
_SEARCH = LocalSearch()
_LATE = 60  # of the less likely skeletons are fitted whole: the best after a few steps
_JUDGED = 50  # fits that a search of a term is given
# Targets whose strings are written at a time; on the CPU more of them take as much longer.
_TARGETS = {"cpu": 1}
_TARGETS_ELSEWHERE = 16


@dataclass(frozen=True, eq=False)
class PretrainedEngine:
    """Proposes the skeletons that a model finds likeliest, with constants.

    width: how many strings are written for each view of the samples; views: how many orders of the inputs
    the samples are shown in, the likelihoods being put together; temperature: as in `decode`. Of more inputs
    than the model has variables those are tried that explain the values best. first: how many of the
    likeliest are fitted whole; the others only where none of these explains the samples. search: how much is
    looked at beside the best fits, None for nothing.
    """

    model: SkeletonModel
    width: int = 200
    views: int = 2
    temperature: float = 0.0
    choices: int = 2
    first: int = 50
    search: LocalSearch | None = _SEARCH

    @property
    def name(self) -> str:
        return "pretrained"

    def prepare(self) -> None:
        """Compile what writes skeletons, so that no search has to wait for it."""
        nothing = np.zeros((1, num_descriptors(self.model.settings.alphabet)), np.float32)
        decode(self.model, nothing, None, self.width, self.temperature, rows=self._rows)

    @property
    def _rows(self) -> int:
        return self.views * _TARGETS.get(jax.default_backend(), _TARGETS_ELSEWHERE)

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the samples' names, those with the fewest constants first."""
        found: list[tuple[int, float, sympy.Expr]] = []
        inputs = best_inputs(samples, self.model.settings.num_variables, self.choices)
        targets = [samples.with_inputs(chosen) for chosen in inputs]
        spend("views", len(targets) * max(1.0, self.width / 50))
        written = self.skeletons_of(targets, grammar, seed)
        for chosen, skeletons in zip(targets, written, strict=True):
            if found and work_is_over(deadline):
                break
            _, fits = self.searched(skeletons, chosen, grammar, seed, deadline)
            for fit in _worth_judging(fits, chosen):
                constants, expression = len(fit.skeleton.values), fit.skeleton.numeric()
                if not is_real(expression):
                    continue
                found.append((constants, fit.mean_square, expression))
                shorter = with_extremes(expression) if expression.has(sympy.Abs) else None
                if shorter is not None:
                    found.append((constants - shorter[1], fit.mean_square, shorter[0]))
        found.sort(key=lambda item: item[:2])
        forms = (allowed_form(e, grammar) for *_, e in found)
        return [e for e in forms if e is not None]

    def skeletons(
        self, samples: Samples, grammar: Grammar | None = None, seed: int = 0
    ) -> Structures:
        """The likeliest skeletons in canonical form, each once, the likeliest first."""
        return self.skeletons_of([samples], grammar, seed)[0]

    def skeletons_of(
        self, targets: Sequence[Samples], grammar: Grammar | None = None, seed: int = 0
    ) -> list[Structures]:
        """The same for several targets at once, such as all terms of a law; each has at most as many inputs
        as the model has variables."""
        symbols = self.model.settings.alphabet
        grammar = grammar or Grammar()
        kinds, required = allowed_kinds(grammar)
        views = [self._views(samples, seed) for samples in targets]
        descriptors = np.concatenate([view[1] for view in views])
        present = np.concatenate([view[2] for view in views])
        allowed = allowed_symbols(present, symbols, kinds, grammar.largest_power)
        needed = np.zeros(symbols.size, bool)
        needed[symbols.num_monomials : symbols.opening] = required
        strings, likelihood = decode(
            self.model,
            descriptors,
            allowed,
            self.width,
            self.temperature,
            seed,
            self._rows,
            needed,
        )
        found, first = [], 0
        for orders, *_ in views:
            rows = slice(first, first + len(orders))
            found.append(self._together((strings[rows], likelihood[rows]), orders, symbols))
            first += len(orders)
        return found

    def searched(
        self,
        skeletons: Structures,
        samples: Samples,
        grammar: Grammar | None = None,
        seed: int = 0,
        deadline: float = np.inf,
    ) -> tuple[Structures, list[Fitted]]:
        """Skeletons, the likeliest first, and what a search beside them finds, with their fits, whose numbers
        are of the skeletons that come back.

        Where none of the first explains the samples, the others are fitted, in few steps, the best of them
        whole, and neighbours of the best; else only shorter ones of these.
        """
        symbols = self.model.settings.alphabet
        early = np.arange(min(self.first, len(skeletons)))
        fits = fitted(skeletons.taken(early), samples, symbols, seed)
        if not explains(fits) and len(skeletons) > len(early) and not work_is_over(deadline):
            late = skeletons.taken(np.arange(len(early), len(skeletons)))
            rough = fitted(late, samples, symbols, seed, draws=24, kept=1, steps=6)
            starts = [
                (len(early) + fit.number, fit.skeleton) for fit in ranked(rough, samples)[:_LATE]
            ]
            fits += refined(starts, samples.thinned(_MOST_POINTS, seed))
        if self.search is None:
            return skeletons, fits
        present = np.arange(symbols.num_variables)[None] < samples.num_inputs
        grammar = grammar or Grammar()
        kinds, _ = allowed_kinds(grammar)
        allowed = allowed_symbols(present, symbols, kinds, grammar.largest_power)[0]
        return searched(skeletons, fits, samples, symbols, allowed, self.search, seed, deadline)

    def _views(
        self, samples: Samples, seed: int
    ) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
        """Orders of the inputs, and for each a description (view, d) and which variables it has."""
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
        return orders, describe(points, values, present, symbols), present

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


def _worth_judging(fits: list[Fitted], samples: Samples) -> list[Fitted]:
    """The best fits, and the best of each number of constants."""
    order = ranked(fits, samples)
    front = {len(fit.skeleton.values): fit for fit in reversed(order)}
    return list({f.number: f for f in [*order[:_JUDGED], *front.values()]}.values())


def _orders(num_variables: int, num_inputs: int) -> list[tuple[int, ...]]:
    """Orders of all variables that differ in where the inputs go, the given one first."""
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for order in permutations(range(num_variables)):
        found.setdefault(order[:num_inputs], order)
        if len(found) >= 24:
            break
    return list(found.values())


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
