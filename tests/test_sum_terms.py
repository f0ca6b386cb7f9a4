"""Laws with functions of x_s = sum_j A_ij x_j: values, derivatives, fields, text, files."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import known_laws, metrics
from jaxllc.commands.command_line import main
from jaxllc.data import message_passing as aggregation
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, terms_of
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations import expressions
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.equations.sum_symbols import sums_in, with_sums_written_out
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.law.law import Law
from jaxllc.law.writing.law_text import equation_line
from jaxllc.search.laws.library import Scale, candidate_terms, input_arguments, sum_terms
from jaxllc.search.laws.sum_proposals import as_interaction
from jaxllc.smoothing.grid_data import on_grids
from tests.sum_laws import NUM_NODES, hub_network, law_of, runs_of, signed_network

# --- values and derivatives ---------------------------------------------------------------------

FORMS = {
    "tanh": "tanh(w0*x_s)",
    "with a feature": "1/(1 + exp(-w0*(x_s + u_i)))",
    "two variables": "x_i*y_s/(1 + w0*x_s**2)",
    "mean": "sin(w0*x_s/k_i)",
    "sum of a feature": "w0*u_s*x_s*x_i",
}


@pytest.fixture(scope="module")
def stage_problem():
    network = signed_network(9, seed=4, share=0.4)
    rng = np.random.default_rng(0)
    states = rng.uniform(0.2, 1.0, (2, 9, 3))
    return network, states, {"u": rng.uniform(-1, 1, 9)}


def stage_of(stage_problem, states):
    network, _, features = stage_problem
    return Stage(network, dict(zip("xy", states, strict=True)), features)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_a_function_of_a_sum_is_that_of_the_dense_product(text, stage_problem):
    network, states, features = stage_problem
    A = network.to_adjacency().toarray()
    u = features["u"][:, None]
    values = {
        "x_i": states[0],
        "x_s": A @ states[0],
        "y_s": A @ states[1],
        "u_i": u,
        "u_s": A @ u,
        "k_i": A.sum(axis=1)[:, None],
        "w0": 0.7,
    }
    expected = expressions.evaluate(parse(text), values)
    found = stage_of(stage_problem, states).evaluator((0.7,)).at_nodes(parse(text))
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_its_derivatives_by_receiver_and_senders_are_those_of_finite_differences(
    text, stage_problem
):
    network, states, _ = stage_problem
    family = TermFamily(SELF, parse(text), (False,))
    stage = stage_of(stage_problem, states)
    at = stage.evaluator((0.7,))
    n, step = network.num_nodes, 1e-6
    for v, name in enumerate("xy"):
        jacobian = np.zeros((n, n, states.shape[2]))
        own = at.receiver_derivative(family, name)
        if own is not None:
            jacobian[np.arange(n), np.arange(n)] += own
        edges = at.sender_derivative(family, name)
        if edges is not None:
            np.add.at(jacobian, (stage.receivers, stage.senders), edges)
        for node in range(n):
            ends = []
            for sign in (1, -1):
                moved = states.copy()
                moved[v, node] += sign * step
                ends.append(stage_of(stage_problem, moved).evaluator((0.7,)).value(family))
            slope = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(jacobian[:, node], slope, atol=1e-8)


def test_a_stage_of_some_receivers_sums_over_all_their_senders(stage_problem):
    network, states, features = stage_problem
    chosen = np.array([6, 1, 4])
    named = dict(zip("xy", states, strict=True))
    part = Stage(network, named, features, chosen).evaluator().at_nodes(parse("tanh(x_s) + y_s"))
    whole = stage_of(stage_problem, states).evaluator().at_nodes(parse("tanh(x_s) + y_s"))
    np.testing.assert_allclose(part, whole[chosen], rtol=1e-12)


def test_sums_are_not_computed_for_laws_without_them(stage_problem):
    stage = stage_of(stage_problem, stage_problem[1])
    stage.evaluator().at_nodes(parse("x_i**2"))
    assert not any(s.name.endswith("_s") for s in stage._symbols)


def test_standard_errors_cover_the_truth():
    """Constants of tanh(1.5 x_s) fitted to noisy data lie within a few of their standard errors."""
    network = signed_network()
    clean = runs_of(network, lambda x, s: -x + np.tanh(1.5 * s), -1, 1, 4.0)
    runs = [run.with_noise(40.0, seed) for seed, run in enumerate(clean)]
    noise = np.array([np.std(runs[0].states - clean[0].states)])
    states = [run.states for run in clean]
    times = [run.times for run in clean]
    problem = TrajectoryProblem.of(on_grids(runs, times, states, noise), network, noise)
    tanh = TermFamily(SELF, parse("tanh(w0*x_s)"), (True,))
    start = CandidateLaw(
        ((Term(TermFamily(SELF, parse("x_i"))), Term(tanh, (1.0,))),), ((-0.8, 0.7),)
    )
    fit = fit_trajectories(problem, start, iterations=20, exact=True)
    assert fit.converged
    found, errors = fit.law.vector(), np.sqrt(np.diag(fit.covariance))
    assert np.all(errors < 0.05)
    assert np.all(np.abs(found - [-1.0, 1.0, np.log(1.5)]) < 4 * errors)


# --- fields -------------------------------------------------------------------------------------


def test_a_field_with_sums_follows_the_dense_equation():
    network = signed_network()
    A = network.to_adjacency().toarray()
    u = np.random.default_rng(2).uniform(-1, 1, NUM_NODES)
    x = np.random.default_rng(3).uniform(-1, 1, (NUM_NODES, 2))
    equations = {
        "x": Equation.from_text("-x_i + tanh(x_s + u_i) + y_s*x_i", "y_j - x_i"),
        "y": Equation.from_text("u_s - y_i*x_s**2", "0"),
    }
    found = from_equations(equations, ("u",)).derivative(
        jnp.asarray(x), aggregation.graph_of(network, {"u": u})
    )
    first, second = x.T
    s = A @ x
    expected = np.stack(
        [
            -first + np.tanh(s[:, 0] + u) + s[:, 1] * first + s[:, 1] - A.sum(axis=1) * first,
            A @ u - second * s[:, 0] ** 2,
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_a_sum_cannot_stand_in_an_interaction():
    with pytest.raises(InputError, match="'x_s' cannot stand in an interaction term"):
        from_equations(law_of("x_i", "x_s*x_j"))


def test_a_name_that_ends_in_s_is_no_sum():
    """A variable and a feature named x_s and s beside x: each symbol's last letter is its side."""
    network = signed_network(6, share=0.5)
    A = network.to_adjacency().toarray()
    equations = {
        "x": Equation.from_text("tanh(x_s) + x_s_i*s_i", "x_s_j"),
        "x_s": Equation.from_text("x_s_s - x_i + s_s", "0"),
    }
    field = from_equations(equations, ("s",))
    state = np.random.default_rng(1).uniform(-1, 1, (6, 2))
    s = np.random.default_rng(2).uniform(-1, 1, 6)
    found = field.derivative(jnp.asarray(state), aggregation.graph_of(network, {"s": s}))
    a, b = state.T
    expected = np.stack([np.tanh(A @ a) + b * s + A @ b, A @ b - a + A @ s], axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    assert equation_line("x", equations["x"]) == (
        "dx_i/dt = s_i*x_s_i + tanh(sum_j A_ij x_j) + sum_j A_ij x_s_j"
    )


def test_a_known_law_with_a_sum_runs_from_the_command_line(tmp_path, capsys):
    edges = tmp_path / "edges.csv"
    hub_network(8).to_csv(edges)
    out = tmp_path / "states.csv"
    assert main(["simulate", "signaling", "--network", str(edges), "--out", str(out)]) == 0
    assert np.isfinite(jaxllc.read_states(out)[0].states).all()
    capsys.readouterr()


# --- text, files, metrics -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x_i + tanh(0.5*x_s + u_i)", "-x_i + tanh(0.5*sum_j A_ij x_j + u_i)"),
        ("x_s**2/(x_s + 1)", "(sum_j A_ij x_j)**2/(sum_j A_ij x_j + 1)"),
        ("x_s*y_i", "(sum_j A_ij x_j)*y_i"),
        ("2/x_s", "2/(sum_j A_ij x_j)"),
        ("x_s_i + words_so_far", "x_s_i + words_so_far"),
    ],
)
def test_sums_are_written_out_with_parentheses_where_needed(text, expected):
    assert with_sums_written_out(text) == expected


