"""Tapes and refits: values and derivatives by other means, known constants, and what must not matter."""

from functools import partial

import jax
import numpy as np
import pytest
import sympy
from scipy.special import expit

from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import constant
from jaxllc.equations.tapes.fitted_tapes import MAX_CONSTANTS, MAX_INPUTS, write_tape
from jaxllc.equations.tapes.instructions import operations, tape_functions
from jaxllc.equations.tapes.interpreted import with_derivatives
from jaxllc.errors import InputError
from jaxllc.search.forms import refit as refits
from jaxllc.search.forms.refit import BLOCK, MAX_BLOCKS, in_blocks, refit

NAMES = ("x_i", "x_j")
X, Y = SYMBOLS = sympy.symbols(NAMES)
C = [constant(k) for k in range(4)]
BY_NUMPY = [{"sigmoid": expit}, "numpy"]


def points_of(num=200, seed=0, low=0.5, high=2.0):
    return np.random.default_rng(seed).uniform(low, high, (num, 2))


def values_of(expression, points, constants):
    """Values of an expression at points, by numpy."""
    names = [sympy.Dummy() for _ in constants]
    renamed = expression.xreplace(dict(zip(C, names, strict=False)))
    function = sympy.lambdify([*SYMBOLS, *names], renamed, BY_NUMPY)
    return np.broadcast_to(function(*points.T, *constants), len(points))


@partial(jax.jit, static_argnames=("functions",))
def _values_and_derivatives(tape, constants, points, functions):
    return with_derivatives(tape.code, tape.length, constants, points, functions)


def by_tape(expression, points, constants):
    """Values (n,) and derivatives (constant, n) of an expression by its tape."""
    tape, start = write_tape(expression, NAMES, C[: len(constants)])
    start[: len(constants)] = constants
    inputs = np.ones((MAX_INPUTS, len(points)))
    inputs[:2] = points.T
    with jax.enable_x64(True):
        value, slopes = _values_and_derivatives(tape, start, inputs, functions=tape_functions())
    return np.asarray(value), np.asarray(slopes)[: len(constants)]


def start_of(*constants):
    start = np.zeros(MAX_CONSTANTS)
    start[: len(constants)] = constants
    return start


def fitted(expression, start, samples, **options):
    """Refit of one expression: constants, sum of squares, information, of the constants in use."""
    size = len(start)
    tape, fixed = write_tape(expression, NAMES, C[:size])
    fixed[:size] = start
    found = refit([tape], fixed[None], samples, **options)
    return found.constants[0, :size], found.chi_squared[0], found.information[0, :size, :size]


# One expression for each operation, in positive inputs and constants.
OF_OPERATION = {
    "copy": X,
    "add": X + Y + C[0],
    "multiply": C[0] * X * Y,
    "divide": X / (Y + C[0]),
    "reciprocal": 1 / (X + C[0]),
    "power": (X + C[1]) ** C[0],
    "square": (X + C[0]) ** 2,
    "sqrt": sympy.sqrt(X + C[0] * Y),
    "exp": sympy.exp(-C[0] * X),
    "log": sympy.log(C[0] * X + Y),
    "sin": sympy.sin(C[0] * X + C[1]),
    "cos": sympy.cos(C[0] * X - Y),
    "tan": sympy.tan(0.3 * C[0] * X),
    "tanh": sympy.tanh(C[0] * X - C[1]),
    "sinh": sympy.sinh(C[0] * X - Y),
    "cosh": sympy.cosh(C[0] * X - C[1]),
    "sigmoid": sigmoid(C[0] * X - C[1]),
    "abs": sympy.Abs(X - C[0] * Y),
    "min": sympy.Min(X, C[0] * Y, C[1]),
    "max": sympy.Max(X, C[0] * Y, C[1]),
}


# Those that are neither a copy nor take large values, or have poles, of what is positive.
KINDS = [name for name in operations() if name not in ("copy", "tan", "sinh", "cosh")]


