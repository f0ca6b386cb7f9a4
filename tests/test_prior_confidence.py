"""Intervals, snapping and reports of laws with known terms, bounds and units."""

import math

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.dynamics.terms import Term
from jaxllc.equations.equation import Equation
from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.contributions import data_parts
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.judge.bootstrap import bootstrapped, compared, draw_weights, intervals
from jaxllc.judge.judge import Judge
from jaxllc.judge.pareto import pareto_front
from jaxllc.law.law import Constant, Law
from jaxllc.law.snapping import snap_constants
from tests.fit_problems import X_I, X_J, epidemic_law, epidemic_problem, own, pair
from tests.prior_problems import by_role, epidemic, families, noisy, runs_of, small_network
from tests.test_known_terms import known_law
from tests.test_report import read

# --- intervals ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    return epidemic_problem(
        num_nodes=12, num_runs=3, num_times=30, noise=0.02, level=0.02, refine=1
    )


def settled(problem, family, coefficient):
    """A fit of the epidemic with a decay of the given family, to the minimum."""
    law = CandidateLaw(
        ((Term(family), pair(X_J), pair(X_I * X_J)),), ((coefficient, 0.3, -0.3),)
    ).within_bounds()
    for _ in range(3):
        fit = fit_trajectories(problem, law, iterations=20, tolerance=1e-12, exact=True)
        law = fit.law
    return fit


def test_a_constant_on_its_bound_has_no_interval_and_the_others_take_it_as_given(problem):
    """As where the bound is written as a number."""
    (bounded,) = families("-delta*x_i", bounds={"delta": (0.0, 0.4)})
    (fixed,) = families("-0.4*x_i")
    weights = draw_weights(36, 500)
    found, given = (
        intervals(problem, settled(problem, family, c), data_parts(problem), weights)
        for family, c in ((bounded, 0.2), (fixed, 1.0))
    )
    assert found.shape == (3, 2)
    assert given.shape == (2, 2)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], given, rtol=0.02)


def test_intervals_of_a_known_law_end_at_its_bounds(problem):
    """The true recovery is 0.5: some replicates would go beyond."""
    (family,) = families("-delta*x_i", bounds={"delta": (0.0, 0.503)})
    fit = settled(problem, family, 0.2)
    if on_bound(fit.law)[0]:
        pytest.skip("the noise of these samples puts the constant on its bound")
    low, high = intervals(problem, fit, data_parts(problem), draw_weights(36, 500))[0]
    assert low < fit.law.values()[0] < high
    assert high <= 0.503


def test_a_law_of_numbers_only_has_no_intervals(problem):
    self_term, interaction = families("-0.5*x_i", "0.5*x_j*(1 - x_i)")
    judge = Judge(problem, np.array([1e-4]))
    best = judge.fitted(CandidateLaw(((Term(self_term), Term(interaction)),), ((1.0, 1.0),)))
    fit = fit_trajectories(problem, best.law, exact=True)
    assert fit.covariance.shape == (0, 0)
    confidence, _ = bootstrapped(judge, best, fit, ("x",), seed=0)
    assert confidence.intervals == ()
    assert [t.term for t in confidence.terms] == [self_term.text, interaction.text]
    assert confidence.law_frequency == 1.0


def test_values_and_slopes_follow_the_vector_of_a_law_with_held_terms():
    law = known_law()
    vector, step = law.vector(), 1e-7
    assert len(law.values()) == len(law.slopes()) == len(vector) == law.num_constants
    moved = [
        [law.with_vector(vector + sign * step * unit).values() for unit in np.eye(len(vector))]
        for sign in (1, -1)
    ]
    slopes = (np.array(moved[0]) - np.array(moved[1])) / (2 * step)
    np.testing.assert_allclose(slopes, np.diag(law.slopes()), atol=1e-6)


def test_laws_that_are_not_accepted_win_no_replicate_and_stand_on_no_front(problem):
    judge = Judge(problem, np.array([1e-4]), accepts=lambda law: len(law.terms[0]) > 2)
    best = judge.fitted(epidemic_law())
    rejected = judge.fitted(CandidateLaw(((own(X_I), pair(X_J)),), ((-0.5, 0.3),)))
    assert rejected.fit.finite
    assert compared(judge, best) == [best]
    assert [m.judged for m in pareto_front(judge, best, np.ones(1))] == [best]


# --- laws -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def law():
    """An epidemic at 30 dB whose recovery, 0.5, may be 0.49 at most; with units."""
    network = small_network()
    runs = noisy(runs_of(network, epidemic, 0.0, 1.0))
    return jaxllc.discover(
        runs,
        network,
        known={"x": ("-delta*x_i", "b*x_j*(1 - x_i)")},
        bounds={"delta": (0, 0.49)},
        units={"t": "h"},
        neural="never",
        sums=False,
        moves=1,
    )


def line_of(law, name):
    return next(line for line in law.summary().splitlines() if f" {name}  " in line)


def test_a_law_shows_intervals_and_units_and_what_lies_on_a_bound(law):
    table = law.constants_table()
    assert list(table.columns) == [
        "variable", "side", "term", "role", "value", "standard_error", "unit", "low", "high",
    ]  # fmt: skip
    assert len(law.confidence.intervals) == len(law.covariance) == len(law.constants) == len(table)
    bound = table["role"] == "delta"
    assert bound.sum() == 1
    assert table.loc[bound, ["standard_error", "low", "high"]].isna().all(axis=None)
    free = table[~bound]
    assert (free["low"] < free["value"]).all()
    assert (free["value"] < free["high"]).all()
    assert set(table["unit"]) == {"1/h"}
    assert line_of(law, "delta").endswith("0.49 (on its bound) 1/h")
    line = line_of(law, "b")
    assert " +- " in line
    assert line.index("  [") < line.index("] 1/h")
    # The diagonal of the covariance is that of the table, in its order.
    np.testing.assert_allclose(
        np.sqrt(np.diag(law.covariance)), table["standard_error"], rtol=0.05, equal_nan=True
    )


