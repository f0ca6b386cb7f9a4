"""discover() finds laws with functions of the sum over neighbours, on data solved by scipy."""

import numpy as np
import pytest

import jaxllc
from jaxllc import known_laws, metrics
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.errors import InputError
from jaxllc.law.law import Law
from jaxllc.plotting import plot_terms
from tests.sum_laws import NUM_NODES, hub_network, law_of, runs_of, signed_network


def sigmoid(z):
    return 0.5 * (1 + np.tanh(z / 2))


def mml(z):
    return np.where(z < 0, 0.01 * z, np.where(z <= 0.5, z, 1 - 0.25 / np.maximum(z, 0.5)))


CASES = {
    "tanh": (signed_network, lambda x, s: -x + np.tanh(1.5 * s), (-1, 1, 4.0), "-x_i + tanh(1.5*x_s)"),
    "sigmoid": (
        hub_network,
        lambda x, s: -x + sigmoid(2 * s - 3),
        (0, 1, 4.0),
        "-x_i + 1/(1 + exp(-2*x_s + 3))",
    ),
    "hill": (
        hub_network,
        lambda x, s: -0.5 * x + s**2 / (2 + s**2),
        (0, 1, 4.0),
        "-0.5*x_i + x_s**2/(2 + x_s**2)",
    ),
    "times x": (
        hub_network,
        lambda x, s: -x + x * s / (1 + s),
        (0, 2, 4.0),
        "-x_i + x_i*x_s/(1 + x_s)",
    ),
    "both": (
        hub_network,
        lambda x, s: -x + s / (1 + x + s),
        (0, 2, 4.0),
        "-x_i + x_s/(1 + x_i + x_s)",
    ),
    "logistic": (
        hub_network,
        lambda x, s: x * (1 - x) + s / (1 + s),
        (0, 1, 3.0),
        "x_i - x_i**2 + x_s/(1 + x_s)",
    ),
}  # fmt: skip


def assert_found(law, true, within):
    assert metrics.skeleton_equal(law, true), str(law)
    assert metrics.worst_coefficient_error(law, true) < within, str(law)
    assert law.converged


FAST = ("tanh", "times x")


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_a_function_of_the_sum_is_found_exactly(name):
    make_network, rate, (low, high, horizon), text = CASES[name]
    network = make_network()
    law = jaxllc.discover(runs_of(network, rate, low, high, horizon), network, seed=0)
    assert_found(law, law_of(text), 1e-4)
    assert "expressions" not in law.seconds  # nets were asked, and did not explain the samples


@pytest.mark.slow
def test_signaling_with_features_inside_the_function_is_found_exactly():
    network = signed_network()
    rng = np.random.default_rng(5)
    features = {"u": rng.uniform(0, 1, NUM_NODES), "b": rng.uniform(-0.5, 0.1, NUM_NODES)}
    runs = runs_of(network, lambda x, s, u, b: -x + mml(s + u + b), 0, 1, 5.0, features)
    law = jaxllc.discover(runs, network, seed=0)
    assert_found(law, known_laws.get("signaling"), 1e-3)


@pytest.mark.slow
def test_a_function_of_the_sum_is_found_under_noise():
    network = signed_network()
    clean = runs_of(network, lambda x, s: -x + np.tanh(1.5 * s), -1, 1, 4.0)
    law = jaxllc.discover(
        [r.with_noise(40.0, 10 + k) for k, r in enumerate(clean)], network, seed=0
    )
    true = law_of("-x_i + tanh(1.5*x_s)")
    assert metrics.skeleton_equal(law, true), str(law)
    # The two coefficients differ by less than they are known to: one constant serves for both.
    tied = "x_i - tanh(w0*x_s)"
    expected = {(tied, "coefficient"): -1.0, (tied, "w0"): 1.5}
    for c in law.constants:
        assert abs(c.value - expected[c.term, c.role]) < 4 * c.standard_error, str(c)
    assert "x_s stands for sum_j A_ij x_j" in law.summary()


@pytest.mark.slow
def test_an_expression_of_state_and_sum_that_no_library_lists_is_found():
    network = signed_network()
    runs = runs_of(network, lambda x, s: -x + np.tanh(s - 0.5 * x), -1, 1, 4.0)
    law = jaxllc.discover(runs, network, seed=0)
    assert_found(law, law_of("-x_i + tanh(x_s - 0.5*x_i)"), 1e-3)


def test_sums_can_be_forbidden():
    network = signed_network(12)
    runs = runs_of(network, lambda x, s: -x + np.tanh(1.5 * s), -1, 1, 3.0, num_times=20)
    law = jaxllc.discover(runs, network, sums=False, neural="never", moves=0, max_terms=2)
    assert not any(sums_in(e.self_term) for e in law.equations.values())
    assert "sums over neighbours" not in law.seconds
    with pytest.raises(InputError, match="sums must be True or False"):
        jaxllc.discover(runs, network, sums="no")


def test_the_terms_of_a_law_with_sums_are_drawn_over_the_range_of_the_sums():
    network = hub_network()
    runs = runs_of(network, lambda x, s: -x + np.tanh(0.3 * s), -1, 1, 2.0, num_runs=1)
    law = Law(law_of("-x_i + tanh(0.3*x_s)"), network=network, data=tuple(runs))
    figure = plot_terms(law)
    axes = figure.axes[0]
    assert axes.get_ylabel() == r"$\sum_j A_{ij}$ $x_j$"
    sums = runs[0].states[..., 0] @ network.to_adjacency().toarray().T
    low, high = np.percentile(sums, [0.5, 99.5])
    assert axes.get_ylim() == pytest.approx((low, high), rel=0.05)
