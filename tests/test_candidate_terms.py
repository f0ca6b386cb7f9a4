"""The library of candidate terms: every known law is in it, and what data leave out of it."""

import numpy as np
import pytest
import sympy

from jaxllc import known_laws, metrics
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.equations.equation import Equation
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.search.laws.library import Scale, candidate_terms

X_I, X_J, W0 = sympy.symbols("x_i x_j w0")

# Laws with functions of the sum over neighbours are those of `test_sum_terms`.
ADDITIVE = [
    name
    for name in known_laws.names()
    if not any(sums_in(e.self_term) for e in known_laws.get(name).equations.values())
]


def library_of(law, seed=0):
    """Candidate terms for states drawn from a known law's initial ranges."""
    states = law.sample_initial_state(400, seed)
    scales, differences = {}, {}
    for v, name in enumerate(law.variables):
        scales[name] = Scale(states[:, v])
        differences[name] = Scale(states[:200, v] - states[200:, v])
    return candidate_terms(law.variables, law.feature_names, scales, differences, False, True)


def skeletons(side, expression):
    """The skeleton of each summand, with the place where it stands."""
    found = set()
    for summand in sympy.Add.make_args(sympy.expand(expression)):
        equation = (
            Equation(summand, sympy.S.Zero) if side == SELF else Equation(sympy.S.Zero, summand)
        )
        found |= {(p, t) for p, t in metrics.skeleton(equation).items() if t != "0"}
    return found


@pytest.mark.parametrize("name", ADDITIVE)
def test_the_library_holds_every_term_of_every_known_law(name):
    law = known_laws.get(name)
    families = {t.family: t for t in library_of(law)}
    held = set()
    for family, term in families.items():
        held |= skeletons(family.side, term.sympy())
    for equation in law.equations.values():
        wanted = skeletons(SELF, equation.self_term) | skeletons(
            INTERACTION, equation.interaction_term
        )
        assert wanted
        assert wanted <= held, f"not in the library: {wanted - held}"


def test_candidates_are_distinct_and_their_inner_constants_lie_within_bounds():
    for name in ("mutualistic_pairs", "fitzhugh_nagumo"):
        terms = library_of(known_laws.get(name))
        assert len(set(terms)) == len(terms)
        for term in terms:
            assert len(term.inner) == term.family.num_inner == len(term.family.bounds)
            for value, (low, high) in zip(term.inner, term.family.bounds, strict=True):
                assert low <= value <= high


def test_terms_that_are_not_identifiable_on_a_regular_network_are_left_out():
    scales = {"x": Scale(np.linspace(0.0, 2.0, 50))}
    differences = {"x": Scale(np.linspace(-2.0, 2.0, 50))}
    regular = candidate_terms(("x",), (), scales, differences, True, False)
    for term in regular:
        if term.family.side == INTERACTION:
            assert X_J in term.family.expression.free_symbols
            assert term.family.expression != X_J
    assert any(t.family.expression == X_J - X_I for t in regular)
    assert not any(sympy.Symbol("k_i") in t.family.expression.free_symbols for t in regular)


def test_hill_terms_are_offered_for_positive_states_only():
    differences = {"x": Scale(np.linspace(-2.0, 2.0, 50))}
    hill = X_J / (X_J + W0)
    for low, offered in ((0.0, True), (-1.0, False)):
        terms = candidate_terms(
            ("x",), (), {"x": Scale(np.linspace(low, 2.0, 50))}, differences, False, False
        )
        assert any(t.family.expression == hill for t in terms) == offered


def test_noise_below_zero_takes_no_saturating_term_from_the_library():
    differences = {"x": Scale(np.linspace(-2.0, 2.0, 50))}
    dip = 0.08
    noisy = np.concatenate([np.linspace(0.0, 2.0, 2000), -dip * np.ones(4)])
    terms = candidate_terms(("x",), (), {"x": Scale(noisy)}, differences, False, False)
    halves = [t.inner[0] for t in terms if t.family.expression == X_J / (X_J + W0)]
    assert halves
    assert min(halves) > 2 * dip  # no denominator comes near zero


def test_tanh_is_offered_where_noisy_states_take_both_signs():
    differences = {"x": Scale(np.linspace(-2.0, 2.0, 50))}
    for low, noise, offered in ((-2.0, 0.01, True), (-2.0, 0.0, False), (0.0, 0.01, False)):
        scales = {"x": Scale(np.linspace(low, 2.0, 50), noise)}
        terms = candidate_terms(("x",), (), scales, differences, False, False)
        assert any(t.family.expression == sympy.tanh(W0 * X_J) for t in terms) == offered
