"""gplearn on the samples of one term: genetic programming over trees, read back as an expression.

Its best effort: it is given the functions of our grammar that it can hold, standardised values, and
generations until the seconds are used; and, since it draws constants and never fits them, those of
its best programs of each length are fitted for it by least squares, and an information criterion chooses.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import sympy
from exactness import fitted, skeleton_of
from peer_pysindy_term import PeerTerm

from jaxllc.errors import InputError
from jaxllc.search.forms.term_samples import Samples, scale_of

POPULATION = 1000
PARSIMONY = 0.001  # of an error in standard deviations, for each node of a tree
MOST_GENERATIONS = 10_000

# Protected functions of gplearn, without their protection: near a pole they are another function.
READ = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "sqrt": lambda a: sympy.sqrt(sympy.Abs(a)),
    "log": lambda a: sympy.log(sympy.Abs(a)),
    "abs": sympy.Abs,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "exp": sympy.exp,
    "tanh": sympy.tanh,
}


def search_with_gplearn(samples: Samples, seconds: float, seed: int) -> PeerTerm:
    """The expression that gplearn finds."""
    try:
        from gplearn.functions import make_function
        from gplearn.genetic import SymbolicRegressor
    except ImportError:
        return PeerTerm(None, "gplearn is not installed (pip install 'jaxllc[bench]')")
    end = time.perf_counter() + seconds
    own = {
        "exp": make_function(function=_bounded_exp, name="exp", arity=1),
        "tanh": make_function(function=np.tanh, name="tanh", arity=1),
    }
    spread = scale_of(samples.values)
    model = SymbolicRegressor(
        population_size=POPULATION,
        generations=1,
        function_set=tuple(own.get(name, name) for name in READ),
        const_range=(-3.0, 3.0),
        parsimony_coefficient=PARSIMONY,
        metric="rmse",
        warm_start=True,
        random_state=seed,
        feature_names=None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for generations in range(1, MOST_GENERATIONS):
            model.set_params(generations=generations)
            model.fit(samples.points, samples.values / spread)
            if time.perf_counter() > end:
                break
    candidates = []
    for program in _front(model._programs[-1]):
        try:
            expression = spread * _expression(program, samples.names)
            candidates.append(_with_fitted_constants(expression, samples))
        except (InputError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            continue
    if not candidates:
        return PeerTerm(None, "no program of its last generation can be read")
    return PeerTerm(min(candidates, key=lambda each: each[0])[1])


def _front(programs: list[Any]) -> list[list[Any]]:
    """The programs that no shorter one equals in error, the shortest first."""
    front: list[list[Any]] = []
    lowest = np.inf
    for each in sorted(programs, key=lambda p: (p.length_, p.raw_fitness_)):
        if each.raw_fitness_ < 0.95 * lowest:
            lowest = each.raw_fitness_
            front.append(each.program)
    return front


def _bounded_exp(values: np.ndarray) -> np.ndarray:
    return np.exp(np.clip(values, -50.0, 50.0))


def _expression(program: list[Any], names: tuple[str, ...]) -> sympy.Expr:
    """A program, a tree in prefix order, as an expression."""
    nodes = iter(program)
    # Real, or sympy would write real and imaginary parts of magnitudes; plain symbols in the end.
    inputs = {sympy.Symbol(name, real=True): sympy.Symbol(name) for name in names}
    real = list(inputs)

    def read() -> sympy.Expr:
        node = next(nodes)
        if hasattr(node, "arity"):
            return READ[node.name](*(read() for _ in range(node.arity)))
        # A whole number is the index of an input, a float a constant.
        return real[node] if isinstance(node, int) else sympy.Float(float(node))

    return read().xreplace(inputs)


def _with_fitted_constants(expression: sympy.Expr, samples: Samples) -> tuple[float, sympy.Expr]:
    """The expression after a least-squares fit, below the Bayesian information criterion."""
    if expression.has(sympy.zoo, sympy.nan, sympy.oo):
        raise ValueError("it divides by zero")
    skeleton = skeleton_of(expression, samples.names)
    chosen = skeleton.independent(samples.points)
    level = float(np.sqrt(np.mean(samples.error**2)))
    ratios, rest = fitted(skeleton, chosen, samples.points, samples.values, level)
    values = np.array(skeleton.values)
    values[chosen] *= ratios
    constants = {sympy.Symbol(f"c{k}"): sympy.Float(value) for k, value in enumerate(values)}
    count = len(samples.values)
    # Programs without constants of their own are still told apart by their size.
    size = 0.1 * sympy.count_ops(expression)
    criterion = count * rest**2 + len(chosen) * np.log(count) + float(size)
    return criterion, skeleton.form.xreplace(constants)