def random_expression(generator, depth=3):
    """Of positive value, since every operation is applied to something positive."""
    if depth == 0:
        return [X, Y, *C][generator.integers(2 + len(C))]
    kind = generator.choice(KINDS)
    a, b = (random_expression(generator, depth - 1) for _ in range(2))
    match kind:
        case "add" | "multiply" | "divide":
            return {"add": a + b, "multiply": a * b, "divide": a / b}[kind]
        case "reciprocal" | "square" | "sqrt":
            return a ** {"reciprocal": -1, "square": 2, "sqrt": sympy.Rational(1, 2)}[kind]
        case "power":
            return a ** C[generator.integers(len(C))]
        case "min" | "max":
            return (sympy.Min if kind == "min" else sympy.Max)(a, b)
        case "exp":
            return sympy.exp(-a)
        case "log":
            return sympy.log(1 + a)
        case "sigmoid":
            return sigmoid(a - 1)
        case "abs":
            return sympy.Rational(1, 10) + sympy.Abs(a - b)
    return 2 + getattr(sympy, kind)(a)


def check_values_and_derivatives(expression):
    points, constants = points_of(60), np.array([0.7, 1.3, 0.9, 1.6])
    value, slopes = by_tape(expression, points, constants)
    expected = values_of(expression, points, constants)
    np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-300)
    size = np.abs(expected).max()
    for k in range(len(constants)):
        step = 1e-5 * np.eye(len(constants))[k]
        beside = [values_of(expression, points, constants + s * step) for s in (-1, 1)]
        right, left = (beside[1] - expected) / 1e-5, (expected - beside[0]) / 1e-5
        smooth = np.abs(right - left) < 1e-2 * (np.abs(right) + 1e-3)
        numeric = (beside[1] - beside[0]) / 2e-5
        scale = np.abs(numeric).max() + size
        np.testing.assert_allclose(slopes[k][smooth], numeric[smooth], rtol=1e-5, atol=1e-7 * scale)
        assert smooth.mean() > 0.9


@pytest.mark.parametrize("name", operations())
def test_value_and_derivatives_of_each_operation(name):
    tape, _ = write_tape(OF_OPERATION[name], NAMES, C)
    assert operations().index(name) in tape.code[: tape.length, 0]
    check_values_and_derivatives(OF_OPERATION[name])


@pytest.mark.parametrize("seed", range(12))
def test_value_and_derivatives_of_random_expressions(seed):
    generator = np.random.default_rng(seed)
    check_values_and_derivatives(random_expression(generator))


def test_derivative_does_not_turn_nan_where_a_part_has_no_share():
    # sqrt(0) has an infinite derivative, which the minimum does not take.
    points = np.column_stack([np.zeros(5), np.ones(5)])
    value, slopes = by_tape(sympy.Min(sympy.sqrt(C[0] * X) + 3, C[1] * Y), points, [1.0, 2.0])
    np.testing.assert_array_equal(value, 2.0)
    np.testing.assert_array_equal(slopes, [[0.0] * 5, [1.0] * 5])


# --- refits --------------------------------------------------------------------------------------

LAWS = {
    "hill": (C[0] * X**2 / (C[1] + X**2), (1.7, 0.6), (1.0, 1.0)),
    "wave": (C[0] * sympy.sin(C[1] * X - Y), (0.8, 1.4), (1.0, 1.2)),
    "decay": (C[0] + C[1] * sympy.exp(-C[2] * X), (0.3, 1.1, 0.7), (0.0, 1.0, 1.0)),
    "step": (sigmoid(C[0] * X - C[1] * Y), (3.0, 2.0), (1.0, 1.0)),
    "power": (C[0] * X ** C[1], (1.3, 2.4), (1.0, 1.0)),
    "kink": (sympy.Max(C[0] * X, C[1] * Y), (1.5, 0.8), (1.0, 1.0)),
}


@pytest.mark.parametrize("name", LAWS)
def test_refit_finds_known_constants(name):
    expression, truth, start = LAWS[name]
    points = points_of()
    samples = in_blocks(points, values_of(expression, points, truth), np.ones(len(points)))
    constants, chi_squared, _ = fitted(expression, start, samples, steps=60)
    np.testing.assert_allclose(constants, truth, rtol=1e-5)
    assert chi_squared < 1e-8


def test_numbers_of_an_expression_stay_as_they_are():
    points = points_of()
    expression = C[0] * sympy.exp(-sympy.Float(0.7) * X) + sympy.Rational(5, 2)
    samples = in_blocks(points, 1.9 * np.exp(-0.7 * points[:, 0]) + 2.5, np.ones(200))
    constants, chi_squared, _ = fitted(expression, (1.0,), samples)
    assert constants[0] == pytest.approx(1.9)
    assert chi_squared < 1e-12


