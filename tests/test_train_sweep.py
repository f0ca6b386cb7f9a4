"""Sweeps of trainings: each member is the model of a single run, whatever it is trained beside."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling import train
from jaxllc.signaling.model.neighbour_sums import padded_weights, sum_neighbours
from jaxllc.signaling.model.spectral_radius import edges_on_loops
from jaxllc.signaling.model.steady_state import product, transposed_product
from jaxllc.signaling.network.structure import structure_of
from jaxllc.signaling.training.signaling_training import (
    advance,
    correlation,
    initial_state,
    most_epochs,
    prepare,
)
from jaxllc.signaling.training.training_state import Rates, Shape
from jaxllc.signaling.training.training_step import _unit_noise
from jaxllc.sweeps import Grid, grid, read_records, read_snapshots, train_sweep, zipped
from jaxllc.sweeps.chunk_trainer import ChunkTrainer
from jaxllc.sweeps.devices.padding import of_one_shape
from jaxllc.sweeps.members import Problem, members_of
from jaxllc.sweeps.trained_member import divergence
from tests.sweep_problem import CONDITIONS, GRID, NETWORKS, PRIOR, SETTINGS, compiled, same


class Kept(dict):
    """A metric that keeps the trained members, by their seed and whether any other field is given."""

    def __call__(self, member):
        self[tuple(sorted(member.point.items()))] = member
        return {"mean_weight": float(np.abs(member.parameters.weights).mean())}


def settings_of(point):
    changes = {
        name: value for name, value in point.items() if name not in ("seed", "fold", "network")
    }
    return dataclasses.replace(SETTINGS, **changes)


def assert_same_parameters(found, wanted, tolerance=1e-5):
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, atol=tolerance)


class Sweep:
    """One sweep of five members in chunks of two, with records and snapshots, that several tests look at."""

    def __init__(self, folder):
        self.records, self.folder = folder / "records.jsonl", folder / "snapshots"
        self.members, self.said = Kept(), []
        with compiled() as self.programs:
            self.result = self.run(self.members, self.said)

    def run(self, metrics, said, records=None, points=GRID):
        return train_sweep(
            PRIOR, CONDITIONS, SETTINGS, points, records=records or self.records, together=2,
            metrics=metrics, snapshots=(0, 40), snapshot_folder=self.folder,
            progress=lambda done, total, what: said.append((done, total, what)),
        )  # fmt: skip

    def member(self, **point):
        return self.members[tuple(sorted(point.items()))]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return Sweep(tmp_path_factory.mktemp("sweep"))


def test_vmapped_members_are_the_models_of_single_runs(swept):
    assert swept.result.finished
    table = swept.result.table
    assert (table["status"] == "done").all()
    for number, point in enumerate(GRID):
        alone = train(PRIOR, CONDITIONS, settings_of(point), point["seed"])
        member, row = swept.member(**point), table.iloc[number]
        assert_same_parameters(member.parameters, alone.parameters)
        history = alone.history.drop(columns="residual")
        np.testing.assert_allclose(member.history[history.columns], history, rtol=1e-3, atol=1e-6)
        assert row["train_correlation"] == pytest.approx(alone.train_correlation, abs=1e-4)
        assert row["spectral_radius"] == pytest.approx(alone.spectral_radius, abs=1e-4)
        assert row["sign_violations"] == alone.sign_violations
        assert row["train_converged"] == row["train_conditions"] == 6
        predicted = member.model.predict(CONDITIONS).tfs.to_numpy()
        np.testing.assert_allclose(member.activities, predicted, atol=1e-4)
        mse = np.mean((predicted - CONDITIONS.tf_activities) ** 2)
        assert row["train_mse"] == pytest.approx(mse, rel=1e-3)
        assert row["mean_weight"] == np.abs(member.parameters.weights).mean()
    assert table["mean_weight"].nunique() == len(table)


def test_chunks_of_one_program_are_compiled_once(swept):
    assert swept.programs["train_member"] == 1
    assert [said[0] for said in swept.said if "epoch" not in said[2]] == [2, 4, 5]
    assert all(said[1] == 5 for said in swept.said)


def test_what_is_done_is_not_trained_again(swept, tmp_path):
    kept, said = Kept(), []
    again = swept.run(kept, said)
    assert not kept
    assert said == [(5, 5, "5 of 5 runs were done before")]
    same(again.table, swept.result.table)
    path = tmp_path / "records.jsonl"
    lines = swept.records.read_text().splitlines(keepends=True)
    # The last two rows lost, one of them cut off as by a kill.
    path.write_text("".join(lines[:3]) + lines[3][:40])
    resumed = swept.run(kept, said, path)
    assert len(kept) == 2
    same(resumed.table, swept.result.table)
    more = swept.run(kept, said, path, GRID + grid(l2=[1e-6], seed=[2]))
    assert len(kept) == 3
    same(more.table[:5], swept.result.table)
    same(read_records(path, GRID)[resumed.table.columns], resumed.table)


def test_a_chunk_that_does_not_fit_into_the_memory_is_halved(swept, monkeypatch):
    sizes, real = [], ChunkTrainer._train

    def small(self, member, arrays):
        sizes.append(arrays.data.present.shape[0])
        if sizes[-1] > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return real(self, member, arrays)

    monkeypatch.setattr(ChunkTrainer, "_train", small)
    table = train_sweep(PRIOR, CONDITIONS, SETTINGS, GRID, together=5).table
    assert sizes == [5, 2, 2, 2]
    wanted = swept.result.table[table.columns]
    same(table, wanted)


def test_records_of_other_settings_or_data_are_refused(swept):
    other = dataclasses.replace(SETTINGS, l1=1e-3)
    for settings, conditions in ((other, CONDITIONS), (SETTINGS, CONDITIONS.select(range(5)))):
        with pytest.raises(InputError, match="belongs to another study"):
            train_sweep(PRIOR, conditions, settings, GRID, records=swept.records)


def test_snapshots_hold_the_weights_on_the_way(swept):
    table = swept.result.table
    assert table["snapshots"].nunique() == 5
    _, structure, data = prepare(PRIOR, CONDITIONS, SETTINGS)
    for number, point in enumerate(GRID):
        found = read_snapshots(swept.folder / table["snapshots"][number])
        assert found.point == point
        assert found.epochs.tolist() == [0, 40]
        begin = initial_state(structure, data, SETTINGS, point["seed"]).parameters
        for name in begin._fields:
            np.testing.assert_allclose(getattr(found, name)[0], getattr(begin, name), rtol=1e-6)
        member = swept.member(**point)
        assert_same_parameters(found.best, member.parameters, 0)
        np.testing.assert_array_equal(found.history.to_numpy(), member.history.to_numpy())
        assert found.weights.shape == (2, PRIOR.num_edges)
        np.testing.assert_array_equal(found.senders, PRIOR.senders)
        assert "2 of 9 edges" in repr(found)
    bad = swept.folder / "bad.npz"
    bad.write_bytes(b"no arrays")
    with pytest.raises(InputError, match="not a file of snapshots"):
        read_snapshots(bad)


def test_a_snapshot_on_the_way_is_the_state_of_a_run_cut_there(tmp_path):
    result = train_sweep(
        PRIOR, CONDITIONS, SETTINGS, GRID[:1], snapshots=np.array([40, 15]),
        snapshot_folder=tmp_path / "new" / "folder", together=2,
    )  # fmt: skip
    found = read_snapshots(tmp_path / "new" / "folder" / result.table["snapshots"][0])
    assert found.epochs.tolist() == [15, 40]
    settings = settings_of(GRID.points[0])
    _, structure, data = prepare(PRIOR, CONDITIONS, settings)
    shape, rates = Shape.of(settings, 6), Rates.of(settings)
    state = initial_state(structure, data, settings, 0)
    for number, count in enumerate((15, 25)):
        most = most_epochs(shape)
        state, _ = advance(shape, most, structure, data, rates, state, jnp.asarray(count))
        np.testing.assert_allclose(found.weights[number], state.parameters.weights, atol=1e-5)
        np.testing.assert_allclose(found.bias[number], state.parameters.bias, atol=1e-5)
    assert len(found.history) == 40
    assert (np.diff(found.history["epoch"]) == 1).all()


def test_a_member_that_diverges_says_so_and_leaves_the_others_as_they_are(swept):
    wild = grid(learning_rate=[1e30], seed=[0])
    members = Kept()
    result = train_sweep(
        PRIOR, CONDITIONS, SETTINGS, GRID[:1] + wild, together=2, metrics=members, snapshots=()
    )
    assert result.table["status"].tolist() == ["done", "diverged"]
    note = result.table["note"][1]
    assert note.startswith("the loss was not finite from epoch")
    assert "lower learning_rate" in note
    assert_same_parameters(
        members[(("l2", 1e-6), ("seed", 0))].parameters, swept.member(l2=1e-6, seed=0).parameters
    )
    assert "1 of 2 runs diverged, the first: the loss" in result.summary()


def test_a_model_without_steady_states_diverged(swept):
    member = swept.member(l2=1e-6, seed=0)
    assert divergence(member) == ""
    restless = dataclasses.replace(
        member, residual=np.full(6, np.nan), slope=np.full((8, 6), np.nan)
    )
    assert divergence(restless).startswith(
        "none of 6 conditions of the training reaches a steady state"
    )
    endless = dataclasses.replace(member, best_loss=float("inf"))
    assert divergence(endless).startswith("no epoch had a finite loss")


def test_networks_of_one_shape_have_the_products_of_their_own():
    priors = [PRIOR, *NETWORKS.values()]
    plain = [structure_of(each, CONDITIONS.ligands, CONDITIONS.tfs) for each in priors]
    padded = of_one_shape(plain, PRIOR.num_nodes)
    shapes = [[np.shape(x) for x in jax.tree.leaves(one)] for one in padded]
    assert shapes[0] == shapes[1] == shapes[2]
    random = np.random.default_rng(0)
    columns = random.random((PRIOR.num_nodes, 3))
    for prior, before, after in zip(priors, plain, padded, strict=True):
        weights = random.normal(size=prior.num_edges)
        dense = np.zeros((prior.num_nodes, prior.num_nodes))
        dense[prior.receivers, prior.senders] = weights
        filled = np.append(weights, np.zeros(13 - prior.num_edges))
        filled = jnp.asarray(filled, "f")
        wires, x = after.wires, jnp.asarray(columns, "f")
        np.testing.assert_allclose(product(wires, filled, x), dense @ columns, atol=1e-6)
        np.testing.assert_allclose(
            transposed_product(wires, filled, x), dense.T @ columns, atol=1e-6
        )
        for lists, matrix in ((wires.incoming, dense), (wires.outgoing, dense.T)):
            found = sum_neighbours(lists, padded_weights(lists, filled), x[lists.order])
            np.testing.assert_allclose(found[lists.place], matrix @ columns, atol=1e-6)
        assert after.real.sum() == prior.num_edges
        assert (np.diff(wires.receivers) >= 0).all()
        loops = edges_on_loops(prior.senders, prior.receivers, prior.num_nodes)
        np.testing.assert_array_equal(wires.cyclic[: prior.num_edges], loops)
        assert not wires.cyclic[prior.num_edges :].any()
        np.testing.assert_array_equal(before.signs, after.signs[: prior.num_edges])
    (alone,) = of_one_shape(plain[:1], PRIOR.num_nodes)
    jax.tree.map(np.testing.assert_array_equal, alone, plain[0])


@pytest.mark.slow
def test_networks_with_other_edges_are_trained_side_by_side(tmp_path):
    # Every term that could tell an edge that only fills up the shape from one that is not there.
    settings = dataclasses.replace(
        SETTINGS, spread_penalty=1e-3, gradient_noise=1e-3, gradient_limit=0.05, l1=1e-4
    )
    members, path = Kept(), tmp_path / "records.jsonl"
    points = zipped(network=["hub", None, "one"], seed=[4, 0, 1])

    def swept(networks):
        return train_sweep(
            PRIOR,
            CONDITIONS,
            settings,
            points,
            networks=networks,
            together=3,
            metrics=members,
            records=path,
        )

    assert (swept(NETWORKS).table["status"] == "done").all()
    with pytest.raises(InputError, match="stood for something else, such as another network"):
        swept({**NETWORKS, "one": NETWORKS["hub"]})
    for point in points:
        prior = NETWORKS.get(point["network"], PRIOR)
        alone = train(prior, CONDITIONS, settings, point["seed"])
        member = members[tuple(sorted(point.items()))]
        assert member.parameters.weights.shape == (prior.num_edges,)
        assert_same_parameters(member.parameters, alone.parameters)
        losses = member.history["loss"], alone.history["loss"]
        np.testing.assert_allclose(*losses, rtol=1e-4)
        assert member.spectral_radius == pytest.approx(alone.spectral_radius, abs=1e-4)


@pytest.fixture(scope="module")
def folded():
    """Members that leave out no, one or two conditions: their programs, the table, and what was trained."""
    members = Kept()
    points = grid(fold=[None, 1], seed=[2]) + grid(fold=[0, 1, None], l2=[1e-6, 1e-2], seed=[0, 1])
    folds = (("c1",), ("c3", "c4"))
    with compiled() as programs:
        table = train_sweep(PRIOR, CONDITIONS, SETTINGS, points, folds=folds, metrics=members).table
    return programs, table, members


def test_folds_of_unlike_size_share_a_program(folded):
    programs, table, _ = folded
    assert programs["train_member"] == 1
    assert programs["judge_member"] <= 1
    assert table["train_conditions"].tolist() == [6, 4, *[5] * 4, *[4] * 4, *[6] * 4]
    assert np.isnan(table["held_out_mse"][0])
    assert table["held_out_converged"][1] == table["held_out_conditions"][1] == 2


@pytest.mark.slow
def test_folds_leave_their_conditions_out_and_are_judged_on_them(folded):
    _, table, members = folded
    out, rest = [3, 4], [0, 1, 2, 5]
    alone = train(PRIOR, CONDITIONS, SETTINGS, 2, held_out=CONDITIONS.select(out))
    member = members[("fold", 1), ("seed", 2)]
    assert_same_parameters(member.parameters, alone.parameters)
    history = alone.history.drop(columns="residual")
    np.testing.assert_allclose(member.history[history.columns], history, rtol=1e-3, atol=1e-6)
    predicted, measured = alone.predict(CONDITIONS).tfs.to_numpy(), CONDITIONS.tf_activities
    mse = np.mean((predicted[out] - measured[out]) ** 2)
    assert table["held_out_mse"][1] == pytest.approx(mse, rel=1e-2)
    for name, rows, within in (("held_out", out, 1e-3), ("train", rest, 1e-4)):
        wanted = correlation(predicted[rows], measured[rows])
        assert table[f"{name}_correlation"][1] == pytest.approx(wanted, abs=within)


@pytest.mark.slow
def test_chunks_are_groups_of_one_program_that_fit_into_the_memory():
    members, done = Kept(), []
    points = grid(activation=["sigmoid"], epochs=[10, 20]) * grid(
        input_scale=[2.0, 3.0], initial_radius=[0.5]
    )
    train_sweep(
        PRIOR, CONDITIONS, SETTINGS, points, metrics=members, memory=1e9,
        progress=lambda count, *_: done.append(count),
    )  # fmt: skip
    assert done == [2, 4]
    for point in (points.points[0], points.points[-1]):
        alone = train(PRIOR, CONDITIONS, settings_of(point))
        member = members[tuple(sorted(point.items()))]
        assert_same_parameters(member.parameters, alone.parameters)
        assert len(member.history) == point["epochs"]


def test_what_shapes_a_program_makes_groups():
    changes = {
        "activation": "sigmoid", "epochs": 7, "batch_size": 3, "iterations": 9,
        "uniform_penalty": 0.0, "gradient_noise": 0.1, "fold": 2,
    }  # fmt: skip
    points = grid(l2=[1e-6, 1e-5], seed=range(2), fold=[None, 1]) + Grid(
        tuple({name: value} for name, value in changes.items())
    )
    members = list(members_of(points, SETTINGS, None).values())
    # The last leaves three of six conditions, too few for the program of the others.
    problem = Problem.of(PRIOR, CONDITIONS, SETTINGS, [["c0"], ["c1"], ["c0", "c1", "c2"]], None)
    problem = problem.with_members(members)
    groups = [problem.group(one) for one in members]
    assert len(set(groups[:8])) == 1
    assert len(set(groups)) == 1 + len(changes)
    assert problem.rows(members[1]) == (6, True)
    cut = dataclasses.replace(members[1], settings=dataclasses.replace(SETTINGS, batch_size=5))
    assert problem.rows(cut) == (5, False)


def test_the_noise_of_conditions_does_not_depend_on_rows_that_only_fill_up():
    key = jax.random.key(3)
    filled = _unit_noise(key, (7, 9), jnp.float32, jnp.asarray(6.0))
    np.testing.assert_array_equal(filled[:, :6], _unit_noise(key, (7, 6), jnp.float32))
