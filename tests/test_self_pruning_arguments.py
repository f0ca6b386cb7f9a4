"""What a self-pruning study asks of the training, and the arguments that it refuses; nothing is trained."""

import gc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.self_pruning import study as study_file
from jaxllc.self_pruning.study import RECORDS, SNAPSHOTS, self_pruning_study
from jaxllc.signaling import add_spurious_edges, preset
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS

NUMBER = 6


def run(folder=None, l2=(1e-5,), seeds=(0,), number=NUMBER, **more):
    return self_pruning_study(
        PRIOR, CONDITIONS, l2, seeds, number, settings=SETTINGS, folder=folder, **more
    )


@pytest.fixture
def captured(monkeypatch, tmp_path):
    """Runs a study without training, and returns what it asks train_sweep for."""

    def asked(**arguments):
        found = {}

        def train_sweep(prior, conditions, settings, grid, **more):
            found.update(more, prior=prior, conditions=conditions, settings=settings, grid=grid)
            table = pd.DataFrame(columns=["status"])
            return SimpleNamespace(table=table, finished=True, seconds=0.0, notes=())

        monkeypatch.setattr(study_file, "train_sweep", train_sweep)
        given = {"folder": tmp_path, "settings": SETTINGS, "spurious_edges": NUMBER, **arguments}
        found["study"] = self_pruning_study(PRIOR, CONDITIONS, **given)
        return found

    return asked


def test_by_default_a_study_is_that_of_the_source(captured):
    asked = captured(settings=None)
    assert asked["settings"] == preset("self_pruning")
    assert len(asked["grid"]) == 150
    first = [(point["seed"], point["l2"]) for point in asked["grid"]][:4]
    assert first == [(0, 1e-6), (0, 1e-5), (0, 1e-4), (1, 1e-6)]
    assert asked["snapshots"] == [*range(0, 5001, 250)]
    assert len(asked["networks"]) == 50
    assert captured(settings="self_pruning_ligand")["settings"] == preset("self_pruning_ligand")


@pytest.mark.parametrize(
    "more", [{}, {"kind": "degree_preserving"}, {"signs": "known"}, {"signs": "like_prior"}]
)
def test_kind_and_signs_are_those_of_the_spurious_edges(captured, more):
    for number, network in captured(seeds=range(3), **more)["networks"].items():
        alone = add_spurious_edges(PRIOR, NUMBER, int(number), **more)
        for name in ("senders", "receivers", "signs", "sign_known"):
            np.testing.assert_array_equal(getattr(network, name), getattr(alone, name))


def test_seeds_in_a_row_share_spurious_edges(captured):
    asked = captured(seeds=[0, 1, 2, 3, 7], seeds_per_network=2, l2=[1e-5])
    found = {point["seed"]: point["network"] for point in asked["grid"]}
    assert found == {0: "0", 1: "0", 2: "1", 3: "1", 7: "3"}
    assert [*asked["networks"]] == ["0", "1", "3"]
    assert (
        asked["networks"]["3"].senders.tolist()
        == add_spurious_edges(PRIOR, NUMBER, 3).senders.tolist()
    )
    assert {point["seed"]: point["fold"] for point in asked["grid"]} == {n: n for n in found}


@pytest.mark.parametrize(("part", "count"), [(0.05, 1), (0.3, 2), (0.5, 3), (0.8, 5)])
def test_each_seed_holds_out_a_random_part_of_the_conditions(captured, part, count):
    folds = captured(seeds=range(300), held_out=part)["folds"]
    assert [*folds] == [*range(300)]
    taken = dict.fromkeys(CONDITIONS.names, 0)
    for names in folds.values():
        assert len(set(names)) == len(names) == count
        for name in names:
            taken[name] += 1
    # Each condition as often as the others: within five standard deviations.
    share = count / 6
    bound = 5 * np.sqrt(300 * share * (1 - share))
    assert all(abs(times - 300 * share) < bound for times in taken.values())
    assert captured(seeds=[17], held_out=part)["folds"][17] == folds[17]


