"""discover() on data solved by scipy: exact laws whatever the labels, noise and gaps, and their limits."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc import generators, known_laws, metrics
from jaxllc.data.inputs import checked_data
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

NUM_NODES = 20


@pytest.fixture(scope="module")
def network():
    return generators.barabasi_albert(NUM_NODES, 2, seed=1)


def runs_of(
    network, rate, initial_ranges, horizon, num_runs, num_times=41, variables=("x",), features=None
):
    """Runs of dX/dt = rate(X (node, variable), A) from states drawn from the ranges."""
    A = network.to_adjacency().toarray()
    shape = (network.num_nodes, len(variables))
    times = np.linspace(0.0, horizon, num_times)
    low, high = np.array(initial_ranges).T
    runs = []
    for seed in range(num_runs):
        start = np.random.default_rng(seed).uniform(low, high, shape)
        solution = solve_ivp(
            lambda t, flat: rate(flat.reshape(shape), A).ravel(),
            (0.0, horizon), start.ravel(), t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12,
        )  # fmt: skip
        states = solution.y.T.reshape(num_times, *shape)
        runs.append(Trajectories(times, states, variables, features, network.names))
    return runs


def epidemic(x, A):
    return -0.5 * x + 0.5 * (1 - x) * (A @ x)


@pytest.fixture(scope="module")
def epidemic_data(network):
    return runs_of(network, epidemic, [(0.0, 1.0)], 3.0, num_runs=2)


@pytest.fixture(scope="module")
def epidemic_law(epidemic_data, network):
    return jaxllc.discover(epidemic_data, network, seed=0)


def assert_is(law, name, within=0.01):
    """The law has the known law's terms, and every constant within a relative error."""
    known = known_laws.get(name)
    assert metrics.skeleton_equal(law, known), str(law)
    assert metrics.worst_coefficient_error(law, known) < within, str(law)


def assert_within_standard_errors(law, expected, largest=4.0):
    """expected: {term: value} for every constant of the law."""
    assert {c.term for c in law.constants} == set(expected)
    for constant in law.constants:
        error = abs(constant.value - expected[constant.term])
        assert error < largest * constant.standard_error, str(constant)


# --- exact laws ---------------------------------------------------------------------------------


def test_an_epidemic_is_recovered_exactly(epidemic_law):
    assert_is(epidemic_law, "epidemic", 1e-5)
    assert epidemic_law.converged
    assert epidemic_law.notes == ()
    assert epidemic_law.adjusted_r2["x"] > 1 - 1e-8
    assert epidemic_law.noise["x"] < 1e-5


def test_oscillators_with_frequencies_of_their_own_are_recovered_exactly(network):
    omega = np.random.default_rng(7).uniform(1.0, 3.0, NUM_NODES)

    def rate(x, A):
        return omega[:, None] + 0.5 * (A * np.sin(x.T - x)).sum(axis=1, keepdims=True)

    runs = runs_of(network, rate, [(0.0, 2 * np.pi)], 3.0, num_runs=3, features={"omega": omega})
    law = jaxllc.discover(runs, network, seed=0)
    assert_is(law, "kuramoto_heterogeneous", 1e-4)
    assert law.feature_names == ("omega",)


def fitzhugh_nagumo(state, A):
    x, y = state[:, 0], state[:, 1]
    degree = A.sum(axis=1)
    coupling = -(A @ x - degree * x) / degree
    return np.stack([x - x**3 - y + coupling, 0.28 + 0.5 * x - 0.04 * y], axis=1)


@pytest.fixture(scope="module")
def neurons(network):
    """Two variables for each node, the coupling divided by the in-degree."""
    ranges = [(0.0, 1.0), (-5.0, 5.0)]
    return runs_of(network, fitzhugh_nagumo, ranges, 6.0, 3, 81, ("x", "y"))


