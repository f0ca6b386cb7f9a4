"""Proposals with functions of the sum over neighbours: rates such as -x_i + tanh(sum_j A_ij x_j + u_i).

The sparse search runs again over a library that also holds functions of x_s = sum_j A_ij x_j; then the
engines look for the rate as one expression of x_i, x_s and node features. Weighted sums differ from node to
node, so that x_s carries information which no function of x_i has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import sympy
from scipy.interpolate import make_interp_spline

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, terms_of
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.laws.neural_proposals import Searched, tried
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine
from jaxllc.search.term.term_search import NothingFoundError, search_term

_POINTS = 800
# Points that a free function of the inputs is fitted to, and its hidden units.
_FREE_POINTS = 2000
_FREE_UNITS = 100
# Inputs of a rate beyond which its expression is not searched for.
_MOST_INPUTS = 6
# Error of a rate, relative to its spread, that is never undercut.
_RELATIVE_ERROR = 1e-4


def sum_proposals(problem: SearchProblem, engine: SparseEngine) -> list[list[ProposedEquation]]:
    """Equations for each variable from the library of a problem with functions of sums."""
    return [engine.propose(problem, variable) for variable in range(len(problem.variables))]


def searched_sum_proposals(
    problem: SearchProblem,
    law: CandidateLaw,
    seed: int,
    max_terms: int,
    engines: Sequence[str],
    seconds: float,
    largest: int = 12,
    say: Callable[[str], None] = lambda _: None,
) -> Searched:
    """Equations for each variable out of expressions that the engines find for its rate.

    None for a variable whose rate no function of x_i, x_s and the features tells better than `law`, the best
    so far, and none where these are more inputs than a search can take.
    """
    proposals: list[list[ProposedEquation]] = [[] for _ in problem.variables]
    finished = True
    if len(_input_names(problem)) > _MOST_INPUTS:
        return Searched(proposals, finished)
    for variable, (name, options) in enumerate(zip(problem.variables, proposals, strict=True)):
        rates = Rates(problem, variable, law)
        if rates.error_of_free_function(seed) > rates.error_of(law):
            continue
        samples = rates.samples(seed)
        say(f"{name}: expressions of the rate")
        try:
            search = search_term(samples, engines, seconds, seed, problem.grammar)
        except NothingFoundError:
            continue
        finished &= search.finished
        for candidate in search.candidates[:largest]:
            terms = [as_interaction(t) for t in terms_of(candidate.expression, SELF)[0]]
            terms = problem.prior.beside_known(variable, terms)
            if 0 < len(terms) <= max_terms:
                option = tried(problem, variable, terms, law)
                if option is not None:
                    options.append(option)
    return Searched(proposals, finished)


def as_interaction(term: Term) -> Term:
    """A self term linear in one sum, c(x_i) x_s, as the interaction c(x_i) x_j; others as they are."""
    expression = term.family.expression
    pairs = sums_in(expression)
    if len(pairs) != 1:
        return term
    total, sender = pairs[0]
    rest = expression / total
    if rest.has(total):
        return term
    family = TermFamily(INTERACTION, rest * sender, term.family.positive, term.family.bounds)
    return Term(family, term.inner)


def _input_names(problem: SearchProblem) -> list[str]:
    names = [f"{v}_i" for v in problem.variables] + [f"{v}_s" for v in problem.variables]
    given = (*problem.open_features, *problem.open_inputs)
    return names + [f"{name}_i" for name in given]


class Rates:
    """Rates of one variable at all nodes that have a sender, with the states, sums and features there.

    names: of the inputs; inputs: (node, time, input); values: (node, time), derivatives of the smoothed
    states without what the known terms explain, as a law has them; error: (time,), their
    standard errors; times: the grid times at which splines know them.
    """

    def __init__(self, problem: SearchProblem, variable: int, law: CandidateLaw) -> None:
        self.problem, self.variable = problem, variable
        self.names = _input_names(problem)
        at = problem.smoothed_stage.evaluator()
        self.nodes = np.flatnonzero(problem.network.in_degree > 0)
        values, error = _derivatives(problem, variable)
        self.times = np.flatnonzero(np.isfinite(error))
        columns = [at.at_nodes(sympy.Symbol(n))[self.nodes] for n in self.names]
        self.inputs = np.stack(columns, axis=-1)[:, self.times]
        self.error = error[self.times]
        self._known = np.nan_to_num(self._of(law.known_terms()[variable]))
        self.values = values[self.nodes][:, self.times] - self._known

    def samples(self, seed: int) -> Samples:
        """Some of them at random, as a search of an expression takes them."""
        inputs, values, error = self._drawn(np.arange(len(self.nodes)), _POINTS, seed)
        return Samples.of(self.names, inputs, values, error)

    def error_of(self, law: CandidateLaw) -> float:
        """Root mean square error of the rates of a law, in units of their standard errors."""
        pairs = zip(law.terms[self.variable], law.coefficients[self.variable], strict=True)
        found = self._of(pairs) - self._known
        return float(np.sqrt(np.mean(((found - self.values) / self.error) ** 2)))

    def _of(self, pairs: Iterable[tuple[Term, float]]) -> np.ndarray:
        """Rates of terms with coefficients, (node, time)."""
        found = np.zeros((len(self.nodes), len(self.times)))
        for term, coefficient in pairs:
            at = self.problem.smoothed_stage.evaluator(term.inner)
            found += coefficient * at.value(term.family)[self.nodes][:, self.times]
        return found

    def error_of_free_function(self, seed: int) -> float:
        """The same of a function of the inputs, at samples other than those it was fitted to.

        Its hidden units are drawn at random and its readout is a ridge regression.
        """
        random = np.random.default_rng(seed)
        inputs, values, error = self._drawn(np.arange(len(self.nodes)), 2 * _FREE_POINTS, seed)
        size = inputs.std(axis=0)
        z = (inputs - inputs.mean(axis=0)) / np.where(size > 0, size, 1.0)
        kernel = random.normal(size=(len(self.names), _FREE_UNITS))
        hidden = np.tanh(z @ kernel + random.normal(size=_FREE_UNITS))
        columns = np.concatenate([hidden, z, np.ones((len(z), 1))], axis=1) / error[:, None]
        target, half = values / error, len(values) // 2
        readout = np.linalg.lstsq(columns[:half], target[:half], rcond=1e-8)[0]
        return float(np.sqrt(np.mean((columns[half:] @ readout - target[half:]) ** 2)))

    def _drawn(
        self, nodes: np.ndarray, count: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs (n, input), values (n,) and errors (n,) at random among some nodes."""
        rows, times = np.divmod(np.arange(len(nodes) * len(self.times)), len(self.times))
        kept = np.random.default_rng(seed).permutation(len(rows))[:count]
        rows, times = nodes[rows[kept]], times[kept]
        return self.inputs[rows, times], self.values[rows, times], self.error[times]


def _derivatives(problem: SearchProblem, variable: int) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the smoothed states (node, grid time) and their standard errors (grid time,).

    The error is the difference between splines of two degrees, and what the error of a smoothed state makes
    of a rate at the pace at which the rates themselves change. Infinite at the ends of a run.
    """
    data = problem.data
    rates, errors = [], []
    for grid, states in zip(data.grid_times, data.states, strict=True):
        values = states[variable].T
        low, high = (make_interp_spline(grid, values, k=degree) for degree in (3, 5))
        rate = high(grid, 1)
        pace = np.sqrt(np.mean(high(grid, 2) ** 2) / max(np.mean(rate**2), 1e-300))
        error = np.sqrt(np.mean((rate - low(grid, 1)) ** 2, axis=1))
        least = _RELATIVE_ERROR * max(float(np.std(rate)), 1e-300)
        error = np.sqrt(error**2 + (pace * data.state_error[variable]) ** 2 + least**2)
        error[[0, -1]] = np.inf
        rates.append(rate.T)
        errors.append(error)
    return np.concatenate(rates, axis=1), np.concatenate(errors)
