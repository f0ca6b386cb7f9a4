"""Terms a user knows: they stand in every law, the rest is found beside them, and wrong ones are told."""

import json

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import known_laws, metrics
from jaxllc.commands.command_line import main
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.knowledge.known_terms import known_families, same_skeleton, starts
from jaxllc.settings.constant_bounds import ConstantBounds
from tests.fit_problems import X_I, X_J, adjacency, own, pair, problem_of
from tests.prior_problems import by_role, epidemic, families, noisy, runs_of, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def epidemic_data(network):
    return runs_of(network, epidemic, 0.0, 1.0)


# --- discovery beside known terms -----------------------------------------------------------------


def test_a_known_term_with_a_free_constant_stands_in_the_law_as_it_was_written(
    epidemic_data, network
):
    law = jaxllc.discover(epidemic_data, network, known={"x": ("-delta*x_i", "")})
    assert metrics.skeleton_equal(law, known_laws.get("epidemic"))
    (delta,) = [c for c in law.constants if c.role == "delta"]
    assert (delta.term, delta.side) == ("-delta*x_i", "self")
    assert delta.value == pytest.approx(0.5, rel=1e-6)
    assert {c.term for c in law.constants} == {"-delta*x_i", "x_j", "x_i*x_j"}
    assert law.notes == ()
    assert law.settings["known"] == {"x": ("-delta*x_i", "")}


def test_a_known_term_of_numbers_is_no_constant_of_the_law(epidemic_data, network, tmp_path):
    known = {"x": Equation.from_text("-0.5*x_i", "0")}
    law = jaxllc.discover(epidemic_data, network, known=known)
    assert {c.term for c in law.constants} == {"x_j", "x_i*x_j"}
    assert sympy.simplify(law.equations["x"].self_term + sympy.Float(0.5) * X_I) == 0
    np.testing.assert_allclose([c.value for c in law.constants], [0.5, -0.5], rtol=1e-6)
    assert law.notes == ()
    (chosen,) = [row for row in law.front if row.chosen]
    assert chosen.num_constants == 2
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    assert str(again) == str(law)
    assert again.settings["known"] == {"x": ["-0.5*x_i", "0"]}


def test_a_law_that_is_known_as_a_whole_is_fitted_and_nothing_is_added(epidemic_data, network):
    free = jaxllc.discover(
        noisy(epidemic_data), network, known={"x": ("-d*x_i", "b*(1 - x_i)*x_j")}, neural="never"
    )
    assert set(by_role(free)) == {"d", "b"}
    for constant in free.constants:
        assert abs(constant.value - 0.5) < 4 * constant.standard_error
    fixed = jaxllc.discover(
        epidemic_data, network, known={"x": ("-0.5*x_i", "0.5*(1 - x_i)*x_j")}, neural="never"
    )
    assert fixed.constants == ()
    assert fixed.noise["x"] < 1e-6
    assert fixed.notes == ()


def beyond(x, A):
    """A self term that no library lists."""
    return -(x**1.37) * np.exp(-x) + 0.8 * (A @ (x / (1.3 + x)))


BEYOND = {"x": Equation.from_text("-x_i**1.37*exp(-x_i)", "0.8*x_j/(1.3 + x_j)")}


def test_what_is_beyond_the_library_may_be_known(network):
    runs = runs_of(network, beyond, 0.2, 3.0)
    fixed = jaxllc.discover(
        runs, network, known={"x": ("-x_i**1.37*exp(-x_i)", "")}, neural="never"
    )
    assert metrics.skeleton_equal(fixed, BEYOND), str(fixed)
    np.testing.assert_allclose([c.value for c in fixed.constants], [0.8, 1.3], rtol=1e-5)
    assert fixed.notes == ()


@pytest.mark.slow
def test_what_is_beyond_the_library_is_not_found_where_it_is_not_known(network):
    runs = runs_of(network, beyond, 0.2, 3.0)
    unknown = jaxllc.discover(runs, network, neural="never", moves=0, num_fits=2)
    assert not metrics.skeleton_equal(unknown, BEYOND)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("-c*x_i**p*exp(-x_i)", {"c": 1.0, "p": 1.37}),
        ("-x_i**p*exp(-x_i)", {"p": 1.37}),  # its coefficient is one, and stays so
    ],
)
def test_inner_constants_of_a_known_term_are_found_from_nowhere(network, known, expected):
    runs = runs_of(network, beyond, 0.2, 3.0)
    law = jaxllc.discover(runs, network, known={"x": (known, "")}, neural="never")
    found = {role: c.value for role, c in by_role(law).items() if role in ("c", "p")}
    assert found == pytest.approx(expected, rel=1e-5)
    assert {c.term for c in law.constants} == {known, "x_j/(w0 + x_j)"}