def test_excitable_neurons_with_two_variables_are_recovered_exactly(neurons, network):
    law = jaxllc.discover(neurons, network, seed=0)
    assert_is(law, "fitzhugh_nagumo", 1e-4)


def test_edges_may_have_either_sign(network):
    signs = np.random.default_rng(0).choice([-1.0, 1.0], network.num_edges)
    signed = jaxllc.Network.from_edges(
        network.senders, network.receivers, signs, network.names, signed=True
    )
    runs = runs_of(signed, lambda x, A: -x + 0.3 * (A @ x), [(0.0, 1.0)], 3.0, num_runs=2)
    law = jaxllc.discover(runs, signed, seed=0)
    assert str(law) == "dx_i/dt = -x_i + sum_j A_ij 0.3*x_j"


def test_what_the_law_predicts_for_another_network_is_what_happens_there(epidemic_law):
    other = generators.erdos_renyi(30, 4.0, seed=5)
    (truth,) = runs_of(other, epidemic, [(0.0, 1.0)], 3.0, num_runs=1)
    predicted = epidemic_law.simulate(truth.states[0], truth.times, network=other)
    np.testing.assert_allclose(predicted.states, truth.states, atol=1e-5)


# --- invariance ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_law(epidemic_data, epidemic_law, network):
    again = jaxllc.discover(epidemic_data, network, seed=0)
    assert str(again) == str(epidemic_law)
    assert again.constants == epidemic_law.constants
    assert again.front == epidemic_law.front


def test_relabelled_nodes_give_the_same_law(epidemic_data, epidemic_law, network):
    order = np.random.default_rng(3).permutation(NUM_NODES)
    names = [network.names[n] for n in order]
    law = jaxllc.discover(
        [r.select(names) for r in epidemic_data], network.relabelled(order), seed=0
    )
    assert metrics.skeleton_equal(law, epidemic_law)
    assert metrics.worst_coefficient_error(law, epidemic_law) < 1e-6


def test_another_unit_of_time_scales_the_rates(epidemic_data, network):
    hours = [Trajectories(24 * r.times, r.states, names=r.names) for r in epidemic_data]
    law = jaxllc.discover(hours, network, seed=0)
    assert metrics.skeleton_equal(law, known_laws.get("epidemic"))
    np.testing.assert_allclose([abs(c.value) for c in law.constants], 0.5 / 24, rtol=1e-4)


def test_weights_in_another_unit_scale_the_interaction(epidemic_data, network):
    halved = jaxllc.Network.from_edges(
        network.senders, network.receivers, 0.5 * network.weights, network.names
    )
    law = jaxllc.discover(epidemic_data, halved, seed=0)
    assert metrics.skeleton_equal(law, known_laws.get("epidemic"))
    found = {c.side: abs(c.value) for c in law.constants}
    assert found == pytest.approx({"self": 0.5, "interaction": 1.0}, rel=1e-4)


# --- noise and gaps -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_under_noise_the_law_is_exact_and_its_standard_errors_are_honest(
    epidemic_data, network, seed
):
    noisy = [run.with_noise(30.0, 10 * seed + k) for k, run in enumerate(epidemic_data)]
    law = jaxllc.discover(noisy, network, seed=0)
    assert metrics.skeleton_equal(law, known_laws.get("epidemic")), str(law)
    assert_within_standard_errors(law, {"x_i": -0.5, "-x_i*x_j + x_j": 0.5})
    level = np.std(epidemic_data[0].states) * 10 ** (-30 / 20)
    assert law.noise["x"] == pytest.approx(level, rel=0.15)


def test_a_fifth_of_the_entries_may_be_missing(epidemic_data, network):
    generator = np.random.default_rng(2)
    gapped = []
    for number, run in enumerate(epidemic_data):
        states = run.with_noise(30.0, number).states.copy()
        states[generator.random(states.shape) < 0.2] = np.nan
        gapped.append(Trajectories(run.times, states, names=run.names))
    law = jaxllc.discover(gapped, network, seed=0)
    assert metrics.skeleton_equal(law, known_laws.get("epidemic")), str(law)
    assert_within_standard_errors(law, {"x_i": -0.5, "-x_i*x_j + x_j": 0.5})


