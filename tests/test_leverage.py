"""Leverage of edges against a dense computation, and what scores make of it."""

from types import SimpleNamespace

import numpy as np
from scipy.stats import norm, spearmanr

from jaxllc.self_pruning import leverage
from jaxllc.self_pruning.separation import auroc
from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling import SignalingSettings, add_spurious_edges, is_spurious, simulate_conditions
from jaxllc.signaling.model.synthetic import synthetic_problem
from jaxllc.sweeps.members import Problem
from tests.test_edge_scores import TRUTH, Study, edge_scores

SMALL = synthetic_problem(num_nodes=20, num_edges=60, num_ligands=3, num_tfs=14, seed=0)


def study_of(truth, networks=2):
    """What leverage asks of a study: two networks with different numbers of spurious edges."""
    prior, settings = truth.prior, SignalingSettings()
    conditions = simulate_conditions(truth, 12, ligands_at_once=(1, 2))
    noisy = {str(n): add_spurious_edges(prior, 4 + 3 * n, n) for n in range(networks)}
    return SimpleNamespace(
        prior=prior,
        conditions=conditions,
        settings=settings,
        networks=noisy,
        problem=Problem.of(prior, conditions, settings, None, noisy),
    )


def model_of(study, name, scale=1.0):
    """A model of one of the networks, with small random weights."""
    network = study.networks[name]
    random = np.random.default_rng(int(name))
    snapshots = SimpleNamespace(
        weights=scale * random.normal(0, 0.15, (1, network.num_edges)),
        bias=random.uniform(0, 0.3, (1, network.num_nodes)),
        output_scale=random.uniform(0.5, 1.5, (1, len(study.conditions.tfs))),
        point={"network": name},
    )
    return StudyModel({"l2": 0.0}, 0, snapshots, is_spurious(network, study.prior))


def dense_leverage(study, model):
    """The definition, by dense float64 matrices: dy / du = s_out (1 - D W)^-1 D at each steady state."""
    network, shots = study.networks[model.snapshots.point["network"]], model.snapshots
    N, position = network.num_nodes, network.position
    W = np.zeros((N, N))
    W[network.receivers, network.senders] = shots.weights[-1]
    outputs = [position[name] for name in study.conditions.tfs]
    states, felt = [], []
    for levels in study.conditions.ligand_levels:
        u = shots.bias[-1].copy()
        u[[position[name] for name in study.conditions.ligands]] += 3 * levels
        h = np.zeros(N)
        for _ in range(3000):
            z = W @ h + u
            with np.errstate(divide="ignore"):
                h = np.where(z < 0, 0.01 * z, np.where(z <= 0.5, z, 1 - 0.25 / z))
                D = np.where(z < 0, 0.01, np.where(z <= 0.5, 1, 0.25 / z**2))
        G = np.linalg.solve(np.eye(N) - D[:, None] * W, np.diag(D))
        states.append(h)
        felt.append(np.sum((shots.output_scale[-1][:, None] * G[outputs]) ** 2, axis=0))
    spread = (np.array(states) - np.mean(states, axis=0)) ** 2
    each = np.array(felt)[:, network.receivers] * spread[:, network.senders]
    return np.sqrt(each.mean(axis=0))


def test_leverage_is_that_of_dense_matrices(monkeypatch):
    monkeypatch.setattr(leverage, "_DIRECTIONS", 100)
    study = study_of(SMALL)
    found = leverage.leverage_in(study)
    for name in study.networks:
        model = model_of(study, name)
        exact = dense_leverage(study, model)
        assert (exact > 0).any()
        np.testing.assert_allclose(found(model), exact, rtol=2e-3, atol=1e-5)


def test_random_directions_tell_about_the_same():
    study = study_of(SMALL)
    model = model_of(study, "0")
    exact, found = dense_leverage(study, model), leverage.leverage_in(study)(model)
    assert len(study.conditions.tfs) > leverage._DIRECTIONS
    assert spearmanr(found, exact)[0] > 0.95
    np.testing.assert_array_equal(found, leverage.leverage_in(study)(model))


def test_a_model_that_is_not_finite_says_nothing_of_leverage():
    study = study_of(SMALL)
    model = model_of(study, "0")
    model.snapshots.output_scale[-1, :] = np.nan
    model.snapshots.output_scale[-1, 0] = 1.0
    assert (leverage.leverage_in(study)(model) == 1).all()


def test_edges_that_nothing_feels_get_even_scores_however_faded():
    felt = np.random.default_rng(3)
    levels = {}

    def place(network):
        key = network.num_edges, int(network.senders.sum()), int(network.receivers.sum())
        return levels.setdefault(key, felt.uniform(0, 1, network.num_edges))

    def draw(random, network, spurious, l2):
        # Whatever is not felt fades; of what is felt, spurious edges do.
        size = random.lognormal(0, 1, network.num_edges)
        unfelt = place(network) < 0.5
        return size * np.where(unfelt, np.exp(-2), np.where(spurious, np.exp(-2), 1))

    study = Study(draw)
    by_prior = felt.uniform(0, 1, TRUTH.prior.num_edges)
    for name, network in study.networks.items():
        # The edges of the network are felt alike in all models.
        place(network)[~study.spurious[name]] = by_prior
    leverages = lambda model: place(study.networks[model.snapshots.point["network"]])  # noqa: E731
    blind, seeing = edge_scores(study), edge_scores(study, leverages)
    table = seeing.table.dropna(subset="score")
    names = np.array(TRUTH.prior.names)
    where = {
        pair: n
        for n, pair in enumerate(
            zip(names[TRUTH.prior.senders], names[TRUTH.prior.receivers], strict=True)
        )
    }
    index = [where[pair] for pair in zip(table["source"], table["target"], strict=True)]
    low = by_prior[index] < 0.45
    scores = table["score"].to_numpy()
    assert np.abs(scores[low] - 0.5).mean() < np.abs(scores[~low] - 0.5).mean() / 2
    assert seeing.auroc > blind.auroc + 0.02
    assert seeing.auroc > 0.5 + 0.4 * (norm.cdf(2 * np.sqrt(2) / np.sqrt(2)) - 0.5)
    assert auroc(-scores, ~low) < 0.5  # what is felt is mostly known to belong
