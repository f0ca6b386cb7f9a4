"""What is odd about data is said by everything that is derived from them: no note is lost on the way."""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jaxllc.commands.command_line import main
from jaxllc.self_pruning import edge_scores, self_pruning_study
from jaxllc.signaling import Conditions, PriorNetwork, SignalingModel, cross_validate, train
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, EDGES, PRIOR, SETTINGS

OUTSIDE = "TF activities lie outside [0, 1]"
NEVER = "'weight' is never negative"
SHORT = replace(SETTINGS, epochs=2)


@pytest.fixture(scope="module")
def scores():
    """Conditions whose TF activities are z-scores, and with a TF that no table of edges knows."""
    levels, tfs = CONDITIONS.to_frames()
    return Conditions.from_frames(levels, ((tfs - tfs.mean()) / tfs.std()).assign(odd=0.5))


@pytest.fixture(scope="module")
def weighted():
    """The prior network from a table of confidences, which are no signs."""
    senders, receivers, _ = zip(*EDGES, strict=True)
    return PriorNetwork.from_frame(
        pd.DataFrame({"source": senders, "target": receivers, "weight": 0.5})
    )


def derived(kind, calls):
    """Every public method of a class that returns such an object, called; none may be left out."""
    named = {
        name
        for name, member in inspect.getmembers(kind)
        if not name.startswith("_")
        and callable(member)
        and kind.__name__ in str(inspect.signature(member).return_annotation)
    }
    makers = {name for name in named if isinstance(inspect.getattr_static(kind, name), classmethod)}
    assert named - makers == set(calls), "call the new methods here, too"
    return calls


CONDITIONS_DERIVED = {
    "select": lambda c: c.select(["c1", "c2", "c5"]),
    "without": lambda c: c.without(["c0"]),
    "matched": lambda c: c.matched(PRIOR),
}
NETWORK_DERIVED = {
    "trimmed": lambda p: p.trimmed(["L1"], ["T1"]),
    "without_nodes": lambda p: p.without_nodes(["L2"]),
    "with_edges": lambda p: p.with_edges(["L1"], ["T1"]),
    "without_edges": lambda p: p.without_edges([0]),
}


@pytest.mark.parametrize("name", CONDITIONS_DERIVED)
def test_conditions_derived_from_others_keep_the_notes(scores, name):
    more = replace(scores, remarks=("one of 7 was left out",))
    found = derived(Conditions, CONDITIONS_DERIVED)[name](more)
    assert "one of 7 was left out" in found.notes
    assert OUTSIDE in " ".join(found.notes)


@pytest.mark.parametrize("name", NETWORK_DERIVED)
def test_networks_derived_from_others_keep_the_notes(weighted, name):
    assert NEVER in " ".join(derived(PriorNetwork, NETWORK_DERIVED)[name](weighted).notes)


def test_notes_are_of_the_values_however_the_object_was_made(scores):
    assert OUTSIDE in " ".join(Conditions.from_frames(*scores.to_frames()).notes)
    again = replace(scores, tf_activities=np.full_like(scores.tf_activities, 0.5))
    assert OUTSIDE not in " ".join(again.notes)
    bad = replace(CONDITIONS, tf_activities=CONDITIONS.tf_activities + 3)
    assert bad.notes[0].startswith("12 of 12 TF activities lie outside [0, 1], from 3.1 to")
    low = replace(CONDITIONS, ligand_levels=CONDITIONS.ligand_levels - 0.5)
    assert "5 ligand levels are negative" in " ".join(low.notes)
    assert "negative" in " ".join(low.select([0]).notes)


def test_what_is_odd_in_held_out_conditions_alone_is_said():
    activities = CONDITIONS.tf_activities.copy()
    activities[0, 0] = 7.0
    odd = replace(CONDITIONS, tf_activities=activities)
    assert odd.select(["c1", "c2"]).notes == ()
    assert odd.without(["c0"]).notes == (f"of all conditions: {odd.notes[0]}",)
    assert odd.without(["c1"]).notes[0].startswith("1 of 10 TF activities lie outside [0, 1], from")


@pytest.fixture(scope="module")
def study(scores, weighted, tmp_path_factory):
    return self_pruning_study(
        weighted,
        scores,
        [1e-5],
        [0, 1],
        5,
        settings=replace(SETTINGS, epochs=4),
        times=2,
        folder=tmp_path_factory.mktemp("study"),
    )


def test_every_result_says_what_the_data_and_the_network_said(scores, weighted, study, tmp_path):
    fit = train(weighted, scores, SHORT, held_out=scores.select(["c0"]))
    fit.model.save(tmp_path / "model.npz")
    validated = cross_validate(weighted, scores, [["c0"], ["c1"]], SHORT)
    swept = train_sweep(weighted, scores, SHORT, grid(seed=[0]))
    for name, notes in {
        "train": fit.notes,
        "summary": [fit.summary()],
        "model": fit.model.notes,
        "saved": SignalingModel.load(tmp_path / "model.npz").notes,
        "cross-validation": validated.notes,
        "its summary": [validated.summary()],
        "sweep": swept.notes,
        "its summary, too": [swept.summary()],
        "study": study.notes,
        "that of the study": [study.summary()],
    }.items():
        text = " ".join(notes)
        for wanted in (
            OUTSIDE,
            NEVER,
            "1 of 3 TFs is not in the prior network and left out: 'odd'",
        ):
            assert text.count(wanted) == 1, (name, wanted, notes)


def test_scores_of_edges_say_it_as_well(study):
    assert OUTSIDE in " ".join(edge_scores(study).notes)


def test_commands_say_it_once(scores, tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("net.csv", "ligands.csv", "tfs.csv")]
    pd.DataFrame(
        {"source": [e[0] for e in EDGES], "target": [e[1] for e in EDGES], "weight": 0.5}
    ).to_csv(paths[0], index=False)
    scores.to_csv(*paths[1:])
    folder = str(tmp_path / "out")
    command = ["signaling", "train", *paths, "--out", folder, "--epochs", "2", "--held-out", "c0"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert (said.err.count(OUTSIDE), said.err.count(NEVER)) == (1, 1)
    predict = ["signaling", "predict", folder, paths[1], "--out", str(tmp_path / "p.csv")]
    assert main(predict) in (0, 3)
    assert capsys.readouterr().err.count(OUTSIDE) == 1