@pytest.mark.slow
def test_neural_terms_propose_what_is_beside_a_known_term(epidemic_data, network):
    law = jaxllc.discover(
        noisy(epidemic_data), network, known={"x": ("-delta*x_i", "")}, neural="always"
    )
    assert metrics.skeleton_equal(law, known_laws.get("epidemic")), str(law)
    assert "neural terms" in law.seconds


def test_what_a_known_term_explains_is_taken_off_the_neural_terms():
    from types import SimpleNamespace

    from jaxllc.neural.neural_fit import TermSamples
    from jaxllc.search.laws.neural_proposals import without_known

    (term,) = families("-delta*x_i**2")
    law = CandidateLaw(((Term(term), pair(X_J)), ()), ((0.7, 1.0), ()))
    problem = SimpleNamespace(variables=("x", "y"))
    points = np.random.default_rng(0).uniform(0, 2, (9, 2))
    values = {"x": np.sin(points[:, 0]), "y": np.cos(points[:, 1])}
    samples = TermSamples(("x_i", "y_i"), points, values, {})
    rest = without_known(problem, samples, law).values
    np.testing.assert_allclose(rest["x"], np.sin(points[:, 0]) + 0.7 * points[:, 0] ** 2)
    np.testing.assert_array_equal(rest["y"], values["y"])


def test_a_wrong_known_term_is_told_and_by_how_much(epidemic_data, network):
    law = jaxllc.discover(
        noisy(epidemic_data), network, known={"x": ("-0.9*x_i", "")}, neural="never", moves=1
    )
    (note,) = [n for n in law.notes if n.startswith("The known term")]
    assert "-0.9*x_i of x does not fit" in note
    share = float(note.split(": ")[1].split(" times")[0])
    assert share == pytest.approx(5 / 9, rel=0.03)


# --- derivatives ----------------------------------------------------------------------------------


def known_law():
    """Fixed, held and free known terms of both sides, beside found ones."""
    texts = {
        "x": ("-0.3*x_i**2 - exp(-a*x_i)", "c*x_j/(K + x_j)"),
        "y": ("omega_i*sin(x_i + q*y_i)", "0.2*(y_j - y_i)"),
    }
    bounds = {"K": (0.2, 3.0), "a": (-1.0, 2.0)}
    known = known_families(texts, ("x", "y"), ("omega",), bounds)
    inner = {"a": 0.7, "K": 1.1, "q": 0.4}
    terms, coefficients = [], []
    for of_variable in known:
        equation = [Term(f, tuple(inner[n] for n in f.names)) for f in of_variable]
        terms.append((*equation, own(X_I), pair(X_I * X_J)))
        coefficients.append((*(1.0 if f.held else 0.6 for f in of_variable), -0.8, 0.1))
    return CandidateLaw(tuple(terms), tuple(coefficients), ConstantBounds((-2.0, 2.0)))


def known_problem():
    A, times = adjacency(6), np.linspace(0.0, 1.0, 11)
    states = 1.0 + 0.5 * np.random.default_rng(0).random((11, 6, 2))
    omega = np.linspace(0.5, 1.5, 6)
    run = Trajectories(times, states, variables=("x", "y"), node_features={"omega": omega})
    return problem_of([run], A, 0.1, refine=1, features={"omega": omega})


