"""pysindy on the samples of one term: sparse regression on polynomials to degree 3 and Fourier terms.

Its best effort: sines and cosines of differences x_j - x_i are in the library beside those of single
inputs, columns are normalised, and of eleven thresholds the sparsest is kept that predicts a fifth
of the samples, held out, almost as well as the best; it is then fitted to all samples.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
import sympy

from jaxllc.equations.expressions import evaluate
from jaxllc.search.forms.term_samples import Samples, scale_of

DEGREE = 3
THRESHOLDS = (3e-4, 1e-3, 3e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.4, 0.8, 1.6)
ALMOST = 1.2  # times the smallest error on the samples held out
HELD_OUT = 5  # every which sample


@dataclass(frozen=True)
class PeerTerm:
    """What a peer found: an expression, or None and why."""

    expression: sympy.Expr | None
    reason: str = ""


def search_with_pysindy(samples: Samples, seconds: float, seed: int) -> PeerTerm:
    """The expression that pysindy finds; it takes what time it takes and draws nothing."""
    try:
        import pysindy
    except ImportError:
        return PeerTerm(None, "pysindy is not installed (pip install 'jaxllc[bench]')")
    terms = _library(samples.names)
    inputs = {name: samples.points[:, k] for k, name in enumerate(samples.names)}
    shape = samples.values.shape
    columns = np.column_stack([np.broadcast_to(evaluate(term, inputs), shape) for term in terms])
    spread = scale_of(samples.values)
    sizes = np.sqrt(np.mean(columns**2, axis=0))
    columns, wanted = columns / sizes, samples.values / spread
    held = np.arange(len(wanted)) % HELD_OUT == 0
    tried = []
    for threshold in THRESHOLDS:
        optimizer = pysindy.STLSQ(threshold=threshold, alpha=1e-10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                optimizer.fit(columns[~held], wanted[~held, None])
            except (ValueError, np.linalg.LinAlgError):
                continue
        found = np.asarray(optimizer.coef_)[0]
        error = float(np.sqrt(np.mean((columns[held] @ found - wanted[held]) ** 2)))
        if found.any() and np.isfinite(error):
            tried.append((np.count_nonzero(found), error, found != 0))
    if not tried:
        return PeerTerm(None, "it keeps no term")
    smallest = max(min(error for _, error, _ in tried), 1e-9)
    _, _, kept = min((each for each in tried if each[1] <= ALMOST * smallest), key=lambda e: e[:2])
    coefficients = np.linalg.lstsq(columns[:, kept], wanted, rcond=None)[0] * spread / sizes[kept]
    chosen = [term for term, keep in zip(terms, kept, strict=True) if keep]
    parts = (sympy.Float(c) * term for c, term in zip(coefficients, chosen, strict=True))
    return PeerTerm(sympy.Add(*parts))


def _library(names: tuple[str, ...]) -> list[sympy.Expr]:
    symbols = [sympy.Symbol(name) for name in names]
    monomials = [
        sympy.Mul(*factors)
        for degree in range(DEGREE + 1)
        for factors in combinations_with_replacement(symbols, degree)
    ]
    pairs = [b - a for a, b in combinations(symbols, 2) if a.name[:-1] == b.name[:-1]]
    waves = [wave(angle) for angle in (*symbols, *pairs) for wave in (sympy.sin, sympy.cos)]
    return [*monomials, *waves]
