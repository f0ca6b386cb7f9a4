"""A table of functions of simple arguments with drawn constants, out of which skeletons are extended."""

from __future__ import annotations

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import KINDS
from jaxllc.pretrained.skeletons.canonical_form import empty
from jaxllc.pretrained.skeletons.skeleton_draws import Frame, OneSkeleton
from jaxllc.search.forms.search_work import spend

DRAWS = 16  # of the constants of each function


class FunctionTable:
    """Functions of simple arguments with drawn constants, and columns of them times simple monomials.

    factors: one for each (kind, argument), DRAWS draws each; arguments: (function, monomial); values:
    (function, draw, n); columns: (function, draw, outer, n), weighted; outer: the monomials.
    """

    @np.errstate(all="ignore")
    def __init__(self, frame: Frame, allowed: np.ndarray, rng: np.random.Generator):
        symbols = frame.symbols
        exponents = symbols.exponents
        monomials = np.flatnonzero(allowed[: symbols.num_monomials])
        degree = exponents.sum(1)
        lone = (exponents > 0).sum(1) == 1
        linear = [int(m) for m in monomials if degree[m] == 1]
        single = [int(m) for m in monomials if lone[m] and degree[m] in (1, 2)]
        pairs = [[a, b] for k, a in enumerate(linear) for b in linear[k + 1 :]]
        products = [[int(m)] for m in monomials if degree[m] == 2 and not lone[m]]
        plain = [[m] for m in single] + pairs + products
        kinds = [k for k in range(1, len(KINDS) + 1) if allowed[symbols.num_monomials + k - 1]]
        one = OneSkeleton(empty(1, symbols.num_monomials), frame)
        found, rows = [], []
        for kind in kinds:
            name = KINDS[kind - 1]
            for some in plain:
                shifted = [[0, *some]] if name not in ("exp", "cos", "power") else []
                for argument in [some, *shifted]:
                    bare = argument == some
                    if name == "power" and not (len(some) == 1 and some[0] in linear):
                        continue
                    if bare and name in ("sqrt", "abs") and some not in ([m] for m in linear):
                        continue
                    row = np.zeros(symbols.num_monomials, bool)
                    row[argument] = True
                    factor = one.factor(rng, kind, row, 0, row, DRAWS)
                    found.append(factor)
                    rows.append(row)
        self.factors, self.outer = found, [0, *linear]
        self.arguments = np.array(rows).reshape(len(found), symbols.num_monomials)
        values = [factor.values for factor in found]
        self.values = np.array(values).reshape(len(found), DRAWS, frame.count)
        self.good = np.isfinite(self.values).all(-1)
        self.values = np.where(self.good[..., None], self.values, 0.0)
        outer = frame.monomials[self.outer] * frame.weight
        self.columns = self.values[:, :, None] * outer
        self.sizes = np.einsum("kdon,kdon->kdo", self.columns, self.columns)
        spend("cells", self.columns.size)
