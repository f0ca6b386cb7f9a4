"""Terms on a stage, against loops over the adjacency matrix, finite differences and relabelled nodes."""

from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from numpy import cos, exp, sin, tanh

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol, terms_of
from jaxllc.equations.expression_calculus import evaluate
from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import as_written

NUM_NODES, NUM_TIMES = 9, 5
W0, W1 = inner_symbol(0), inner_symbol(1)
X_I, X_J, Y_I, Y_J, A_I, A_J, K_I = sympy.symbols("x_i x_j y_i y_j a_i a_j k_i")
INNER = (0.7, 1.3)

# (side, expression, inner constants, the same function of receiver r and sender s written by hand)
TERMS = {
    "one": (SELF, sympy.Integer(1), 0, lambda r, s, u, w: 1.0),
    "cubic": (SELF, X_I**2 * Y_I, 0, lambda r, s, u, w: r.x**2 * r.y),
    "own feature": (SELF, A_I * X_I, 0, lambda r, s, u, w: r.a * r.x),
    "own sine": (SELF, sympy.sin(W0 * X_I), 1, lambda r, s, u, w: sin(u * r.x)),
    "own hill": (SELF, X_I**2 / (X_I**2 + W0), 1, lambda r, s, u, w: r.x**2 / (r.x**2 + u)),
    "in-strength": (INTERACTION, sympy.Integer(1), 0, lambda r, s, u, w: 1.0),
    "receiver": (INTERACTION, X_I**2, 0, lambda r, s, u, w: r.x**2),
    "sender": (INTERACTION, X_J**3, 0, lambda r, s, u, w: s.x**3),
    "product": (INTERACTION, X_I * Y_J, 0, lambda r, s, u, w: r.x * s.y),
    "difference": (INTERACTION, (X_J - X_I) / K_I, 0, lambda r, s, u, w: (s.x - r.x) / r.k),
    "features": (INTERACTION, A_I * A_J * X_J, 0, lambda r, s, u, w: r.a * s.a * s.x),
    "feature alone": (INTERACTION, A_J, 0, lambda r, s, u, w: s.a),
    "sine": (INTERACTION, sympy.sin(W0 * X_J - W0 * X_I), 1, lambda r, s, u, w: sin(u * (s.x - r.x))),
    "cosine": (INTERACTION, sympy.cos(X_J - X_I + W0), 1, lambda r, s, u, w: cos(s.x - r.x + u)),
    "tanh": (INTERACTION, sympy.tanh(W0 * (X_J - X_I)), 1, lambda r, s, u, w: tanh(u * (s.x - r.x))),
    "sigmoid": (
        INTERACTION,
        X_I * sigmoid(W0 * X_J - W0 * W1),
        2,
        lambda r, s, u, w: r.x / (1 + exp(-u * (s.x - w))),
    ),
    "hill": (INTERACTION, X_J / (X_J + W0), 1, lambda r, s, u, w: s.x / (s.x + u)),
    "saturating": (
        INTERACTION,
        X_I * X_J / (1 + W0 * X_I + W1 * X_J),
        2,
        lambda r, s, u, w: r.x * s.x / (1 + u * r.x + w * s.x),
    ),
    "mixed times sender": (
        INTERACTION,
        Y_J * sympy.exp(-W0 * X_I * X_J),
        1,
        lambda r, s, u, w: s.y * exp(-u * r.x * s.x),
    ),
    "square of a difference": (INTERACTION, (X_J - Y_I) ** 2, 0, lambda r, s, u, w: (s.x - r.y) ** 2),
}  # fmt: skip


def family(name):
    side, expression, num_inner, _ = TERMS[name]
    return TermFamily(side, expression, (True,) * num_inner, ((1e-3, 1e3),) * num_inner)


@pytest.fixture(scope="module")
def adjacency():
    """Directed, weighted, with one node that receives nothing."""
    generator = np.random.default_rng(3)
    matrix = generator.uniform(0.2, 2.0, (NUM_NODES, NUM_NODES))
    matrix[generator.random((NUM_NODES, NUM_NODES)) > 0.4] = 0.0
    np.fill_diagonal(matrix, 0.0)
    matrix[4] = 0.0
    return matrix


@pytest.fixture(scope="module")
def network(adjacency):
    return Network.from_adjacency(adjacency)


@pytest.fixture(scope="module")
def states():
    generator = np.random.default_rng(4)
    return {v: generator.uniform(0.1, 2.5, (NUM_NODES, NUM_TIMES)) for v in ("x", "y")}


@pytest.fixture(scope="module")
def features():
    return {"a": np.random.default_rng(5).uniform(0.5, 1.5, NUM_NODES)}


@pytest.fixture(scope="module")
def stage(network, states, features):
    return Stage(network, states, features)


