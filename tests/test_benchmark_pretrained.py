"""The benchmark of the pre-trained engine: its far targets, its verdicts and its program."""

import json
import sys

import numpy as np
import pytest
import sympy
from flax import nnx

from jaxllc.equations.expressions import parse
from jaxllc.equations.skeletons import as_written
from jaxllc.pretrained.model import ModelSettings, SkeletonModel
from jaxllc.pretrained.skeletons.alphabet import KIND, alphabet
from jaxllc.pretrained.skeletons.canonical_form import identity
from jaxllc.pretrained.skeletons.starts import fitted
from jaxllc.pretrained.skeletons.strings import text
from jaxllc.pretrained.training.corpus import Corpus, CorpusSettings
from jaxllc.pretrained.training.recall import recall_sets
from jaxllc.pretrained.weights import save_model
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.term_search import search_term
from tests.benchmark_modules import benchmark_module

alphabet_form = benchmark_module("alphabet_form").alphabet_form
far_targets = benchmark_module("far_targets")
far_trees = benchmark_module("far_trees")
pretrained = benchmark_module("pretrained")
pretrained_recall = benchmark_module("pretrained_recall")
random_targets = benchmark_module("random_targets")
symbolic_targets = benchmark_module("symbolic_targets")

SYMBOLS = alphabet(3)
SMALL = ModelSettings(
    num_variables=3, width=16, blocks=1, decoder_width=16, layers=1, heads=2, memory=2
)


# --- far targets --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 8))
def test_trees_have_the_nodes_asked_for(size):
    rng = np.random.default_rng(size)
    trees = [far_trees.drawn_tree(size, ("x_i", "x_j"), rng) for _ in range(50)]
    assert {far_trees.nodes(tree) for tree in trees} == {size}
    assert size < 3 or len(set(trees)) > 40


def test_trees_are_drawn_by_the_weights_of_their_nodes():
    # Of three nodes: two functions over a variable, or one operation of two.
    rng = np.random.default_rng(0)
    count = 4000
    binary = sum(len(far_trees.drawn_tree(3, ("x_i",), rng)) == 3 for _ in range(count))
    one, two = sum(far_trees.UNARY.values()), sum(far_trees.BINARY.values())
    expected = two * 20**2 / (two * 20**2 + one**2 * 20)
    assert binary / count == pytest.approx(expected, abs=4 * np.sqrt(0.25 / count))


def test_far_targets_are_reproducible_fair_and_unlike_each_other():
    first = far_targets.generate.__wrapped__(5, 1)
    assert first == far_targets.generate.__wrapped__(5, 1)
    assert [t.family for t in first.targets] == [f"far {n}" for n in far_targets.SIZES]
    assert first.drawn == len(first.targets) + sum(first.refused.values())
    kept = far_targets.far_targets()
    assert len(kept) == len(far_targets.SIZES) * far_targets.PER_SIZE
    assert len({random_targets.hidden(target) for target in kept}) == len(kept)
    for target in kept:
        values = target.values(target.points(500, 1))
        assert np.isfinite(values).all()
        assert values.std() > 0.01 * np.abs(values).max()


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("2*x_i - 3", "1 + x1"),
        ("(x_j - x_i)**2", "x1^2 + x1*x2 + x2^2"),
        ("x_i/(2 + x_j)", "(x1)*reciprocal(1 + x2)"),
        ("cos(2*x_i)**2", "1 + cos(x1)"),
        ("sin(x_i) + sin(2*x_i)", "sin(x1) + sin(x1)"),
        ("max(x_i, x_j)", "x1 + x2 + abs(x1 + x2)"),
        ("x_j/sqrt(x_i + 1)", "(x2)*sqrt(1 + x1)*reciprocal(1 + x1)"),
        ("1/(1 + exp(2*x_i))", "sigmoid(1 + x1)"),
        ("tanh(3*sin(x_i) + x_j)", "tanh(x2 + sin(x1))"),
        ("abs(x_j*sin(x_i))", "abs(sin(x1))*abs(x2)"),
        ("x_i**5", None),
        ("log(x_i)**2", None),
        ("sin(x_i*sin(x_j))", None),
        ("sin(sin(sin(x_i)))", None),
        ("1/(x_i + sin(x_i)**3)", None),
        ("exp(x_i) + sin(x_i) + tanh(x_i) + log(x_i)", None),
    ],
)
def test_the_form_of_an_expression_in_the_alphabet(written, form):
    found = alphabet_form(parse(written), ("x_i", "x_j"), SYMBOLS)
    assert (found and text(found, SYMBOLS)[0]) == form


