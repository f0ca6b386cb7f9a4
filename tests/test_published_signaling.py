"""The yardstick of the signaling benchmarks: reference numbers, and gradients against differences.

`native` numbers come from the published step count with its early stop, `exact` ones from a dense solve at
the fixed point.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.signaling_problems import REFERENCES as NAMES
from tests.signaling_problems import published as load_published
from tests.signaling_problems import reference_model

published = load_published("published_signaling")
training = load_published("published_training")

STOP = 1e-6


@pytest.fixture(scope="module")
def reference(reference_arrays):
    """Name of a reference file -> the model and its arrays."""

    @cache
    def get(name):
        known = reference_arrays(name)
        return reference_model(known), known

    return get


def small_model(activation="MML", seed=0):
    """Six nodes, twelve edges with both signs and cycles, some of them with the wrong sign."""
    random = np.random.default_rng(seed)
    cells = np.sort(random.choice(36, 12, replace=False))
    signs = random.integers(-1, 2, 12)
    return published.PublishedModel(
        num_nodes=6,
        senders=cells % 6,
        receivers=cells // 6,
        signs=signs,
        sign_known=signs != 0,
        input_index=np.array([0, 3]),
        output_index=np.array([2, 5, 1]),
        weights=random.normal(0.0, 0.5, 12),
        bias=random.normal(0.2, 0.2, 6),
        input_scale=np.full(2, 3.0),
        output_scale=random.normal(1.2, 0.1, 3),
        activation=activation,
    )


def differences(function, values, step=1e-6):
    """Central differences of `function()` in `values`, changed in place and restored."""
    slopes = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + step
        above = function()
        values[index] = kept - step
        slopes[index] = (above - function()) / (2 * step)
        values[index] = kept
    return slopes


def relative(found, expected):
    """Largest difference, in units of the largest entry expected."""
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("name", NAMES)
def test_native_states_and_gradients(reference, name):
    model, known = reference(name)
    steps = int(known["iterations"])
    states = published.steady_state(model, known["X"], steps, stop_below=STOP)
    np.testing.assert_allclose(states, known["full_native"], rtol=0, atol=1e-13)
    found = published.gradients(
        model, states, known["X"], known["Y"], steps, clip=float(known["clipping"]), stop_below=STOP
    )
    assert found.error == pytest.approx(float(known["mse_native"]), rel=1e-12)
    assert relative(found.weights, known["gw_native"]) < 1e-11
    assert relative(found.bias, known["gb_native"]) < 1e-11
    assert relative(found.output_scale, known["go_native"]) < 1e-11


@pytest.mark.parametrize("name", NAMES)
def test_exact_states_and_gradients(reference, name):
    model, known = reference(name)
    states = published.steady_state_converged(model, known["X"], 1e-14)
    np.testing.assert_allclose(states, known["full_fixedpoint"], rtol=0, atol=1e-12)
    found = published.gradients(model, known["full_fixedpoint"], known["X"], known["Y"], None)
    assert found.error == pytest.approx(float(known["mse_exact"]), rel=1e-12)
    assert relative(found.weights, known["gw_exact"]) < 1e-11
    assert relative(found.bias, known["gb_exact"]) < 1e-11
    assert relative(found.output_scale, known["go_exact"]) < 1e-11


def test_the_published_steps_leave_one_condition_of_the_macrophage_model_unfinished(reference):
    model, known = reference("macrophage")
    states = published.steady_state(model, known["X"], int(known["iterations"]))
    unfinished = np.max(np.abs(states - known["full_fixedpoint"]), axis=1) > 1e-3
    assert unfinished.sum() == 1


@pytest.mark.parametrize("name", NAMES)
def test_spectral_radius(reference, name):
    model, known = reference(name)
    slopes = published.slopes_at(model, known["full_fixedpoint"], known["X"])
    found = [published.spectral_radius_of(model, slopes[i]) for i in range(5)]
    expected = known["spectral_radius_dense_first5"]
    np.testing.assert_allclose([f.value for f in found], expected, rtol=1e-10)
    # The reference gradient comes from a loosely converged ARPACK.
    assert relative(found[0].weights, known["spectral_radius_grad_w_cond0"]) < 1e-5
    loose = published.spectral_radius_of(model, slopes[0], training.MACROPHAGE.tolerance)
    assert loose.value == pytest.approx(expected[0], rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_uniform_penalty_and_violations(reference, name):
    model, known = reference(name)
    for key, k, hi in (("uniform_loss_0_099_50", 50, 0.99), ("uniform_loss_0_0833_1", 1, 1 / 1.2)):
        value, _ = training.uniform_penalty(known["full_5000"], k, hi)
        assert value == pytest.approx(float(known[key]), rel=1e-12)
    np.testing.assert_array_equal(model.wrong_sign(), known["violations"])


@pytest.mark.parametrize("name", ["macrophage", "macrophage_init"])
def test_exact_gradient_equals_stored_differences(reference, name):
    model, known = reference(name)
    found = published.gradients(model, known["full_fixedpoint"], known["X"], known["Y"], None)
    assert relative(found.weights[known["fd_index"]], known["fd_grad"]) < 1e-6


@pytest.mark.parametrize("activation", ["MML", "leakyRelu", "sigmoid"])
def test_gradients_equal_differences(activation):
    model, random = small_model(activation), np.random.default_rng(1)
    model.weights *= 0.8 / published.spectral_radius_of(model, np.ones(6)).value
    ligands, activities = random.uniform(size=(4, 2)), random.uniform(size=(4, 3))
    activities[1, 2] = np.nan
    states = published.steady_state_converged(model, ligands, 1e-15)
    exact = published.gradients(model, states, ligands, activities, None)
    iterated = published.gradients(model, states, ligands, activities, 3000, clip=1e3)

    def error():
        found = published.steady_state_converged(model, ligands, 1e-15)
        return float(
            np.nanmean((model.output_scale * found[:, model.output_index] - activities) ** 2)
        )

    assert error() == pytest.approx(exact.error, rel=1e-12)
    for name in ("weights", "bias", "output_scale"):
        expected = differences(error, getattr(model, name))
        np.testing.assert_allclose(getattr(exact, name), expected, atol=1e-8)
        np.testing.assert_allclose(getattr(iterated, name), getattr(exact, name), atol=1e-12)


def test_gradient_of_the_spectral_radius_equals_differences():
    kinds = set()
    for seed in range(8):
        model = small_model(seed=seed)
        slopes = np.random.default_rng(seed).uniform(0.2, 1.0, 6)
        eigenvalues = np.linalg.eigvals(model.matrix(slopes).toarray())
        kinds.add(bool(abs(eigenvalues[np.argmax(np.abs(eigenvalues))].imag) > 1e-6))
        found = published.spectral_radius_of(model, slopes)

        def radius(model=model, slopes=slopes):
            return published.spectral_radius_of(model, slopes).value

        expected = differences(radius, model.weights)
        np.testing.assert_allclose(found.weights, expected, atol=1e-7)
    assert kinds == {True, False}, "both real and complex largest eigenvalues were meant to occur"


def rings(num_nodes, length, factors):
    """Separate rings of `length` nodes; all eigenvalues of ring i have the size factors[i]."""
    senders = np.arange(num_nodes)
    receivers = senders // length * length + (senders + 1) % length
    order = np.lexsort((senders, receivers))
    weights = np.repeat(factors, length)[order]
    return published.PublishedModel(
        num_nodes, senders[order], receivers[order], np.zeros(num_nodes, int), np.zeros(num_nodes, bool),
        np.array([0]), np.array([1]), weights, np.zeros(num_nodes), np.ones(1), np.ones(1),
    )  # fmt: skip


def test_a_failing_arpack_gives_the_dense_numbers(monkeypatch):
    model = rings(30, 3, np.linspace(0.3, 0.9, 10))
    assert published.spectral_radius_of(model, np.ones(30)).value == pytest.approx(0.9, rel=1e-8)

    def fails(*_, **__):
        raise published.ArpackError(-1)

    monkeypatch.setattr(published, "eigs", fails)
    with pytest.warns(UserWarning, match="ARPACK failed"):
        found = published.spectral_radius_of(model, np.ones(30))
    assert found.method == "dense"
    assert found.value == pytest.approx(0.9, rel=1e-12)
    # A ring's eigenvalue is the geometric mean of its weights: 1/3 for each weight of the last, equal ones.
    expected = np.where(model.receivers >= 27, 1 / 3, 0.0)
    np.testing.assert_allclose(found.weights, expected, atol=1e-10)


def test_no_eigenvalue_gives_no_gradient_rather_than_zeros():
    model = small_model()
    found = published.spectral_radius_of(model, np.zeros(6))
    assert found.value == 0.0
    assert np.all(np.isnan(found.weights))


@pytest.mark.parametrize("only", ["l2", "inverse", "wrong_sign", "ligand_bias", "output_scale"])
def test_each_parameter_penalty_equals_its_differences(only):
    names = ("l2", "inverse", "wrong_sign", "ligand_bias", "output_scale")
    settings = replace(
        training.MACROPHAGE, **{name: 0.7 if name == only else 0.0 for name in names}
    )
    model = small_model()
    value, *found = training.parameter_penalties(model, settings)
    assert value > 0
    for gradient, values in zip(
        found, (model.weights, model.bias, model.output_scale), strict=True
    ):
        expected = differences(lambda: training.parameter_penalties(model, settings)[0], values)
        np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_uniform_and_radius_penalties_equal_their_differences():
    states = np.random.default_rng(0).normal(0.3, 0.5, (7, 5))
    states[:, 2] = -np.abs(states[:, 2])  # a node that is never on
    _, gradient = training.uniform_penalty(states, 50.0, 0.99)
    expected = differences(lambda: training.uniform_penalty(states, 50.0, 0.99)[0], states)
    np.testing.assert_allclose(gradient, expected, atol=1e-7)
    radius = np.array([0.95])
    expected = differences(
        lambda: training.radius_penalty(float(radius[0]), 21.0, 0.871)[0], radius
    )
    assert training.radius_penalty(0.95, 21.0, 0.871)[1] == pytest.approx(expected[0], rel=1e-7)
    assert training.radius_penalty(0.5, 21.0, 0.871) == (0.0, 0.0)


def test_clipping_is_the_identity_inside_and_bounded_outside():
    g = np.linspace(-6.0, 6.0, 2401)
    found = published.clipped(g, 1.5)
    inside = np.abs(g) <= 1.5
    np.testing.assert_array_equal(found[inside], g[inside])
    assert np.all(np.abs(found) <= 3.0)
    steepness = np.diff(found) / np.diff(g)
    assert np.all(steepness > 0)
    assert np.max(np.abs(np.diff(steepness))) < 0.01, "no kink where clipping begins"


def test_the_whole_loss_has_the_gradients_it_steps_along():
    """Adjoint, U through the states, R and the penalties at once; leaky ReLU, as R holds phi' constant."""
    model, random = small_model("leakyRelu"), np.random.default_rng(2)
    model.weights *= 0.9 / published.spectral_radius_of(model, np.ones(6)).value
    ligands, activities = random.uniform(size=(5, 2)), random.uniform(size=(5, 3))
    settings = replace(
        training.MACROPHAGE, steps=3000, stop_below=None, clip=None, noise=0.0, tolerance=0.0,
        uniform=(0.1, 5.0, 0.99), radius=(0.1, 5.0, 0.8), l2=0.01, ligand_bias=0.1, output_scale=0.1,
    )  # fmt: skip
    rows = np.array([3, 0, 4])

    def beginning():
        return training.Training(model, ligands, activities, settings, seed=3)

    fixed = beginning().states

    def loss():
        one = beginning()
        one.states = fixed.copy()  # the rows outside the batch stay as last seen
        return one.loss(rows, 1e-3)

    _, changes = loss()
    for change, name in zip(changes, ("weights", "bias", "output_scale"), strict=True):
        expected = differences(lambda: loss()[0].loss, getattr(model, name))
        np.testing.assert_allclose(change, expected, atol=2e-8)


