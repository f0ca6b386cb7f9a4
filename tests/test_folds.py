"""Folds: every held-out ligand is also seen in training, and the published splits come out."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.data.folds import check_folds, leave_out_folds, published_folds, read_folds


def conditions_of(**ligands_of: str) -> Conditions:
    """Conditions whose ligands are the letters of each word."""
    letters = sorted(set("".join(ligands_of.values())))
    levels = pd.DataFrame(
        [[float(letter in word) for letter in letters] for word in ligands_of.values()],
        index=list(ligands_of),
        columns=letters,
    )
    return Conditions.from_frames(levels, pd.DataFrame({"T": 0.5}, index=list(ligands_of)))


def published(shared_folder, data: str) -> Conditions:
    folder = shared_folder / "data" / "lembas"
    return Conditions.read(folder / f"{data}-Ligands.tsv", folder / f"{data}-TFs.tsv")


def assert_ligands_seen(folds, conditions: Conditions) -> None:
    """No condition twice, and each held-out ligand occurs outside its fold."""
    assert max(Counter(name for fold in folds for name in fold).values()) == 1
    for fold in folds:
        held = np.isin(conditions.names, fold)
        given = conditions.ligand_levels > 0
        assert (given[~held].any(axis=0) | ~given[held].any(axis=0)).all()


def test_conditions_are_dealt_in_table_order_unless_a_ligand_is_theirs_alone():
    conditions = conditions_of(CON="", A="a", AB="ab", B="b", C="c", ABD="abd")
    assert leave_out_folds(conditions) == (("CON",), ("A",), ("AB",), ("B",))
    assert leave_out_folds(conditions, size=2) == (("CON", "AB"), ("A", "B"))
    assert leave_out_folds(conditions, keep=["CON", "B"]) == (("A",), ("AB",))
    assert leave_out_folds(conditions, keep="A") == (("CON",), ("AB",), ("B",))


def test_the_seed_shuffles_and_repeats():
    conditions = conditions_of(**{f"c{n}": "ab"[n % 2] for n in range(20)})
    folds = [leave_out_folds(conditions, size=3, seed=seed) for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]
    for some in folds:
        assert sorted(name for fold in some for name in fold) == sorted(conditions.names)
        assert {len(fold) for fold in some} <= {2, 3}
        assert_ligands_seen(some, conditions)


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_no_fold_holds_all_conditions_of_a_ligand(seed):
    # Dealt in order, fold k would hold both conditions of the k-th ligand.
    words = "abcdefgh"
    conditions = conditions_of(**{f"{w}{n}": w for n in range(2) for w in words})
    folds = leave_out_folds(conditions, size=2, seed=seed)
    assert [len(fold) for fold in folds] == [2] * 8
    assert_ligands_seen(folds, conditions)


def test_folds_that_cannot_be_are_refused():
    conditions = conditions_of(A="a", AB="ab", B="b")
    with pytest.raises(InputError, match=r"no folds of 3 conditions .* smaller size"):
        leave_out_folds(conditions, size=3)
    with pytest.raises(InputError, match="no condition can be held out"):
        leave_out_folds(conditions_of(A="a", B="b"))
    with pytest.raises(InputError, match=r"keep holds 'a' \(did you mean 'A'\?\)"):
        leave_out_folds(conditions, keep=["a"])
    for size in (0, 1.5, True):
        with pytest.raises(InputError, match="size must be a positive integer"):
            leave_out_folds(conditions, size=size)
    levels = pd.DataFrame({"a": [0.0, 0.0]}, index=["x", "y"])
    controls = Conditions.from_frames(levels, levels)
    with pytest.raises(InputError, match="holds every condition"):
        leave_out_folds(controls, size=2)


def test_published_folds_of_the_macrophage(shared_folder):
    conditions = published(shared_folder, "macrophage")
    folds = published_folds(conditions)
    assert [len(fold) for fold in folds] == [1] * 20
    held = {name for fold in folds for name in fold}
    assert set(conditions.names) - held == {"GC", "IL10", "IL13"}
    assert_ligands_seen(folds, conditions)


def test_published_folds_of_the_ligand_screen(shared_folder):
    conditions = published(shared_folder, "ligandScreen")
    folds = published_folds(conditions)
    assert [len(fold) for fold in folds] == [3] * 28
    held = {name for fold in folds for name in fold}
    alone = {name.removesuffix("_LPS") for name in held}
    assert (len(held), len(alone)) == (84, 42)
    assert held == alone | {f"{name}_LPS" for name in alone}
    assert not held & {"PBS-BSA", "PBS-BSA_LPS"}
    assert_ligands_seen(folds, conditions)
    check_folds(folds, conditions)


def test_folds_are_read_from_a_table(tmp_path):
    conditions = conditions_of(A="a", AB="ab", B="b")
    path = tmp_path / "folds.csv"
    path.write_text("fold,condition\n2,A\n1,B\n2,AB\n", encoding="utf-8")
    assert read_folds(path, conditions) == (("A", "AB"), ("B",))
    path.write_text("fold,condition\n2,A\n1,ab\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"folds\.csv: fold number 1 holds 'ab' \(did you mean 'AB'"
    ):
        read_folds(path, conditions)
    path.write_text("folds,condition\n2,A\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"must have the columns fold .*'folds' \(did you mean 'fold'"
    ):
        read_folds(path, conditions)
    path.write_text("fold,condition\n2,\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2, column 'condition' is empty"):
        read_folds(path, conditions)


def test_wrong_folds_are_named():
    conditions = conditions_of(A="a", AB="ab", B="b")
    for folds, sentence in (
        ([], "there are no folds"),
        ([["A"], []], "fold number 1 is empty"),
        ([["A", "C"]], "fold number 0 holds 'C'.*, which is not a condition"),
        ([["A", "A"]], "holds 'A' twice"),
        ([["A", "B", "AB"]], "holds every condition, so none is left for training"),
        (["A"], "is the text 'A'; give a list"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_folds(folds, conditions)
    check_folds([["A"], ["B", "A"]], conditions)
