"""The judge of expressions for one term: all candidates refitted alike, pruned, and scored by length.

score = (m/2) ln((1 + chi2/n)/2) + description length, in nats: chi2/n is the mean squared residual in units
of the samples' own error; what an expression gains by fitting below that error counts little. m is the number
of samples whose errors are independent of each other: those of fitted neural terms are smooth, and a flexible
expression can follow a smooth error, so there m is much smaller than n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from scipy.spatial import cKDTree

from jaxllc.equations.expression_building import is_real
from jaxllc.equations.expression_calculus import evaluate
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import FUNCTIONS
from jaxllc.equations.skeletons import (
    Skeleton,
    constant,
    description_length,
    parts_of,
    rebuilt,
    renumbered,
)
from jaxllc.equations.tapes.fitted_tapes import MAX_CONSTANTS, Tape, write_tape
from jaxllc.errors import InputError
from jaxllc.fit.criterion import information_criterion
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.refit import in_blocks, refit
from jaxllc.search.forms.search_work import work_is_cut, work_is_over
from jaxllc.search.forms.skeleton_forms import forms
from jaxllc.search.forms.term_samples import SMALLEST_ERROR, Samples, scale_of

# Independent errors in samples of a smooth field, and the share of what is gained below the error.
_SMOOTH = 40.0
_BELOW = 0.1
# Nats above the best score from which on a misfit alone says that no pruning makes an expression the best.
_HOPELESS = 3.0
# Mean square in units of the error that only the term itself leaves, and constants it then has at most.
_CERTAIN, _MOST_CERTAIN = 1e-6, 6


@dataclass(frozen=True, eq=False)
class JudgedTerm:
    """A skeleton with refitted constants.

    chi_squared: sum of squared residuals in units of the samples' error; information: Gauss-Newton matrix of
    the constants; score: nats, lower is better; engine: who proposed it.
    """

    skeleton: Skeleton
    chi_squared: float
    information: np.ndarray
    score: float
    engine: str

    @property
    def num_constants(self) -> int:
        """How many constants were fitted."""
        return len(self.skeleton.values)

    def standard_errors(self, variance: float = 1.0) -> np.ndarray:
        """Of the constants, for this variance of a residual in units of the samples' error."""
        size = self.num_constants
        scale = np.sqrt(np.maximum(np.diag(self.information)[:size], 1e-300))
        scaled = self.information[:size, :size] / scale / scale[:, None]
        covariance = np.linalg.pinv(scaled, rcond=1e-12, hermitian=True) / scale / scale[:, None]
        return np.sqrt(np.maximum(np.diag(covariance), 0.0) * variance)