def by_loops(name, adjacency, states, features, inner=INNER):
    """The term at every node, one edge and one time after the other."""
    side, _, num_inner, function = TERMS[name]
    u, w = (*inner[:num_inner], 0.0, 0.0)[:2]
    strength = adjacency.sum(axis=1)

    def node(n, t):
        return SimpleNamespace(
            x=states["x"][n, t], y=states["y"][n, t], a=features["a"][n], k=strength[n]
        )

    values = np.zeros((NUM_NODES, NUM_TIMES))
    for n in range(NUM_NODES):
        for t in range(NUM_TIMES):
            if side == SELF:
                values[n, t] = function(node(n, t), None, u, w)
            for j in np.flatnonzero(adjacency[n]) if side == INTERACTION else ():
                values[n, t] += adjacency[n, j] * function(node(n, t), node(j, t), u, w)
    return values


def inner_of(name):
    return INNER[: TERMS[name][2]]


@pytest.mark.parametrize("name", TERMS)
def test_values_equal_loops_over_nodes_and_edges(name, stage, adjacency, states, features):
    values = stage.evaluator(inner_of(name)).value(family(name))
    assert values.shape == (NUM_NODES, NUM_TIMES)
    expected = by_loops(name, adjacency, states, features)
    np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in TERMS if TERMS[n][2]])
def test_inner_derivatives_equal_finite_differences(name, stage, adjacency, states, features):
    evaluator = stage.evaluator(inner_of(name))
    for position in range(TERMS[name][2]):
        values = []
        for sign in (1, -1):
            inner = list(inner_of(name))
            inner[position] += sign * 1e-5
            values.append(by_loops(name, adjacency, states, features, inner))
        expected = (values[0] - values[1]) / 2e-5
        found = evaluator.inner_derivative(family(name), position)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("variable", ["x", "y"])