def test_a_node_that_was_never_observed_is_no_obstacle(epidemic_data, network):
    leaf = int(np.argmin(network.in_degree))
    hidden = []
    for run in epidemic_data:
        states = run.states.copy()
        states[:, leaf] = np.nan
        hidden.append(Trajectories(run.times, states, names=run.names))
    law = jaxllc.discover(hidden, network, seed=0)
    assert_is(law, "epidemic", 0.02)


def _without(run, node, variable):
    states = run.states.copy()
    states[:, node, variable] = np.nan
    return _with(run, states=states)


def test_a_node_of_which_one_variable_was_never_observed_is_no_obstacle(neurons, network):
    law = jaxllc.discover([_without(run, 7, 1) for run in neurons], network, seed=0, neural="never")
    assert_is(law, "fitzhugh_nagumo", 1e-3)


def test_a_run_in_which_one_variable_was_never_observed_is_no_obstacle(neurons, network):
    first, second, third = neurons
    runs = [first, _without(second, slice(None), 1), third]
    law = jaxllc.discover(runs, network, seed=0, neural="never")
    assert_is(law, "fitzhugh_nagumo", 1e-3)


def test_runs_of_other_times_count_together(epidemic_data, network):
    first, second = epidemic_data
    law = jaxllc.discover([first.window(stop=1.5), second.window(start=0.6)], network, seed=0)
    assert_is(law, "epidemic", 1e-3)


# --- what cannot be known -----------------------------------------------------------------------


def test_on_a_regular_network_heat_flows_by_differences_and_the_gauge_is_noted():
    ring = generators.watts_strogatz(NUM_NODES, 4, 0.0)
    runs = runs_of(
        ring, lambda x, A: A @ x - A.sum(axis=1)[:, None] * x, [(0.0, 25.0)], 1.0, num_runs=2
    )
    law = jaxllc.discover(runs, ring, seed=0)
    assert_is(law, "heat", 1e-3)
    assert any("same total input weight" in note for note in law.notes)


def test_more_constants_than_the_data_ask_for_are_not_used(epidemic_law):
    chosen = [row for row in epidemic_law.front if row.chosen]
    assert len(chosen) == 1
    assert chosen[0].num_constants == len(epidemic_law.constants) == 3
    assert min(epidemic_law.front, key=lambda row: row.criterion).chosen


@pytest.mark.parametrize(
    ("max_terms", "sums"), [(1, False), (2, False), pytest.param(1, True, marks=pytest.mark.slow)]
)
def test_no_equation_has_more_terms_than_allowed(max_terms, sums, epidemic_data, network):
    law = jaxllc.discover(
        epidemic_data, network, seed=0, max_terms=max_terms, neural="never", sums=sums
    )
    assert sum(c.role == "coefficient" for c in law.constants) <= max_terms


# --- bad input ----------------------------------------------------------------------------------


def test_an_unknown_setting_is_named(epidemic_data, network):
    with pytest.raises(InputError, match=r"max_term.*max_terms"):
        jaxllc.discover(epidemic_data, network, max_term=3)
    with pytest.raises(InputError, match="sometimes"):
        jaxllc.discover(epidemic_data, network, neural="sometimes")
    with pytest.raises(InputError, match=r"genetic.*sparse"):
        jaxllc.discover(epidemic_data, network, engines=("genetic",))


