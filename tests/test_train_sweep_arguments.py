"""What a sweep of trainings refuses before anything is trained."""

import pytest

from jaxllc.errors import InputError
from jaxllc.signaling import PriorNetwork
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, GRID, NETWORKS, PRIOR, SETTINGS


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (grid(l2_=[1]), "has a field 'l2_' .did you mean 'l2'"),
        (
            grid(l2=[-1.0]),
            'the point {"l2":-1.0} cannot be trained: l2 is -1.0, but it must be at least',
        ),
        (grid(l2=["x"]), "cannot be trained: .*l2 is 'x'"),
        (grid(seed=[-1]), 'seed in the point {"seed":-1} is -1'),
        (grid(fold=["c1"]), "fold in the point .* is 'c1'"),
        (grid(fold=[1]), "fold is 1 in the point .* but folds has 1"),
        (grid(network=["two"]), "network is 'two' in the point .* name one of networks"),
    ],
)
def test_a_point_that_cannot_be_trained_is_refused_before_anything_is(points, said):
    with pytest.raises(InputError, match=said):
        train_sweep(PRIOR, CONDITIONS, SETTINGS, points, folds=[["c1"]], networks=NETWORKS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"snapshots": [5]}, "snapshot_folder is left out"),
        (
            {"snapshots": [5], "snapshot_folder": __file__},
            r"cannot make the folder .*\.py: File exists; choose another snapshot_folder",
        ),
        ({"snapshots": [41], "snapshot_folder": "x"}, "snapshots holds 41, .* after 40 epochs"),
        ({"together": 0}, "together is 0"),
        ({"devices": []}, "devices is empty"),
        ({"folds": [["c9"]]}, "'c9'"),
        (
            {"networks": {"n": PriorNetwork.from_edges(["a"], ["b"])}},
            "'n' of networks has other nodes",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        train_sweep(PRIOR, CONDITIONS, SETTINGS, GRID, **arguments)
