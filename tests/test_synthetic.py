"""Ground truths and their conditions: read, drawn, solved, and repeated; and the same in continuous time."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.model.continuous_time import simulate_signaling
from jaxllc.signaling.model.synthetic import GroundTruth, simulate_conditions, synthetic_problem
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.structure import Parameters
from tests.signaling_problems import published

TOY = (
    ("L1", "R1", "Weight", 1.0),
    ("S1", "R1", "Weight", -0.5),
    ("R1", "S1", "Weight", 2.0),
    ("S1", "T1", "weight", 0.7),
    ("R1", "", "Bias", 0.1),
    ("S1", "", "Bias", -0.2),
    ("T1", "", "Bias", 0.3),
    ("L1", "", "Bias", 0.0),
    ("T1", "", "Projection", 1.3),
    ("L1", "", "Input", 2.0),
)


def written(path, rows, header="Source\tTarget\tType\tValue"):
    path.write_text("\n".join([header, *("\t".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def toy(tmp_path):
    return written(tmp_path / "parameters.txt", TOY)


@pytest.fixture(scope="module")
def truth():
    """Small, with feedback loops: 30 nodes, 75 edges."""
    return synthetic_problem(30, 75, 6, 5, seed=1)


@pytest.fixture(scope="module")
def conditions(truth):
    return simulate_conditions(truth, 40)


def independent(truth):
    """The ground truth for the independent implementation."""
    structure, parameters = truth.structure, truth.parameters
    return published().PublishedModel(
        truth.prior.num_nodes, truth.prior.senders, truth.prior.receivers, truth.prior.signs,
        truth.prior.sign_known, np.asarray(structure.inputs), np.asarray(structure.outputs),
        *parameters[:2], truth.input_scale, parameters.output_scale,
    )  # fmt: skip


def radius_of(truth):
    W = np.zeros((truth.prior.num_nodes,) * 2)
    W[truth.prior.receivers, truth.prior.senders] = truth.parameters.weights
    return np.abs(np.linalg.eigvals(W)).max()


def test_a_table_of_parameters_is_read_whatever_the_order_of_its_rows(toy, tmp_path):
    truth = GroundTruth.read(toy)
    shuffled = written(tmp_path / "shuffled.txt", [TOY[n] for n in (9, 3, 7, 0, 4, 2, 8, 1, 6, 5)])
    again = GroundTruth.read(shuffled)
    assert truth.prior.names == ("L1", "R1", "S1", "T1")
    edges = list(zip(truth.prior.senders.tolist(), truth.prior.receivers.tolist(), strict=True))
    assert edges == [(0, 1), (2, 1), (1, 2), (2, 3)]
    np.testing.assert_array_equal(truth.parameters.weights, [1.0, -0.5, 2.0, 0.7])
    np.testing.assert_array_equal(truth.prior.signs, [1, -1, 1, 1])
    assert truth.prior.sign_known.all()
    np.testing.assert_array_equal(truth.parameters.bias, [0.0, 0.1, -0.2, 0.3])
    assert (truth.ligands, truth.tfs) == (("L1",), ("T1",))
    assert (truth.parameters.output_scale, truth.input_scale) == (1.3, 2.0)
    assert truth.notes == ()
    for one, other in zip(truth.parameters, again.parameters, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "4 nodes, 4 edges" in repr(truth)


def test_with_a_prior_network_its_edges_and_signs_count(toy):
    prior = PriorNetwork.from_edges(
        ["L1", "S1", "R1", "S1", "L1"], ["R1", "R1", "S1", "T1", "T1"], [1, None, -1, 1, 1]
    )
    truth = GroundTruth.read(toy, prior)
    assert truth.prior is prior
    at = {
        (prior.names[s], prior.names[r]): w
        for s, r, w in zip(prior.senders, prior.receivers, truth.parameters.weights, strict=True)
    }
    assert at == {
        ("L1", "R1"): 1,
        ("S1", "R1"): -0.5,
        ("L1", "T1"): 0,
        ("R1", "S1"): 2,
        ("S1", "T1"): 0.7,
    }
    assert truth.notes == (
        f"1 of 5 weights of the prior network have no row in {toy} and are taken as 0",
    )
    with pytest.raises(InputError, match=r"row 5, column 'Type': .* no edge 'S1' -> 'T1'"):
        GroundTruth.read(toy, prior.without_edges([4]))


@pytest.mark.parametrize(
    ("row", "pattern"),
    [
        (
            ("R1", "", "Bais", 1),
            r"row 12, column 'Type': there is no type 'Bais' \(did you mean 'Bias'",
        ),
        (("R1", "", "Bias", 1), r"row 12, column 'Type' repeats row 6"),
        (("L1", "R1", "Weight", 3), r"row 12, column 'Type' repeats row 2"),
        (("t1", "", "Projection", 1), r"row 12, column 'Source' holds 't1' \(did you mean 'T1'"),
        (("", "R1", "Weight", 3), "is empty"),
        (("S1", "", "Input", ""), r"row 12, column 'Value' is empty"),
        (("S1", "", "Input", "much"), r"row 12, column 'Value': 'much' is not a number"),
    ],
)
def test_a_bad_row_is_named_with_its_place(tmp_path, row, pattern):
    path = written(tmp_path / "bad.txt", [*TOY, row])
    with pytest.raises(InputError, match=pattern):
        GroundTruth.read(path)


def test_a_table_that_lacks_something_is_named(tmp_path, toy):
    with pytest.raises(InputError, match="needs Source, Target, Type and Value"):
        GroundTruth.read(written(tmp_path / "a.txt", TOY, "Source\tTarget\tKind\tValue"))
    with pytest.raises(InputError, match="no row of type Input"):
        GroundTruth.read(written(tmp_path / "b.txt", TOY[:-1]))
    with pytest.raises(InputError, match="does not exist"):
        GroundTruth.read(tmp_path / "c.txt")
    with pytest.raises(InputError, match="did you mean 'mml'"):
        GroundTruth.read(toy, activation="MML")


def test_activities_are_those_of_the_independent_implementation(truth, conditions):
    model = independent(truth)
    states = published().steady_state_converged(model, conditions.ligand_levels, 1e-15)
    expected = model.output_scale * states[:, model.output_index]
    np.testing.assert_allclose(conditions.tf_activities, expected, rtol=0, atol=1e-10)
    assert conditions.tf_activities.dtype == np.float64
    assert conditions.tf_activities.std(axis=0).max() > 0.05, "the TFs must hear the ligands"
    assert conditions.notes == ()


def test_levels_are_those_asked_for(truth):
    levels = simulate_conditions(truth, 300, (2, 3), seed=4).ligand_levels
    given = levels > 0
    counts = np.bincount(given.sum(axis=1), minlength=4)
    assert counts[2] + counts[3] == 300
    assert min(counts[2], counts[3]) > 100
    assert given.sum(axis=0).min() > 50, "every ligand has its turn"
    assert 0.4 < levels[given].mean() < 0.6
    assert levels.max() <= 1


def test_the_first_conditions_of_a_larger_draw_are_those_of_a_smaller_one(truth, conditions):
    fewer = simulate_conditions(truth, 7)
    np.testing.assert_array_equal(conditions.ligand_levels[:7], fewer.ligand_levels)
    np.testing.assert_array_equal(conditions.tf_activities[:7], fewer.tf_activities)
    assert conditions.names[:7] == fewer.names
    again = simulate_conditions(truth, 40)
    np.testing.assert_array_equal(conditions.tf_activities, again.tf_activities)
    other = simulate_conditions(truth, 40, seed=1)
    assert np.all(np.any(conditions.ligand_levels != other.ligand_levels, axis=1))


def test_noise_is_added_to_the_activities_only(truth, conditions):
    noisy = simulate_conditions(truth, 40, noise=0.1)
    np.testing.assert_array_equal(noisy.ligand_levels, conditions.ligand_levels)
    noise = noisy.tf_activities - conditions.tf_activities
    assert 0.08 < noise.std() < 0.12
    np.testing.assert_array_equal(
        simulate_conditions(truth, 9, noise=0.1).tf_activities, noisy.tf_activities[:9]
    )


def oscillating(truth, weights):
    """Two nodes beside each other that never rest where the ligand is strong."""
    prior = PriorNetwork.from_edges(["L", "A", "B", "A"], ["A", "B", "A", "T"], [1, 1, -1, 1])
    parameters = Parameters(np.array(weights), np.zeros(4), np.ones(1))
    return GroundTruth(prior, ("L",), ("T",), parameters, np.ones(1), "leaky_relu")


def test_conditions_without_a_steady_state_are_nan_and_noted_and_all_of_them_an_error(truth):
    # Edges by receiver and sender: B -> A, L -> A, A -> B, A -> T.
    wild = oscillating(truth, [1.5, 1.0, 1.5, 1.0])
    with pytest.raises(InputError, match="none of 5 conditions reaches a steady state"):
        simulate_conditions(wild, 5, (1,))
    found = simulate_conditions(wild, 6, (0, 1))
    silent = found.ligand_levels[:, 0] == 0
    assert 0 < silent.sum() < 6
    np.testing.assert_array_equal(found.tf_activities[silent], 0)
    assert np.all(np.isnan(found.tf_activities[~silent]))
    assert found.notes[0].startswith(f"{(~silent).sum()} of 6 conditions reach no steady state")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"num_conditions": 0}, "num_conditions is 0; give an integer of at least 1"),
        ({"num_conditions": 2.5}, "num_conditions is 2.5"),
        ({"num_conditions": 3, "ligands_at_once": (2, 9)}, "integers from 0 to 6"),
        ({"num_conditions": 3, "ligands_at_once": ()}, "integers from 0 to 6"),
        ({"num_conditions": 3, "noise": -1}, "noise is -1"),
    ],
)
def test_numbers_out_of_range_are_named(truth, arguments, pattern):
    with pytest.raises(InputError, match=pattern):
        simulate_conditions(truth, **arguments)


@pytest.mark.parametrize("size", [(30, 75, 6, 5), (400, 2400, 20, 30), (8, 30, 3, 2), (2, 1, 1, 1)])
def test_a_drawn_network_is_what_was_asked_for(size):
    num_nodes, num_edges, num_ligands, num_tfs = size
    for seed in range(3):
        truth = synthetic_problem(*size, seed)
        prior = truth.prior
        assert (prior.num_nodes, prior.num_edges) == (num_nodes, num_edges)
        assert (len(truth.ligands), len(truth.tfs)) == (num_ligands, num_tfs)
        key = prior.receivers.astype(int) * num_nodes + prior.senders
        assert np.all(np.diff(key) > 0), "edges are sorted, and each is there once"
        assert np.all(prior.senders != prior.receivers)
        assert list(prior.names) == sorted(prior.names)
        assert prior.unreached(truth.ligands) == []
        assert np.all(prior.receivers >= num_ligands)
        assert np.all(np.sign(truth.parameters.weights) == prior.signs)
        if num_edges > num_nodes:
            assert radius_of(truth) == pytest.approx(0.8, rel=1e-5)
    again = synthetic_problem(*size, seed)
    np.testing.assert_array_equal(truth.parameters.weights, again.parameters.weights)


def test_a_large_network_is_drawn_with_hubs_in_a_moment():
    truth = synthetic_problem(20_000, 60_000, 50, 50)
    heard_by = np.bincount(truth.prior.senders, minlength=20_000)
    assert heard_by.max() > 100
    assert truth.prior.num_edges == 60_000


@pytest.mark.parametrize(
    ("size", "pattern"),
    [
        ((10, 20, 8, 3), "num_nodes is 10; give an integer of at least 11, the ligands and TFs"),
        ((10, 6, 3, 3), "num_edges is 6; give an integer of at least 7"),
        ((5, 100, 2, 2), "room for 12 edges"),
        ((5, 10, 0, 2), "num_ligands is 0"),
    ],
)
def test_numbers_that_do_not_fit_together_are_named(size, pattern):
    with pytest.raises(InputError, match=pattern):
        synthetic_problem(*size)


def test_the_published_ground_truth(shared_folder):
    """All signs agree with the published network, and every condition converges."""
    folder = shared_folder / "data" / "lembas"
    path = folder / "synthNet-equationParams.txt"
    truth = GroundTruth.read(path, PriorNetwork.read(folder / "KEGGnet-Model.tsv"))
    assert truth.notes == ()
    assert (truth.prior.num_nodes, truth.prior.num_edges) == (409, 832)
    assert (len(truth.ligands), len(truth.tfs)) == (101, 55)
    assert np.all(np.sign(truth.parameters.weights) == truth.prior.signs)
    own = GroundTruth.read(path)
    np.testing.assert_array_equal(own.prior.signs, truth.prior.signs)
    np.testing.assert_array_equal(own.parameters.weights, truth.parameters.weights)
    conditions = simulate_conditions(truth, 400)
    assert conditions.notes == ()
    model = independent(truth)
    states = published().steady_state_converged(model, conditions.ligand_levels[:40], 1e-15)
    expected = model.output_scale * states[:, model.output_index]
    np.testing.assert_allclose(conditions.tf_activities[:40], expected, rtol=0, atol=1e-9)


def test_the_published_toy_network(shared_folder):
    truth = GroundTruth.read(shared_folder / "data" / "lembas" / "ToyNetRecurrent-Parameters.txt")
    with np.load(shared_folder / "data" / "lembas" / "reference" / "toy.npz") as known:
        assert truth.prior.names == tuple(known["node_names"])
        np.testing.assert_allclose(truth.parameters.weights, known["weights"], rtol=1e-7)
        np.testing.assert_array_equal(truth.parameters.bias, known["bias"])
        np.testing.assert_allclose(
            truth.parameters.output_scale, known["output_projection"], rtol=1e-7
        )


# --- continuous time ---


@pytest.fixture(scope="module")
def relaxation(truth, conditions):
    levels = conditions.ligand_levels[:3]
    return simulate_signaling(truth.structure, truth.parameters, levels, [0.0, 0.5, 2.0, 150.0])


def test_at_long_times_the_network_rests_at_the_steady_state(truth, conditions, relaxation):
    assert relaxation.success
    assert relaxation.message == "Reached t = 150."
    outputs = np.asarray(truth.structure.outputs)
    found = (truth.parameters.output_scale[:, None] * relaxation.states[-1][outputs]).T
    np.testing.assert_allclose(found, conditions.tf_activities[:3], rtol=0, atol=1e-6)


def test_on_the_way_it_follows_the_equation(truth, conditions, relaxation):
    """Against SciPy, with dense matrices."""
    from scipy.integrate import solve_ivp

    model = independent(truth)
    for column in range(3):
        u = published()._drive(model, conditions.ligand_levels[column : column + 1])[:, 0]
        expected = solve_ivp(
            lambda t, h, u=u: published().activate(model, model.matrix() @ h + u) - h,
            (0, 2), np.zeros(30), t_eval=[0, 0.5, 2], rtol=1e-9, atol=1e-11,
        ).y.T  # fmt: skip
        np.testing.assert_allclose(relaxation.states[:3, :, column], expected, atol=1e-6)


def test_a_knock_out_is_silent_and_moves_only_what_it_leads_to(truth, conditions, relaxation):
    """Begun at the steady state, what the node does not reach stays as it is."""
    steady, levels = relaxation.states[-1], conditions.ligand_levels[:3]
    node = int(truth.prior.senders[np.argmax(np.abs(truth.parameters.weights))])
    found = simulate_signaling(
        truth.structure, truth.parameters, levels, [0.0, 1.0, 5.0, 150.0], start=steady,
        knock_out=[node],
    )  # fmt: skip
    assert found.success
    np.testing.assert_array_equal(found.states[:, node], 0)
    name = truth.prior.names[node]
    untouched = [truth.prior.position[n] for n in truth.prior.unreached([name])]
    np.testing.assert_allclose(found.states[-1][untouched], steady[untouched], atol=1e-6)
    # At rest it is the steady state of the network without the node's edges.
    gone = (truth.prior.senders == node) | (truth.prior.receivers == node)
    weights = np.where(gone, 0.0, truth.parameters.weights)
    bias = truth.parameters.bias.copy()
    bias[node] = 0.0
    without = dataclasses.replace(
        truth, parameters=truth.parameters._replace(weights=weights, bias=bias)
    )
    model = independent(without)
    model.input_scale = np.where(model.input_index == node, 0.0, model.input_scale)
    expected = published().steady_state_converged(model, levels, 1e-14).T
    np.testing.assert_allclose(found.states[-1], expected, atol=1e-6)
    assert np.abs(found.states[-1] - steady).max() > 0.01


def test_a_network_that_diverges_says_when(truth):
    wild = oscillating(truth, [1.5, 1.0, 1.5, 1.0])
    found = simulate_signaling(
        wild.structure, wild.parameters, np.ones((1, 1)), [0.0, 10.0, 1000.0], "leaky_relu"
    )
    assert not found.success
    assert found.message.startswith("Diverged at t = ")
    assert np.all(np.isnan(found.states[-1]))
    assert np.all(np.isfinite(found.states[1]))


def test_bad_input_to_continuous_time_is_named(truth):
    def run(**changes):
        arguments = {"ligands": np.ones((2, 6)), "times": [0.0, 1.0], **changes}
        return simulate_signaling(truth.structure, truth.parameters, **arguments)

    for changes, pattern in (
        ({"ligands": np.ones((2, 5))}, r"shape \(conditions, 6\), not \(2, 5\)"),
        ({"ligands": np.full((2, 6), np.nan)}, "finite"),
        ({"start": np.ones((30, 3))}, r"shape \(30, 2\) \(node, condition\), not \(30, 3\)"),
        ({"knock_out": [30]}, "knock_out holds 30; give node indices from 0 to 29"),
        ({"times": [0.0]}, "times must have shape"),
        ({"activation": "mmm"}, "did you mean 'mml'"),
        ({"solver": "tsit"}, "did you mean 'tsit5'"),
    ):
        with pytest.raises(InputError, match=pattern):
            run(**changes)


def test_the_default_precision_is_not_changed():
    assert not jax.config.jax_enable_x64