def test_derivatives_by_receiver_and_senders_equal_finite_differences(
    name, variable, stage, adjacency, states, features
):
    evaluator = stage.evaluator(inner_of(name))
    own = evaluator.receiver_derivative(family(name), variable)
    edges = evaluator.sender_derivative(family(name), variable)
    jacobian = np.zeros((NUM_NODES, NUM_NODES, NUM_TIMES))
    if own is not None:
        jacobian[np.arange(NUM_NODES), np.arange(NUM_NODES)] = own
    if edges is not None:
        jacobian[stage.receivers, stage.senders] = edges
    for moved in range(NUM_NODES):
        values = []
        for sign in (1, -1):
            other = {v: s.copy() for v, s in states.items()}
            other[variable][moved] += sign * 1e-5
            values.append(by_loops(name, adjacency, other, features))
        expected = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(jacobian[:, moved], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", TERMS)
def test_a_stage_of_some_receivers_holds_their_rows(name, stage, network, states, features):
    chosen = np.array([7, 0, 4, 5])
    part = Stage(network, states, features, receiving=chosen)
    at_all, at_some = stage.evaluator(inner_of(name)), part.evaluator(inner_of(name))
    np.testing.assert_allclose(
        at_some.value(family(name)), at_all.value(family(name))[chosen], rtol=1e-12, atol=1e-13
    )
    for variable in ("x", "y"):
        whole = at_all.sender_derivative(family(name), variable)
        some = at_some.sender_derivative(family(name), variable)
        assert (whole is None) == (some is None)
        if whole is None:
            continue
        of_all = {(r, s): v for r, s, v in zip(stage.receivers, stage.senders, whole, strict=True)}
        for row, sender, value in zip(part.receivers, part.senders, some, strict=True):
            np.testing.assert_allclose(value, of_all[chosen[row], sender], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", TERMS)
def test_relabelled_nodes_have_permuted_values(name, stage, network, states, features):
    order = np.random.default_rng(8).permutation(NUM_NODES)
    other = Stage(
        network.relabelled(order),
        {v: s[order] for v, s in states.items()},
        {f: a[order] for f, a in features.items()},
    )
    found = other.evaluator(inner_of(name)).value(family(name))
    expected = stage.evaluator(inner_of(name)).value(family(name))[order]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_moved_states_give_what_a_new_stage_gives(network, states, features):
    first = Stage(network, states, features)
    first.evaluator(INNER[:1]).value(family("sine"))
    first.evaluator().value(family("product"))
    other = {v: s[:, ::-1] + 0.1 for v, s in states.items()}
    moved, new = first.moved(other), Stage(network, other, features)
    for name in TERMS:
        found = moved.evaluator(inner_of(name)).value(family(name))
        np.testing.assert_array_equal(found, new.evaluator(inner_of(name)).value(family(name)))
    again = first.evaluator().value(family("product"))
    expected = Stage(network, states, features).evaluator().value(family("product"))
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize(
    "expression",
    [
        sympy.sin(W0 * X_J - W0 * X_I),
        sympy.cos(2 * X_J - X_I),
        sympy.sin(X_J - X_I) * sympy.cos(X_J),
        sympy.sin(X_J - X_I) ** 2,
        sympy.tanh(W0 * X_J - W0 * X_I),
        sympy.tanh(W0 * (X_J - X_I)),
        sympy.sinh(0.1 * X_J - 0.1 * X_I),
        sigmoid(W0 * X_J - W0 * X_I),
    ],
    ids=str,
)
def test_separated_sums_equal_the_expression_evaluated_on_every_edge(expression, scale, network):
    """Also where states are large, so that exponentials saturate."""
    x = scale * np.random.default_rng(6).standard_normal((NUM_NODES, NUM_TIMES))
    stage = Stage(network, {"x": x}, {})
    found = stage.evaluator((0.8,)).over_edges(expression)
    memo = {X_I: x[network.receivers], X_J: x[network.senders], W0: np.float64(0.8)}
    expected = np.zeros_like(x)
    np.add.at(expected, network.receivers, network.weights[:, None] * evaluate(expression, memo))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_input_weight_of_a_node_may_be_negative():
    A = np.array([[0.0, -2.0, 0.5], [1.0, 0.0, -3.0], [0.0, 0.0, 0.0]])
    x = np.array([[0.3], [1.2], [2.0]])
    stage = Stage(Network.from_adjacency(A, signed=True), {"x": x}, {})
    found = stage.evaluator().over_edges(X_J / K_I)
    np.testing.assert_allclose(found, [[1.4 / 1.5], [5.7 / 2.0], [0.0]])


def test_a_term_as_an_expression_has_the_value_of_its_family(stage):
    for name in ("sigmoid", "hill", "saturating", "sine"):
        term = Term(family(name), inner_of(name))
        written = TermFamily(INTERACTION, term.sympy())
        assert {s.name for s in written.expression.free_symbols} <= {"x_i", "x_j"}
        np.testing.assert_allclose(
            stage.evaluator().value(written),
            stage.evaluator(term.inner).value(term.family),
            rtol=1e-12,
        )


def test_inner_constants_stay_within_their_bounds():
    bounded = TermFamily(INTERACTION, X_J / (X_J + W0), (True,), ((0.5, 2.0),))
    term = Term(bounded, (1.0,))
    assert term.with_inner([9.0]).inner == (2.0,)
    assert term.with_inner([0.1]).inner == (0.5,)
    assert term.with_inner([1.5]).inner == (1.5,)
    assert term.num_constants == 2


def test_the_logistic_function_saturates_without_overflow(network):
    x = np.full((NUM_NODES, 2), 1e4)
    x[:, 1] = -1e4
    stage = Stage(network, {"x": x}, {})
    steep = TermFamily(INTERACTION, sigmoid(W0 * X_J), (True,), ((0.1, 100.0),))
    evaluator = stage.evaluator((10.0,))
    expected = np.outer(network.in_strength, [1.0, 0.0])
    np.testing.assert_allclose(evaluator.value(steep), expected, atol=1e-12)
    np.testing.assert_allclose(evaluator.inner_derivative(steep, 0), 0.0, atol=1e-12)


def test_an_unknown_function_is_named():
    with pytest.raises(ValueError, match="gamma"):
        evaluate(sympy.gamma(X_I), {X_I: np.ones(3)})


# --- skeletons on a side --------------------------------------------------------------------------

WRITTEN = [
    X_I**2 / (X_I**2 + 0.7),
    sigmoid(1.5 * X_I - 0.3 * Y_I) * sympy.tanh(0.2 * X_I),
    sympy.Max(X_I, 0.4) + sympy.exp(-0.2 * X_I) ** 2,
    X_I**1.3 * Y_I,
]


@pytest.mark.parametrize("expression", WRITTEN, ids=str)
def test_a_term_is_a_skeleton_on_a_side(expression):
    skeleton = as_written(expression)
    term = Term.of(skeleton, SELF)
    assert (term.family.side, term.inner) == (SELF, skeleton.values)
    assert term.family.form == skeleton.expression
    at = {X_I: 0.8, Y_I: 1.7}
    assert float(evaluate(term.sympy(), at)) == pytest.approx(float(evaluate(expression, at)))


def test_terms_of_an_expression_sum_to_it():
    expression = 2.5 + 0.3 * X_I - X_I / 3 + sum(0.6 * e for e in WRITTEN)
    terms, coefficients = terms_of(expression, SELF)
    values = {X_I: np.array([0.3, 0.8, 2.0]), Y_I: np.array([1.1, 0.2, 1.7])}
    total = sum(c * evaluate(t.sympy(), values) for t, c in zip(terms, coefficients, strict=True))
    np.testing.assert_allclose(total, evaluate(expression, values), rtol=1e-12)
    # Summands that differ in their coefficient only are one term.
    assert [t.inner for t in terms if t.family.expression == X_I] == [()]
    assert all(t.family.expression.as_coeff_Mul()[0] == 1 for t in terms if t.sympy() != 1)