def test_a_law_with_sums_prints_saves_and_loads(tmp_path):
    law = Law(law_of("-x_i + tanh(0.5*x_s + u_i)"), feature_names=("u",))
    assert str(law) == "dx_i/dt = -x_i + tanh(u_i + 0.5*sum_j A_ij x_j)"
    assert r"\sum_j A_{ij} x_{j}" in law.latex()
    law.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").equations == law.equations
    law.report(tmp_path / "law.html")
    page = (tmp_path / "law.html").read_text()
    assert "tanh(u_i + 0.5*sum_j A_ij x_j)" in page
    assert "<mi>s</mi>" not in page


def test_a_file_must_not_hold_a_sum_of_what_it_does_not_know(tmp_path):
    path = tmp_path / "law.json"
    for own, pair, word in (("tanh(v_s)", "0", "v_s"), ("x_i", "x_s", "x_s")):
        Law(law_of(own, pair)).save(path)
        with pytest.raises(InputError, match=word):
            jaxllc.load_law(path)


def test_a_term_linear_in_the_sum_is_an_interaction():
    assert metrics.skeleton_equal(
        law_of("-x_i + 2*(1 - x_i)*x_s"), law_of("-x_i", "3*x_j - 3*x_i*x_j")
    )
    assert metrics.worst_coefficient_error(
        law_of("-x_i + 2*x_i*x_s"), law_of("-x_i", "2*x_i*x_j")
    ) == pytest.approx(0.0)
    assert metrics.skeleton_equal(law_of("2*x_s"), law_of("0", "x_j"))
    for other in ("x_s**2", "x_s/(1 + x_s)", "x_s*y_s"):
        assert not metrics.skeleton_equal(law_of(other), law_of("0", "x_j"))
    assert metrics.term_recall(law_of("tanh(2*x_s)"), law_of("-x_i + tanh(3*x_s)")) == 0.5


