"""Nice numbers whatever the units of the data, and only where the samples agree to them."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.assemble import constants_of
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.errors import InputError
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.judge.judge import Judge
from jaxllc.judge.number_check import checked_numbers
from jaxllc.judge.standard_errors import reported_covariance, standard_errors
from jaxllc.knowledge.nice_numbers import at_decade, leading_digits, nice_numbers
from jaxllc.knowledge.units import Unit
from jaxllc.law.constant_dimensions import dimensions
from jaxllc.law.law import Constant, Law
from jaxllc.law.snapping import snap_constants
from jaxllc.law.writing.law_text import unobjected
from tests.fit_problems import adjacency, epidemic_law, epidemic_rate, problem_of, solved

RATE = Unit.of({"t": Fraction(-1)})
SECOND_ORDER = Unit.of({"x": Fraction(-1), "t": Fraction(-1)})


def of_term(term, *roles, side="self", variable="x"):
    constants = [Constant(variable, side, term, role, 1.0, 0.1) for role in roles]
    found = dimensions(constants, [parse(term)] * len(roles), ("x", "y"))
    return [str(unit) for unit in found]


# --- dimensions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "roles", "expected"),
    [
        ("1", ["coefficient"], ["x/t"]),
        ("x_i", ["coefficient"], ["1/t"]),
        ("x_i**2", ["coefficient"], ["1/(t*x)"]),
        ("x_j*y_i", ["coefficient"], ["1/(t*y)"]),
        ("y_i", ["coefficient"], ["x/(t*y)"]),
        ("sqrt(x_i)", ["coefficient"], ["x^(1/2)/t"]),
        ("x_j/k_i", ["coefficient"], ["1/t"]),
        ("omega_i", ["coefficient"], ["x/t"]),
        ("x_j**2/(w0 + x_j**2)", ["coefficient", "w0"], ["x/t", "x^2"]),
        ("sin(w0*x_j - w0*x_i)", ["coefficient", "w0"], ["x/t", "1/x"]),
        ("1/(1 + (w0/x_j)**w1)", ["coefficient", "w0", "w1"], ["x/t", "x", "1"]),
        ("-gamma*x_i", ["gamma"], ["1/t"]),
        # Nothing takes the unit away here: x is a pure number.
        ("exp(x_i)", ["coefficient"], ["1/t"]),
        ("x_i**w0", ["coefficient", "w0"], ["1/t", "1"]),
    ],
)
def test_dimensions_of_constants(term, roles, expected):
    assert of_term(term, *roles) == expected


# --- numbers ------------------------------------------------------------------------------------


def test_leading_digits_are_coded_alike_in_every_decade():
    digits = leading_digits()
    assert sum(2.0**-n.bits for n in digits) * 6 < 1
    assert all(1 <= n.value < 10 for n in digits)
    by_value = {float(f"{n.value:.9g}"): n.bits for n in digits}
    assert by_value[1.0] < by_value[2.0] < by_value[3.0] < by_value[3.7]
    # A half is five tenths, a third has digits of its own.
    assert float(f"{10 / 3:.9g}") in by_value
    assert float(f"{2 * np.pi:.9g}") in by_value
    assert len(digits) < len(nice_numbers())


@pytest.mark.parametrize(
    ("digits", "exponent", "written"),
    [
        (5.0, -1, "1/2"),
        (2.8, 1, "28"),
        (8 / 3, 0, "8/3"),
        (2 * np.pi, 0, "2*pi"),
        (3.0, -1, "0.300000000000000"),
    ],
)
def test_numbers_are_written_as_people_write_them(digits, exponent, written):
    assert str(at_decade(digits, exponent)) == written


def test_of_other_decades_the_value_is_kept():
    assert float(at_decade(5.0, 8)) == 5e8
    assert float(at_decade(1.0, -12)) == 1e-12
    assert float(at_decade(8 / 3, -9)) == pytest.approx(8e-9 / 3, rel=1e-14)


# --- invariance ---------------------------------------------------------------------------------

UNITS = [RATE, RATE, SECOND_ORDER, Unit(), Unit.of({"x": Fraction(1)})]


TRUE = np.array([0.5, -0.5, 0.3, 2.0, 0.7321])


def drawn(seed):
    """Estimates of a decay, a rate equal to it, a second order, an exponent and a threshold."""
    generator = np.random.default_rng(seed)
    errors = np.abs(TRUE) * generator.uniform(0.0005, 0.01, 5)
    mixing = np.eye(5) + 0.4 * generator.normal(size=(5, 5))
    covariance = mixing @ mixing.T
    scale = errors / np.sqrt(np.diag(covariance))
    covariance = scale[:, None] * covariance * scale
    return generator.multivariate_normal(TRUE, covariance), covariance


def scaled(x, t):
    """What becomes of the constants when the data are x times and the times t times what they were."""
    size = {"x": x, "t": t}
    return np.array([np.prod([size[n] ** float(p) for n, p in unit.powers]) for unit in UNITS])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("x", "t"), [(1e-9, 1.0), (1e9, 1e3), (1e-3, 1e-6)])
def test_units_that_differ_by_powers_of_ten_give_the_same_numbers(seed, x, t):
    values, covariance = drawn(seed)
    size = scaled(x, t)
    here = snap_constants(values, covariance, None, UNITS)
    there = snap_constants(size * values, size[:, None] * covariance * size, None, UNITS)
    assert here.count > 0
    assert set(here.exact) == set(there.exact)
    assert here.tied == there.tied
    np.testing.assert_allclose(there.values, size * here.values, rtol=1e-9)
    assert there.chi_squared == pytest.approx(here.chi_squared, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_days_instead_of_seconds_leave_ties_and_pure_numbers(seed):
    _, covariance = drawn(seed)
    size = scaled(0.37, 86400.0)
    there = snap_constants(size * TRUE, size[:, None] * covariance * size, None, UNITS)
    ratio = there.values / size
    assert ratio[0] == pytest.approx(-ratio[1], rel=1e-12)
    assert there.exact.get(3) == 2


def test_constants_of_other_dimensions_are_not_tied():
    values, covariance = np.array([0.3791, -0.3786]), np.diag([4e-4**2] * 2)
    assert snap_constants(values, covariance, None, [RATE, RATE]).tied == {1: (0, -1)}
    assert snap_constants(values, covariance, None, [RATE, SECOND_ORDER]).count == 0


def test_random_constants_are_seldom_taken_for_numbers():
    values = 10 ** np.random.default_rng(5).uniform(-12, 12, 400)
    for share in (1e-3, 1e-2):
        found = [
            snap_constants(np.array([v]), np.array([[(share * v) ** 2]]), None, [RATE]).count
            for v in values
        ]
        assert np.mean(found) < 0.08


# --- the samples are asked ----------------------------------------------------------------------


def fitted(recovery=0.5, x=1.0, t=1.0, level=0.004, infection=0.5, saturation=0.5):
    """Judge, last fit and rows of constants of an epidemic in other units."""
    A, times = adjacency(8), np.linspace(0.0, 3.0, 25)
    generator = np.random.default_rng(7)
    runs = []
    for _ in range(2):
        rate = epidemic_rate(A, recovery, infection, saturation)
        states = solved(rate, generator.uniform(0, 1, 8), times)
        noisy = states + level * generator.normal(size=states.shape)
        runs.append(Trajectories(t * times, x * noisy))
    problem = problem_of(runs, A, x * level)
    judge = Judge(problem, np.array([1e-6 * x]))
    law = epidemic_law(recovery / t, infection / t, saturation / (t * x))
    best = judge.fitted(law, iterations=12)
    fit = fit_trajectories(problem, best.law, best.fit.states, 12, 1e-6, exact=True)
    return judge, fit, constants_of(fit.law, standard_errors(fit), ("x",), None)


@pytest.fixture(scope="module")
def plain():
    return fitted()


def test_numbers_that_the_samples_agree_to_are_set_and_the_rest_is_fitted(plain):
    judge, fit, constants = plain
    found = checked_numbers(judge, fit, constants, reported_covariance(judge, fit))
    assert found.count == 3
    np.testing.assert_array_equal(found.values, [-0.5, 0.5, -0.5])
    # What it costs is what the samples say: nearly the Wald statistic, for so small a step.
    alone = snap_constants(fit.law.values(), reported_covariance(judge, fit))
    assert found.chi_squared == pytest.approx(alone.chi_squared, rel=0.3, abs=0.3)
    assert found.chi_squared < found.limit


@pytest.mark.parametrize(("x", "t"), [(1e-9, 1.0), (1.0, 1e3), (1e6, 1e-3)])
def test_the_same_samples_in_other_units_have_the_same_numbers(plain, x, t):
    judge, fit, constants = fitted(x=x, t=t)
    found = checked_numbers(judge, fit, constants, reported_covariance(judge, fit))
    np.testing.assert_allclose(
        found.values * np.array([t, t, t * x]), [-0.5, 0.5, -0.5], rtol=1e-12
    )


def test_numbers_that_only_the_covariance_agrees_to_are_not_set():
    """As where a law bends: the covariance of the fit allows what the samples do not."""
    judge, fit, constants = fitted(recovery=0.52)
    wide = 100 * reported_covariance(judge, fit)
    assert snap_constants(fit.law.values(), wide).exact.get(0) == -sympy.Rational(1, 2)
    found = checked_numbers(judge, fit, constants, wide)
    assert found.values[0] == pytest.approx(-0.52, abs=0.01)
    assert 0 not in found.exact


def test_where_a_constant_is_open_nothing_is_said(plain, found_law):
    judge, fit, constants = plain
    covariance = reported_covariance(judge, fit)
    open_one = [constants[0], replace(constants[1], standard_error=10.0), constants[2]]
    assert checked_numbers(judge, fit, open_one, covariance).count == 0
    unknown = [constants[0], replace(constants[1], standard_error=float("nan")), constants[2]]
    found = checked_numbers(judge, fit, unknown, covariance)
    assert found.count == 0
    assert unobjected(replace(found_law, snapping=found)) == ""
    assert "do not object" not in replace(found_law, snapping=found).summary()
    assert checked_numbers(judge, fit, constants, None) is None
    # Nor where nobody asked.
    assert "do not object" not in replace(found_law, snapping=None).summary()


def test_a_file_keeps_what_the_samples_agreed_to(found_law, tmp_path):
    path = tmp_path / "law.json"
    found_law.save(path)
    loaded = jaxllc.load_law(path)
    assert loaded.snapping.exact == found_law.snapping.exact
    assert loaded.snapping.tied == found_law.snapping.tied
    assert loaded.summary() == found_law.summary()
    assert "do not object" in loaded.summary()
    assert loaded.snapped().constants == found_law.snapped().constants


@pytest.mark.parametrize(
    "changes",
    [
        {"values": [1.0]},
        {"exact": {"7": "1/2"}},
        {"exact": {"0": "x_i"}},
        {"exact": {"0": "7"}},
        {"exact": {"a": "1/2"}},
        {"tied": {"1": [0, 2]}},
        {"tied": {"1": 0}},
        {"limit": "much"},
    ],
    ids=str,
)
def test_numbers_in_a_file_that_do_not_fit_are_rejected(found_law, tmp_path, changes):
    path = tmp_path / "law.json"
    found_law.save(path)
    content = json.loads(path.read_text())
    content["snapping"] |= changes
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"law\.json"):
        jaxllc.load_law(path)


def test_a_snapped_law_shows_what_was_set(found_law):
    text = found_law.snapped().summary()
    assert "(set)" in text
    assert "+- 0" not in text
    law = Law({"x": Equation(parse("-x_i"), parse("0"))})
    assert law.summary().startswith("dx_i/dt = -x_i")
