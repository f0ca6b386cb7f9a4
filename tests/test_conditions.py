"""Conditions: two tables become one set of arrays, and whatever does not fit is named."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork

LIGANDS = "\tL1\tL2\nCON\t0\t0\nA\t1\t0\nA+B\t1\t0.5\n"
TFS = "\tT1\tT2\nCON\t0.25\t0.5\nA\t\t1\nA+B\t0\tNA\n"


@pytest.fixture
def read(tmp_path):
    def read_texts(ligands: str = LIGANDS, tfs: str = TFS) -> Conditions:
        (tmp_path / "ligands.tsv").write_text(ligands, encoding="utf-8")
        (tmp_path / "tfs.tsv").write_text(tfs, encoding="utf-8")
        return Conditions.read(tmp_path / "ligands.tsv", tmp_path / "tfs.tsv")

    return read_texts


def assert_same(one: Conditions, other: Conditions) -> None:
    assert (one.names, one.ligands, one.tfs) == (other.names, other.ligands, other.tfs)
    np.testing.assert_array_equal(one.ligand_levels, other.ligand_levels)
    np.testing.assert_array_equal(one.tf_activities, other.tf_activities)


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("corner", ["", "condition", "\ufeff"])
def test_separators_and_the_name_of_the_first_column_do_not_matter(read, separator, corner):
    conditions = read(*((corner + text).replace("\t", separator) for text in (LIGANDS, TFS)))
    assert conditions.names == ("CON", "A", "A+B")
    assert (conditions.ligands, conditions.tfs) == (("L1", "L2"), ("T1", "T2"))
    np.testing.assert_array_equal(conditions.ligand_levels, [[0, 0], [1, 0], [1, 0.5]])
    np.testing.assert_array_equal(conditions.tf_activities, [[0.25, 0.5], [np.nan, 1], [0, np.nan]])
    assert conditions.notes == ()
    assert conditions.describe() == "3 conditions, 2 ligands, 2 TFs, 2 TF activities not measured"


def test_the_order_of_the_rows_of_the_tf_table_does_not_matter(read):
    header, *rows = TFS.splitlines()
    assert_same(read(tfs="\n".join([header, *rows[::-1], ""])), read())


def test_frames_and_files_round_trip(read, tmp_path):
    conditions = read()
    assert_same(Conditions.from_frames(*conditions.to_frames()), conditions)
    for suffix in ("csv", "tsv"):
        paths = tmp_path / f"l.{suffix}", tmp_path / f"t.{suffix}"
        conditions.to_csv(*paths)
        assert_same(Conditions.read(*paths), conditions)
        assert paths[0].read_text(encoding="utf-8").startswith("\t" if suffix == "tsv" else ",")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((3, 2)), index=["x", "y", "z"], columns=["T1", "T2"])
    exact = Conditions.from_frames(frame > 0.5, frame)
    np.testing.assert_array_equal(exact.ligand_levels, frame.to_numpy() > 0.5)
    exact.to_csv(*paths)
    np.testing.assert_array_equal(Conditions.read(*paths).tf_activities, frame.to_numpy())


def test_nullable_integers_and_numbered_conditions():
    levels = pd.DataFrame({"L": pd.array([0, 1], dtype="Int64")})
    tfs = pd.DataFrame({"T": pd.array([1, None], dtype="Int64")})
    conditions = Conditions.from_frames(levels, tfs)
    assert conditions.names == ("0", "1")
    np.testing.assert_array_equal(conditions.tf_activities, [[1.0], [np.nan]])


def test_conditions_of_one_table_only_are_left_out_and_reported(read):
    conditions = read(LIGANDS + "extra\t1\t1\n", TFS.replace("\nA\t", "\na\t") + "more\t1\t1\n")
    assert conditions.names == ("CON", "A+B")
    first, second = conditions.notes
    assert "2 of 4 conditions of" in first
    assert "tfs.tsv and left out: 'A', 'extra'" in first
    assert "2 of 4 conditions of" in second
    assert "ligands.tsv and left out: 'a', 'more'" in second


def test_odd_values_are_reported_and_kept(read):
    conditions = read(
        LIGANDS.replace("A\t1\t0\n", "A\t1\t0.5\n").replace("CON\t0\t0", "CON\t0\t-1"),
        "\tT1\tT2\tT3\nA+B\t\t\t\nCON\t0.25\t-0.5\t\nA\t0\t3\t\n",
    )
    outside, negative, never_tf, never_condition, alike = conditions.notes
    assert outside.startswith(
        "2 of 4 TF activities lie outside [0, 1], from -0.5 to 3, the first -0.5"
    )
    assert "row 3, column 'T2'" in outside
    assert negative.startswith("1 ligand levels are negative, the first -1 in")
    assert never_tf == "1 TF without any measured value: 'T3'"
    assert never_condition == "1 condition without any measured value: 'A+B'"
    assert alike.endswith("tell apart: {'A', 'A+B'}")
    assert conditions.tf_activities[1, 1] == 3


@pytest.mark.parametrize(
    ("ligands", "tfs", "sentence"),
    [
        ("", TFS, r"ligands\.tsv is empty"),
        ("\tL1\n", TFS, "a header but no data"),
        ("condition\nCON\n", TFS, "has only one column; it needs the condition names"),
        (LIGANDS.replace("A\t1", "A\t"), TFS, "row 3, column 'L1' is empty; write 0 for a ligand"),
        (LIGANDS.replace("A\t1", "A\thigh"), TFS, "row 3, column 'L1': 'high' is not a number"),
        (LIGANDS.replace("A\t1", "A\tinf"), TFS, "row 3, column 'L1': the value is infinite"),
        (LIGANDS.replace("L2", "L1"), TFS, "the header has the column 'L1' twice; keep one"),
        (LIGANDS.replace("L1", ""), TFS, "column 2 of the header has no name"),
        (LIGANDS.replace("A+B", "A"), TFS, "the condition 'A' 2 times in rows 3, 4; name each"),
        (LIGANDS.replace("A+B", ""), TFS, "row 4, column 1 is empty; name the condition"),
        (LIGANDS.replace("\tL1", "L1", 1), TFS, "row 2 holds '0' in cell 3, but the header has 2"),
        (LIGANDS, TFS.replace("0.25", "0,25"), "row 2, column 'T1': '0,25' is not a number"),
        (LIGANDS, TFS.replace("0.25", "-inf"), "tfs.tsv, row 2, column 'T1': the value is inf"),
        (
            LIGANDS,
            "\tT1\na\t1\nB\t0\n",
            r"no condition in common: the first holds .*'A' \(did you mean 'a'\?\)",
        ),
        (LIGANDS, "\tT1\nA\t\nCON\t\n", "no measured value of the conditions in common"),
    ],
)
def test_wrong_tables_are_named(read, ligands, tfs, sentence):
    with pytest.raises(InputError, match=sentence):
        read(ligands, tfs)


def test_wrong_frames_are_named(read, tmp_path):
    ligands, tfs = read().to_frames()
    with pytest.raises(
        InputError, match="the ligand table, index 'A', column 'L1' is empty; write 0"
    ):
        Conditions.from_frames(ligands.replace(1.0, np.nan), tfs)
    with pytest.raises(
        InputError, match="the TF table, index 'A', column 'T2': 'x' is not a number"
    ):
        Conditions.from_frames(ligands, tfs.astype(object).mask(tfs == 1.0, "x"))
    with pytest.raises(InputError, match="the ligand table has the condition 'A' 2 times; name"):
        Conditions.from_frames(ligands.rename(index={"CON": "A"}), tfs)
    with pytest.raises(InputError, match="the TF table must be a pandas DataFrame"):
        Conditions.from_frames(ligands, tfs.to_numpy())
    with pytest.raises(InputError, match="the TF table has no rows"):
        Conditions.from_frames(ligands, tfs[:0])
    with pytest.raises(InputError, match=r"nothing\.tsv does not exist"):
        Conditions.read(tmp_path / "nothing.tsv", tmp_path / "tfs.tsv")


def test_selection_by_name_and_by_index(read):
    conditions = read()
    by_name = conditions.select(["A+B", "CON"])
    assert_same(by_name, conditions.select(np.array([2, 0])))
    assert by_name.names == ("A+B", "CON")
    np.testing.assert_array_equal(by_name.ligand_levels, conditions.ligand_levels[[2, 0]])
    assert conditions.select("A").num_conditions == 1
    for wrong, sentence in (
        (["a"], r"no condition 'a' \(did you mean 'A'\?\)"),
        ([3], "no condition number 3; they are numbered 0 to 2"),
        ([-1], "no condition number -1"),
        ([0, 0], "names 'CON' more than once"),
        ([], "needs a list of condition names or integers"),
        ([0.5], "needs a list"),
    ):
        with pytest.raises(InputError, match=sentence):
            conditions.select(wrong)


def test_codes_that_are_no_nodes_are_left_out_and_listed(read):
    conditions = read("\tL1\tX\tY\nCON\t0\t0\t1\nA\t0\t1\t0\nA+B\t1\t0\t0\n")
    prior = PriorNetwork.from_edges(["L1", "T2"], ["T2", "S"])
    matched = conditions.matched(prior)
    assert (matched.ligands, matched.tfs) == (("L1",), ("T2",))
    np.testing.assert_array_equal(matched.ligand_levels[:, 0], [0, 0, 1])
    np.testing.assert_array_equal(matched.tf_activities[:, 0], conditions.tf_activities[:, 1])
    assert matched.notes == (
        "2 of 3 ligands are not in the prior network and left out: 'X', 'Y'",
        "1 of 2 TFs is not in the prior network and left out: 'T1'",
        "1 condition without any measured value: 'A+B'",
        "conditions with the same ligand levels, which no model can tell apart: {'CON', 'A'}",
    )
    assert_same(matched.matched(prior), matched)
    assert matched.matched(prior).notes == matched.notes
    other = PriorNetwork.from_edges(["l1"], ["T2"])
    with pytest.raises(
        InputError, match=r"none of the 3 ligands is .*'L1' \(did you mean 'l1'\?\)"
    ):
        conditions.matched(other)
    with pytest.raises(InputError, match="none of the 2 TFs is a node"):
        conditions.matched(PriorNetwork.from_edges(["L1"], ["S"]))


@pytest.mark.parametrize(
    ("data", "reference", "counts"),
    [("macrophage", "macrophage", (23, 12, 58)), ("ligandScreen", "ligand", (103, 60, 74))],
)
def test_published_conditions_agree_with_the_references(shared_folder, data, reference, counts):
    folder = shared_folder / "data" / "lembas"
    conditions = Conditions.read(folder / f"{data}-Ligands.tsv", folder / f"{data}-TFs.tsv")
    assert conditions.notes == ()
    matched = conditions.matched(PriorNetwork.read(folder / f"{data}-Model.tsv"))
    assert (matched.num_conditions, len(matched.ligands), len(matched.tfs)) == counts
    unknown = len(conditions.tfs) - counts[2]
    assert [note.split(" are not")[0] for note in matched.notes] == (
        [f"{unknown} of {len(conditions.tfs)} TFs"] if unknown else []
    )
    levels, activities = matched.to_frames()
    with np.load(folder / "reference" / f"{reference}.npz") as values:
        inputs, outputs = values["input_names"].tolist(), values["output_names"].tolist()
        assert (sorted(matched.ligands), sorted(matched.tfs)) == (inputs, outputs)
        np.testing.assert_array_equal(levels[inputs].to_numpy(), values["X"])
        np.testing.assert_array_equal(activities[outputs].to_numpy(), values["Y"])
