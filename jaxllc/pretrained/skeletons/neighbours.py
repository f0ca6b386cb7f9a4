"""Skeletons beside one that was fitted: a term, a factor, an argument or a function more, fewer or other.

Each comes with constants for its functions, taken over from the fit or out of a table of drawn functions, and
with what the best coefficients outside of functions leave (variable projection; Golub and Pereyra 1973): a
rough figure, at a small part of the price of a fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import GROUPS, KIND
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.fitted_skeleton import (
    RIDGE,
    Neighbour,
    Place,
    starts_of,
)
from jaxllc.pretrained.skeletons.other_functions import OtherFunctions
from jaxllc.pretrained.skeletons.skeleton_draws import Factor, factor_of, taken
from jaxllc.pretrained.training.corpus_values import function_values
from jaxllc.search.forms.search_work import spend

_KEPT = 2  # of the draws of a function that changes
# How many of each way of changing a skeleton are kept, the best by what they leave.
_BUILT = 4
_ADDED, _EXCHANGED, _NEW_GROUPS, _OTHER_GROUPS, _PRODUCTS, _INNER = 8, 8, 10, 5, 4, 4


class Neighbours(OtherFunctions):
    """The neighbours of a fitted skeleton."""

    @np.errstate(all="ignore")
    def all(self) -> list[Neighbour]:
        """All kinds of neighbours, the best of each by what they leave."""
        found = [self._linear(), self._other_groups(), *map(self._changed, self.factors)]
        return self._listed([*found, *map(self._multiplied, self.groups), self._odd()])

    @np.errstate(all="ignore")
    def fewer(self) -> list[Neighbour]:
        """Those with fewer constants."""
        changed = [self._changed(place, only_fewer=True) for place in self.factors]
        return self._listed([self._linear(only_fewer=True), *changed, self._odd()])

    def _listed(self, ways: list[Iterator[Neighbour]]) -> list[Neighbour]:
        if not all(np.isfinite(product).all() for product in self.products.values()):
            return []
        return [neighbour for way in ways for neighbour in way]

    # -- terms ------------------------------------------------------------------------------------

    def _linear(self, only_fewer: bool = False) -> Iterator[Neighbour]:
        """One monomial more, fewer or another, in the polynomial or beside a group."""
        frame, monomials = self.frame, self.monomials
        owners = [-1, *self.groups]
        parts = [frame.monomials[monomials]]
        parts += [self.products[g] * frame.monomials[monomials] for g in self.groups]
        columns = np.concatenate(parts) * frame.weight
        size = np.sqrt(np.mean(columns**2, axis=1, keepdims=True)) + 1e-300
        columns = columns / size
        gram = columns @ columns.T / frame.count
        right = columns @ self.target / frame.count
        whole = float(np.mean(self.target**2))
        held = [self.structure.base[0, monomials]]
        held += [self.structure.outer[0, g, monomials] for g in self.groups]
        now = np.flatnonzero(np.concatenate(held))
        free = np.setdiff1d(np.arange(len(columns)), now)

        def left(sets: np.ndarray) -> np.ndarray:
            if not sets.size:
                return np.full(len(sets), whole)
            matrix = gram[sets[:, :, None], sets[:, None, :]] + RIDGE * np.eye(sets.shape[1])
            solved = np.linalg.solve(matrix, right[sets][..., None])[..., 0]
            return np.maximum(whole - np.sum(solved * right[sets], axis=1), 0.0)

        def with_each(some: np.ndarray) -> np.ndarray:
            rows = np.broadcast_to(some, (len(free), len(some)))
            return np.concatenate([rows, free[:, None]], axis=1)

        fewer = [np.delete(now, k) for k in range(len(now))]
        fewer += [now[now // len(monomials) != k] for k in range(1, len(owners))]
        choices: list[tuple[np.ndarray, int, str]] = []
        if not only_fewer:
            choices.append((with_each(now), _ADDED, "more"))
        if len(now) > 1:
            choices += [(some[None], 1, "fewer") for some in fewer if len(some)]
        if len(now) > 1 and not only_fewer:
            choices.append(
                (
                    np.concatenate([with_each(some) for some in fewer[: len(now)]]),
                    _EXCHANGED,
                    "exchanged",
                )
            )
        for sets, kept, way in choices:
            found = left(sets)
            for k in np.argsort(found)[:kept]:
                yield self._with_columns(sets[k], owners, float(found[k]), way)
        if only_fewer or not self.groups:
            return
        # Each group and all of them with another polynomial, a monomial at a time (Pati et al. 1993).
        owner = now // len(monomials)
        kept_groups = [owner > 0] + [owner == k for k in range(1, len(owners)) if len(owners) > 2]
        for held_now in kept_groups:
            chosen = now[held_now]
            for _ in range(_BUILT):
                others = np.setdiff1d(np.arange(len(columns)), chosen)
                rows = np.broadcast_to(chosen, (len(others), len(chosen)))
                sets = np.concatenate([rows, others[:, None]], axis=1)
                found = left(sets)
                k = int(found.argmin())
                chosen = sets[k]
                yield self._with_columns(chosen, owners, float(found[k]), "built")

    def _with_columns(
        self, chosen: np.ndarray, owners: Sequence[int], left: float, way: str
    ) -> Neighbour:
        new = self.copied()
        new.base[0] = False
        new.outer[0] = False
        for column in chosen:
            owner, m = (
                owners[column // len(self.monomials)],
                self.monomials[column % len(self.monomials)],
            )
            if owner < 0:
                new.base[0, m] = True
            else:
                new.outer[0, owner, m] = True
        factors = dict(self.factors)
        for g in self.groups:
            if not new.outer[0, g].any():
                _emptied(new, g)
                factors = {place: f for place, f in factors.items() if place[0] != g}
        return Neighbour(new, factors, left, way)

    # -- groups -----------------------------------------------------------------------------------

    def _other_groups(self) -> Iterator[Neighbour]:
        """A group more, or in place of another."""
        table = self.table
        if not len(table.factors):
            return
        for without in [-1, *self.groups]:
            if without < 0 and len(self.groups) == GROUPS:
                continue
            basis, rest = self.left_by(self.columns(without))
            left, _ = self.with_column(table.columns, table.sizes, table.good, basis, rest)
            draw = left.argmin(1)  # (function, outer)
            best = left.min(1)
            kept = _NEW_GROUPS if without < 0 else _OTHER_GROUPS
            for number in np.argsort(best, axis=None)[:kept]:
                k, o = np.unravel_index(number, best.shape)
                if not np.isfinite(best[k, o]):
                    break
                new, factors = self.copied(), dict(self.factors)
                if without >= 0:
                    _emptied(new, without)
                    factors = {place: f for place, f in factors.items() if place[0] != without}
                g = next(g for g in range(GROUPS) if not new.kind[0, g].any())
                factor = table.factors[k]
                new.kind[0, g, 0] = KIND[factor.kind]
                new.argument[0, g, 0] = table.arguments[k]
                new.outer[0, g, table.outer[o]] = True
                factors[g, 0] = taken(factor, draw[k, o : o + 1])
                yield Neighbour(
                    new, factors, float(best[k, o]), "group" if without < 0 else "other group"
                )

    def _multiplied(self, g: int) -> Iterator[Neighbour]:
        """A second function in a group of one."""
        table = self.table
        if (g, 1) in self.factors or (g, 0) not in self.factors or not len(table.factors):
            return
        basis, rest = self.left_by(self.columns(g))
        columns = table.values * (self.weighted_outer(g) * self.products[g])
        sizes = np.einsum("kdn,kdn->kd", columns, columns)
        left, _ = self.with_column(columns, sizes, table.good, basis, rest)
        for k in np.argsort(left.min(1))[:_PRODUCTS]:
            d = int(left[k].argmin())
            if np.isfinite(left[k, d]):
                new, factors = self.copied(), dict(self.factors)
                new.kind[0, g, 1] = KIND[table.factors[k].kind]
                new.argument[0, g, 1] = table.arguments[k]
                factors[g, 1] = taken(table.factors[k], np.array([d]))
                yield Neighbour(new, factors, float(left[k, d]), "product")

    # -- functions --------------------------------------------------------------------------------

    def _changed(self, place: Place, only_fewer: bool = False) -> Iterator[Neighbour]:
        """A function with another argument or of another kind, left out, or with a function inside."""
        g, f = place
        basis, rest = self.left_by(self.columns(g))
        outer = np.flatnonzero(self.structure.outer[0, g])
        others = [x.values[0] for (h, k), x in self.factors.items() if h == g and k != f]
        beside = np.prod(others, axis=0) if others else np.ones(self.frame.count)
        columns = self.frame.monomials[outer] * beside * self.frame.weight

        def judged(factor: Factor) -> tuple[np.ndarray, np.ndarray]:
            """The best draws, and what they leave."""
            spend("cells", factor.values.size)
            joint = factor.values[:, None] * columns
            good = np.isfinite(joint).all((1, 2))
            joint = np.where(good[:, None, None], joint, 1.0)
            joint = joint - (joint @ basis) @ basis.T
            size = np.sqrt(np.mean(joint**2, axis=2, keepdims=True)) + 1e-300
            joint = joint / size
            gram = joint @ joint.transpose(0, 2, 1) / len(rest)
            gram = gram + RIDGE * np.eye(gram.shape[1])
            right = joint @ rest / len(rest)
            solved = np.linalg.solve(gram, right[..., None])[..., 0]
            found = np.mean((rest - (solved[:, None] @ joint)[:, 0]) ** 2, axis=1)
            found = np.where(good, found, np.inf)
            order = np.argsort(found)[:_KEPT]
            return order, found[order]

        for kind, argument, inner_kind, inner, factor in self.functions(place, only_fewer):
            draws, left = judged(factor)
            draws = draws[np.isfinite(left)]
            if len(draws):
                new, factors = self.copied(), dict(self.factors)
                new.kind[0, g, f], new.argument[0, g, f] = kind, argument
                new.inner_kind[0, g, f], new.inner[0, g, f] = inner_kind, inner
                factors[place] = taken(factor, draws)
                yield Neighbour(
                    new,
                    factors,
                    float(left[0]),
                    "argument" if kind == self.structure.kind[0, g, f] else "kind",
                )
        if others:
            without = replace(self.factors[place], values=np.ones((1, len(rest))))
            lone = float(judged(without)[1][0])
            new, factors = self.copied(), dict(self.factors)
            for part in (new.kind, new.argument, new.inner_kind, new.inner):
                part[0, g, 0], part[0, g, 1] = part[0, g, 1 - f], 0
            factors[g, 0] = factors.pop((g, 1 - f))
            factors.pop((g, 1), None)
            yield Neighbour(new, factors, lone, "fewer")
        if not only_fewer:
            yield from self._nested(place, beside)

    def _odd(self) -> Iterator[Neighbour]:
        """A hyperbolic tangent for a sigmoid whose constant the polynomial may have held."""
        sigmoid, tanh = KIND["sigmoid"], KIND["tanh"]
        for g in self.groups:
            outer, base = self.structure.outer[0, g], self.structure.base[0]
            alone = (g, 0) in self.factors and (g, 1) not in self.factors
            if alone and self.structure.kind[0, g, 0] == sigmoid and not (outer & ~base).any():
                old, new = self.factors[g, 0], self.copied()
                new.kind[0, g, 0] = tanh
                new.base[0] &= ~outer
                # sigmoid(u) = 1/2 + tanh(u/2)/2
                halved = factor_of(
                    "tanh", 0.5 * old.weights, 0.5 * old.share, old.exponent, old.inner, self.frame
                )
                factors = {**self.factors, (g, 0): halved}
                one, joint, draws = starts_of(Neighbour(new, factors, 0.0, "odd"), self.frame)
                yield Neighbour(new, factors, float(one.solved(joint, draws)[1][0]), "odd")

    def _nested(self, place: Place, beside: np.ndarray) -> Iterator[Neighbour]:
        """A function inside, by what the slope of the outer one makes of it."""
        old, table = self.factors[place], self.table
        if old.inner is not None or old.kind == "power" or not len(table.factors):
            return
        g, f = place
        at = (old.weights @ self.frame.monomials)[0]
        step = 1e-5 * (at.std() + 1e-12)
        up, down = (function_values(KIND[old.kind], at + s) for s in (step, -step))
        slope = (up - down) / (2 * step) * beside * self.weighted_outer(g)
        if not np.isfinite(slope).all():
            return
        columns = table.values * slope
        sizes = np.einsum("kdn,kdn->kd", columns, columns)
        basis, rest = self.left_by(self.columns())
        left, share = self.with_column(columns, sizes, table.good, basis, rest)
        found = 0
        for k in np.argsort(left.min(1)):
            d = int(left[k].argmin())
            inner = table.factors[k]
            if not np.isfinite(left[k, d]) or found == _INNER:
                break
            if inner.kind == "power":
                continue
            new, factors = self.copied(), dict(self.factors)
            new.inner_kind[0, g, f] = KIND[inner.kind]
            new.inner[0, g, f] = table.arguments[k]
            factors[place] = factor_of(
                old.kind, old.weights, share[k, d : d + 1], old.exponent,
                taken(inner, np.array([d])), self.frame,
            )  # fmt: skip
            found += 1
            yield Neighbour(new, factors, float(left[k, d]), "nested")


def _emptied(structure: Structures, g: int) -> None:
    for part in structure[1:]:
        part[0, g] = 0
