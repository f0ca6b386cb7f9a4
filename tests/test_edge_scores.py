"""Scores of edges, from weights whose distributions are known: separation, calibration, signs, paths."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from jaxllc.errors import InputError
from jaxllc.self_pruning import scoring
from jaxllc.self_pruning.score_figures import plot_scores
from jaxllc.self_pruning.separation import auroc
from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling.model.synthetic import synthetic_problem
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.spurious_edges import add_spurious_edges, is_spurious

TRUTH = synthetic_problem(num_nodes=120, num_edges=900, num_ligands=8, num_tfs=20, seed=0)


class Study:
    """What scores ask of a SelfPruningStudy; `draw` gives |w| of the edges of a network for a seed."""

    notes = ("what reading said",)

    def __init__(self, draw, prior=TRUTH.prior, networks=10, each=1, signs="unknown", number=60):
        self.prior, self.draw = prior, draw
        self.conditions = SimpleNamespace(ligands=TRUTH.ligands, tfs=TRUTH.tfs)
        self.networks = {
            str(n): add_spurious_edges(prior, number, n, signs=signs) for n in range(networks)
        }
        self.spurious = {name: is_spurious(one, prior) for name, one in self.networks.items()}
        self.seeds = range(networks * each)
        self.each = each
        self.groups = [{"l2": 1e-5}, {"l2": 1e-4}]

    def models(self, group):
        for seed in self.seeds:
            name = str(seed // self.each)
            random = np.random.default_rng([seed, int(1e6 * group["l2"])])
            weights = self.draw(random, self.networks[name], self.spurious[name], group["l2"])
            snapshots = SimpleNamespace(weights=weights[None], point={"network": name})
            yield StudyModel(group, seed, snapshots, self.spurious[name])

    def count(self):
        return 2 * len(self.seeds)


def edge_scores(study, leverage=None):
    """Scores among edges of one leverage, or of the given one."""
    return scoring.edge_scores(study, leverage or (lambda model: np.ones(len(model.spurious))))


def faded(by, only=None):
    """|w| log-normal, that of spurious edges smaller by exp(-by); with `only`, in that group alone."""

    def draw(random, network, spurious, l2):
        size = random.lognormal(0, 1, network.num_edges)
        return np.where(spurious & (only in (None, l2)), size * np.exp(-by), size)

    return draw


@pytest.fixture(scope="module")
def scored():
    return edge_scores(Study(faded(1.0, only=1e-4)))


def test_separation_is_that_of_the_distributions(scored):
    # Of two normal distributions with a distance of 1, in one of two penalties; the other says nothing.
    assert scored.auroc == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.03)
    assert scored.models == 20
    assert scored.within == {}
    rates = scored.roc
    area = float(np.sum(np.diff(rates[0]) * (rates[1][1:] + rates[1][:-1]) / 2))
    assert area == pytest.approx(scored.auroc, abs=0.01)


def test_scores_are_calibrated_on_edges_they_were_not_fitted_to(scored):
    table = scored.calibration
    assert table["spurious"].sum() == scored.spurious_edges
    error = np.sqrt(0.25 / table["spurious"])
    assert (np.abs(table["predicted"] - table["observed"]) < 4 * error).all()
    assert table["predicted"].is_monotonic_increasing
    assert table["observed"].iloc[-1] > 0.65 > 0.35 > table["observed"].iloc[0]


def test_scores_approach_the_probability_that_bayes_gives():
    study = Study(faded(1.0, only=1e-4), networks=40)
    # One weight for all seeds: the mean over the sets is then that of one model.
    fixed = np.random.default_rng(1).lognormal(0, 1, TRUTH.prior.num_edges)

    def draw(random, network, spurious, l2):
        weights = faded(1.0, only=1e-4)(random, network, spurious, l2)
        weights[~spurious] = fixed if l2 == 1e-4 else weights[~spurious]
        return weights

    study.draw = draw
    table = edge_scores(study).table.dropna(subset="score")
    z = np.log(table["weight_l2_0.0001"])
    exact = 1 / (1 + np.exp(z + 0.5))  # of N(-1, 1) against N(0, 1)
    inner = (z > -1.5) & (z < 1.5)
    assert np.abs(table["score"] - exact)[inner].max() < 0.1
    assert np.corrcoef(table["score"], exact)[0, 1] > 0.98


def test_false_edges_of_the_network_are_found():
    false = np.zeros(TRUTH.prior.num_edges, bool)
    false[::10] = True

    def draw(random, network, spurious, l2):
        alike = spurious.copy()
        alike[~spurious] = false
        return faded(1.0)(random, network, alike, l2)

    scores = edge_scores(Study(draw, networks=6, each=4))
    names = np.array(TRUTH.prior.names)
    pairs = set(
        zip(names[TRUTH.prior.senders[false]], names[TRUTH.prior.receivers[false]], strict=True)
    )
    table = scores.table.dropna(subset="score")
    is_false = np.array(
        [pair in pairs for pair in zip(table["source"], table["target"], strict=True)]
    )
    # Twenty-four models of each penalty: the mean of their ranks all but tells.
    assert auroc(-table["score"].to_numpy(), is_false) > 0.99
    assert is_false[:50].all()
    assert (table["low"] <= table["high"]).all()


def test_weights_that_do_not_tell_give_even_scores():
    scores = edge_scores(Study(faded(0.0)))
    assert scores.auroc == pytest.approx(0.5, abs=0.06)
    assert np.abs(scores.table["score"].dropna() - 0.5).max() < 0.1


def test_edges_are_compared_with_spurious_ones_of_the_same_kind():
    signs = np.where(np.arange(TRUTH.prior.num_edges) % 2, TRUTH.prior.signs, 0)
    names = np.array(TRUTH.prior.names, dtype=object)
    prior = PriorNetwork.from_edges(names[TRUTH.prior.senders], names[TRUTH.prior.receivers], signs)

    def draw(random, network, spurious, l2):
        # Edges of known sign are smaller, spurious or not; nothing else tells.
        return random.lognormal(0, 1, network.num_edges) * np.where(network.sign_known, 0.1, 1)

    scores = edge_scores(Study(draw, prior, signs="like_prior"))
    assert set(scores.within) == {"known", "unknown"}
    for value in (scores.auroc, *scores.within.values()):
        assert value == pytest.approx(0.5, abs=0.06)
    table = scores.table
    means = table.groupby(table["sign"] == "?")["score"].mean()
    assert means[True] == pytest.approx(means[False], abs=0.02)
    assert set(table["sign"]) == {"+", "-", "?"}


def test_edges_on_no_path_get_no_score_and_stand_last():
    ligand, tf = TRUTH.ligands[0], TRUTH.tfs[0]
    names = np.array(TRUTH.prior.names, dtype=object)
    prior = PriorNetwork.from_edges(
        [*names[TRUTH.prior.senders], "island", tf, "spring"],
        [*names[TRUTH.prior.receivers], "shore", "nowhere", ligand],
    )
    scores = edge_scores(Study(faded(1.0), prior))
    assert len(scores.table) == prior.num_edges
    off = scores.table[~scores.table["on_path"]]
    lone = {("island", "shore"), (tf, "nowhere"), ("spring", ligand)}
    assert lone <= set(zip(off["source"], off["target"], strict=True))
    assert off["score"].isna().all()
    assert scores.table["score"].iloc[: -len(off)].notna().all()
    assert scores.table["score"].iloc[: -len(off)].is_monotonic_decreasing


def test_the_order_of_models_does_not_matter():
    study = Study(faded(1.0), networks=4, each=2)
    forwards = edge_scores(study).table
    study.seeds = list(study.seeds)[::-1]
    backwards = edge_scores(study).table
    keys = ["source", "target"]
    one, two = (t.sort_values(keys)["score"].to_numpy() for t in (forwards, backwards))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_too_few_spurious_edges_are_refused():
    with pytest.raises(InputError, match=r"only 3 spurious edges on a path .* add at least 10"):
        edge_scores(Study(faded(1.0), networks=1, number=3))


def test_the_summary_and_the_figure_show_the_most_suspicious(scored):
    text = scored.summary(3)
    row = scored.table.iloc[0]
    assert f"{row['source']} -> {row['target']}" in text
    assert f"AUROC {scored.auroc:.3f}" in text
    assert len(text.splitlines()) == 6
    left, middle, right = plot_scores(scored).axes
    np.testing.assert_array_equal(left.lines[0].get_xydata().T, scored.roc)
    assert len(middle.containers[0].lines[0].get_xdata()) == len(scored.calibration)
    assert sum(bar.get_height() for bar in right.patches) == scored.table["score"].notna().sum()
