"""Which random targets are fair: what the data do not determine cannot be found by anyone.

A draw is refused
- if it is not defined, has a pole, or is almost constant in the box, or less than 3 % of its standard
  deviation off a polynomial of degree 2 without being one;
- if a constant of its skeleton has a Cramer-Rao standard deviation of 2 % or more, for errors of 1 %
  of the standard deviation and the information of 60 points (smooth errors do not average out: 500
  points are worth about as many as their field has degrees of freedom);
- if a simpler skeleton does as well: an additive term left out changes the function by less than 4 %
  of its standard deviation after all other constants are fitted again, or a function replaced by a
  straight line by less than 3 %.
Not every rival is tried: another skeleton of as few constants may come nearer than the error, as
x**3/(1 + c*x**4) does to x*tanh(a*x**2) near nought, so that no search can find all fair targets.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy
from exactness import fitted, skeleton_of
from symbolic_targets import Target, values_at

from jaxllc.errors import InputError

NUM_POINTS = 500
SIGMA, WORTH, DEVIATION = 0.01, 60, 0.02
TERM_MATTERS, BEND_MATTERS = 0.04, 0.03
TURNS = 3.0  # that a sine may make in the box: more could not be read from a fitted net
LARGEST = 12.0  # of a value from the median, in standard deviations: more is a pole
SMALLEST_DENOMINATOR = 0.08  # of its rms in the box


def reason_to_refuse(target: Target, size: int) -> str:
    """Why a draw is not a fair target, in a few words; empty for one that is."""
    try:
        expression = target.expression
    except InputError:
        return "not defined"
    if len(expression.free_symbols) < len(target.variables) or operators(expression) != size:
        return "collapses"
    points = np.concatenate([target.points(NUM_POINTS, 0), target.points(4 * NUM_POINTS, 1)])
    values = target.values(points)
    if not np.all(np.isfinite(values)) or not _defined(expression, target.variables, points):
        return "not defined"
    spread = np.std(values)
    if not spread > 0.02 * np.abs(values).max():
        return "almost constant"
    if np.abs(values - np.median(values)).max() > LARGEST * spread:
        return "pole"
    points, values = points[:NUM_POINTS], values[:NUM_POINTS]
    if not expression.is_polynomial() and _quadratic_rest(points, values) < BEND_MATTERS:
        return "almost a polynomial"
    if not _identifiable(target, points, spread):
        return "constants not determined"
    if _simpler_does(target, points, values, spread):
        return "a simpler one does as well"
    return ""


def operators(expression: sympy.Expr) -> int:
    """Binary operations and functions between subexpressions that hold variables."""
    if not expression.free_symbols or expression.is_Symbol:
        return 0
    parts = [part for part in expression.args if part.free_symbols]
    inside = sum(operators(part) for part in parts)
    if expression.is_Mul:
        for below in parts:
            for power, argument in _hill(below):
                if set(power) <= set(parts):
                    rest = [part for part in parts if part is not below and part not in power]
                    others = sum(1 + operators(part) for part in rest)
                    return 1 + operators(argument) + others
        # u times 1/v is one ratio, not a product and an inverse.
        below = sum(bool(part.is_Pow and part.exp.is_negative) for part in parts)
        return inside + len(parts) - 1 - min(below, len(parts) - 1)
    if expression.is_Add:
        return inside + len(parts) - 1
    if isinstance(expression, sympy.Min | sympy.Max):
        return inside + len(expression.args) - 1
    if expression.is_Pow and expression.exp.is_negative and expression.exp != -1:
        return inside + 2  # a power, and its inverse
    return inside + 1


def _hill(below: sympy.Expr) -> list[tuple[tuple[sympy.Expr, ...], sympy.Expr]]:
    """Of 1/(constant + u**n): the factors of u**n, which make it a Hill function, and u; else nothing."""
    if not (below.is_Pow and below.exp == -1 and below.base.is_Add):
        return []
    if not any(part.is_number for part in below.base.args):
        return []
    above = sympy.Add(*(part for part in below.base.args if part.free_symbols))
    argument = above.base if above.is_Pow and above.exp in (2, 3) else above
    return [(sympy.Mul.make_args(above), argument)]


def _defined(expression: sympy.Expr, variables: tuple[str, ...], points: np.ndarray) -> bool:
    """Whether denominators, roots and logarithms keep a distance from nought all over the box.

    And whether sines make few turns.
    """
    for part in sympy.preorder_traversal(expression):
        if part.is_Pow and part.base.free_symbols and part.exp.is_number and part.exp < 1:
            inside, sign = part.base, part.exp > 0
        elif isinstance(part, sympy.log):
            inside, sign = part.args[0], True
        elif isinstance(part, sympy.sin | sympy.cos):
            if np.ptp(values_at(part.args[0], variables, points)) > 2 * np.pi * TURNS:
                return False
            continue
        else:
            continue
        values = values_at(inside, variables, points)
        least = SMALLEST_DENOMINATOR * np.sqrt(np.mean(values**2))
        if part.is_Pow and part.exp > 0:
            least = 0.0  # a root may begin at nought
        if not (np.all(values >= least) or (not sign and np.all(values <= -least))):
            return False
    return True


def _quadratic_rest(points: np.ndarray, values: np.ndarray) -> float:
    """What the best polynomial of degree 2 leaves, over the standard deviation."""
    with_one = np.column_stack([np.ones(len(points)), points])
    count = with_one.shape[1]
    pairs = [with_one[:, a] * with_one[:, b] for a in range(count) for b in range(a, count)]
    columns = np.column_stack(pairs)
    rest = values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
    return float(np.std(rest) / np.std(values))


def _identifiable(target: Target, points: np.ndarray, spread: float) -> bool:
    skeleton = skeleton_of(target.expression, target.variables)
    chosen = skeleton.independent(points)
    slopes = skeleton.jacobian(points, np.array(skeleton.values))[:, chosen] / (SIGMA * spread)
    # The derivatives are by logarithms, so the standard deviations are relative ones.
    information = slopes.T @ slopes * (WORTH / len(points))
    if not np.all(np.isfinite(information)) or np.linalg.cond(information) > 1e14:
        return False
    return bool(np.sqrt(np.diag(np.linalg.inv(information)).max()) < DEVIATION)


def _simpler_does(target: Target, points: np.ndarray, values: np.ndarray, spread: float) -> bool:
    for simpler, least in _simpler(target, points):
        skeleton = skeleton_of(simpler, target.variables)
        if not skeleton.values:
            continue
        chosen = skeleton.independent(points)
        if not chosen or fitted(skeleton, chosen, points, values, spread, 40)[1] < least:
            return True
    return False


def _simpler(target: Target, points: np.ndarray) -> Iterator[tuple[sympy.Expr, float]]:
    """Expressions with a term fewer, or a straight line for a function; how much they must leave."""
    expression = target.expression
    for node in set(sympy.preorder_traversal(expression)):
        if not node.free_symbols:
            continue
        if node.is_Add:
            for term in node.args:
                without = sympy.Add(*(part for part in node.args if part is not term))
                yield expression.xreplace({node: without}), TERM_MATTERS
        elif node.is_Function and len(node.args) == 1:
            inside = values_at(node.args[0], target.variables, points)
            line = np.polyfit(inside, values_at(node, target.variables, points), 1)
            straight = sympy.Float(line[1]) + sympy.Float(line[0]) * node.args[0]
            yield expression.xreplace({node: straight}), BEND_MATTERS
        elif node.is_Function:
            for part in node.args:
                yield expression.xreplace({node: part}), BEND_MATTERS