def test_learning_rate():
    rates = [training.learning_rate(e, 5000, training.MACROPHAGE) for e in range(5000)]
    assert rates[0] == 1e-5
    assert rates[1000] == max(rates) == pytest.approx(2e-3)
    assert rates[500] == pytest.approx((1e-5 + 2e-3) / 2)
    np.testing.assert_allclose(rates[4750:], 1e-5, rtol=1e-9)
    assert np.all(np.diff(rates[:1001]) > 0)
    assert np.all(np.diff(rates[1000:4751]) < 0)


def test_training_lowers_the_error_and_repeats_itself(reference):
    model, known = reference("toy")

    def run():
        fresh = replace(
            model, weights=0.5 * model.weights, bias=model.bias + 1e-3, output_scale=np.array([1.2])
        )
        settings = replace(training.MACROPHAGE, uniform=(0.0, 0.0, 0.99))
        return fresh, training.train(fresh, known["X"], known["Y"], 100, 0, settings)

    first, history = run()
    second, again = run()
    assert history.error[-1] < 0.5 * history.error[0]
    assert history.loss == again.loss
    np.testing.assert_array_equal(first.weights, second.weights)


def test_training_stops_at_the_time_limit(reference):
    model, known = reference("toy")
    fresh = replace(
        model,
        weights=model.weights.copy(),
        bias=model.bias.copy(),
        output_scale=model.output_scale.copy(),
    )
    history = training.train(fresh, known["X"], known["Y"], 50, 0, training.LIGAND, time_limit=0.0)
    assert len(history.seconds) == 1


def test_edges_must_be_sorted():
    model = small_model()
    with pytest.raises(ValueError, match="sort the edges"):
        replace(model, senders=model.senders[::-1], receivers=model.receivers[::-1])
