"""Whether a found expression is the true one: the same skeleton, and each constant within 5 %.

Decided by what the found expression computes, so that its writing does not matter. Every constant of
the true expression becomes a free one, unit coefficients that are not written included; they are
fitted, from the true values on, to the noise-free predictions of the found expression at fresh points.
If that leaves more than rounding, the found expression is another function: a term is missing, or one
too many, however small. If not, the fitted constants are those of the found expression in the writing
of the truth, and are compared with the true ones.

A writing may hold redundant constants: in a*x/(b + c*x) one of the three is free to choose. Only those
are fitted whose columns of the Jacobian are independent, taken in order: the ones that are written
first, unit coefficients then. The others stay as they are, which chooses one writing out of the
equivalent ones. (Leaving it to minimum-norm steps would share a change among redundant constants, and
let twice the tolerance pass.) As only predictions are read, found constants that are redundant, and
phases that differ by whole turns, cannot change the verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import sympy
from scipy.optimize import least_squares
from symbolic_targets import Target, values_at

from jaxllc.errors import InputError
from jaxllc.search.forms.term_samples import scale_of

WITHIN = 0.05  # relative error of a constant
EXPONENT_WITHIN = 0.02  # of an exponent that is not whole: x**2 is another law than x**2.1
ROUNDING = 1e-5  # relative rms that the fit may leave
FRESH_POINTS, FRESH_SEED = 400, 999_983
INDEPENDENT = 1e-6  # a column of the Jacobian counts if this share of it is not in the earlier ones


@dataclass(frozen=True)
class Verdict:
    """exact: the true expression, constants within tolerance; same_skeleton: whatever its constants.

    worst, median: relative errors of the constants, nan where the skeleton is another; rest: relative rms
    that the true skeleton leaves of the predictions; off: relative rms of predictions minus truth.
    """

    exact: bool
    same_skeleton: bool
    worst: float
    median: float
    rest: float
    off: float


@dataclass
class Skeleton:
    """An expression with its constants made free: form holds symbols c0, c1, ... of the true values.

    written: whether a constant stands in the expression, or is a unit coefficient; depth: how many functions
    it stands inside; exponent: whether it is one.
    """

    variables: tuple[str, ...]
    form: sympy.Expr | None = None
    values: list[float] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    exponent: list[bool] = field(default_factory=list)

    def at(self, points: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The function at points for values of the constants, (n,)."""
        constants = {f"c{k}": value for k, value in enumerate(values)}
        return values_at(self.form, self.variables, points, **constants)

    def jacobian(self, points: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Derivatives by the logarithms of the constants, by central differences, (n, constant)."""
        columns = []
        for k, value in enumerate(values):
            step = 1e-5 * max(abs(value), 1e-6)
            up, down = values.copy(), values.copy()
            up[k], down[k] = value + step, value - step
            with np.errstate(invalid="ignore"):
                slope = (self.at(points, up) - self.at(points, down)) / (2 * step)
            columns.append(slope * value)
        return np.stack(columns, axis=1)

    def independent(self, points: np.ndarray) -> list[int]:
        """Positions of constants that can all be told from values.

        Where some are redundant: written ones before others, inner ones before outer ones (of the offset
        in an exponential and its logarithm, a coefficient, the offset).
        """
        slopes = np.nan_to_num(self.jacobian(points, np.array(self.values)))
        order = sorted(range(len(self.values)), key=lambda k: (not self.written[k], -self.depth[k]))
        chosen: list[int] = []
        basis = np.zeros((len(points), 0))
        for k in order:
            column = slopes[:, k]
            rest = column - basis @ (basis.T @ column)
            rest = rest - basis @ (basis.T @ rest)  # again, for what rounding left
            size = np.linalg.norm(rest)
            if size > INDEPENDENT * np.linalg.norm(column):
                basis = np.column_stack([basis, rest / size])
                chosen.append(k)
        return chosen


def skeleton_of(expression: sympy.Expr, variables: tuple[str, ...]) -> Skeleton:
    """The skeleton of an expression, as it is written."""
    found = Skeleton(variables)

    def constant(value: float, written: bool, depth: int, exponent: bool = False) -> sympy.Symbol:
        found.values.append(float(value))
        found.written.append(written)
        found.depth.append(depth)
        found.exponent.append(exponent)
        return sympy.Symbol(f"c{len(found.values) - 1}")

    def term(e: sympy.Expr, depth: int) -> sympy.Expr:
        # Something that is added or handed to a function: it has a coefficient, if only 1.
        if e.is_number:
            return constant(float(e), True, depth)
        if e.is_Add:
            return sympy.Add(*(term(part, depth) for part in e.args))
        numbers = [part for part in sympy.Mul.make_args(e) if part.is_number]
        others = [part for part in sympy.Mul.make_args(e) if not part.is_number]
        size = float(sympy.Mul(*numbers))
        coefficient = constant(size, abs(size) != 1, depth)
        return sympy.Mul(coefficient, *(factor(part, depth) for part in others))

    def factor(e: sympy.Expr, depth: int) -> sympy.Expr:
        if e.is_Symbol:
            return e
        if e.is_number or e.is_Add:
            return term(e, depth)
        if e.is_Mul:
            return sympy.Mul(*(factor(part, depth) for part in e.args))
        if e.is_Pow:
            above = e.exp
            if not above.is_number:
                above = term(above, depth + 1)
            elif not float(2 * above).is_integer():
                above = constant(float(above), True, depth + 1, exponent=True)
            return sympy.Pow(factor(e.base, depth), above)
        return e.func(*(term(part, depth + 1) for part in e.args))

    found.form = term(expression, 0)
    return found


@lru_cache(maxsize=1024)
def _skeletons(target: Target) -> list[tuple[Skeleton, list[int]]]:
    """The skeletons to compare with, each with its independent constants.

    As written, and multiplied out: a polynomial whose coefficients are found one by one is a right answer to
    its product form, and one found as a product is right if the constants of the product are. Not where
    multiplying out repeats a function, for then its constants would be free to differ.
    """
    points = target.points(FRESH_POINTS, FRESH_SEED)
    forms = [target.expression]
    spread = sympy.expand(
        target.expression, power_base=False, power_exp=False, log=False, trig=False
    )
    if spread != target.expression and _functions(spread) <= _functions(target.expression):
        forms.append(spread)
    skeletons = [skeleton_of(form, target.variables) for form in forms]
    return [(skeleton, skeleton.independent(points)) for skeleton in skeletons]


def _functions(expression: sympy.Expr) -> int:
    """How often a function, a denominator or a root stands in an expression."""
    return sum(
        bool(part.free_symbols)
        and (part.is_Function or (part.is_Pow and not (part.exp.is_Integer and part.exp > 0)))
        for part in sympy.preorder_traversal(expression)
    )


def exact(target: Target, expression: sympy.Expr | None) -> Verdict:
    """The verdict on a found expression; None, or one that is not finite in the box, is not exact."""
    failed = Verdict(False, False, math.nan, math.nan, math.inf, math.inf)
    if expression is None:
        return failed
    points = target.points(FRESH_POINTS, FRESH_SEED)
    truth = target.values(points)
    try:
        predicted = values_at(expression, target.variables, points)
    except (InputError, TypeError, ValueError):
        return failed
    if not np.all(np.isfinite(predicted)):
        return failed
    off = float(np.sqrt(np.mean((predicted - truth) ** 2)) / scale_of(truth))
    verdicts = [
        _compared(skeleton, chosen, points, predicted, truth, off)
        for skeleton, chosen in _skeletons(target)
    ]
    return min(verdicts, key=lambda v: (not v.exact, not v.same_skeleton, v.rest))


def _compared(
    skeleton: Skeleton,
    chosen: list[int],
    points: np.ndarray,
    predicted: np.ndarray,
    truth: np.ndarray,
    off: float,
) -> Verdict:
    ratios, rest = fitted(skeleton, chosen, points, predicted, scale_of(truth))
    if not rest < ROUNDING:
        return Verdict(False, False, math.nan, math.nan, rest, off)
    errors = np.abs(ratios - 1.0)
    allowed = np.where(np.array(skeleton.exponent)[chosen], EXPONENT_WITHIN, WITHIN)
    good = bool(np.all(errors <= allowed))
    # A constant that is nought is a term that is missing; another exponent is another skeleton.
    missing = np.abs(ratios) < 1e-3
    other = np.array(skeleton.exponent)[chosen] & (errors > allowed)
    same = not np.any(missing | other)
    return Verdict(good, same, float(errors.max()), float(np.median(errors)), rest, off)


def fitted(
    skeleton: Skeleton,
    chosen: list[int],
    points: np.ndarray,
    values: np.ndarray,
    spread: float,
    steps: int = 100,
) -> tuple[np.ndarray, float]:
    """Constants fitted to values from the true ones on, over the true ones, and the rms left over spread."""
    true = np.array(skeleton.values)

    def all_constants(ratios: np.ndarray) -> np.ndarray:
        constants = true.copy()
        constants[chosen] *= ratios
        return constants

    def residual(ratios: np.ndarray) -> np.ndarray:
        rest = (skeleton.at(points, all_constants(ratios)) - values) / spread
        return np.clip(np.nan_to_num(rest, nan=1e6), -1e6, 1e6)

    def slopes(ratios: np.ndarray) -> np.ndarray:
        scale = np.where(ratios == 0, 1.0, ratios) * spread
        columns = skeleton.jacobian(points, all_constants(ratios))[:, chosen]
        return np.clip(np.nan_to_num(columns / scale), -1e12, 1e12)

    best = least_squares(
        residual,
        np.ones(len(chosen)),
        jac=slopes,
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
        max_nfev=steps,
    )
    return best.x, float(np.sqrt(np.mean(best.fun**2)))
