"""Data far from zero, late, or of unusual size give the law of the same data at home."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import generators, known_laws
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.origin_choice import chosen_axes
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import evaluate, parse
from jaxllc.errors import InputError
from jaxllc.law.axes import Axes, axes_of
from jaxllc.settings.discover_settings import DiscoverSettings

NETWORK = generators.erdos_renyi(12, 3.0, seed=1)
SETTINGS = DiscoverSettings()
QUICK = {"neural": "never", "sums": False}


def moved(run, size=1.0, offset=0.0, duration=1.0, start=0.0):
    offset = np.asarray(offset)
    return Trajectories(
        run.times * duration + start, run.states * size + offset, run.variables, run.node_features
    )


def simulated(name, samples=50):
    law = known_laws.get(name)
    features = law.sample_features(12, 0)
    times = np.linspace(*law.default_times()[[0, -1]], samples)
    start = law.sample_initial_state(12, 0)
    return jaxllc.simulate(law.vector_field(), NETWORK, times, start, features).trajectories


def values(law, variables, offset, points):
    """Both terms of every equation at points that are `offset` away."""
    at = {
        f"{v}_{side}": points[n, k] + offset[k]
        for n, side in enumerate("ij")
        for k, v in enumerate(variables)
    }
    at["k_i"] = 3.0
    return [evaluate(term, at) for e in law.equations.values() for term in e]


@pytest.fixture(scope="module")
def epidemic():
    run = simulated("epidemic")
    return run, jaxllc.discover(run, NETWORK, **QUICK)


@pytest.mark.parametrize(
    ("offset", "start"),
    [(1e5, 1.6e9), (-1e9, 0.0), pytest.param(101325.0, -3e4, marks=pytest.mark.slow)],
)
def test_an_offset_gives_the_law_of_the_data_without_it(epidemic, offset, start, tmp_path):
    run, home = epidemic
    far = moved(run, offset=offset, start=start)
    law = jaxllc.discover(far, NETWORK, **QUICK)
    points = np.random.default_rng(0).uniform(0.1, 0.9, (2, 1, 30))
    for a, b in zip(
        values(law, ("x",), [offset], points), values(home, ("x",), [0.0], points), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for c, d in zip(law.constants, home.constants, strict=True):
        assert c.value == pytest.approx(d.value, rel=1e-6)
    assert any(f"x was measured from {offset:.0f}" in note for note in law.notes)
    assert f"(x_i {'-' if offset > 0 else '+'} {abs(offset):.0f})" in str(law)
    np.testing.assert_array_equal(law.data[0].states, far.states)
    np.testing.assert_allclose(law.fitted_states[0], far.states, atol=1e-5)
    # It simulates as well as the law at home, saved and read again.
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    assert again.equations == law.equations
    assert str(again) == str(law)
    for one in (law, again):
        states = one.simulate(far.states[0], far.times, network=NETWORK).states
        np.testing.assert_allclose(states, far.states, atol=1e-5)
    assert "100000" in law.snapped().latex() or offset != 1e5
    law.report(tmp_path / "law.html")


def test_of_data_not_so_far_from_zero_the_simpler_law_tells_the_origin(epidemic):
    run, home = epidemic
    law = jaxllc.discover(moved(run, offset=30.0), NETWORK, **QUICK)
    assert any("x was measured from 30" in note for note in law.notes)
    assert len(law.constants) == len(home.constants)


def test_a_law_near_a_steady_state_keeps_zero_as_its_origin():
    # Gene regulation on a ring: every node rests at x = x**2*2/(1 + x**2), at 1.
    ring = jaxllc.Network.from_edges(np.arange(12), np.roll(np.arange(12), -1), undirected=True)
    start = 1 + 0.06 * np.random.default_rng(0).standard_normal(12)
    near = moved(known_laws.get("gene").simulate(ring, np.linspace(0, 2, 50), start))
    mean, spread = near.states.mean(), near.states.std()
    assert 30 < mean / spread < 300
    assert len(axes_of([near])) > 1
    assert chosen_axes([near], ring, 0, SETTINGS).usual


@pytest.mark.slow
def test_each_variable_has_an_origin_of_its_own():
    run = simulated("fitzhugh_nagumo")
    home = jaxllc.discover(run, NETWORK, **QUICK)
    offset = np.array([0.0, 20000.0])
    law = jaxllc.discover(moved(run, offset=offset), NETWORK, **QUICK)
    assert not any("was measured" in note for note in home.notes)
    first, second = run.variables
    assert any(f"{second} was measured from 20000" in note for note in law.notes)
    assert not any(f"{first} was measured" in note for note in law.notes)
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 2, 30))
    for a, b in zip(
        values(law, run.variables, offset, points),
        values(home, run.variables, [0.0, 0.0], points),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_usual_data_are_left_as_they_are(epidemic):
    run, _ = epidemic
    for size, offset in ((1.0, 0.0), (1e-6, 0.0), (1e6, 0.0), (1.0, 5.0)):
        (axes,) = axes_of([moved(run, size=size, offset=offset)])
        assert axes.usual
        assert axes.inside([run])[0] is run
    constant = Trajectories(run.times, np.full((50, 12), 1e5))
    assert axes_of([constant])[0].usual


def test_the_origin_is_a_round_number():
    random = np.random.default_rng(0)
    for origin in (1e3, 5e3, 1e5, 101325.0, 2.5e6, 1e9, -4e4, 0.5):
        spread = abs(origin) / 1e4
        run = Trajectories(np.arange(50.0), origin + spread * random.random((50, 12)))
        found = {float(axes.origins["x"]) for axes in axes_of([run])}
        assert origin in found or origin == 101325.0
    run = Trajectories(np.arange(50.0), 101325 + random.random((50, 12)))
    assert 101325.0 in {float(axes.origins["x"]) for axes in axes_of([run])}


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("x_j - x_i", "x_j - x_i"),
        ("sin(x_j - x_i + 0.5)", "sin(x_j - x_i + 0.5)"),
        ("-0.5*x_i", "-0.5*(x_i - 1000)"),
        ("x_i + 1000", "x_i"),
        ("exp(-2.5*x_i)*y_i", "exp(-2.5*(x_i - 1000))*y_i"),
        ("tanh(x_s + w_i)", "tanh((x_s - 1000*k_i) + w_i)"),
    ],
)
def test_an_origin_is_written_into_terms_and_out_of_them(inside, outside):
    axes = Axes({"x": sympy.Integer(1000)})
    random = np.random.default_rng(0)
    at = {name: random.uniform(0.5, 1.5, 20) for name in ("x_i", "x_j", "x_s", "y_i", "w_i", "k_i")}
    away = {**at, "x_i": at["x_i"] + 1000, "x_j": at["x_j"] + 1000}
    away["x_s"] = at["x_s"] + 1000 * at["k_i"]
    written = axes.written(parse(inside))
    if "0.5)" not in inside:
        assert written == parse(outside)
    np.testing.assert_allclose(evaluate(written, away), evaluate(parse(inside), at), rtol=1e-9)
    back = Axes({"x": sympy.Integer(-1000)}).written(written)
    np.testing.assert_allclose(evaluate(back, at), evaluate(parse(inside), at), rtol=1e-12)


def test_a_known_term_is_one_of_the_states_as_they_were_given(epidemic):
    run, _ = epidemic
    known = {"x": Equation.from_text("-delta*(x_i - 100000)", "0")}
    law = jaxllc.discover(moved(run, offset=1e5), NETWORK, known=known, **QUICK)
    (delta,) = [c for c in law.constants if c.role == "delta"]
    assert delta.value == pytest.approx(0.5, rel=1e-5)
    assert delta.term == "-delta*(x_i - 100000)"
    assert law.settings["known"] == {"x": ("-delta*(x_i - 100000)", "0")}


@pytest.mark.parametrize(("size", "duration"), [(1e150, 1.0), (1e-150, 1e-150), (1.0, 1e150)])
def test_states_and_times_of_any_size_give_the_law(epidemic, size, duration, tmp_path):
    run, home = epidemic
    large = moved(run, size=size, duration=duration)
    law = jaxllc.discover(large, NETWORK, **QUICK)
    points = np.random.default_rng(0).uniform(0.1, 0.9, (2, 1, 30))
    for a, b in zip(
        values(law, ("x",), [0.0], points * size), values(home, ("x",), [0.0], points), strict=True
    ):
        np.testing.assert_allclose(a / size * duration, b, atol=1e-5)
    np.testing.assert_allclose(law.fitted_states[0] / size, run.states, atol=1e-5)
    law.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").equations == law.equations
    assert str(law)
    assert law.summary()


@pytest.mark.parametrize(
    ("size", "duration"), [(1e300, 1e-9), (1e-310, 1.0), (1.0, 1e-310), (1e308, 1.0)]
)
def test_sizes_at_the_end_of_the_doubles_get_a_sentence(epidemic, size, duration):
    with pytest.raises(InputError, match="unit"):
        jaxllc.discover(moved(epidemic[0], size=size, duration=duration), NETWORK, **QUICK)
