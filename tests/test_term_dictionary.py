"""The dictionary: columns are their expressions, forbidden functions are absent; the beam against lstsq."""

import numpy as np
import pytest
import sympy
from scipy.special import expit

from jaxllc.search.engines.dictionary import build_dictionary, factor_features, monomial_columns
from jaxllc.search.engines.subset_beam import Columns, beam, combine
from jaxllc.search.forms.function_atoms import GROUPS
from jaxllc.search.forms.grammar import FUNCTION_NAMES, Grammar, operators_in
from jaxllc.search.forms.term_samples import Samples

NAMES = ("x_i", "x_j", "z_i")
NUM = 60


def samples_of(num_inputs, low=0.3, high=2.5, seed=0):
    points = np.random.default_rng(seed).uniform(low, high, (NUM, num_inputs))
    return Samples.of(NAMES[:num_inputs], points, points.sum(axis=1), 0.1)


def values_of(expression, samples):
    symbols = sympy.symbols(samples.names)
    function = sympy.lambdify(symbols, expression, [{"sigmoid": expit}, "numpy"])
    return np.broadcast_to(function(*samples.points.T), NUM)


def drawn(positions, count=80, seed=0):
    """Some of the positions, the same at every call."""
    order = np.random.default_rng(seed).permutation(len(positions))
    return positions[np.sort(order[:count])]


# --- the dictionary ------------------------------------------------------------------------------


@pytest.mark.parametrize("low", [0.3, -1.2])
@pytest.mark.parametrize("num_inputs", [1, 2, 3])
def test_columns_have_the_values_of_their_expressions(num_inputs, low):
    samples = samples_of(num_inputs, low)
    for dictionary in (build_dictionary(samples, Grammar()), factor_features(samples, Grammar())):
        features = dictionary.columns()
        column = dict(zip(features.positions, features.values, strict=True))
        for position in drawn(features.positions):
            value = values_of(dictionary.expression(position), samples)
            # Up to a factor, which is fitted.
            size = (value @ column[position]) / (value @ value)
            scale = np.abs(column[position]).max()
            np.testing.assert_allclose(size * value, column[position], atol=1e-9 * scale)
            np.testing.assert_array_equal(dictionary.values(position), column[position])


def test_columns_are_finite_also_for_hard_inputs():
    generator = np.random.default_rng(1)
    points = np.column_stack([generator.normal(size=NUM) * 1e4, np.zeros(NUM), np.ones(NUM)])
    points[0, 0] = 0.0
    samples = Samples.of(NAMES, points, points[:, 0], 0.1)
    features = build_dictionary(samples, Grammar()).columns()
    assert len(features.values) > 10
    assert np.isfinite(features.values).all()
    assert np.all(np.abs(features.values).max(axis=1) > 0)


@pytest.mark.parametrize("forbidden", [*FUNCTION_NAMES, "division"])
def test_forbidden_function_does_not_occur(forbidden):
    functions = tuple(name for name in FUNCTION_NAMES if name != forbidden)
    grammar = Grammar(functions, division=forbidden != "division")
    samples = samples_of(2)
    dictionary = build_dictionary(samples, grammar)
    for position in drawn(dictionary.columns().positions, 120):
        assert forbidden not in used(dictionary, position)


def used(dictionary, position):
    return operators_in(dictionary.expression(position))


def test_polynomials_are_all_that_is_left_without_functions():
    samples = samples_of(2, low=-1.0)
    dictionary = build_dictionary(samples, Grammar((), division=False))
    expressions = [dictionary.expression(k) for k in dictionary.columns().positions]
    assert all(e.is_polynomial(*sympy.symbols(samples.names)) for e in expressions)
    monomials, columns = monomial_columns(samples, Grammar())
    assert set(monomials) == set(expressions)
    for monomial, column in zip(monomials, columns, strict=True):
        np.testing.assert_allclose(column, values_of(monomial, samples))


def test_groups_hold_their_own_functions_only():
    samples = samples_of(2)
    dictionary = build_dictionary(samples, Grammar())
    everything = set(dictionary.columns().positions)
    for group, names in GROUPS.items():
        features = dictionary.columns(group)
        assert set(features.positions) <= everything
        allowed = {*names, "division", "sqrt", *(("exp",) if group == "exponential" else ())}
        found = [used(dictionary, k) for k in drawn(features.positions)]
        assert all(f <= allowed for f in found), group
        assert any(f for f in found)
    plain = [used(dictionary, k) for k in dictionary.columns("none").positions]
    assert all(f <= {"division", "sqrt"} for f in plain)


def test_family_is_a_feature_up_to_its_grid():
    samples = samples_of(2)
    dictionary = build_dictionary(samples, Grammar())
    features = dictionary.columns()
    shapes = {}
    family = dict(zip(features.positions, features.family, strict=True))
    for position in drawn(features.positions, 300):
        found = frozenset(used(dictionary, position))
        shapes.setdefault(family[position], set()).add(found)
    assert max(np.bincount(features.family)) > 5
    assert all(len(found) == 1 for found in shapes.values())