def test_derivatives_by_constants_and_states_meet_finite_differences():
    problem, law = known_problem(), known_law()
    states = problem.smoothed
    partials = problem.partials(law, states)
    vector = law.vector()
    # a, c, K (a logarithm), q and two coefficients in each equation: nothing for what is a number.
    assert len(vector) == law.num_constants == len(partials.by_constant) == 8
    assert partials.equation_of.tolist() == [0] * 5 + [1] * 3
    np.testing.assert_allclose(partials.value, problem.derivative(law, states))
    step = 1e-6
    for k in range(len(vector)):
        ends = []
        for sign in (1, -1):
            moved = vector.copy()
            moved[k] += sign * step
            ends.append(problem.derivative(law.with_vector(moved), states))
        slope = (ends[0] - ends[1]) / (2 * step)
        o = partials.equation_of[k]
        np.testing.assert_allclose(partials.by_constant[k], slope[o], atol=1e-7)
        np.testing.assert_allclose(slope[1 - o], 0.0, atol=1e-9)
    n = problem.num_nodes
    stage = problem.stage(states)
    for (v, node), time in [((0, 2), 0), ((1, 4), 3), ((0, 5), 7)]:
        moved = [states.copy(), states.copy()]
        moved[0][v, node, time] += step
        moved[1][v, node, time] -= step
        ends = [problem.derivative(law, m)[:, :, time] for m in moved]
        slope = (ends[0] - ends[1]) / (2 * step)
        expected = np.zeros((2, n))
        for o in range(2):
            if (o, v) in partials.own:
                expected[o, node] += partials.own[o, v][node, time]
            if (o, v) in partials.edge:
                out = stage.senders == node
                np.add.at(expected[o], stage.receivers[out], partials.edge[o, v][out, time])
        np.testing.assert_allclose(expected, slope, atol=1e-7)


def test_the_vector_of_a_law_holds_what_is_free_and_nothing_leaves_its_bounds():
    law = known_law()
    np.testing.assert_allclose(law.with_vector(law.vector()).vector(), law.vector(), rtol=1e-12)
    far = law.with_vector(np.full(law.num_constants, 50.0))
    named = {
        name: w
        for terms in far.terms
        for t in terms
        for name, w in zip(getattr(t.family, "names", ()), t.inner, strict=False)
    }
    assert named["a"] == 2.0
    assert named["K"] == pytest.approx(3.0)
    assert named["q"] == 50.0
    # Found coefficients within the general bounds; held ones stay one.
    assert far.coefficients[0] == (1.0, 1.0, 50.0, 2.0, 2.0)
    # Of x three; of y the sine and both summands of the difference.
    assert law.known() == {0, 1, 2, 5, 6, 7}
    assert law.without(frozenset({3})).known() == {0, 1, 2, 4, 5, 6}


# --- reading known terms --------------------------------------------------------------------------


def test_summands_are_terms_and_names_their_constants():
    logistic, decay, infection = families("r*x_i*(1 - x_i/K) - 0.5*x_i", "b*x_j - b*x_i*x_j")
    if logistic.fixed:
        logistic, decay = decay, logistic
    assert (logistic.coefficient, logistic.names, logistic.side) == ("r", ("K",), SELF)
    assert decay.fixed
    assert decay.expression == sympy.Float(-0.5) * X_I
    # One name in two summands is one constant.
    assert (infection.coefficient, infection.names, infection.side) == ("b", (), INTERACTION)
    assert sympy.expand(infection.expression - X_J + X_I * X_J) == 0


@pytest.mark.parametrize(
    ("known", "library", "same"),
    [
        ("-delta*x_i", "x_i", True),
        ("-0.5*x_i**2", "x_i**2", True),
        ("c*x_i**2/(4.5 + x_i**2)", "x_i**2/(w0 + x_i**2)", True),
        ("sin(2*x_i)", "sin(w0*x_i)", True),
        ("exp(-a*x_i)", "exp(-w0*x_i)", True),
        ("-delta*x_i", "x_i**2", False),
        ("c*x_i/(1 + x_i)", "x_i**2/(w0 + x_i**2)", False),
    ],
)
def test_the_library_term_of_a_known_one_is_recognised(known, library, same):
    (family,) = families(known)
    expression = jaxllc.equations.expressions.parse(library)
    assert same_skeleton(family, TermFamily(SELF, expression)) is same
    assert not same_skeleton(family, TermFamily(INTERACTION, expression))


def test_starts_of_inner_constants_lie_within_their_bounds():
    (family,) = families("c*x_i/(K + x_i) ", bounds={"K": (0.1, 40.0)})
    values = [t.inner[0] for t in starts(family, [1.0])]
    assert min(values) == pytest.approx(0.1)
    assert max(values) == pytest.approx(40.0)
    (family,) = families("c*exp(-a*x_i)", bounds={"a": (0.0, np.inf)})
    assert min(t.inner[0] for t in starts(family, [5.0])) >= 0
    (family,) = families("c*exp(-a*x_i)")
    signs = {np.sign(t.inner[0]) for t in starts(family, [5.0])}
    assert signs == {-1.0, 1.0}


