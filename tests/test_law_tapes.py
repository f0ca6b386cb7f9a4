"""Tapes of laws: interpreted, unrolled and by the NumPy oracle alike, with their slopes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from jaxllc import generators, known_laws
from jaxllc.data.message_passing import graph_of
from jaxllc.dynamics.interpreted_field import interpreted
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations import expression_calculus
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import FUNCTIONS, evaluate, parse
from jaxllc.equations.tapes.instructions import tape_functions
from jaxllc.equations.tapes.interpreted import TapeArrays, interpret
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.equations.tapes.unrolled import run
from tests.random_texts import random_text

INPUTS, CONSTANTS, LENGTH, POINTS = 6, 24, 80, 7
TEXTS = [
    *(f"{name}(0.7*x_i + 0.2)" for name in FUNCTIONS),
    *("min(x_i, 0.9*x_j, 1.3)", "max(x_i, 0.9*x_j, 1.3)", "hill(x_j, 1.2, 1.7)"),
    *("x_i**-3", "x_i**7", "x_i**x_j", "1.5**x_i", "x_i**-0.5", "x_i**-1.5", "1 - x_i", "0", "x_j"),
    *(random_text(seed) for seed in range(24)),
]
TERMS = {
    f"{name}, {what} of {variable}": term
    for name in known_laws.names()
    for variable, equation in known_laws.get(name).equations.items()
    for what, term in (("own", equation.self_term), ("between", equation.interaction_term))
}
CASES = {text: parse(text) for text in TEXTS} | TERMS


def arrays_of(expression):
    """A tape, padded to one size: arrays, constants, and the instructions they came from."""
    tape = law_tape(expression)
    written = tape.instructions
    code, outputs = written.placed(range(len(written.inputs)), INPUTS, CONSTANTS, LENGTH)
    constants = np.zeros(CONSTANTS)
    numbers = [*tape.constants, *written.numbers]
    constants[: len(numbers)] = numbers
    return TapeArrays(code, np.int32(len(written.code)), outputs), constants, written


def points_of(written, seed=0):
    """Inputs (INPUTS, POINTS), positive, and the same by name."""
    columns = np.random.default_rng(seed).uniform(0.3, 1.9, (INPUTS, POINTS))
    return columns, dict(zip(written.inputs, columns, strict=False))


def oracle(expression, values):
    memo = {sympy.Symbol(name): value for name, value in values.items()}
    return np.broadcast_to(expression_calculus.evaluate(expression, memo), POINTS)


@partial(jax.jit, static_argnums=0)
def by_interpreter(functions, tape, constants, columns):
    return interpret(functions, tape, constants, [columns])[0]


@partial(jax.jit, static_argnums=0)
def slopes_of(functions, tape, constants, columns, move):
    """In reverse by constants and by inputs of each point, and forward along `move` of both."""

    def value(constants, columns):
        return interpret(functions, tape, constants, [columns])[0]

    _, back = jax.vjp(value, constants, columns)
    return back(jnp.ones(POINTS)), jax.jvp(value, (constants, columns), move)[1]


@pytest.mark.parametrize("case", CASES)
def test_a_tape_is_its_expression_with_its_slopes(case):
    expression = CASES[case]
    tape, constants, written = arrays_of(expression)
    columns, values = points_of(written)
    expected = oracle(expression, values)
    np.testing.assert_allclose(
        np.broadcast_to(evaluate(expression, values), POINTS), expected, rtol=1e-13, atol=1e-14
    )
    own = written.num_constants

    def moved(change, k):
        """The sum over points of the values, with constant or input k changed."""
        if k < own:
            other = constants + change * (np.arange(CONSTANTS) == k)
            return np.broadcast_to(run(written, other, values)[0], POINTS)
        name = written.inputs[k - own]
        (value,) = run(written, constants, {**values, name: values[name] + change})
        return np.broadcast_to(value, POINTS)

    count = own + len(written.inputs)
    step = 1e-5
    numeric = np.array(
        [(moved(step, k) - moved(-step, k)) / (2 * step) for k in range(count)]
    ).reshape(count, POINTS)
    along = np.random.default_rng(1).normal(size=count)
    move = np.zeros(CONSTANTS), np.zeros((INPUTS, POINTS))
    move[0][:own] = along[:own]
    move[1][: len(written.inputs)] = along[own:, None]
    with jax.enable_x64(True):
        found = by_interpreter(tape_functions(), tape, constants, columns)
        (by_constants, by_inputs), forward = slopes_of(
            tape_functions(), tape, constants, columns, move
        )
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
    close(by_constants[:own], numeric[:own].sum(axis=1))
    close(by_inputs[: len(written.inputs)], numeric[own:])
    np.testing.assert_array_equal(by_inputs[len(written.inputs) :], 0.0)
    close(forward, along @ numeric)


def test_numbers_stand_beside_the_instructions():
    tape = law_tape(parse("2.5*x_i**3 - 1/(1 + 0.5*x_j)"), parse("x_i + 4"))
    assert tape.sizes == (2, 1)
    assert sorted(tape.constants[:2]) == [0.5, 2.5]
    assert tape.constants[2] == 4
    assert set(tape.instructions.numbers) == {1.0, -1.0}
    assert tape.instructions.num_constants == 3
    other = law_tape(parse("0.1*x_i**3 - 1/(1 + 7*x_j)"), parse("x_i - 3"))
    assert other.instructions == tape.instructions


def test_equal_parts_without_constants_are_written_once():
    once, twice = parse("sin(x_j - x_i)"), parse("sin(x_j - x_i)*exp(-sin(x_j - x_i))")
    short, long = (law_tape(e).instructions.code for e in (once, twice))
    assert [name for name, *_ in long].count("sin") == 1
    assert len(long) == len(short) + 3  # minus, exp, times


@pytest.mark.parametrize(
    ("text", "points", "slopes"),
    [
        ("x_i**2", [0.0, -3.0], [0.0, -6.0]),
        ("x_i**3", [0.0, -2.0], [0.0, 12.0]),
        ("x_i**1.5", [0.0, 4.0], [0.0, 3.0]),
        ("x_i**x_j", [0.0, 1.0], [0.0, 2.0]),  # x_j = 2
        ("sqrt(x_i)", [0.0, 4.0], [np.inf, 0.25]),
        ("sqrt(x_i)*0 + x_i", [4.0, 9.0], [1.0, 1.0]),
        ("1/(1 + exp(-10*(x_i - 1)))", [-1000.0, 1000.0], [0.0, 0.0]),
        ("sigmoid(x_i)", [-1e4, 1e4], [0.0, 0.0]),
        ("exp(x_i)", [-1e4, 0.0], [0.0, 1.0]),
        ("abs(x_i)", [-2.0, 3.0], [-1.0, 1.0]),
    ],
)
def test_slopes_at_the_edge_are_those_of_jax_on_the_unrolled_tape(text, points, slopes):
    expression = parse(text)
    tape, constants, written = arrays_of(expression)
    columns = np.full((INPUTS, POINTS), 2.0)
    columns[0, :2] = points
    by_name = dict(zip(written.inputs, columns, strict=False))
    with jax.enable_x64(True):
        found = by_interpreter(tape_functions(), tape, constants, columns)
        (_, by_inputs), _ = slopes_of(
            tape_functions(), tape, constants, columns, (constants, columns)
        )
        unrolled = jax.grad(lambda x: jnp.sum(evaluate(expression, {**by_name, "x_i": x}, jnp)))
        np.testing.assert_allclose(unrolled(jnp.asarray(columns[0]))[:2], slopes, rtol=1e-12)
    expected = evaluate(expression, by_name)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(by_inputs[0][:2], slopes, rtol=1e-12)


@pytest.mark.parametrize(
    "text", ["exp(x_i)", "log(x_i)", "sqrt(x_i)", "x_i**0.5", "x_i**2.5", "1/x_i"]
)
def test_what_has_no_value_has_none_either_way(text):
    """Not a number, infinite, or bounded: as on the unrolled tape."""
    tape, constants, _ = arrays_of(parse(text))
    columns = np.resize([-1.0, 0.0, 1e5, -2.5, -1e5, 1e-9], (INPUTS, POINTS))
    with jax.enable_x64(True):
        found = by_interpreter(tape_functions(), tape, constants, columns)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, evaluate(parse(text), {"x_i": columns[0]}), rtol=1e-13)


def test_what_is_not_moved_has_no_slope_even_where_it_would_not_be_a_number():
    """The slope of x**y by y, of a negative x."""
    tape, constants, written = arrays_of(parse("x_i**x_j"))
    assert written.inputs == ("x_i", "x_j")
    columns = np.full((INPUTS, 1), 3.0)
    columns[0] = -2.0

    def value(x, rest):
        return interpret(tape_functions(), tape, constants, [x, rest])[0, 0]

    with jax.enable_x64(True):
        for slope in (jax.grad(value), jax.jacfwd(value)):
            np.testing.assert_allclose(slope(columns[:1], columns[1:]), [[12.0]], rtol=1e-14)


# --- many at once -------------------------------------------------------------------------------


def conditionals(jaxpr):
    """How many branches each `cond` in a program has, wherever it is."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "cond":
            found.append(len(equation.params["branches"]))
        for part in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
        ):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                found += conditionals(inner)
    return found