class TermJudge:
    """Refits and compares expressions on the samples of one term."""

    def __init__(
        self, samples: Samples, grammar: Grammar | None = None, independent: float | None = None
    ) -> None:
        self.samples, self.grammar = samples, grammar or Grammar()
        count = len(samples.values)
        exact = 1.001 * SMALLEST_ERROR * scale_of(samples.values)
        self.exact = bool(samples.error.max() <= exact)
        self.calibrate = independent is None
        self.set_independent(independent or _SMOOTH)
        self.closest: list[JudgedTerm] = []
        # Where the order of the samples means something, thinning must not follow it.
        shuffled = np.random.default_rng(0).permutation(count)
        weights = 1.0 / samples.error
        parts = (samples.points[shuffled], samples.values[shuffled], weights[shuffled])
        self.all = in_blocks(*parts)
        self.some = self.all._replace(num_blocks=1)

    # -- refitting --------------------------------------------------------------------------------

    def refitted(
        self,
        skeletons: Sequence[tuple[Skeleton, str]],
        steps: int = 30,
        screen: bool = False,
    ) -> list[JudgedTerm]:
        """Skeletons, each with its engine, after a fit of their constants; unfittable ones are left out.

        screen: on one block of the samples only.
        """
        tapes: list[Tape] = []
        starts, kept = [], []
        for skeleton, engine in skeletons:
            try:
                tape, fixed = write_tape(
                    skeleton.expression, self.samples.names, skeleton.constants
                )
            except InputError:
                continue
            start = fixed.copy()
            start[: len(skeleton.values)] = skeleton.values
            if np.all(np.isfinite(start)):
                tapes.append(tape)
                starts.append(start)
                kept.append((skeleton, engine))
        if not tapes:
            return []
        points = self.some if screen else self.all
        fit = refit(tapes, np.stack(starts), points, steps)
        ratio = len(self.samples.values) / np.count_nonzero(points.weights[: points.num_blocks])
        found = []
        for k, (skeleton, engine) in enumerate(kept):
            chi = float(fit.chi_squared[k]) * ratio
            if not np.isfinite(chi):
                continue
            new = skeleton.with_values(fit.constants[k][: len(skeleton.values)])
            # A root or logarithm of a constant that the fit made negative.
            if _may_be_complex(new.expression) and not is_real(new.numeric()):
                continue
            # A free exponent may have turned negative.
            if not self.grammar.division and not self.grammar.allows(new.numeric()):
                continue
            found.append(
                JudgedTerm(new, chi, fit.information[k] * ratio, self.score(new, chi), engine)
            )
        return found

    def score(self, skeleton: Skeleton, chi_squared: float) -> float:
        """Nats: what the samples cost given the expression, and the expression itself."""
        return self._misfit(chi_squared, description_length(skeleton, self.per_constant))

    def _misfit(self, chi_squared: float, cost: float = 0.0) -> float:
        """Nats: what the samples cost given an expression, and what it costs itself."""
        half, m = 0.5 * chi_squared / len(self.samples.values), self.independent
        return float(information_criterion(half, 0.5 * m, cost, 0.5, _BELOW))

    def set_independent(self, independent: float) -> None:
        """Another number of independent samples, by which scores are reckoned from now on."""
        self.independent = float(min(max(independent, 3.0), len(self.samples.values)))
        self.per_constant = 0.5 * float(np.log(self.independent)) + 0.5

    def rescored(self, judged: Iterable[JudgedTerm]) -> list[JudgedTerm]:
        """The same candidates by the present number of independent samples; best first."""
        new = [replace(j, score=self.score(j.skeleton, j.chi_squared)) for j in judged]
        return sorted(new, key=_by_score)

    def _estimated_independent(self, judged: Sequence[JudgedTerm], neighbours: int = 4) -> float:
        """Independent samples by how alike neighbouring residuals of the closest candidate are."""
        closest = min(judged, key=lambda j: j.chi_squared)
        self.closest = [closest]
        values = self.values(closest.skeleton)
        rest = (self.samples.values - values) / self.samples.error
        return independent_samples(self.samples.points, rest, neighbours)

    def values(self, skeleton: Skeleton) -> np.ndarray:
        """Values of a skeleton at the samples, (n,)."""
        with np.errstate(all="ignore"):
            found = evaluate(skeleton.expression, skeleton.memo(self.samples.columns))
        return np.broadcast_to(np.asarray(found, float), self.samples.values.shape)

    def mean_square(self, judged: JudgedTerm) -> float:
        """Mean squared residual in units of the samples' error: 1 is as good as they can tell."""
        return judged.chi_squared / len(self.samples.values)

    def certain(self, judged: JudgedTerm) -> bool:
        """Whether a short expression leaves so little of exact samples that it is the term itself, however
        written; of samples with errors something shorter may be the truth."""
        most = min(_MOST_CERTAIN, len(self.samples.values) // 20)
        short = self.exact and judged.num_constants <= most
        return short and self.mean_square(judged) < _CERTAIN

    def merged(self, judged: Iterable[JudgedTerm], kept: int = 16) -> list[JudgedTerm]:
        """The best of several lists, each skeleton once."""
        return _distinct(sorted(judged, key=_by_score))[:kept]

    # -- judging ----------------------------------------------------------------------------------

    def judge(
        self, proposals: Iterable[tuple[sympy.Expr, str]], kept: int = 12
    ) -> list[JudgedTerm]:
        """Proposals of engines -> the best few, refitted, pruned and in their shortest form; best first."""
        first: dict[sympy.Expr, tuple[Skeleton, str]] = {}
        for expression, engine in proposals:
            for skeleton in forms(expression, few=True):
                if self.fits(skeleton):
                    first.setdefault(skeleton.key, (skeleton, engine))
        best = self._screened(list(first.values()), 3 * kept)
        best = sorted(self.refitted([(j.skeleton, j.engine) for j in best]), key=_by_score)
        if self.calibrate and best:
            self.set_independent(self._estimated_independent([*best, *self.closest]))
            best = self.rescored(best)
        return self.improved(_distinct(best)[:kept])

    def _screened(self, skeletons: Sequence[tuple[Skeleton, str]], kept: int) -> list[JudgedTerm]:
        """The best of many on a few samples: half of them get further steps each time, since a right
        skeleton may start far from its constants."""
        rest = list(skeletons)
        while True:
            found = _distinct(sorted(self.refitted(rest, steps=12, screen=True), key=_by_score))
            half = max(kept, (len(found) + 1) // 2)
            if half == kept:
                return found[:kept]
            rest = [(j.skeleton, j.engine) for j in found[:half]]

    def improved(self, best: list[JudgedTerm]) -> list[JudgedTerm]:
        """Each candidate pruned and rewritten while its score falls; best first."""
        current = list(best)
        active = list(range(len(current)))
        tried: set[sympy.Expr] = {j.skeleton.key for j in current}
        while active:
            lowest = min(j.score for j in current)
            active = [
                k for k in active if self._misfit(current[k].chi_squared) < lowest + _HOPELESS
            ]
            if work_is_over():
                # The best is not left with what it does not need.
                active = [k for k in active if current[k].score <= lowest and not work_is_cut()]
            moves: list[tuple[Skeleton, str]] = []
            owner: dict[sympy.Expr, int] = {}
            for k in active:
                for skeleton in self._moves(current[k]):
                    if skeleton.key not in tried:
                        tried.add(skeleton.key)
                        owner[skeleton.key] = k
                        moves.append((skeleton, current[k].engine))
            improved: dict[int, None] = {}
            for judged in self.refitted(moves):
                k = owner[judged.skeleton.key]
                if judged.score < current[k].score:
                    current[k] = judged
                    improved[k] = None
            active = list(improved)
        return _distinct(sorted(current, key=_by_score))

    def _moves(self, judged: JudgedTerm) -> list[Skeleton]:
        """Ways to write a candidate shorter: constants dropped, its other forms."""
        skeleton = judged.skeleton
        found = []
        for k in self._weakest(judged):
            for value in (0, 1, -1):
                if value and abs(skeleton.values[k] - value) > 0.3:
                    continue
                smaller = skeleton.replaced({constant(k): sympy.Integer(value)})
                if smaller is not None:
                    found.append(smaller)
        found += self._tied(judged)
        found += _whole_powers(skeleton)
        found += _quarter_turns(skeleton)
        found += forms(skeleton.numeric())
        return [s for s in found if self.fits(s)]

    def fits(self, skeleton: Skeleton) -> bool:
        """Whether a skeleton can be refitted, and holds only what the grammar allows."""
        return len(skeleton.values) <= MAX_CONSTANTS and self.grammar.allows(skeleton.expression)

    def _tied(self, judged: JudgedTerm, count: int = 6) -> list[Skeleton]:
        """Pairs of constants of one role that are nearly equal or opposite made so: between a coefficient
        and a shift within a function that would be chance."""
        values = np.array(judged.skeleton.values)
        role = _roles(judged.skeleton.expression)
        names = judged.skeleton.constants
        pairs = []
        for a in range(len(values)):
            for b in range(a + 1, len(values)):
                if not role[names[a]] & role[names[b]]:
                    continue
                for sign in (1, -1):
                    gap = abs(values[a] - sign * values[b])
                    size = max(abs(values[a]), abs(values[b]), 1e-300)
                    if gap < 0.15 * size:
                        pairs.append((gap / size, a, b, sign))
        found = []
        for _, a, b, sign in sorted(pairs)[:count]:
            tied = judged.skeleton.replaced({constant(b): sign * constant(a)})
            if tied is not None:
                found.append(tied)
        return found

    def _weakest(self, judged: JudgedTerm, count: int = 6) -> list[int]:
        errors = np.maximum(judged.standard_errors(), 1e-300)
        values = np.abs(judged.skeleton.values)
        # In logarithms: the ratio of a constant that is known exactly may overflow.
        ratio = np.log(np.maximum(values, 1e-300)) - np.log(errors)
        return [int(k) for k in np.argsort(ratio)[:count]]


def _roles(expression: sympy.Expr) -> dict[sympy.Symbol, set[tuple[str, ...]]]:
    """In what each constant stands, from the outside in, products aside: two coefficients of one sum, or the
    slopes within two functions of a kind, have a role in common."""
    found: dict[sympy.Symbol, set[tuple[str, ...]]] = {}

    def walk(e: sympy.Expr, path: tuple[str, ...]) -> None:
        if e.is_Symbol:
            found.setdefault(e, set()).add(path)
        place = path if e.is_Mul else (*path, e.func.__name__)
        for position, argument in enumerate(e.args):
            walk(argument, (*place, "exponent") if e.is_Pow and position else place)

    walk(expression, ())
    return found


def _whole_powers(skeleton: Skeleton) -> list[Skeleton]:
    """Free exponents replaced by a whole or half number near them."""
    values = skeleton.by_constant
    found = []
    for part in parts_of(skeleton.expression, sympy.Pow):
        if part.exp in values:
            value = values[part.exp]
            for twice in dict.fromkeys((2 * round(value), round(2 * value))):
                if twice and abs(twice / 2 - value) < 0.3:
                    smaller = skeleton.replaced({part.exp: sympy.Rational(twice, 2)})
                    if smaller is not None:
                        found.append(smaller)
    return found


def _quarter_turns(skeleton: Skeleton) -> list[Skeleton]:
    """Phases near a quarter turn left out: the sine as a cosine, and the reverse."""
    values = skeleton.by_constant
    found = []
    for wave in parts_of(skeleton.expression, sympy.sin, sympy.cos):
        for phase in (a for a in wave.args[0].args if wave.args[0].is_Add and a in values):
            turns = values[phase] / (0.5 * np.pi)
            if round(turns) % 2 and abs(turns - round(turns)) < 0.3:
                other = sympy.cos if wave.func is sympy.sin else sympy.sin
                rest = other(wave.args[0] - phase, evaluate=False)
                found.append(renumbered(rebuilt(skeleton.expression, {wave: rest}), values))
    return found


def independent_samples(points: np.ndarray, rest: np.ndarray, neighbours: int = 4) -> float:
    """How many of these residuals are independent: all if neighbours are unlike, about 40 if they are alike.

    points: (n, q); rest: (n,).
    """
    scaled = points / np.maximum(points.std(axis=0), 1e-300)
    near = cKDTree(scaled).query(scaled, neighbours + 1)[1][:, 1:]
    centred = rest - rest.mean()
    variance = float(np.mean(centred**2))
    if not variance > 0:
        return float(len(rest))
    smooth = float(np.mean(centred * centred[near].mean(axis=1)) / variance)
    # The mean of a few correlations has an error; what lies within it counts as white.
    smooth = np.clip((smooth - 1.5 / np.sqrt(len(rest))) * 1.15, 0.0, 1.0)
    return 1.0 / ((1.0 - smooth) / len(rest) + smooth / min(_SMOOTH, len(rest)))


def _may_be_complex(expression: sympy.Expr) -> bool:
    """Whether it takes roots or logarithms of constants, or raises them to exponents that are fitted."""
    partial = [FUNCTIONS[r.name] for r in TABLE.values() if r.lowest > -np.inf]
    for part in parts_of(expression, *partial, sympy.Pow):
        whole = part.is_Pow and part.exp.is_Integer
        inside = part.base if part.is_Pow else part.args[0]
        factors = sympy.Mul.make_args(inside)
        if not whole and any(all(s.name.startswith("$") for s in f.free_symbols) for f in factors):
            return True
    return False


def _by_score(judged: JudgedTerm) -> float:
    return judged.score


def _distinct(judged: Iterable[JudgedTerm]) -> list[JudgedTerm]:
    """One candidate of each skeleton and of each value of chi2 at equal size, the first met."""
    seen: set = set()
    kept = []
    for j in judged:
        marks = (j.skeleton.key, (j.num_constants, float(f"{j.chi_squared:.5g}")))
        if not seen.intersection(marks):
            kept.append(j)
        seen.update(marks)
    return kept