def test_a_law_that_fits_as_well_is_named():
    """At 20 dB the steep sigmoid of the neural law can hardly be told from a Hill function."""
    network = jaxllc.generators.barabasi_albert(30, 2, seed=0)
    times = np.linspace(0, 5, 60)
    states = jaxllc.known_laws.get("neural").simulate(network, times, seed=1).states
    noise = 0.1 * states.std() * np.random.default_rng(0).normal(size=states.shape)
    data = jaxllc.Trajectories(times, states + noise)
    law = jaxllc.discover(data, network, seed=0, neural="never")
    (note,) = (n for n in law.notes if n.startswith("Another law explains"))
    rival = law.rivals[0]
    both = [str(law.equations["x"].interaction_term), rival.equations["x"][1]]
    assert sum("exp(" in text for text in both) == 1
    assert sum("x_j**4" in text for text in both) == 1
    assert all(text in note for text in ("exp(", "x_j**4"))
    # The bootstrap does not tell them apart either.
    assert 0.05 < rival.frequency < 0.95
    assert 0.05 < law.confidence.law_frequency <= 1 - rival.frequency
    terms = law.confidence_table()
    assert terms.loc[~terms["in_law"], "frequency"].max() >= rival.frequency - 1e-9


def test_what_is_forbidden_is_in_no_law(epidemic_data, network):
    known = jaxllc.known_laws.get("kuramoto")
    data = known.simulate(network, np.linspace(0, 2, 60), seed=1)
    law = jaxllc.discover(
        data, network, functions=("exp",), division=False, neural="never", max_terms=3
    )
    for row in law.front:
        for text in row.equations.values():
            assert not any(name in text for name in ("sin", "cos", "/"))
    with pytest.raises(InputError, match=r"sine.*sin"):
        jaxllc.discover(epidemic_data, network, functions=("sine",))


@pytest.mark.parametrize(
    "setting",
    [
        {"functions": "exp"},
        {"max_terms": 0},
        {"max_terms": "3"},
        {"engines": ()},
        {"engines": "sparse"},
        {"seed": -1},
        {"seed": 0.5},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_named(setting, epidemic_data, network):
    ((name, _),) = setting.items()
    with pytest.raises(InputError, match=name):
        jaxllc.discover(epidemic_data, network, **setting)


def test_a_network_without_edges_is_an_input_error(epidemic_data):
    alone = jaxllc.Network.from_edges([], [], num_nodes=NUM_NODES)
    with pytest.raises(InputError, match="edges"):
        jaxllc.discover(epidemic_data, alone)


def _with(run, **changes):
    fields = {
        "times": run.times,
        "states": run.states,
        "variables": run.variables,
        "node_features": run.node_features,
        "names": run.names,
        **changes,
    }
    return Trajectories(**fields)


BAD_DATA = {
    "no run": (lambda first, second: [], "at least one"),
    "a node less": (lambda first, second: [first, first.select(first.names[1:])], "'0' only in"),
    "another variable": (lambda first, second: [first, _with(second, variables=("y",))], "'y'"),
    "another feature": (
        lambda first, second: [first, second.with_features({"omega": np.ones(NUM_NODES)})],
        "features",
    ),
    "few samples": (lambda first, second: [first.window(stop=0.25)], "4 samples.* 5"),
    "constant states": (
        lambda first, second: [_with(first, states=0.3 + 0 * first.states)],
        "constant",
    ),
    "nothing observed": (
        lambda first, second: [_with(first, states=np.nan * first.states)],
        "variable x",
    ),
}


def test_the_network_is_put_in_the_order_of_the_states(epidemic_data, network):
    first = epidemic_data[0]
    turned = first.select(first.names[::-1])
    runs, ordered = checked_data(turned, network)
    assert ordered.names == turned.names
    given, put = network.to_adjacency().toarray(), ordered.to_adjacency().toarray()
    np.testing.assert_array_equal(put[::-1, ::-1], given)
    np.testing.assert_array_equal(runs[0].states, first.states[:, ::-1])


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_do_not_fit_are_an_input_error(case, epidemic_data, network):
    spoil, message = BAD_DATA[case]
    with pytest.raises(InputError, match=message) as error:
        jaxllc.discover(spoil(*epidemic_data), network)
    assert "\n" not in str(error.value)