def test_what_the_corpus_draws_is_read_back_from_its_expressions():
    corpus = CorpusSettings(3, points=(60,), exact=1.0, distractors=1.0)
    batch = Corpus(corpus, 9).batch(0, 40)
    names = ["x1", "x2", "x3"]
    checked = 0
    for k in range(40):
        one = batch.structures.taken(np.array([k]))
        # x x^p has the form of x^p, and the magnitude of what has one sign is no function.
        if np.isin(one.kind, [KIND["power"], KIND["abs"]]).any():
            continue
        given = Samples.of(names, batch.points[k].T, batch.values[k], 1e-4 * batch.values[k].std())
        fit = fitted(one, given, SYMBOLS, draws=4, kept=1, steps=0)
        if fit:
            found = alphabet_form(fit[0].skeleton.numeric(), names, SYMBOLS)
            assert found is not None, text(one, SYMBOLS)
            assert identity(found)[0] == identity(one)[0], text(one, SYMBOLS)
            checked += 1
    assert checked > 25


def test_the_place_of_targets_in_the_corpus():
    chosen = symbolic_targets.read_targets(
        [
            "a; u; 2*u; 0:1",
            "b; u; log(u)**2; 1:2",
            "c; u v w; 1 + u + v*w + tanh(v + u*w); 1:2 1:2 1:2",
        ],
        "here",
    )
    places = pretrained_recall.place_in_corpus(chosen, SYMBOLS, 2000)
    assert places == ["drawn", "no form", "not drawn"]


# --- verdicts -----------------------------------------------------------------------------------

WAVE = symbolic_targets.read_targets(["wave; u v; 2*sin(1.5*u) + v; -2:2 0:1"], "here")[0]


@pytest.mark.parametrize(
    ("proposal", "clean", "found", "whole", "right"),
    [
        ("2*sin(1.5*u) + v", True, True, True, True),
        ("cos(1.5*u - 1.5707963267948966)*2 + v", True, True, False, True),  # its phase is free
        ("v + 2*sin(1.5*u) + 1e-12*u**2", True, False, False, False),  # a term too many
        ("v + 2*sin(1.5*u + 1e-12)", True, False, False, False),
        ("v + 2*sin(1.5*u) + 1e-3*u**2", False, False, False, False),
        ("v + 2.2*sin(1.49*u)", False, True, True, False),  # off by 10 %
        ("1.01*v + 2.01*sin(1.49*u)", False, True, True, True),
        ("2*sin(1.5*u)", False, False, False, False),
    ],
)
def test_a_proposal_counts_by_what_it_computes(proposal, clean, found, whole, right):
    verdict = pretrained_recall.found_among(WAVE, [as_written(parse(proposal))], clean)
    assert (verdict.found, verdict.whole_family, verdict.constants) == (found, whole, right)


def test_tied_constants_make_the_target_but_not_its_family():
    (target,) = symbolic_targets.read_targets(["square; u; 2*cos(1.5*u)**2; -2:2"], "here")
    free = as_written(parse("1.0000001 + 1.0000001*cos(3*u)"))
    verdict = pretrained_recall.found_among(target, [free], True)
    assert (verdict.found, verdict.whole_family) == (True, False)


@pytest.mark.slow
def test_the_sparse_enumeration_finds_a_polynomial_among_its_first():
    corpus = CorpusSettings(3, points=(80,), exact=1.0)
    sets = [one for one in recall_sets(corpus, "seen", 12) if one.constants == 2]
    one = next(one for one in sets if not one.skeleton.kind.any())
    assert pretrained_recall.recall_of_sparse([one], SYMBOLS)["recall"] == 1.0


# --- the program --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(path, SkeletonModel(SMALL, nnx.Rngs(0)), {"steps": 0})
    return path


def run(monkeypatch, capsys, tmp_path, weights, *words):
    out = tmp_path / "out.json"
    words = ["--quick", "--weights", str(weights), "--json", str(out), *words]
    monkeypatch.setattr(sys, "argv", ["pretrained.py", *words])
    pretrained.main()
    return capsys.readouterr().out.splitlines(), json.loads(out.read_text())