def test_nothing_held_out_is_no_fold(captured):
    asked = captured(seeds=[1], held_out=0)
    assert asked["folds"] is None
    assert "fold" not in asked["grid"].axes


def test_what_train_sweep_takes_is_passed_on(captured, tmp_path):
    given = {"together": 3, "memory": 1e9, "devices": ["one"], "progress": print}
    asked = captured(folder=str(tmp_path / "a" / "b"), **given)
    assert {name: asked[name] for name in given} == given
    assert asked["records"] == tmp_path / "a" / "b" / RECORDS
    assert asked["snapshot_folder"] == tmp_path / "a" / "b" / SNAPSHOTS
    assert (tmp_path / "a" / "b").is_dir()


def test_a_temporary_folder_goes_when_the_training_fails(monkeypatch):
    places = []

    def fails(*_, records, **__):
        places.append(records.parent)
        assert records.parent.is_dir()
        raise RuntimeError("no")

    monkeypatch.setattr(study_file, "train_sweep", fails)
    with pytest.raises(RuntimeError):
        run()
    gc.collect()
    assert not places[0].exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": 5}, "seeds is 5; give a list"),
        ({"seeds": [-1]}, "a seed of seeds is -1"),
        ({"seeds": [0.5]}, r"a seed of seeds is 0\.5"),
        ({"seeds": [1, 1]}, "stands twice"),
        ({"l2": []}, "l2 is empty"),
        ({"l2": [-1e-5]}, r"l2 is -1e-05, but it must be at least 0"),
        ({"l2": ["1e-5"]}, "l2 holds '1e-5'; give numbers"),
        ({"l2": [float("nan")]}, "l2"),
        ({"l1": []}, "l1 is empty"),
        ({"l1": [True]}, "l1 holds True"),
        ({"number": -1}, "spurious_edges is -1"),
        ({"number": 1000}, "1000 spurious edges are asked for"),
        ({"held_out": 1}, "held_out is 1;"),
        ({"held_out": -0.1}, r"held_out is -0\.1;"),
        ({"held_out": True}, "held_out is True"),
        ({"held_out": "a"}, "held_out is 'a'"),
        ({"held_out": 0.95}, r"held_out is 0\.95, but of 6 conditions that leaves none"),
        ({"seeds_per_network": 0}, "seeds_per_network is 0"),
        ({"times": 1}, "times is 1"),
        ({"kind": "evenly"}, "kind is 'evenly'"),
        ({"signs": "some"}, "signs is 'some'"),
        ({"together": 0}, "together is 0"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, said, tmp_path):
    with pytest.raises(InputError, match=said):
        run(tmp_path, **arguments)
    assert not (tmp_path / RECORDS).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seeds": [1, 1]}, r'"seed":1} stands twice in the grid; give each point once'),
        ({"l2": [1e-5, 1e-5]}, r'{"l2":1e-05} stands twice'),
        ({"l2": [-1e-5]}, "l2 is -1e-05"),
        ({"l1": [True]}, "l1 holds True"),
        ({"held_out": 1}, "held_out is 1;"),
        ({"seeds_per_network": 0}, "seeds_per_network is 0"),
        ({"times": 1}, "times is 1"),
        ({"kind": "evenly"}, "kind is 'evenly'"),
        ({"signs": "some"}, "signs is 'some'"),
    ],
)
def test_what_is_wrong_in_itself_is_said_before_what_does_not_fit_the_network(
    arguments, said, tmp_path
):
    with pytest.raises(InputError, match=said):
        run(tmp_path, number=1000, **arguments)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"cannot make the folder .*: File exists; choose another folder"
    ):
        run(tmp_path / "file")


def test_settings_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="no preset 'self_prunin'"):
        self_pruning_study(PRIOR, CONDITIONS, settings="self_prunin", folder=tmp_path)


def test_more_times_than_epochs_are_each_epoch_once(captured):
    assert captured(times=100)["snapshots"] == [*range(41)]
