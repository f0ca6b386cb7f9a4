"""Training of signaling models: learning, repeatability, resuming, masks, blow-ups, cross-validation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.model.signaling_model import SignalingModel
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.settings import SignalingSettings, seeds_in
from jaxllc.signaling.training import cross_validation
from jaxllc.signaling.training import signaling_training as training
from jaxllc.signaling.training.signaling_training import correlation, prepare, train
from jaxllc.signaling.training.training_state import Rates, Shape, learning_rate
from jaxllc.signaling.training.training_step import training_step
from tests.sweep_problem import compiled

EDGES = [
    ("L1", "R1", 1), ("L2", "R2", 1), ("R1", "S1", 1), ("R2", "S2", 1), ("S1", "S2", -1),
    ("S1", "R1", 1), ("R2", "S1", None), ("S2", "T1", 1), ("S1", "T2", 1),
]  # fmt: skip
SETTINGS = SignalingSettings(epochs=600, learning_rate=1e-2, iterations=8)


@pytest.fixture(scope="module")
def prior():
    senders, receivers, signs = zip(*EDGES, strict=True)
    return PriorNetwork.from_edges(senders, receivers, signs)


@pytest.fixture(scope="module")
def conditions():
    levels = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [0.2, 0.9]], float)
    outputs = np.stack(
        [0.1 + 0.6 * levels[:, 1] * (1 - 0.7 * levels[:, 0]), 0.2 + 0.5 * levels[:, 0]], axis=1
    )
    names = tuple(f"c{n}" for n in range(len(levels)))
    return Conditions(names, ("L1", "L2"), ("T1", "T2"), levels, outputs)


@pytest.fixture(scope="module")
def fit(prior, conditions):
    return train(prior, conditions, SETTINGS, seed=0)


def test_a_small_problem_is_learned(fit, conditions):
    assert fit.finished
    assert fit.train_correlation > 0.95
    assert len(fit.history) == SETTINGS.epochs
    assert fit.history["mse"].iloc[-1] < 0.1 * fit.history["mse"].iloc[0]
    outputs = fit.predict(conditions).tfs.to_numpy()
    best = fit.history["mse"].iloc[-1]
    assert np.mean((outputs - conditions.tf_activities) ** 2) == pytest.approx(best, rel=0.05)
    assert fit.predict(conditions).converged.all()
    assert fit.sign_violations == 0
    assert "train r" in fit.summary()


@pytest.mark.parametrize("changes", [{"refresh_every": 1}, {"warm_start": False, "iterations": 50}])
def test_the_parameters_of_the_best_epoch_are_kept(prior, conditions, changes):
    wild = {"learning_rate": 0.01, "learning_rate_end": 1.0, "input_noise_per_rate": 0.0}
    settings = dataclasses.replace(SETTINGS, epochs=150, **wild, **changes)
    found = train(prior, conditions, settings, seed=0)
    history = found.history
    best = history["loss"].idxmin()
    assert history["loss"].iloc[-1] > 1.2 * history["loss"][best]
    mse = np.mean((found.fitted.tfs.to_numpy() - conditions.tf_activities) ** 2)
    assert mse == pytest.approx(history["mse"][best], rel=1e-3)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(fit, prior, conditions):
    again = train(prior, conditions, SETTINGS, seed=0)
    other = train(prior, conditions, SETTINGS, seed=1)
    np.testing.assert_array_equal(again.parameters.weights, fit.parameters.weights)
    assert np.abs(other.parameters.weights - fit.parameters.weights).max() > 1e-3


def test_an_interrupted_training_goes_on_bit_for_bit(fit, prior, conditions, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_MOST_STEPS", 100)
    path = tmp_path / "checkpoint.npz"
    calls = []

    def interrupt(epoch, epochs, values):
        calls.append(epoch)
        if epoch >= 300:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_SECONDS_BETWEEN_REPORTS", 0.0)
    whole = train(prior, conditions, SETTINGS, seed=0)
    part = train(
        prior,
        conditions,
        SETTINGS,
        seed=0,
        checkpoint=path,
        checkpoint_every=100,
        progress=interrupt,
    )
    assert not part.finished
    assert len(part.history) == 300
    assert "interrupted" in " ".join(part.notes)
    resumed = train(prior, conditions, SETTINGS, seed=0, checkpoint=path)
    assert resumed.finished
    np.testing.assert_array_equal(resumed.parameters.weights, whole.parameters.weights)
    np.testing.assert_array_equal(resumed.parameters.bias, whole.parameters.bias)
    np.testing.assert_array_equal(resumed.history.to_numpy(), whole.history.to_numpy())


def test_a_checkpoint_of_another_training_is_refused(prior, conditions, tmp_path):
    path = tmp_path / "checkpoint.npz"
    short = dataclasses.replace(SETTINGS, epochs=2)
    train(prior, conditions, short, seed=0, checkpoint=path)
    with pytest.raises(InputError, match="belongs to another network"):
        train(prior, conditions, short, seed=1, checkpoint=path)
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="not a checkpoint that can be read"):
        train(prior, conditions, short, seed=0, checkpoint=path)


def test_an_activity_that_was_not_measured_counts_neither_as_zero_nor_at_all(prior, conditions):
    activities = conditions.tf_activities.copy()
    activities[1, 0] = np.nan
    masked = dataclasses.replace(conditions, tf_activities=activities)
    # Whatever stands in the masked place, the step is the same.
    _, structure, data = prepare(prior, masked, SETTINGS)
    other = data._replace(activities=np.where(data.observed > 0, data.activities, 1e6).astype("f"))
    begin = training.initial_state(structure, data, SETTINGS, 0)
    shape, rates = Shape.of(SETTINGS, conditions.num_conditions), Rates.of(SETTINGS)
    step = jax.jit(training_step, static_argnums=0)
    one, two = (step(shape, structure, each, rates, begin)[0] for each in (data, other))
    np.testing.assert_array_equal(one.parameters.weights, two.parameters.weights)


def test_rows_that_fill_up_the_shape_change_nothing(prior, conditions):
    settings = dataclasses.replace(SETTINGS, input_noise_per_rate=0.0, spectral_penalty=0.0)
    conditions, structure, data = prepare(prior, conditions, settings)
    index = np.array([*range(6), 0, 0])
    padded = type(data)(*(x[index] for x in data))
    padded = padded._replace(present=(np.arange(8) < 6).astype(data.present.dtype))
    step = jax.jit(training_step, static_argnums=0)
    results = []
    for each in (data, padded):
        rows = each.ligands.shape[0]
        state = training.initial_state(structure, each, settings, 0)
        results.append(step(Shape.of(settings, rows), structure, each, Rates.of(settings), state))
    np.testing.assert_allclose(results[0][1].loss, results[1][1].loss, rtol=1e-5)
    np.testing.assert_allclose(
        results[0][0].parameters.weights, results[1][0].parameters.weights, atol=1e-6
    )


@pytest.mark.parametrize("batch_size", [4, 6])
def test_mini_batches_show_every_condition_in_an_epoch(prior, conditions, batch_size):
    settings = dataclasses.replace(SETTINGS, batch_size=batch_size, epochs=3)
    shape = Shape.of(settings, conditions.num_conditions)
    assert shape.steps_per_epoch == (2 if batch_size == 4 else 1)
    found = train(prior, conditions, settings, seed=0)
    assert len(found.history) == 3
    assert np.isfinite(found.history["loss"]).all()


BLOWN_UP = dataclasses.replace(SETTINGS, activation="leaky_relu", initial_radius=3.0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"uniform_penalty": 0.0}, {"warm_start": False, "iterations": 100}],
    ids=["default", "no uniform penalty", "cold start"],  # which grows beyond the largest float
)
def test_a_state_that_blows_up_is_reported_and_pulled_back(prior, conditions, changes):
    settings = dataclasses.replace(BLOWN_UP, epochs=1500, **changes)
    found = train(prior, conditions, settings, seed=0)
    assert np.isfinite(found.parameters.weights).all()
    assert found.history["unsteady"].iloc[0] >= conditions.num_conditions - 1
    assert found.history["refused"].sum() == 0
    assert found.history["radius"].iloc[0] > 1
    assert found.model.spectral_radius(conditions).max() < 1
    assert found.predict(conditions).converged.all()
    (note,) = [note for note in found.notes if "spectral radius passed 1 in" in note]
    assert note.endswith(f"the penalty pulled it back to {found.spectral_radius:.3g}")


@pytest.mark.parametrize(
    ("spectral_penalty", "said"),
    [
        (
            1e-3,
            ["passed 1 in 3 of 3 epochs (epoch 1 to 3)", "train with a larger spectral_penalty"],
        ),
        (
            0.0,
            [
                "began at a spectral radius of 3, and spectral_penalty is 0",
                "with a spectral_penalty",
            ],
        ),
    ],
)
def test_a_spectral_radius_above_1_at_the_end_is_said(prior, conditions, spectral_penalty, said):
    settings = dataclasses.replace(BLOWN_UP, epochs=3, spectral_penalty=spectral_penalty)
    found = train(prior, conditions, settings, seed=0)
    assert found.spectral_radius > 1
    (note,) = [note for note in found.notes if "steady state need not exist" in note]
    for part in [*said, f"it is {found.spectral_radius:.3g} at the end"]:
        assert part in note
    assert "pulled it back" not in found.summary()


def test_learning_rate_rises_and_falls_by_half_cosines():
    settings = SignalingSettings(epochs=1000, learning_rate_start=1e-5, learning_rate=2e-3)
    rates = Rates.of(settings)
    rate = np.asarray(jax.vmap(lambda e: learning_rate(rates, e))(jnp.arange(1000.0)))
    assert rate[0] == pytest.approx(1e-5)
    assert rate.argmax() == 200
    assert rate.max() == pytest.approx(2e-3)
    assert rate[100] == pytest.approx((1e-5 + 2e-3) / 2, rel=1e-3)
    assert (np.diff(rate[:200]) > 0).all()
    assert (np.diff(rate[200:950]) < 0).all()
    np.testing.assert_allclose(rate[950:], 1e-5, rtol=1e-3)


def test_held_out_conditions_are_not_seen(prior, conditions):
    left = conditions.without(["c1"])
    assert "c1" not in left.names
    short = dataclasses.replace(SETTINGS, epochs=5)
    one = train(prior, conditions, short, held_out=conditions.select(["c1"]))
    two = train(prior, left, short)
    np.testing.assert_array_equal(one.parameters.weights, two.parameters.weights)
    with pytest.raises(InputError, match="c9"):
        conditions.without(["c9"])


def test_nothing_to_learn_is_said(prior, conditions):
    backwards = PriorNetwork.from_edges([r for _, r, _ in EDGES], [s for s, _, _ in EDGES])
    with pytest.raises(InputError, match="no path"):
        train(backwards, conditions, SETTINGS)
    empty = dataclasses.replace(
        conditions, tf_activities=np.full_like(conditions.tf_activities, np.nan)
    )
    with pytest.raises(InputError, match="measured"):
        train(prior, empty, SETTINGS)
    with pytest.raises(InputError, match="every condition is held out"):
        train(prior, conditions, SETTINGS, held_out=conditions)
    with pytest.raises(InputError, match="seed is 'a'"):
        train(prior, conditions, SETTINGS, seed="a")


def test_a_model_is_the_same_after_saving_and_loading(fit, conditions, tmp_path):
    paths = fit.save(tmp_path)
    assert [path.name for path in paths] == [
        "model.npz", "settings.json", "history.csv", "predictions.csv"
    ]  # fmt: skip
    loaded = SignalingModel.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.predict(conditions).tfs.to_numpy(), fit.predict(conditions).tfs.to_numpy()
    )
    assert SignalingSettings.read(tmp_path / "settings.json") == SETTINGS
    assert seeds_in(tmp_path / "settings.json") == (fit.seed,)
    (tmp_path / "model.npz").write_bytes(b"no model")
    with pytest.raises(InputError, match="not a signaling model"):
        SignalingModel.load(tmp_path)


def test_a_knock_out_is_the_model_without_the_node(fit, conditions):
    knocked = fit.predict(conditions, knock_out=["S1"])
    assert (knocked.states["S1"] == 0).all()
    smaller = fit.model.prior.without_nodes(["S1"])
    edges = {(s, r): n for n, (s, r) in enumerate(_edge_names(fit.model.prior))}
    kept = [edges[pair] for pair in _edge_names(smaller)]
    nodes = [fit.model.prior.position[name] for name in smaller.names]
    parameters = fit.parameters._replace(
        weights=fit.parameters.weights[kept], bias=fit.parameters.bias[nodes]
    )
    alone = SignalingModel(smaller, fit.model.ligands, fit.model.tfs, parameters)
    np.testing.assert_allclose(
        knocked.tfs.to_numpy(), alone.predict(conditions).tfs.to_numpy(), atol=1e-5
    )
    with pytest.raises(InputError, match="S9"):
        fit.predict(conditions, knock_out=["S9"])


def _edge_names(prior):
    return [
        (prior.names[s], prior.names[r])
        for s, r in zip(prior.senders, prior.receivers, strict=True)
    ]


def test_predictions_take_tables_with_fewer_ligands_in_any_order(fit, conditions):
    table, _ = conditions.to_frames()
    whole = fit.predict(conditions).tfs
    turned = fit.predict(table[["L2", "L1"]].iloc[::-1]).tfs
    np.testing.assert_allclose(turned.iloc[::-1].to_numpy(), whole.to_numpy(), atol=1e-5)
    only = fit.predict(table[["L1"]].iloc[[1]]).tfs
    np.testing.assert_allclose(only.to_numpy(), whole.iloc[[1]].to_numpy(), atol=1e-5)
    with pytest.raises(InputError, match="L3"):
        fit.predict(table.rename(columns={"L1": "L3"}))
    with pytest.raises(InputError, match="write 0"):
        fit.predict(table.replace(1.0, np.nan))
    table = table.astype(object)
    table.loc["c3", "L2"] = "high"
    with pytest.raises(InputError, match="index 'c3', column 'L2': 'high' is not a number"):
        fit.predict(table)


def test_cross_validation_by_vmap_equals_one_model_at_a_time_and_resumes(
    prior, conditions, tmp_path
):
    settings = dataclasses.replace(SETTINGS, epochs=40)
    folds = (("c0",), ("c3",), ("c4", "c5"))
    records = tmp_path / "records.jsonl"
    with compiled() as programs:
        side_by_side = cross_validation.cross_validate(
            prior, conditions, folds, settings, seeds=(0, 1), together=3, records=records
        )
    assert programs["train_member"] == 1  # for folds of unlike size and all seeds
    assert list(side_by_side.measured.index) == ["c0", "c3", "c4", "c5"]
    alone = cross_validation.cross_validate(
        prior, conditions, folds, settings, seeds=(0, 1), together=1
    )
    for seed in (0, 1):
        np.testing.assert_allclose(
            side_by_side.predicted[seed].to_numpy(), alone.predicted[seed].to_numpy(), atol=2e-3
        )
    np.testing.assert_allclose(
        side_by_side.ensemble.to_numpy(),
        (side_by_side.predicted[0] + side_by_side.predicted[1]).to_numpy() / 2,
    )
    # The model of a fold is the one of a training without its conditions.
    single = train(prior, conditions, settings, 100_003, held_out=["c0"])
    np.testing.assert_allclose(
        alone.predicted[1].loc["c0"], single.predict(conditions).tfs.loc["c0"], atol=1e-4
    )
    lines = records.read_text().splitlines(keepends=True)
    assert len(lines) == 6
    # The last line cut off, as by a kill: only that model is trained again.
    records.write_text("".join(lines[:-1]) + lines[-1][:20])
    trained = []
    resumed = cross_validation.cross_validate(
        prior, conditions, folds, settings, seeds=(0, 1), together=1, records=records,
        progress=lambda done, jobs, what: trained.append(done),
    )  # fmt: skip
    assert trained == [6]
    np.testing.assert_allclose(
        resumed.ensemble.to_numpy(), side_by_side.ensemble.to_numpy(), atol=2e-3
    )
    best, other = resumed.best_trained(2)
    train_r = resumed.correlations.set_index("seed")["train"]
    assert train_r[best] >= train_r[other]
    assert resumed.ensemble_of([best]).equals(resumed.predicted[best])
    with pytest.raises(InputError, match="some of"):
        resumed.ensemble_of([7])
    with pytest.raises(InputError, match="belongs to another network"):
        cross_validation.cross_validate(
            prior, conditions, folds, dataclasses.replace(settings, l2=1.0), records=records
        )


def test_correlation_leaves_out_what_was_not_measured():
    random = np.random.default_rng(0)
    x, y = random.random((2, 30))
    with_gap = np.append(y, np.nan)
    assert correlation(np.append(x, 5.0), with_gap) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert np.isnan(correlation(np.ones(3), np.arange(3.0)))
