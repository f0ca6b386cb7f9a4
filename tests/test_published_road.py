"""The published road: rates, nets, BFGS and formulas by themselves, then laws from data."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import sympy
from scipy.signal import savgol_filter

import jaxllc
from jaxllc import generators, known_laws
from jaxllc.baselines.llc import RoadSettings, published_law
from jaxllc.baselines.llc.net_samples import net_samples, sampled
from jaxllc.baselines.llc.nets import trained_nets
from jaxllc.baselines.llc.road import _failure_note, _fit_of
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.law.law import Law
from jaxllc.neural.neural_fit import TermSamples
from jaxllc.smoothing.local_polynomials import local_polynomial, rates_of
from tests.small_pretrained import small_model

QUICK = RoadSettings(nets="adam", steps=300, width=16, beam=4, restarts=2)
needs_weights = pytest.mark.skipif(
    not (resources.files("jaxllc.pretrained") / "weights.safetensors").is_file(),
    reason="needs the weights of the pre-trained network in the package",
)


@pytest.fixture(scope="module")
def network():
    return generators.barabasi_albert(12, 2, seed=1)


@pytest.fixture(scope="module")
def runs(network):
    known = known_laws.get("epidemic")
    return [known.simulate(network, np.linspace(0.0, 3.0, 31), seed=s) for s in range(3)]


@pytest.fixture(scope="module")
def nets(runs, network):
    return trained_nets(rates_of(runs), network, ("x",), {}, replace(QUICK, steps=3000), seed=0)


@pytest.fixture(scope="module")
def said():
    """What `blank_law` told of its progress."""
    return []


@pytest.fixture(scope="module")
def blank_law(runs, network, said):
    """A law whose skeletons come from a model that was never trained."""
    return published_law(
        runs,
        network,
        seed=0,
        settings=QUICK,
        model=small_model(),
        progress=lambda *what: said.append(what),
    )


# --- rates ----------------------------------------------------------------------------------------


def test_polynomials_are_those_of_savitzky_and_golay():
    times = np.linspace(0.0, 3.0, 40)
    columns = np.random.default_rng(0).normal(size=(40, 3))
    for window, degree in ((5, 4), (11, 3)):
        local = local_polynomial(times, window, degree)
        for found, order in ((local.states(columns), 0), (local.rates(columns), 1)):
            expected = savgol_filter(
                columns, window, degree, deriv=order, delta=times[1], axis=0, mode="interp"
            )
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_unequal_steps_give_the_rates_of_a_polynomial_exactly():
    times = np.sort(np.random.default_rng(1).uniform(0.0, 2.0, 20))
    polynomial = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0, -1.0])
    found = local_polynomial(times, 5, 4).rates(polynomial(times)[:, None])[:, 0]
    np.testing.assert_allclose(found, polynomial.deriv()(times), rtol=1e-7)


def test_what_a_sample_left_out_differs_by_is_that_of_a_fit_without_it():
    times = np.linspace(0.0, 1.0, 15) ** 2
    column = np.random.default_rng(2).normal(size=15)
    local = local_polynomial(times, 7, 3)
    own = local.place[8]
    others = own[own != 8]
    fit = np.polynomial.Polynomial.fit(times[others], column[others], 3)
    left = local.left_out(column[:, None])[8, 0]
    assert left == pytest.approx(column[8] - fit(times[8]), rel=1e-6)


def test_noise_is_smoothed_and_clean_samples_are_not(network):
    known = known_laws.get("epidemic")
    run = known.simulate(network, np.linspace(0.0, 3.0, 121), seed=0)
    clean, noisy = rates_of([run]), rates_of([run.with_noise(30.0, seed=0)])
    assert clean.window == (5,)
    np.testing.assert_array_equal(clean.states[0], run.states)
    true = known_rates(known, network, run.states)
    assert np.abs(clean.rates[0] - true).max() < 1e-3
    assert noisy.window[0] > 5
    stencil = local_polynomial(run.times, 5, 4).rates(run.with_noise(30.0, seed=0).states[..., 0])
    error = np.std(noisy.rates[0] - true)
    assert error < 0.4 * np.std(stencil - true[..., 0])


def known_rates(known, network, states):
    A = network.to_adjacency().toarray()
    assert known.name == "epidemic"
    x = states[..., 0]
    return (-0.5 * x + 0.5 * (1 - x) * (x @ A.T))[..., None]


def test_missing_samples_are_filled_and_marked(runs):
    states = runs[0].states.copy()
    states[7, 3] = states[20, 5] = np.nan
    found = rates_of([replace(runs[0], states=states)])
    assert not found.known[0][7, 3, 0]
    assert found.known[0].sum() == states.size - 2
    np.testing.assert_allclose(found.states[0], runs[0].states, atol=1e-2)


def test_a_node_that_was_never_observed_is_refused(runs):
    states = runs[0].states.copy()
    states[:, 4] = np.nan
    with pytest.raises(InputError, match="x of node 4 was never observed in trajectories 0"):
        rates_of([replace(runs[0], states=states)])


# --- nets -----------------------------------------------------------------------------------------


def test_the_nets_explain_the_rates_of_a_known_law(nets, runs, network):
    assert nets.left[0] < 0.05
    assert nets.history[-1] < 0.1 * nets.history[0]
    samples = sampled(nets, rates_of(runs), network, {}, seed=0)
    own, pair = samples["x", "self"], samples["x", "interaction"]
    assert (own.names, pair.names) == (("x_i",), ("x_i", "x_j"))
    x_i, x_j = pair.points.T
    true = 0.5 * (1 - x_i) * x_j
    assert np.std(pair.values - true) < 0.15 * np.std(true)


def test_node_sums_are_those_of_the_terms_edge_by_edge(nets, runs, network):
    import jax.numpy as jnp

    from jaxllc.data.message_passing import graph_of
    from jaxllc.dynamics.vector_field import VectorField

    state = jnp.asarray(runs[0].states[4], jnp.float32)
    graph = graph_of(network)
    graph = graph._replace(edges=jnp.asarray(graph.edges, jnp.float32))
    expected = VectorField.derivative(nets.field, state, graph)
    np.testing.assert_allclose(nets.field.derivative(state, graph), expected, atol=1e-5)


def test_the_variance_penalty_evens_out_the_error_over_nodes(network):
    # Each node recovers at a rate of its own, which the nets are not told: errors stay, and differ.
    known = known_laws.get("epidemic_heterogeneous")
    run = known.simulate(network, np.linspace(0.0, 3.0, 31), seed=0)
    settings = replace(QUICK, steps=200)
    plain, penalised = (
        trained_nets(
            rates_of([run]), network, ("x",), {}, replace(settings, variance_weight=w), seed=0
        )
        for w in (0.0, 10.0)
    )
    assert penalised.node_error.var() < 0.8 * plain.node_error.var()


# --- nets by variable projection --------------------------------------------------------------------


@pytest.fixture(scope="module")
def larger():
    return generators.barabasi_albert(30, 2, seed=1)


@pytest.fixture(scope="module")
def gene_runs(larger):
    known = known_laws.get("gene")
    return [known.simulate(larger, np.linspace(0.0, 2.0, 81), seed=s) for s in range(3)]


@pytest.fixture(scope="module")
def projected(gene_runs, larger):
    """Samples of the nets of a law whose interaction reads its sender alone."""
    return net_samples(gene_runs, rates_of(gene_runs), larger, RoadSettings(), 0, lambda what: None)


def test_nets_read_no_more_than_they_need_and_are_as_good_as_they_say(projected):
    own, pair = projected.samples["x", "self"], projected.samples["x", "interaction"]
    assert (own.names, pair.names) == (("x_i",), ("x_j",))
    for samples, true in (
        (own, -own.points[:, 0]),
        (pair, pair.points[:, 0] ** 2 / (1 + pair.points[:, 0] ** 2)),
    ):
        off = (samples.values - true) / samples.error
        assert np.sqrt(np.mean(off**2)) < 3.0
        assert np.std(samples.values - true) < 0.01 * np.std(true)


def test_skeletons_are_also_written_for_points_even_over_the_values(projected):
    plain, (even,) = (found["x", "interaction"] for found in (projected.samples, projected.others))
    ends = np.linspace(even.values.min(), even.values.max(), 5)
    shares = [np.histogram(s.values, ends)[0] / len(s.values) for s in (plain, even)]
    assert np.ptp(shares[0]) > 0.5
    assert np.ptp(shares[1]) < 0.25


def test_an_expression_of_what_a_net_reads_is_written_in_both_ends(projected):
    from jaxllc.neural.structures import DIFFERENCE, Structure
    from jaxllc.search.laws.net_reading import reading

    samples = TermSamples(
        ("x_i", "x_j", "k_i"), np.ones((5, 3)), {"x": np.ones(5)}, {"x": np.ones(5)}
    )
    read = reading(samples, Structure(DIFFERENCE, True), ("x",))
    d, x_i, x_j, k = sympy.symbols("x_d x_i x_j k_i")
    written, number = read.written(2 * d + 3)
    assert sympy.simplify(written - 2 * (x_j - x_i) / k) == 0
    assert number == 3
    assert projected.written("interaction", x_j) == (x_j, 0)


@needs_weights
def test_both_terms_of_a_small_network_are_found(gene_runs, larger):
    law = published_law(gene_runs, larger, seed=0)
    assert jaxllc.metrics.skeleton_equal(law, known_laws.get("gene"))
    assert jaxllc.metrics.worst_coefficient_error(law, known_laws.get("gene")) < 0.01
    assert "variable projection" in law.notes[0]
    assert "reads sender" in law.notes[0]


# --- laws -----------------------------------------------------------------------------------------


def test_the_law_has_the_usual_members_and_says_which_road_it_is(blank_law, tmp_path):
    assert blank_law.settings["published_road"]["steps"] == QUICK.steps
    assert "published road" in blank_law.notes[0]
    assert set(blank_law.seconds) == {"smoothing", "neural terms", "expressions", "simulation"}
    assert blank_law.fitted_states[0].shape == (31, 12, 1)
    assert "on its bound" not in blank_law.summary()
    blank_law.save(tmp_path / "law.json")
    loaded = jaxllc.load_law(tmp_path / "law.json")
    assert loaded.settings["published_road"] == blank_law.settings["published_road"]
    assert str(loaded) == str(blank_law)
    blank_law.report(tmp_path / "law.html")
    assert "on its bound" not in (tmp_path / "law.html").read_text()


def test_the_same_seed_gives_the_same_law(blank_law, runs, network):
    again = published_law(runs, network, seed=0, settings=QUICK, model=small_model())
    assert again.equations == blank_law.equations
    assert again.notes == blank_law.notes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fitzhugh_nagumo", "epidemic_heterogeneous"])
def test_several_variables_and_node_features(name, network):
    known = known_laws.get(name)
    run = known.simulate(network, np.linspace(0.0, 2.0, 25), seed=0)
    few = replace(QUICK, steps=50)
    law = published_law([run], network, seed=0, settings=few, model=small_model())
    assert law.variables == known.variables
    assert law.feature_names == known.feature_names
    assert all(np.isfinite(c.value) for c in law.constants)


@needs_weights
@pytest.mark.slow
def test_discover_takes_the_published_road(runs, network):
    law = jaxllc.discover(runs, network, seed=0, preset="llc")
    assert law.settings["preset"] == "llc"
    assert law.adjusted_r2["x"] > 0.99
    other = generators.erdos_renyi(30, 4, seed=5)
    truth = known_laws.get("epidemic").simulate(other, np.linspace(0.0, 3.0, 20), seed=9)
    found = law.simulate(truth.states[0], truth.times, other)
    assert jaxllc.metrics.adjusted_r2(found, truth, len(law.constants)) > 0.98


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"preset": "lcc"}, "there is no preset 'lcc' .did you mean 'llc'.*default, neural, llc"),
        ({"preset": "llc", "max_terms": 4}, "preset 'llc' does not read max_terms, which is 4"),
        ({"preset": "llc", "neural": "never"}, "does not read neural"),
        ({"preset": "llc", "known": {"x": ("-x_i", "")}}, "does not read known"),
        ({"preset": "llc", "functions": ("cosh",)}, "cosh"),
    ],
)
def test_settings_that_do_not_fit_are_refused(choices, sentence, runs, network):
    with pytest.raises(InputError, match=sentence):
        jaxllc.discover(runs, network, **choices)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"nets": "adma"}, "nets is 'adma' .did you mean 'adam'"),
        ({"steps": 0}, "steps is 0"),
        ({"hidden": 1.5}, "hidden is 1.5"),
        ({"rank": 0}, "rank is 0"),
        ({"variance_weight": -1.0}, "variance_weight is -1.0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
    ],
)
def test_settings_of_the_road_are_checked(choice, sentence):
    with pytest.raises(InputError, match=sentence):
        RoadSettings(**choice)


def test_missing_weights_are_one_sentence_before_any_work(monkeypatch, tmp_path, runs, network):
    from jaxllc.pretrained import shipped

    monkeypatch.setattr(shipped.resources, "files", lambda _: tmp_path)
    shipped.shipped_model.cache_clear()
    stages = []
    with pytest.raises(InputError, match=r"weights.*are missing"):
        published_law(runs, network, progress=lambda *what: stages.append(what))
    assert stages == []


def test_each_long_stage_says_what_it_does(blank_law, said):
    steps = [what for stage, what in said if stage == "neural terms" and what]
    assert len(steps) == 20
    assert steps[-1].startswith("step 300 of 300, loss ")
    assert ("expressions", "x: self term") in said
    assert ("expressions", "x: interaction term") in said
    assert ("simulation", "trajectories 2") in said


def test_a_law_with_a_pole_ends_soon_and_says_where(runs, network):
    # Every node above a half is driven to a half, where its rate has no bound.
    pole = 1 / (sympy.Float(0.5) - sympy.Symbol("x_i"))
    law = Law(equations={"x": Equation(pole, sympy.Integer(0))}, network=network, data=tuple(runs))
    said = []
    fitted, r2, _, failures = _fit_of(law, rates_of(runs), lambda *what: said.append(what))
    assert [number for number, _ in failures] == [0, 1, 2]
    assert np.isfinite(fitted[0][0]).all()
    assert np.isnan(fitted[0][-1]).all()
    assert not r2["x"] > 0.0
    note = _failure_note(failures, 3)
    assert "first states of 3 of 3 trajectories. In trajectories 0: " in note
    assert " at t = " in note
