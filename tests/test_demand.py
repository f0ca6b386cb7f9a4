"""Functions that a law must hold: found with their constants, and with what they cost."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import metrics
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.equations.equation import Equation
from tests.prior_problems import epidemic, noisy, runs_of, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def epidemic_data(network):
    return runs_of(network, epidemic, 0.0, 1.0)


@pytest.mark.slow
def test_a_demanded_function_stands_in_the_law_and_its_price_in_the_notes(epidemic_data, network):
    runs, choices = noisy(epidemic_data), {"neural": "never", "moves": 1}
    plain = jaxllc.discover(runs, network, **choices)
    law = jaxllc.discover(runs, network, demand=("exp",), **choices)
    assert law.equations["x"].self_term.has(sympy.exp) or law.equations["x"].interaction_term.has(
        sympy.exp
    )
    assert not any(e.has(sympy.exp) for e in plain.equations["x"])
    (note,) = [n for n in law.notes if "because that is demanded" in n]
    price = float(note.split("lower by ")[1].rstrip("."))
    chosen = [next(r for r in found.front if r.chosen) for found in (law, plain)]
    assert price == pytest.approx(chosen[0].criterion - chosen[1].criterion, abs=0.06)
    assert price > 0


def test_a_demanded_function_that_moved_the_nodes_is_found_with_its_constants(network):
    """No library lists a logarithm; the demand brings it."""

    def rate(x, A):
        return -x + 0.7 * (A @ np.log(1 + 2.5 * x))

    runs = runs_of(network, rate, 0.1, 3.0)
    law = jaxllc.discover(runs, network, demand=("log",), neural="never")
    truth = {"x": Equation.from_text("-x_i", "0.7*log(1 + 2.5*x_j)")}
    assert metrics.skeleton_equal(law, truth), str(law)
    np.testing.assert_allclose([c.value for c in law.constants], [-1, 0.7, 2.5], rtol=1e-4)
    assert law.notes == ()


def test_a_demand_that_no_candidate_meets_is_said(network):
    """States of both signs have no square root."""
    runs = runs_of(network, lambda x, A: -x + 0.3 * np.tanh(A @ x), -1.0, 1.0)
    runs = [r.with_noise(30.0, seed) for seed, r in enumerate(runs)]
    choices = {"neural": "never", "moves": 0, "num_fits": 1, "max_terms": 3}
    law = jaxllc.discover(runs, network, demand=("sqrt",), **choices)
    assert any("No law with sqrt" in n for n in law.notes)
    assert not any(e.has(sympy.sqrt(sympy.Symbol("x_i"))) for e in law.equations["x"])
    assert law.constants


@pytest.mark.parametrize("name", ["log", "sqrt", "power", "abs", "min", "max", "cos", "tanh"])
def test_terms_of_a_demanded_function_hold_it_on_either_side(name):
    from jaxllc.search.forms.grammar import operators_in
    from jaxllc.search.laws.demanded_terms import demanded_terms
    from jaxllc.search.laws.library import Scale

    scale = Scale(np.random.default_rng(0).uniform(0.2, 3.0, 500))
    terms = demanded_terms((name,), ("x",), {"x": scale}, {"x": scale})
    assert {t.family.side for t in terms} == {SELF, INTERACTION}
    for term in terms:
        assert name in operators_in(term.family.expression)
        value = term.family.expression.subs({"x_i": 0.7, "x_j": 1.1, "w0": (*term.inner, 0)[0]})
        assert np.isfinite(float(value))