def test_a_run_ends_with_its_recall_and_writes_its_numbers(monkeypatch, capsys, tmp_path, weights):
    monkeypatch.setattr(pretrained, "far_targets", lambda seed: far_targets.far_targets(seed)[::80])
    monkeypatch.setattr(pretrained, "QUICK", ("epidemic self",))
    monkeypatch.setattr(pretrained, "QUICK_SPARSE_SETS", 1)
    words = ["--sets", "2", "--draws", "200", "--width", "4", "--views", "1", "--seconds", "1"]
    printed, record = run(monkeypatch, capsys, tmp_path, weights, *words)
    held_out = record["corpus"]["held-out"]
    assert printed[-1] == f"top-20 recall {held_out['fitted']:.3f}"
    assert record["top-20 recall"] == held_out["fitted"] == np.mean(held_out["found"])
    assert record["weights"]["failure"] is None
    assert record["weights"]["load_seconds"] > 0
    assert record["weights"]["megabytes"] == pytest.approx(weights.stat().st_size / 1e6)
    assert record["weights"]["about"] == {"steps": 0}
    assert record["engine"] == {"width": 4, "views": 1}
    assert len(record["speed"]["skeletons"]) == 4
    assert record["speed"]["propose_seconds"] < record["speed"]["first_seconds"]
    assert record["sparse"]["sets"] == 1
    assert len(record["far"]["rows"]) == 2 * record["far"]["targets"]
    assert [row["target"] for row in record["core"]["rows"]] == ["epidemic self"]
    assert {row["engine"] for row in record["core"]["rows"]} == {"pretrained"}


def test_recall_on_own_targets(monkeypatch, capsys, tmp_path, weights):
    path = tmp_path / "t.txt"
    path.write_text("a; u; 2*u**2; 0:1\nb; u v; u*sin(3*v); 0:1 0:3\n")
    answer = as_written(parse("2.00001*u**2"))
    monkeypatch.setattr(
        pretrained_recall,
        "best_fits",
        lambda engine, given, top, seed: [_Fit(answer)] if given.names == ("u",) else [],
    )
    monkeypatch.setattr(pretrained, "speed", lambda engine, repeats: {})
    monkeypatch.setattr(pretrained, "speed_text", str)
    printed, record = run(monkeypatch, capsys, tmp_path, weights, "--targets", str(path))
    assert printed[-1] == "top-20 recall 0.500"
    assert record["targets"]["clean"] == record["targets"]["noisy"] == 0.5
    assert [row["found"] for row in record["targets"]["rows"]] == [True, True, False, False]


class _Fit:
    def __init__(self, skeleton):
        self.skeleton = skeleton


def test_searches_take_the_engine_that_was_given():
    class Engine:
        name = "pretrained"

        def propose(self, samples, grammar, seed, deadline):
            return [parse("2*u + 1")]

    points = np.linspace(0.1, 2, 60)
    given = Samples.of(["u"], points[:, None], 3 * points - 4)
    with pretrained.searching_with(Engine()):
        found = search_term(given, engines=("pretrained",), seconds=5)
    assert found.best.engine == "pretrained"
    assert sympy.Poly(found.best.expression).coeffs() == pytest.approx([3, -4])


@pytest.mark.parametrize(
    ("words", "part"),
    [(["--sets", "-1"], "--sets is -1"), (["--seconds", "0"], "more than 0")],
)
def test_choices_that_cannot_be(monkeypatch, capsys, words, part):
    monkeypatch.setattr(sys, "argv", ["pretrained.py", *words])
    with pytest.raises(SystemExit):
        pretrained.main()
    assert part in capsys.readouterr().err


def test_weights_that_are_not_there_end_the_run_in_one_sentence(monkeypatch, tmp_path):
    words = ["--weights", str(tmp_path / "none.safetensors")]
    monkeypatch.setattr(sys, "argv", ["pretrained.py", *words])
    with pytest.raises(SystemExit, match=r"^pretrained\.py: .*none\.safetensors"):
        pretrained.main()


def test_a_root_of_a_constant_that_turns_negative_is_no_idle_constant():
    (target,) = symbolic_targets.read_targets(["root; x; sqrt(x - 0.5) + 1; 1:3"], "here")
    proposal = as_written(parse("sqrt(1.1*x - 0.5) + 1.2"))
    assert not pretrained_recall._idle(target, proposal)
    one_too_many = as_written(parse("sqrt(1.1*x - 0.5) + 1.2 + 1e-9*x"))
    assert pretrained_recall._idle(target, one_too_many)