def test_names_of_the_inputs_do_not_change_the_columns():
    samples = samples_of(2)
    other = Samples(("u", "v"), samples.points, samples.values, samples.error)
    first = build_dictionary(samples, Grammar()).columns()
    second = build_dictionary(other, Grammar()).columns()
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.family, second.family)


# --- the beam ------------------------------------------------------------------------------------


def random_columns(num_columns=300, seed=0, num_families=100):
    """Correlated random columns in families of three, and their values in order of position."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(num_columns, NUM)) + 0.5 * generator.normal(size=NUM)
    family = np.arange(num_columns) % num_families
    cost = np.ones(num_columns)
    return Columns(values, family, cost, np.arange(num_columns), 1.0), values, family


def residual_by_least_squares(values, target, extra=None):
    matrix = np.stack(values, axis=1)
    if extra is not None:
        matrix = np.column_stack([matrix, extra])
    return float(np.sum((target - matrix @ np.linalg.lstsq(matrix, target)[0]) ** 2))


PLANTED = (4, 117, 250)


def planted_target(values, noise=0.05):
    coefficients = (1.0, -0.7, 0.4)
    target = sum(c * values[p] for c, p in zip(coefficients, PLANTED, strict=True))
    return target + noise * np.random.default_rng(5).normal(size=NUM)


@pytest.mark.parametrize("seed", range(3))
def test_residuals_are_those_of_least_squares(seed):
    columns, values, _ = random_columns(seed=seed)
    target = planted_target(values)
    found = beam(columns, target, 4, 20, 60.0, 2.5)
    assert {len(s.positions) for s in found} == {1, 2, 3, 4}
    for subset in found:
        expected = residual_by_least_squares(values[list(subset.positions)], target)
        assert subset.residual == pytest.approx(expected, rel=1e-4)


def test_planted_combination_is_found_and_wins():
    columns, values, _ = random_columns()
    target = planted_target(values)
    found = beam(columns, target, 5, 20, 60.0, 2.5)
    three = [s for s in found if len(s.positions) == 3]
    assert set(three[0].positions) == set(PLANTED)
    assert set(min(found, key=lambda s: s.score).positions) == set(PLANTED)
    coefficients = combine(values[list(PLANTED)], target, np.ones(NUM))
    np.testing.assert_allclose(coefficients, [1.0, -0.7, 0.4], atol=0.05)


def test_units_of_a_column_do_not_matter():
    _, values, family = random_columns()
    target = planted_target(values)
    scales = 10.0 ** np.random.default_rng(0).integers(-6, 6, len(values))
    found = []
    for factor in (np.ones(len(values)), scales):
        scaled = values * factor[:, None]
        columns = Columns(scaled, family, np.ones(len(values)), np.arange(len(values)), 1.0)
        found.append(beam(columns, target, 3, 20, 60.0, 2.5))
        coefficients = combine(scaled[list(PLANTED)], target, np.ones(NUM))
        np.testing.assert_allclose(coefficients * factor[list(PLANTED)], [1, -0.7, 0.4], atol=0.05)
    assert [set(s.positions) for s in found[0]] == [set(s.positions) for s in found[1]]


def test_set_holds_one_column_of_a_family_and_stands_once():
    columns, values, family = random_columns(num_families=6)
    found = beam(columns, planted_target(values), 8, 20, 60.0, 2.5)
    assert max(len(s.positions) for s in found) <= 6
    for subset in found:
        families = family[list(subset.positions)]
        assert len(set(families)) == len(families)
    assert len({frozenset(s.positions) for s in found}) == len(found)


def test_directions_of_the_base_cost_nothing():
    columns, values, _ = random_columns()
    generator = np.random.default_rng(8)
    base = np.linalg.qr(generator.normal(size=(NUM, 3)))[0]
    target = planted_target(values)
    plain = beam(columns, target, 3, 20, 60.0, 2.5)
    moved = beam(columns, target + base @ [30.0, -20.0, 10.0], 3, 20, 60.0, 2.5, base=base)
    assert set(PLANTED) in [set(s.positions) for s in moved]
    for subset in moved:
        expected = residual_by_least_squares(values[list(subset.positions)], target, base)
        assert subset.residual == pytest.approx(expected, rel=1e-3)
    # The same set pays the same for its own columns, and fits no worse.
    score = {frozenset(s.positions): s.score for s in plain}
    assert all(s.score <= score.get(frozenset(s.positions), np.inf) + 1e-3 for s in moved)


def test_columns_within_the_base_are_never_taken():
    columns, values, _ = random_columns()
    inside = [7, 20, 33]
    base = np.linalg.qr(values[inside].T)[0]
    found = beam(columns, planted_target(values), 3, 20, 60.0, 2.5, base=base)
    assert not {p for s in found for p in s.positions} & set(inside)
