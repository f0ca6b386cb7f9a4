"""How good a law is: errors of predicted states, and the comparison of two equations.

Equations are compared in the normal form of `normal_form`: terms are matched by their shape, which
hides constants, and then coefficients and inner constants are compared. Terms of an interaction
that do not depend on the sender belong to the self term, times the in-strength k_i, because
sum_j A_ij c(x_i) = k_i c(x_i): both ways of writing are one law. So are a term c(x_i) x_s of the
self term, x_s the sum over neighbours, and c(x_i) x_j of the interaction.

`found` and `true` may be a sympy expression, an Equation, a dict {variable: Equation}, or anything
with such `.equations`, as Law and KnownLaw have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from jaxllc.equations.equation import Equation
from jaxllc.equations.normal_form import add, combined, multiply, normal_form
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.equations.term_shape import (
    Monomial,
    Sum,
    inner_constants,
    number_of_constants,
    shape,
    sorted_monomial,
    symbols_in,
)
from jaxllc.errors import InputError, check_integer
from jaxllc.tables.real_numbers import real_numbers

if TYPE_CHECKING:
    import sympy

# --- predicted states ---------------------------------------------------------------------------


def adjusted_r2(predicted: Any, observed: Any, num_terms: int) -> float:
    """Share of the variance explained, adjusted for the number of terms: 1 is perfect.

    predicted, observed: arrays of one shape, or Trajectories; (T, N, d) is averaged over the d
    variables. nan in observed is left out; nan in predicted gives -inf.
    1 - (1 - R2)(n - 1)/(n - num_terms - 1), n the number of observed values of a variable. Raises InputError
    for shapes that differ, and where there are no more than num_terms + 1 observed values.

    Example:
        >>> adjusted_r2([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], 1)
        1.0
    """
    check_integer("num_terms", num_terms, 0)
    predictions, observations = _arrays(predicted, observed)
    scores = []
    for v in range(observations.shape[-1]):
        seen = ~np.isnan(observations[..., v])
        y, error = observations[..., v][seen], (predictions - observations)[..., v][seen]
        count = len(y)
        if count <= num_terms + 1:
            raise InputError(
                f"adjusted_r2 needs more than {num_terms + 1} observed values for {num_terms} "
                f"terms, but there are {count}."
            )
        if not np.isfinite(error).all():
            return -math.inf
        residual, total = float(np.sum(error**2)), float(np.sum((y - y.mean()) ** 2))
        if total == 0.0:
            scores.append(1.0 if residual == 0.0 else -math.inf)
            continue
        scores.append(1.0 - residual / total * (count - 1) / (count - num_terms - 1))
    return float(np.mean(scores))


def normalized_estimation_error(predicted: Any, observed: Any) -> float:
    """NED: the norm of the error over the norm of the observed states, averaged over variables.

    predicted, observed: as in `adjusted_r2`; 0 is perfect, inf where a prediction is nan. Raises InputError
    for shapes that differ.

    Example:
        >>> normalized_estimation_error([3.0, 5.0], [3.0, 4.0])
        0.2
    """
    predictions, observations = _arrays(predicted, observed)
    errors: list[float] = []
    for v in range(observations.shape[-1]):
        seen = ~np.isnan(observations[..., v])
        error = float(np.linalg.norm((predictions - observations)[..., v][seen]))
        size = float(np.linalg.norm(observations[..., v][seen]))
        if not np.isfinite(error):
            return math.inf
        errors.append(0.0 if error == 0 else error / size if size else math.inf)
    return float(np.mean(errors))


def _arrays(predicted: Any, observed: Any) -> tuple[np.ndarray, np.ndarray]:
    arrays = [
        real_numbers(getattr(values, "states", values), what)
        for values, what in ((predicted, "predicted"), (observed, "observed"))
    ]
    if arrays[1].ndim == 0 or arrays[1].size == 0:
        raise InputError(f"observed must be states, not an array of shape {arrays[1].shape}")
    if arrays[0].shape != arrays[1].shape:
        raise InputError(
            f"predicted has shape {arrays[0].shape}, but observed has {arrays[1].shape}; predict "
            "the observed nodes at the observed times."
        )
    if arrays[0].ndim < 3:
        arrays = [array[..., None] for array in arrays]
    return arrays[0], arrays[1]


# --- equations ----------------------------------------------------------------------------------

# Where a term stands (variable, and self or interaction) -> the terms there.
Place = tuple[str, str]
Terms = dict[Place, Sum]


class HasEquations(Protocol):
    """Anything with an Equation for each variable, as Law and KnownLaw have."""

    @property
    def equations(self) -> Any:
        """{variable: Equation}."""


@overload
def skeleton(law: Equation | Mapping[str, Equation] | HasEquations) -> dict[Place, str]: ...


@overload
def skeleton(law: sympy.Expr) -> str: ...


def skeleton(law: Any) -> str | dict[Place, str]:
    """The equation with every constant hidden, in canonical order: equal texts, equal skeletons.

    law: an expression gives a text such as "1 + x_i + x_i*x_j"; an Equation (variable "") or a law gives
    {(variable, "self" or "interaction"): text}. Raises InputError for anything else.

    Example:
        >>> import sympy
        >>> skeleton(sympy.sympify("2 - 3*x_i"))
        '1 + x_i'
    """
    shapes = {place: _text(terms) for place, terms in _terms(law, False).items()}
    return shapes if set(shapes) != {("", "")} else shapes["", ""]


def skeleton_equal(found: Any, true: Any) -> bool:
    """Whether both laws have the same terms, whatever the constants in them.

    found, true: as `skeleton` takes them, and so what is raised.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x_i")
        >>> skeleton_equal(2 * x - x**2, 0.5 * x - 3 * x**2)
        True
    """
    return _equal_forms(found, true) is not None


def term_recall(found: Any, true: Any) -> float:
    """The share of the true terms that were found: |found and true| / |true|, from 0 to 1.

    found, true: as `skeleton` takes them, and so what is raised.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x_i")
        >>> term_recall(2 * x, x - x**2)
        0.5
    """
    best = 0.0
    for a, b in _forms(found, true):
        wanted = _shapes(b)
        if not wanted:
            return 1.0
        best = max(best, (wanted & _shapes(a)).total() / wanted.total())
    return best


def coefficient_error(found: Any, true: Any) -> float:
    """sMAPE over the union of terms: the mean of |c' - c|/(|c'| + |c|), 1 for a term in one only.

    found, true: as `skeleton` takes them, and so what is raised. c: coefficients of the terms in normal
    form; constants inside factors are not counted.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x_i")
        >>> coefficient_error(3 * x, x)
        0.5
    """
    a, b = _equal_forms(found, true) or next(_forms(found, true))
    pairs, unmatched = _matched(a, b)
    errors = [abs(p - q) / (abs(p) + abs(q)) for (p, _), (q, _) in pairs] + [1.0] * unmatched
    return float(np.mean(errors)) if errors else 0.0


def worst_coefficient_error(found: Any, true: Any) -> float:
    """The largest relative error |c' - c|/|c| over matched terms, inner constants included.

    found, true: as `skeleton` takes them, and so what is raised. Terms that only one of both has do not count
    (see `skeleton_equal`); inf when none match.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x_i")
        >>> worst_coefficient_error(3 * x, 2 * x)
        0.5
    """
    a, b = _equal_forms(found, true) or next(_forms(found, true))
    pairs, unmatched = _matched(a, b)
    if not pairs:
        return math.inf if unmatched else 0.0
    return max(_relative_error(p, q) for p, q in pairs)


def _terms(law: Any, over_one_denominator: bool) -> Terms:
    equations = getattr(law, "equations", law)
    if isinstance(equations, Equation):
        equations = {"": equations}
    form = _combined_form if over_one_denominator else normal_form
    if not isinstance(equations, dict):
        if not hasattr(equations, "free_symbols"):
            raise InputError(
                "A law to compare must be a sympy expression, an Equation, a dict of Equations or "
                f"have .equations; it is a {type(law).__name__}."
            )
        return {("", ""): form(equations)}
    places: Terms = {}
    for variable, equation in equations.items():
        if not isinstance(equation, Equation):
            raise InputError(
                f"A law to compare must hold an Equation for each variable; that of {variable!r:.40} is a "
                f"{type(equation).__name__}."
            )
        self_terms, interaction = form(equation.self_term), form(equation.interaction_term)
        own = {m: c for m, c in interaction.items() if not _reads_sender(m)}
        in_strength: Sum = {((("symbol", "k_i"), 1),): 1.0}
        paired = {m: c for m, c in interaction.items() if m not in own}
        spread = {m: as_pair for m in self_terms if (as_pair := _linear_in_a_sum(m)) is not None}
        paired = add(paired, *({spread[m]: self_terms[m]} for m in spread))
        self_terms = {m: c for m, c in self_terms.items() if m not in spread}
        places[variable, "self"] = add(self_terms, multiply(own, in_strength))
        places[variable, "interaction"] = paired
    return places


def _linear_in_a_sum(monomial: Monomial) -> Monomial | None:
    """The interaction that a term of the self side is if it is linear in one sum x_s, else None."""
    sums = [name for name in symbols_in(monomial) if name.endswith(f"_{SUM_SIDE}")]
    if len(sums) != 1 or (("symbol", sums[0]), 1) not in monomial:
        return None
    others = {factor: p for factor, p in monomial if factor != ("symbol", sums[0])}
    if sums[0] in symbols_in(sorted_monomial(others)):
        return None
    return sorted_monomial({**others, ("symbol", f"{sums[0][:-2]}_j"): 1})


def _combined_form(expression: Any) -> Sum:
    return combined(normal_form(expression))


def _reads_sender(monomial: Monomial) -> bool:
    return any(name.endswith("_j") for name in symbols_in(monomial))


def _text(terms: Sum) -> str:
    return " + ".join(sorted(shape(m) for m in terms)) or "0"


def _shapes(terms: Terms) -> Counter[tuple[Place, str]]:
    return Counter((place, shape(m)) for place, sums in terms.items() for m in sums)


def _forms(found: Any, true: Any) -> Any:
    """Pairs of forms to compare: as sums of terms, then over one denominator.

    The second only if it needs no more constants: it must not untie constants of the true law.
    """
    true_terms = _terms(true, False)
    yield _terms(found, False), true_terms
    try:
        whole = _terms(true, True)
        if _constants(whole) <= _constants(true_terms):
            yield _terms(found, True), whole
    except InputError:  # too large to bring over one denominator
        return


def _constants(terms: Terms) -> int:
    return sum(number_of_constants(sums) for sums in terms.values())


def _equal_forms(found: Any, true: Any) -> tuple[Terms, Terms] | None:
    free_constants = _constants(_terms(found, False))
    for a, b in _forms(found, true):
        if _shapes(a) == _shapes(b) and _constants(a) <= free_constants:
            return a, b
    return None


Constants = tuple[float, tuple[float, ...]]


def _matched(a: Terms, b: Terms) -> tuple[list[tuple[Constants, Constants]], int]:
    """Pairs of constants of terms with one shape, and how many terms are in one law only."""
    from scipy.optimize import linear_sum_assignment

    groups: list[dict[tuple[Place, str], list[Constants]]] = [{}, {}]
    for terms, group in zip((a, b), groups, strict=True):
        for place, sums in terms.items():
            for monomial, coefficient in sums.items():
                key = (place, shape(monomial))
                group.setdefault(key, []).append((coefficient, inner_constants(monomial)))
    pairs, unmatched = [], 0
    for key in set(groups[0]) | set(groups[1]):
        found, true = groups[0].get(key, []), groups[1].get(key, [])
        cost = np.array([[min(_relative_error(p, q), 1e6) for q in true] for p in found])
        rows, columns = linear_sum_assignment(cost) if cost.size else ([], [])
        pairs += [(found[r], true[c]) for r, c in zip(rows, columns, strict=True)]
        unmatched += len(found) + len(true) - 2 * len(rows)
    return pairs, unmatched


def _relative_error(found: Constants, true: Constants) -> float:
    values = zip((found[0], *found[1]), (true[0], *true[1]), strict=True)
    return max(abs(p - q) / abs(q) if q else (0.0 if p == q else math.inf) for p, q in values)