@pytest.mark.parametrize("batched", ["columns", "constants", "both", "tapes"])
def test_side_by_side_equals_one_by_one_and_keeps_its_branches(batched):
    texts = ("x_i*x_j/(1.5 + x_i)", "sin(x_j - 0.3*x_i)", "-x_i**3 + tanh(2*x_j)")
    cases = [arrays_of(parse(text)) for text in texts]
    tape, constants, written = cases[0]
    columns = np.stack([points_of(written, seed)[0] for seed in range(3)])
    constants = np.stack([constants, 2 * constants, 3 * constants])
    tapes = jax.tree.map(lambda *leaves: np.stack(leaves), *(case[0] for case in cases))
    axes = {
        "columns": (None, None, 0),
        "constants": (None, 0, None),
        "both": (None, 0, 0),
        "tapes": (0, 0, 0),
    }[batched]
    given = (tapes if batched == "tapes" else tape, constants, columns)
    given = tuple(
        x if a == 0 or k == 0 else x[0] for k, (x, a) in enumerate(zip(given, axes, strict=True))
    )
    together = jax.vmap(
        lambda *given: interpret(tape_functions(), *given[:2], given[2:]), in_axes=axes
    )
    with jax.enable_x64(True):
        found = together(*given)
        for k in range(3):
            one = [
                jax.tree.map(lambda x, k=k: x[k], x) if a == 0 else x
                for x, a in zip(given, axes, strict=True)
            ]
            np.testing.assert_array_equal(found[k, 0], by_interpreter(tape_functions(), *one))
        program = jax.make_jaxpr(together)(*given)
    assert len(tape_functions()) + 7 in conditionals(program.jaxpr)


