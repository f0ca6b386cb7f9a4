"""Snapping: numbers that people write where the data do not object, and only there."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy
from scipy.stats import chi2

import jaxllc
from jaxllc.dynamics.terms import INTERACTION
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import evaluate
from jaxllc.equations.functions import sigmoid
from jaxllc.errors import InputError
from jaxllc.knowledge.nice_numbers import free_bits, misfit_bits, nice_numbers
from jaxllc.law.law import Constant, Law
from jaxllc.law.snapping import snap_constants
from jaxllc.law.writing.law_text import unobjected
from jaxllc.search.laws.library import Scale, candidate_terms

x_i, x_j = sympy.symbols("x_i x_j")


def alone(value, error):
    """What one constant is set to, None where it stays."""
    return snap_constants(np.array([value]), np.array([[error**2]])).exact.get(0)


def random_covariance(generator, size, errors):
    """Positive definite, with correlations of up to about 0.9."""
    mixing = np.eye(size) + generator.normal(size=(size, size))
    covariance = mixing @ mixing.T
    scale = errors / np.sqrt(np.diag(covariance))
    return scale[:, None] * covariance * scale


# --- numbers ------------------------------------------------------------------------------------


def test_the_codes_of_numbers_are_probabilities():
    numbers = nice_numbers()
    assert sum(2.0**-n.bits for n in numbers) < 1
    assert all(n.value == pytest.approx(float(n.exact), rel=1e-15) for n in numbers)
    by_value = {float(f"{n.value:.9g}"): n.bits for n in numbers}
    assert by_value[1.0] < by_value[2.0] < by_value[28.0] < by_value[97.0]
    assert by_value[0.5] < by_value[0.3] < by_value[0.37]
    assert by_value[0.5] < by_value[float(f"{5 / 6:.9g}")]


def test_the_evidence_is_that_of_the_density():
    """A Bayes factor: the prior mass and density of one constant, by direct integration."""
    value, error, number = 0.51, 0.02, 0.5
    grid = np.exp(np.linspace(math.log(0.51) - 2, math.log(0.51) + 2, 200_001))
    likelihood = np.exp(-0.5 * ((grid - value) / error) ** 2) / error / math.sqrt(2 * math.pi)
    prior = 0.30 / (grid * math.log(1e6))
    free = np.trapezoid(likelihood * prior, grid)
    at = math.exp(-0.5 * ((number - value) / error) ** 2) / error / math.sqrt(2 * math.pi)
    found = free_bits(value, error) - misfit_bits((number - value) / error)
    assert found == pytest.approx(math.log2(at / free), abs=0.01)


@pytest.mark.parametrize(
    ("value", "error", "number"),
    [
        (1.9994, 0.002, 2),
        (-0.997, 0.013, -1),
        (0.5013, 0.003, sympy.Rational(1, 2)),
        (2.6664, 0.0004, sympy.Rational(8, 3)),
        (0.2999, 0.0006, sympy.Float("0.3")),
        (6.2829, 0.002, 2 * sympy.pi),
        (28.001, 0.01, 28),
    ],
)
def test_a_constant_near_a_number_becomes_that_number(value, error, number):
    assert alone(value, error) == number


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0.4873, 0.002),  # more than six standard errors from 1/2
        (0.5001, 0.00001),  # ten
        (0.5003, 0.0001),  # three
        (8.53, 0.02),  # many numbers of two digits are as near
        (0.9, 0.5),  # not determined
        (1.7321, 0.0003),  # the square root of 3
        (math.nan, 1.0),
        (1.0, math.inf),
    ],
)
def test_a_constant_that_is_none_stays(value, error):
    found = snap_constants(np.array([value]), np.array([[error**2]]))
    assert found.count == 0
    np.testing.assert_array_equal(found.values, [value])


def test_equal_and_opposite_constants_become_one():
    values, error = np.array([0.3791, -0.3786, 1.2345]), 4e-4
    found = snap_constants(values, np.diag([error**2] * 3))
    assert found.tied == {1: (0, -1)}
    assert found.exact == {}
    assert found.values[0] == -found.values[1] == pytest.approx(0.37885)
    # Two measurements of one constant.
    assert found.covariance[0, 0] == pytest.approx(error**2 / 2)
    assert found.covariance[0, 1] == pytest.approx(-(error**2) / 2)
    assert found.chi_squared == pytest.approx(0.0005**2 / (2 * error**2))
    other_roles = snap_constants(
        values, np.diag([error**2] * 3), ["coefficient", "w0", "coefficient"]
    )
    assert other_roles.count == 0


def test_all_of_a_group_are_set_where_its_value_is_a_number():
    errors = np.array([0.004, 0.005, 0.004])
    found = snap_constants(np.array([0.501, -0.498, 0.502]), np.diag(errors**2))
    np.testing.assert_array_equal(np.abs(found.values), 0.5)
    np.testing.assert_array_equal(found.covariance, 0.0)


# --- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_chi_squared_is_that_of_the_constraints_and_within_the_limit(seed):
    """The sequence of single steps is the joint Wald test, and the rest the conditional mean."""
    generator = np.random.default_rng(seed)
    true = np.array([1.0, -0.5, 2.0, 0.3, 0.7321])
    errors = np.abs(true) * generator.uniform(0.002, 0.02, 5)
    covariance = random_covariance(generator, 5, errors)
    values = generator.multivariate_normal(true, covariance)
    found = snap_constants(values, covariance)
    assert found.count >= 2
    moved = found.values - values
    # (c' - c)' S^-1 (c' - c), minimised under the constraints, is the Wald statistic.
    assert moved @ np.linalg.solve(covariance, moved) == pytest.approx(
        found.chi_squared, rel=1e-6, abs=1e-9
    )
    assert found.chi_squared <= chi2.isf(0.05, found.count) * (1 + 1e-12)
    free = [k for k in range(5) if k not in found.exact and k not in found.tied]
    set_ones = sorted(set(found.exact))
    if not found.tied and free:
        S = covariance
        gain = S[np.ix_(free, set_ones)] @ np.linalg.inv(S[np.ix_(set_ones, set_ones)])
        conditional = values[free] + gain @ (found.values[set_ones] - values[set_ones])
        np.testing.assert_allclose(found.values[free], conditional, rtol=1e-8)
        left = S[np.ix_(free, free)] - gain @ S[np.ix_(set_ones, free)]
        np.testing.assert_allclose(found.covariance[np.ix_(free, free)], left, rtol=1e-6, atol=0)


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_over_noise_true_numbers_are_found_and_others_left(share):
    generator = np.random.default_rng(1)
    right = wrong = 0
    true = np.array([1.0, -0.5, 2.0])
    for _ in range(100):
        covariance = random_covariance(generator, 3, np.abs(true) * share)
        found = snap_constants(generator.multivariate_normal(true, covariance), covariance)
        near = np.abs(found.values - true) < 1e-9
        right += near.sum()
        wrong += ((np.diag(found.covariance) == 0) & ~near).sum()
    assert right > 0.85 * 300
    assert wrong < 0.02 * 300
    plain = [alone(c, c * share) is not None for c in 10 ** generator.uniform(-2.0, 1.5, size=500)]
    assert np.mean(plain) < 0.08


# --- laws ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kuramoto():
    """The law found from clean runs: omega 2, R 0.5."""
    network = jaxllc.generators.barabasi_albert(20, 2, seed=0)
    known = jaxllc.known_laws.get("kuramoto")
    runs = [known.simulate(network, np.linspace(0.0, 3.0, 50), seed=r) for r in range(2)]
    return jaxllc.discover(runs, network, seed=0, neural="never", max_terms=3)


def test_clean_kuramoto_has_its_numbers(kuramoto):
    short = kuramoto.snapped()
    assert str(short) == "dx_i/dt = 2 + sum_j A_ij (-sin(x_i - x_j)/2)"
    assert [c.value for c in short.constants] == [2.0, 0.5, 1.0]
    assert all(c.standard_error == 0 for c in short.constants)
    assert str(short) in kuramoto.summary()
    assert "3 of 3 constants" in short.notes[-1]
    with pytest.raises(InputError, match="snapped already"):
        short.snapped()
    points = {"x_i": np.linspace(0.0, 6.0, 20), "x_j": np.linspace(5.0, -1.0, 20)}
    for a, b in zip(kuramoto.equations["x"], short.equations["x"], strict=True):
        np.testing.assert_allclose(evaluate(a, points), evaluate(b, points), atol=1e-5)


def test_a_law_from_a_file_snaps_the_same(kuramoto, tmp_path):
    kuramoto.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").snapped().equations == (
        kuramoto.snapped().equations
    )
    kuramoto.snapped().save(tmp_path / "short.json")
    short = jaxllc.load_law(tmp_path / "short.json")
    assert short.equations == kuramoto.snapped().equations
    with pytest.raises(InputError, match="earlier version"):
        short.snapped()


def test_noisy_laws_have_their_numbers(found_law):
    assert str(found_law.snapped()) == "dx_i/dt = -x_i/2 + sum_j A_ij (-x_i*x_j/2 + x_j/2)"
    assert "The data do not object to:" in found_law.summary()


def law_of(terms, errors, extra=0):
    """A law of terms (side, text, expression, coefficient, inner constants), with independent errors."""
    constants, sums = [], {"self": sympy.Integer(0), "interaction": sympy.Integer(0)}
    for side, text, expression, coefficient, *inner in terms:
        constants.append(Constant("x", side, text, "coefficient", coefficient, 0.0))
        constants += [Constant("x", side, text, f"w{k}", w, 0.0) for k, w in enumerate(inner)]
        values = {sympy.Symbol(f"w{k}"): sympy.Float(w) for k, w in enumerate(inner)}
        sums[side] += sympy.Float(coefficient) * expression.xreplace(values)
    equation = Equation(sums["self"] + extra, sums["interaction"])
    return Law({"x": equation}, tuple(constants), covariance=np.diag(np.square(errors)))


def test_ties_of_a_coupling_are_written_once():
    terms = [("interaction", "x_j", x_j, 0.3791), ("interaction", "x_i", x_i, -0.3786)]
    short = law_of(terms, [4e-4, 4e-4]).snapped()
    (value,) = {abs(c.value) for c in short.constants}
    assert value == pytest.approx(0.37885)
    interaction = short.equations["x"].interaction_term
    assert sympy.expand(interaction - sympy.Float(value) * (x_j - x_i)) == 0


def test_terms_that_are_no_constants_of_the_fit_stay():
    law = law_of([("self", "x_i**2", x_i**2, -0.9993)], [1e-3], extra=3 * x_i)
    assert law.snapped().equations["x"].self_term == 3 * x_i - x_i**2


def test_a_term_that_the_equation_writes_otherwise_is_not_counted_twice():
    """As expressions that an engine found may be."""
    w0 = sympy.Symbol("w0")
    law = law_of([("self", "x_i*(w0 + x_i)", x_i**2 + w0 * x_i, 0.9996, 2.001)], [1e-3, 2e-3])
    assert sympy.expand(law.snapped().equations["x"].self_term) == x_i**2 + 2 * x_i


def test_every_term_of_the_library_is_read_back():
    """The equation less its terms as the table of constants shows them is nothing."""
    generator = np.random.default_rng(0)
    scales = {"x": Scale(generator.uniform(0.1, 3, 500)), "y": Scale(generator.normal(size=500))}
    library = candidate_terms(("x", "y"), ("omega",), scales, scales, False, True)
    families = {t.family: t for t in library}
    assert len(families) > 80
    for family, term in families.items():
        inner = generator.uniform(0.3, 1.7, len(term.inner))
        values = {sympy.Symbol(f"w{k}"): sympy.Float(w) for k, w in enumerate(inner)}
        shown = family.expression.replace(sigmoid, lambda u: 1 / (1 + sympy.exp(-u)))
        # The coefficient is near 3, the inner constants are near no number.
        errors = [1e-3] + [1e-9] * len(inner)
        law = law_of([(family.side, family.text, shown, 2.9995, *inner)], errors)
        found = law.snapped().equations["x"][family.side == INTERACTION]
        assert found == 3 * shown.xreplace(values)


def test_functions_that_sympy_calls_by_another_name_are_read():
    w0 = sympy.Symbol("w0")
    expression = sympy.Max(0, sympy.Abs(x_i) - w0)
    law = law_of([("self", str(expression), expression, 0.9996, 2.001)], [1e-3, 2e-3])
    assert law.snapped().equations["x"].self_term == sympy.Max(0, sympy.Abs(x_i) - 2)


def test_a_law_without_numbers_stays_as_it_is():
    law = law_of([("self", "x_i", x_i, -0.4873)], [0.002])
    assert law.snapped().equations == law.equations
    assert unobjected(law) == ""
    assert "do not object" not in law.summary()


def test_a_covariance_of_another_size_is_named():
    law = law_of([("self", "x_i", x_i, -0.4873)], [0.002])
    with pytest.raises(InputError, match="1 constants but a covariance of 3"):
        replace(law, covariance=np.eye(3)).snapped()