def noisy_decay(num=300, seed=1):
    """Points, values and weights of a noisy law, a wrong start, and the law."""
    expression, truth, start = LAWS["decay"]
    points = points_of(num, seed)
    generator = np.random.default_rng(seed)
    weights = generator.uniform(20.0, 60.0, num)
    values = values_of(expression, points, truth) + generator.normal(size=num) / weights
    return points, values, weights, expression, start


def test_sum_of_squares_and_information_are_those_of_the_samples():
    points, values, weights, expression, start = noisy_decay()
    constants, chi_squared, information = fitted(
        expression, start, in_blocks(points, values, weights)
    )
    rest = (values_of(expression, points, constants) - values) * weights
    assert chi_squared == pytest.approx(rest @ rest, rel=1e-9)
    steps = 1e-6 * np.eye(3)
    jacobian = [
        values_of(expression, points, constants + s) - values_of(expression, points, constants - s)
        for s in steps
    ]
    jacobian = np.stack(jacobian, axis=1) / 2e-6 * weights[:, None]
    np.testing.assert_allclose(information, jacobian.T @ jacobian, rtol=1e-6)
    # At the best constants the gradient is nought.
    assert np.all(np.abs(jacobian.T @ rest) < 1e-2 * np.sqrt(np.diag(information)))


def test_order_of_the_samples_does_not_matter():
    points, values, weights, expression, start = noisy_decay()
    order = np.random.default_rng(0).permutation(len(values))
    first = fitted(expression, start, in_blocks(points, values, weights))
    second = fitted(expression, start, in_blocks(points[order], values[order], weights[order]))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)


@pytest.mark.parametrize("num", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_padding_to_blocks_does_not_matter(num):
    points, values, weights, expression, start = noisy_decay(num)
    samples = in_blocks(points, values, weights)
    assert samples.num_blocks == -(-num // BLOCK)
    assert np.count_nonzero(samples.weights) == num
    found = fitted(expression, start, samples)
    # Further blocks hold samples of weight zero only.
    more = fitted(expression, start, samples._replace(num_blocks=MAX_BLOCKS))
    for a, b in zip(found, more, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    rest = (values_of(expression, points, found[0]) - values) * weights
    assert found[1] == pytest.approx(rest @ rest, rel=1e-9)


def test_samples_of_weight_zero_do_not_matter():
    points, values, weights, expression, start = noisy_decay()
    plain = fitted(expression, start, in_blocks(points, values, weights))
    wrong = np.concatenate([values, np.full(50, 1e6)])
    beside = np.concatenate([points, points_of(50, 9)])
    none = np.concatenate([weights, np.zeros(50)])
    with_wrong = fitted(expression, start, in_blocks(beside, wrong, none))
    for a, b in zip(plain, with_wrong, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)


def test_more_samples_than_fit_are_thinned_over_their_whole_range():
    num = 3 * MAX_BLOCKS * BLOCK
    x = np.linspace(0.0, 1.0, num)
    samples = in_blocks(x[:, None], x, np.ones(num))
    kept = np.sort(samples.values[samples.weights > 0])
    assert len(kept) == MAX_BLOCKS * BLOCK
    assert (kept[0], kept[-1]) == (0.0, 1.0)
    assert np.diff(kept).max() < 5 / num


def all_laws(repeats=1):
    tapes, starts = [], []
    for expression, _, start in list(LAWS.values()) * repeats:
        tape, fixed = write_tape(expression, NAMES, C[: len(start)])
        fixed[: len(start)] = start
        tapes.append(tape)
        starts.append(fixed)
    return tapes, np.stack(starts)


def test_batch_in_which_a_tape_is_fitted_does_not_matter():
    points = points_of()
    samples = in_blocks(points, values_of(LAWS["hill"][0], points, (1.7, 0.6)), np.ones(200))
    tapes, starts = all_laws(repeats=13)
    together = refit(tapes, starts, samples)
    assert len(tapes) > 64
    assert together.chi_squared.shape == (len(tapes),)
    for k in (0, 1, len(tapes) - 1):
        alone = refit(tapes[k : k + 1], starts[k : k + 1], samples)
        np.testing.assert_array_equal(together.constants[k], alone.constants[0])
        np.testing.assert_array_equal(together.chi_squared[k], alone.chi_squared[0])
        np.testing.assert_array_equal(together.information[k], alone.information[0])


def test_no_tapes_give_no_refits():
    points = points_of()
    found = refit([], np.zeros((0, MAX_CONSTANTS)), in_blocks(points, points[:, 0], np.ones(200)))
    assert [len(part) for part in found] == [0, 0, 0, 0]


def test_one_compilation_serves_all_expressions_and_numbers_of_samples():
    points, values, weights, expression, start = noisy_decay()
    fitted(expression, start, in_blocks(points, values, weights))
    before = refits._refit_batch._cache_size()
    tapes, starts = all_laws(repeats=13)
    for num in (20, 300, 2000):
        points = points_of(num)
        refit(tapes, starts, in_blocks(points, points[:, 0], np.ones(num)), steps=3, tolerance=0.1)
    assert refits._refit_batch._cache_size() == before


@pytest.mark.slow
def test_side_by_side_equals_one_by_one():
    points = points_of(40)
    samples = in_blocks(points, values_of(LAWS["hill"][0], points, (1.7, 0.6)), np.ones(40))
    tapes, starts = all_laws()
    stacked = type(tapes[0])(*(np.stack(part) for part in zip(*tapes, strict=True)))
    with jax.enable_x64(True):
        one, other = (
            refits._refit_batch(stacked, starts, samples, 8, 1e-5, tape_functions(), way)
            for way in (True, False)
        )
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-12)


# --- what cannot be fitted -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        sympy.log(C[0] - X),
        sympy.sqrt(C[0] - X),
        (C[0] - X) ** C[1],
        C[0] / (Y - C[1] * Y),
        sympy.exp(sympy.exp(9 * X)) ** 4,
    ],
)
def test_expression_that_cannot_be_evaluated_has_an_infinite_sum(expression):
    points = points_of()
    samples = in_blocks(points, points[:, 0], np.ones(200))
    constants, chi_squared, information = fitted(expression, (0.1, 1.0, 1.0), samples)
    assert chi_squared == np.inf
    assert np.isfinite(constants).all()
    assert np.isfinite(information).all()