# --- fields -------------------------------------------------------------------------------------

LONG = " + ".join(
    f"{0.1 + 0.01 * k:.2f}*sin({1 + 0.1 * k:.1f}*x_i + a{k % 9}_i)" for k in range(60)
)


@jax.jit
def derivative_gradient_and_jacobian(field, graph, state, weights):
    def rates(state):
        return field.derivative(state, graph)

    gradient = jax.grad(lambda state: jnp.sum(weights * rates(state)))(state)
    return rates(state), gradient, jnp.tensordot(weights, jax.jacfwd(rates)(state), 2)


@pytest.mark.parametrize(
    "equations",
    [
        {
            "x": ("omega_i - x_i + tanh(0.5*x_s + b_s)", "omega_j*x_j*k_i - k_j"),
            "y": ("k_s + y_s", "x_i*y_j"),
        },
        {"x": (LONG, "x_j")},
    ],
    ids=["features and sums", "larger than every size"],
)
def test_a_field_as_data_is_the_field_with_its_gradients(equations):
    network = generators.barabasi_albert(12, 2, seed=1)
    field = from_equations({v: Equation.from_text(*texts) for v, texts in equations.items()})
    rng = np.random.default_rng(0)
    state = rng.uniform(0.2, 1.0, (12, len(equations)))
    weights = rng.normal(size=state.shape)
    graph = graph_of(network, {name: rng.uniform(0.5, 1.5, 12) for name in field.feature_names})
    with jax.enable_x64(True):
        expected = derivative_gradient_and_jacobian(field, graph, state, weights)
        found = derivative_gradient_and_jacobian(*interpreted(field, graph), state, weights)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-13)
    for slopes in (*found[1:], expected[2]):
        np.testing.assert_allclose(slopes, expected[1], rtol=1e-11, atol=1e-12)