@pytest.mark.parametrize(
    ("text", "side", "expected"),
    [
        ("x_s", INTERACTION, "x_j"),
        ("x_i*x_s/(1 + 0.5*x_i)", INTERACTION, "x_i*x_j/(w0*x_i + 1)"),
        ("x_s**2", SELF, "x_s**2"),
        ("x_s/(1 + 0.5*x_s)", SELF, "x_s/(w0*x_s + 1)"),
        ("x_s*y_s", SELF, "x_s*y_s"),
    ],
)
def test_an_expression_linear_in_a_sum_becomes_an_interaction(text, side, expected):
    (term,), _ = terms_of(parse(text), SELF)
    found = as_interaction(term)
    assert found.family.side == side
    assert sympy.simplify(found.family.expression - parse(expected)) == 0


def test_the_signaling_law_is_the_published_function():
    """0.01 z below 0, z up to 1/2, 1 - 1/(4 z) above, also far above, where 0.01 z would be larger."""
    z = np.array([-50.0, -1.0, -1e-3, 0.0, 0.2, 0.5, 0.5001, 3.0, 99.0, 150.0, 1e4])
    own = known_laws.get("signaling").equations["x"].self_term
    nothing = {name: np.zeros(len(z)) for name in ("x_i", "u_i", "b_i")}
    found = expressions.evaluate(own, {"x_s": z, **nothing})
    expected = [0.01 * v if v < 0 else v if v <= 0.5 else 1 - 0.25 / v for v in z]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


# --- the library --------------------------------------------------------------------------------


def test_candidates_of_sums_are_new_and_within_bounds():
    rng = np.random.default_rng(0)
    scale = Scale(rng.uniform(0, 2, 500))
    arguments = input_arguments(("x",), ("u", "b"), True)
    assert len(arguments) == 7
    inputs = dict.fromkeys(arguments, scale)
    found = sum_terms(("x",), ("u", "b"), inputs, {"x": scale}, True)
    known = candidate_terms(("x",), ("u", "b"), {"x": scale}, {"x": scale}, False, True)
    assert not {t.family for t in found} & {t.family for t in known}
    assert len(set(found)) == len(found)
    for term in found:
        assert term.with_inner(term.inner) == term
        if term.family.side == INTERACTION:
            assert not sums_in(term.family.expression)


@pytest.mark.parametrize("name", ["signaling", "neural_rates"])
def test_the_library_holds_the_functions_of_the_known_laws(name):
    law = known_laws.get(name)
    scale = Scale(np.linspace(-1, 3, 100))
    inputs = dict.fromkeys(input_arguments(law.variables, law.feature_names, False), scale)
    found = sum_terms(law.variables, law.feature_names, inputs, {"x": scale}, False)
    own = law.equations["x"].self_term
    shapes = set(str(metrics.skeleton(own)).split(" + "))
    held = {str(metrics.skeleton(t.sympy())) for t in found}
    wanted = metrics.skeleton(own + sympy.Symbol("x_i"))
    assert wanted in held, shapes
