"""What may stand in place of a function of a fitted skeleton: another argument or kind, drawn constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import KIND, KINDS, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.drawn_functions import FunctionTable
from jaxllc.pretrained.skeletons.fitted_skeleton import FittedSkeleton, Place
from jaxllc.pretrained.skeletons.skeleton_draws import Factor, Frame, factor_of, taken
from jaxllc.pretrained.training.corpus_inputs import log_uniform, signs

_TRIED = 24  # draws of the constants of a function


class OtherFunctions(FittedSkeleton):
    """A fitted skeleton, and other functions in its places.

    table: of functions to extend it with; allowed: (symbol,) which symbols may be written.
    """

    def __init__(
        self,
        structure: Structures,
        values: Sequence[float],
        frame: Frame,
        table: FunctionTable,
        allowed: np.ndarray,
        rng: np.random.Generator,
    ):
        super().__init__(structure, values, frame)
        self.table, self.rng = table, rng
        self.symbols: Alphabet = frame.symbols
        count = self.symbols.num_monomials
        self.monomials = np.flatnonzero(allowed[:count])
        self.kinds = [k for k in range(1, len(KINDS) + 1) if allowed[count + k - 1]]

    def functions(self, place: Place, only_fewer: bool):
        """What may stand in place of a function: kind, argument, inner kind and argument, and draws."""
        g, f = place
        old = self.factors[place]
        kind = int(self.structure.kind[0, g, f])
        argument = self.structure.argument[0, g, f]
        inner_kind = int(self.structure.inner_kind[0, g, f])
        inner = self.structure.inner[0, g, f]
        nothing = np.zeros_like(inner)
        if old.kind != "power":
            for m in self.monomials:
                if only_fewer and not argument[m]:
                    continue
                other = argument.copy()
                other[m] ^= True
                if other[1:].any() or inner_kind:
                    factor = self._redrawn(old, kind, other, inner_kind, inner, int(m))
                    yield kind, other, inner_kind, inner, factor
        if inner_kind:
            for m in self.monomials:
                if only_fewer and not inner[m]:
                    continue
                other = inner.copy()
                other[m] ^= True
                if other[1:].any():
                    factor = self._drawn(kind, argument, inner_kind, other)
                    yield kind, argument, inner_kind, other, factor
            for k in self.kinds:
                if not only_fewer and k not in (inner_kind, KIND["power"]):
                    yield kind, argument, k, inner, self._drawn(kind, argument, k, inner)
            if argument[1:].any():
                without = self._drawn(kind, argument, 0, nothing)
                without.weights[: _TRIED // 2] = old.weights
                without.weights[1 : _TRIED // 2] *= np.exp(
                    0.3 * self.rng.standard_normal((_TRIED // 2 - 1, len(argument)))
                )
                parts = (without.weights, without.share, without.exponent, None)
                yield kind, argument, 0, nothing, factor_of(without.kind, *parts, self.frame)
        for k in self.kinds:
            if k == kind or (only_fewer and (kind, k) != (KIND["sin"], KIND["cos"])):
                continue
            if k == KIND["power"]:
                bare = argument.copy()
                bare[0] = False
                if not inner_kind and self.symbols.exponents[bare].sum() == 1:
                    yield k, bare, 0, nothing, self._drawn(k, bare, 0, nothing)
                continue
            for constant in (False, True):
                other = argument.copy()
                other[0] = constant
                if KINDS[k - 1] in ("exp", "cos") and constant:
                    continue
                yield k, other, inner_kind, inner, self._drawn(k, other, inner_kind, inner)

    def _drawn(self, kind, argument, inner_kind, inner) -> Factor:
        return self.one.factor(self.rng, kind, argument, inner_kind, inner, _TRIED)

    def _redrawn(self, old: Factor, kind, argument, inner_kind, inner, m: int) -> Factor:
        """A function with one monomial more or fewer, in part with the constants that it had."""
        cold = self._drawn(kind, argument, inner_kind, inner)
        warm = 2 * _TRIED // 3
        rng, frame = self.rng, self.frame
        weights = np.repeat(old.weights * argument, warm, axis=0)
        weights[warm // 2 :] *= np.exp(0.3 * rng.standard_normal((warm - warm // 2, len(argument))))
        if argument[m]:
            size = (old.weights[0] @ frame.monomials).std() or 1.0
            if m == 0 and old.kind in ("sin", "cos"):
                weights[:, 0] = rng.uniform(-np.pi, np.pi, warm)
            else:
                step = log_uniform(rng, 0.03, 3.0, warm) * size / frame.spread[m]
                weights[:, m] = signs(rng, warm) * step
        cold.weights[:warm] = weights
        if old.inner is not None:
            cold.share[:warm] = old.share
            zero = np.zeros(warm, int)
            assert cold.inner is not None
            for name in ("weights", "share", "exponent", "values"):
                getattr(cold.inner, name)[:warm] = getattr(taken(old.inner, zero), name)
        return factor_of(cold.kind, cold.weights, cold.share, cold.exponent, cold.inner, frame)