def test_fit_does_not_leave_where_the_expression_can_be_evaluated():
    points = points_of()
    samples = in_blocks(points, -5.0 * np.ones(200), np.ones(200))
    constants, chi_squared, _ = fitted(sympy.log(X - C[0]), (0.1,), samples)
    assert np.isfinite(chi_squared)
    assert constants[0] < points[:, 0].min()


def test_what_a_tape_cannot_hold_is_a_sentence():
    many = [constant(k) for k in range(MAX_CONSTANTS + 1)]
    with pytest.raises(InputError, match="too many inputs or constants"):
        write_tape(sympy.Add(*many), NAMES, many)
    with pytest.raises(InputError, match="too many inputs or constants"):
        write_tape(X, [f"x{k}" for k in range(MAX_INPUTS + 1)], [])
    numbers = sympy.Add(*(sympy.Float(0.1 + k) * X**k for k in range(MAX_CONSTANTS + 1)))
    with pytest.raises(InputError, match="too many constants"):
        write_tape(numbers, NAMES, [])
    long = sympy.Add(*(f(X**k) for f in (sympy.sin, sympy.cos, sympy.tanh) for k in range(2, 10)))
    with pytest.raises(InputError, match="too long"):
        write_tape(long, NAMES, [])
    with pytest.raises(InputError, match="gamma cannot be fitted"):
        write_tape(sympy.gamma(X), NAMES, [])
    for number in (sympy.I, sympy.zoo, sympy.nan, sympy.oo):
        with pytest.raises(InputError, match="not a finite real number"):
            write_tape(sympy.Add(X, number, evaluate=False), NAMES, [])


def test_equal_parts_are_written_once():
    part = sympy.exp(-C[0] * X)
    once, _ = write_tape(part, NAMES, C[:1])
    twice, _ = write_tape(part / (1 + part), NAMES, C[:1])
    assert twice.length == once.length + 2