BAD = {
    "unknown variable": ({"known": {"z": ("-z_i", "")}}, ["'z'", "no variable"]),
    "sender in a self term": ({"known": {"x": ("-d*x_j", "")}}, ["x_j", "sender"]),
    "unknown quantity": ({"known": {"x": ("-d*omgea_i", "")}}, ["omgea_i", "neither"]),
    "no text": ({"known": {"x": (1, 2)}}, ["two texts"]),
    "no mapping": ({"known": "x"}, ["mapping"]),
    "cannot be parsed": ({"known": {"x": ("-d*x_i +", "")}}, ["self term of x", "position"]),
    "variable without a side": ({"known": {"x": ("-d*x", "")}}, ["write x_i"]),
    "time": ({"known": {"x": ("a*t", "")}}, ["where it is an input"]),
    "a name on both sides": ({"known": {"x": ("a*x_i", "a*x_j")}}, ["stands in", "another name"]),
    "a product of names": ({"known": {"x": ("a*b*x_i", "")}}, ["a and b", "tell apart"]),
    "no finite value": ({"known": {"x": ("a*log(x_i - 100)", "")}}, ["no finite value"]),
    "fixed, no finite value": ({"known": {"x": ("sqrt(x_i - 100)", "")}}, ["no finite value"]),
    "unknown name": ({"known": {"x": ("-d*x_i", "")}, "bounds": {"e": (0, 1)}}, ["'e'", "d"]),
    "low above high": (
        {"known": {"x": ("-d*x_i", "")}, "bounds": {"d": (1, 0)}},
        ["below the high one"],
    ),
    "no pair": ({"bounds": {"coefficients": 3}}, ["two numbers"]),
    "unknown demand": ({"demand": ("expp",)}, ["'expp'", "did you mean 'exp'"]),
    "forbidden demand": ({"demand": ("exp",), "functions": ("sin",)}, ["not allowed"]),
    "forbidden division": ({"demand": ("division",), "division": False}, ["not allowed"]),
    "demand as text": ({"demand": "exp"}, ["list of names"]),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_said_in_one_sentence(name, epidemic_data, network):
    choices, words = BAD[name]
    with pytest.raises(InputError) as error:
        jaxllc.discover(epidemic_data, network, **choices)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


# --- the command line -----------------------------------------------------------------------------


def test_what_is_known_has_flags(epidemic_data, network, tmp_path, capsys):
    epidemic_data[0].to_csv(tmp_path / "states.csv")
    edges = zip(network.senders, network.receivers, network.weights, strict=True)
    rows = "".join(f"{network.names[s]},{network.names[r]},{w}\n" for s, r, w in edges)
    (tmp_path / "edges.csv").write_text("sender,receiver,weight\n" + rows)
    files = [str(tmp_path / "states.csv"), str(tmp_path / "edges.csv")]
    words = ["--known", "x: -delta*x_i; b*(1 - x_i)*x_j", "--bound", "delta=0:1", "--bound", "b=0:"]
    words += ["--unit", "t=s", "--neural", "never", "--no-sums", "--json", "--quiet"]
    assert main(["discover", *files, *words]) == 0
    law = json.loads(capsys.readouterr().out)["law"]
    assert law["settings"]["known"] == {"x": ["-delta*x_i", "b*(1 - x_i)*x_j"]}
    assert law["settings"]["bounds"] == {"delta": [0.0, 1.0], "b": [0.0, None]}
    assert law["settings"]["units"] == {"t": "s"}
    assert law["settings"]["sums"] is False
    assert len(law["confidence"]["intervals"]) == len(law["constants"])
    found = {c["role"]: (c["value"], c["unit"]) for c in law["constants"]}
    assert found == {
        "delta": (pytest.approx(0.5, rel=1e-5), "1/s"),
        "b": (pytest.approx(0.5, rel=1e-5), "1/s"),
    }
    for bad, word in [
        (["--known=-delta*x_i"], "SELF; INTERACTION"),
        (["--bound", "delta:0"], "LOW:HIGH"),
        (["--unit", "x"], "NAME=UNIT"),
        (["--unit", "t=s", "--unit", "t=h"], "twice"),
        (["--demand", "sine"], "'sine'"),
    ]:
        assert main(["discover", *files, *bad, "--quiet"]) == 2
        assert word in capsys.readouterr().err