def test_the_report_shows_them_too(law, tmp_path):
    law.report(tmp_path / "law.html")
    texts = read(tmp_path / "law.html").texts
    start = texts.index("-delta*x_i, constant delta")
    row = [text for text in texts[start : start + 14] if text.strip()]
    assert row[1:3] == ["0.49 1/h", "on its bound"]
    assert row[3:5] == ["—", "—"]  # of the interval
    low, _ = law.confidence.intervals[[c.role for c in law.constants].index("b")]
    assert any(text.startswith(str(low)[:4]) for text in texts)
    assert not any(text.startswith("nan") for text in texts)


def test_a_file_keeps_a_law_with_a_constant_on_its_bound(law, tmp_path):
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    assert [c.unit for c in again.constants] == [c.unit for c in law.constants]
    np.testing.assert_array_equal(again.covariance, law.covariance)
    np.testing.assert_array_equal(again.confidence.intervals, law.confidence.intervals)
    assert again.snapped().equations == law.snapped().equations


def test_snapping_keeps_units_and_what_lies_on_a_bound(law):
    short = law.snapped()
    kept, before = by_role(short)["delta"], by_role(law)["delta"]
    assert kept.value == before.value == 0.49
    assert math.isnan(kept.standard_error)
    assert [c.unit for c in short.constants] == [c.unit for c in law.constants]
    assert "(on its bound)" in short.summary()


# --- snapping -------------------------------------------------------------------------------------


def test_a_constant_without_variance_stays_and_hinders_no_other():
    covariance = np.diag([1e-6, math.nan, 1e-6])
    covariance[1], covariance[:, 1] = math.nan, math.nan
    found = snap_constants(np.array([0.5007, 0.4501, 2.0009]), covariance)
    assert found.exact == {0: sympy.Rational(1, 2), 2: 2}
    assert found.values[1] == 0.4501
    alone = snap_constants(np.array([0.5007, 2.0009]), np.diag([1e-6, 1e-6]))
    assert found.chi_squared == pytest.approx(alone.chi_squared)


def law_of(rows, self_term, interaction_term="0", error=1e-3):
    """A law of constants (side, term, role, value) with independent errors."""
    constants = tuple(Constant("x", *row, error, "1/s") for row in rows)
    equation = Equation.from_text(self_term, interaction_term)
    return Law({"x": equation}, constants, covariance=error**2 * np.eye(len(rows)))


def test_constants_of_known_terms_are_set_by_their_names():
    """Coefficients and inner constants, beside a found term and one of numbers."""
    law = law_of(
        [
            ("self", "-delta*x_i", "delta", 0.5004),
            ("self", "tanh(w0*x_s)", "coefficient", 0.9996),
            ("self", "tanh(w0*x_s)", "w0", 1.4993),
            ("interaction", "c*x_j/(K + x_j)", "c", 2.0007),
            ("interaction", "c*x_j/(K + x_j)", "K", 2.9995),
            ("interaction", "x_j**2/(L + x_j**2)", "L", 0.2503),
        ],
        "-0.37*x_i**2 - 0.5004*x_i + 0.9996*tanh(1.4993*x_s)",
        "2.0007*x_j/(2.9995 + x_j) + x_j**2/(0.2503 + x_j**2)",
    )
    own_term, pair_term = law.snapped().equations["x"]
    x_s = sympy.Symbol("x_s")
    expected = -sympy.Float(0.37) * X_I**2 - X_I / 2 + sympy.tanh(1.5 * x_s)
    points = {
        "x_i": np.linspace(0.1, 2, 9),
        "x_j": np.linspace(3, 1, 9),
        "x_s": np.linspace(-1, 1, 9),
    }
    for found, true in (
        (own_term, expected),
        (pair_term, 2 * X_J / (3 + X_J) + X_J**2 / (sympy.Rational(1, 4) + X_J**2)),
    ):
        np.testing.assert_allclose(
            jaxllc.equations.expressions.evaluate(found, points),
            jaxllc.equations.expressions.evaluate(true, points),
            rtol=1e-12,
        )
    assert sympy.Float(-0.37) in own_term.atoms(sympy.Float)
    assert all(c.unit == "1/s" for c in law.snapped().constants)


@pytest.mark.parametrize("name", ["coefficient", "w0", "w1"])
def test_a_name_that_found_constants_bear_is_no_obstacle(name):
    law = law_of(
        [("self", f"-{name}*x_i", name, 0.5004), ("self", "x_i**2", "coefficient", -0.9996)],
        "-0.5004*x_i - 0.9996*x_i**2",
    )
    assert sympy.expand(law.snapped().equations["x"].self_term) == -X_I / 2 - X_I**2


def test_a_term_of_numbers_stays_beside_one_that_the_equation_writes_otherwise():
    law = law_of(
        [("self", "x_i*(w0 + x_i)", "coefficient", 0.9996), ("self", "x_i*(w0 + x_i)", "w0", 2.0006)],
        "0.9996*(x_i**2 + 2.0006*x_i) - 0.37*x_i**3",
    )  # fmt: skip
    found = sympy.expand(law.snapped().equations["x"].self_term)
    assert found == X_I**2 + 2 * X_I - sympy.Float(0.37) * X_I**3
