"""Paths, mappings, names and lists in the place of objects mean what the objects do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling import Conditions, SignalingModel, SignalingSettings, preset, train
from jaxllc.signaling.data.conditions import conditions_of
from jaxllc.signaling.data.folds import folds_of
from jaxllc.signaling.network.prior_network import prior_of
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.settings import settings_of
from jaxllc.sweeps import grid, points, sweep
from jaxllc.sweeps.grids import grid_of
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / name for name in ("net.csv", "ligands.csv", "tfs.csv")]
    PRIOR.to_csv(found[0])
    CONDITIONS.to_csv(*found[1:])
    return found


def test_the_path_of_a_network_and_the_pair_of_tables(paths):
    for given in (paths[0], str(paths[0]), PRIOR.to_frame(), PRIOR):
        found = prior_of(given)
        assert found.names == PRIOR.names
        np.testing.assert_array_equal(found.senders, PRIOR.senders)
    for given in (tuple(paths[1:]), [str(path) for path in paths[1:]], CONDITIONS.to_frames()):
        found = conditions_of(given)
        assert found.names == CONDITIONS.names
        np.testing.assert_array_equal(found.tf_activities, CONDITIONS.tf_activities)


def test_settings_may_be_a_mapping_a_preset_or_a_file(tmp_path):
    own = replace(preset("default"), epochs=10, l2=1e-4)
    assert settings_of({"epochs": 10, "l2": 1e-4}) == own
    assert settings_of({"epochs": np.int64(10), "l2": np.float64(1e-4)}) == own
    assert SignalingSettings(epochs=np.int32(10), l2=np.float32(0.5)).epochs == 10
    assert settings_of({"epochs": 10}, "self_pruning") == replace(preset("self_pruning"), epochs=10)
    path = tmp_path / "own.json"
    path.write_text('{"epochs": 10, "l2": 1e-4}')
    assert settings_of(path) == settings_of(str(path)) == own
    with pytest.raises(InputError, match="has no field 'epoch'"):
        settings_of({"epoch": 10})


def test_held_out_conditions_by_name_number_and_as_conditions():
    short = replace(SETTINGS, epochs=1)
    kept = [
        train(PRIOR, CONDITIONS, short, held_out=given).conditions.names
        for given in (["c1", "c4"], np.array([1, 4]), CONDITIONS.select(["c1", "c4"]))
    ]
    assert kept == [("c0", "c2", "c3", "c5")] * 3
    assert train(PRIOR, CONDITIONS, short, held_out="c1").conditions.names[:2] == ("c0", "c2")
    with pytest.raises(InputError, match=r"no condition 'C1' \(did you mean 'c1'\?\)"):
        train(PRIOR, CONDITIONS, short, held_out=["C1"])


def test_folds_in_any_container(tmp_path):
    wanted = (("c0", "c1"), ("c2",))
    path = tmp_path / "folds.csv"
    path.write_text("fold,condition\n0,c0\n0,c1\n1,c2\n")
    for given in (
        [["c0", "c1"], ["c2"]],
        {"a": ["c0", "c1"], "b": ["c2"]},
        (iter(names) for names in wanted),
        [np.array(["c0", "c1"]), pd.Series(["c2"])],
        path,
        str(path),
    ):
        assert folds_of(given, CONDITIONS) == wanted


def test_grids_from_mappings_lists_and_tables():
    wanted = grid(l2=[1e-6, 1e-5], seed=range(2))
    assert grid_of({"l2": [1e-6, 1e-5], "seed": range(2)}) == wanted
    table = pd.DataFrame([*wanted]).astype({"seed": "int64"})
    assert grid_of(list(wanted)).keys == wanted.keys == grid_of(table).keys
    assert grid_of(point for point in wanted) == wanted
    assert sweep(lambda point: {"x": point["l2"]}, {"l2": [1.0, 2.0]}).table["x"].tolist() == [1, 2]
    with pytest.raises(InputError, match="give a mapping such as"):
        sweep(lambda point: {}, 5)
    with pytest.raises(
        InputError, match=r"l2 is 1e-06; give a list of its values, such as \[1e-06\]"
    ):
        grid_of({"l2": 1e-6})
    with pytest.raises(InputError, match="a point of a grid is a dict"):
        points({"l2": [1e-6]}.items())


def test_masked_activities_are_not_measured():
    masked = np.ma.masked_greater(CONDITIONS.tf_activities, 0.6)
    found = replace(CONDITIONS, tf_activities=masked).tf_activities
    np.testing.assert_array_equal(np.isnan(found), masked.mask)
    levels = np.ma.masked_greater(CONDITIONS.ligand_levels, 0.9)
    with pytest.raises(InputError, match="the level of 'L1' in the condition 'c1' is nan; give 0"):
        replace(CONDITIONS, ligand_levels=levels)


# --- predictions ----------------------------------------------------------------------------------

MODEL = SignalingModel(
    PRIOR,
    CONDITIONS.ligands,
    CONDITIONS.tfs,
    Parameters(np.full(PRIOR.num_edges, 0.3), np.zeros(PRIOR.num_nodes), np.ones(2)),
)
LEVELS = CONDITIONS.to_frames()[0]


def test_the_same_levels_in_any_container_give_the_same_prediction(tmp_path):
    CONDITIONS.to_csv(tmp_path / "l.csv", tmp_path / "t.csv")
    wanted = MODEL.predict(CONDITIONS)
    for given in (
        LEVELS,
        LEVELS[["L2", "L1"]],
        LEVELS.to_numpy(),
        LEVELS.to_numpy().tolist(),
        LEVELS.to_dict("list"),
        tmp_path / "l.csv",
        str(tmp_path / "l.csv"),
        LEVELS.assign(other=0.0),
    ):
        np.testing.assert_array_equal(MODEL.predict(given).tfs, wanted.tfs)
    assert wanted.notes == ()
    one = MODEL.predict({"L1": 1.0, "L2": 0})
    np.testing.assert_allclose(one.tfs.to_numpy(), wanted.tfs.loc[["c1"]], rtol=1e-4)
    assert MODEL.predict(CONDITIONS, knock_out="S1").tfs.equals(
        MODEL.predict(CONDITIONS, knock_out=["S1"]).tfs
    )


def test_what_is_odd_about_levels_stands_in_the_prediction():
    (note,) = MODEL.predict(LEVELS[["L1"]]).notes
    assert note == ("1 of 2 ligands of the model has no column and is taken as absent (0): 'L2'")
    (note,) = MODEL.predict(LEVELS - 0.1).notes
    assert note.startswith("4 ligand levels are negative, the first -0.1 in the condition 'c0'")
    low = replace(CONDITIONS, ligand_levels=LEVELS.to_numpy() - 0.1)
    assert MODEL.predict(low).notes == (low.notes[0],)
    (note,) = MODEL.predict(LEVELS.assign(other=0.0)).notes
    assert note.startswith("'other' is not a ligand of the model and is left out, because it is")
    assert MODEL.predict({"L1": 1.0}).notes[0].endswith("'L2'")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (LEVELS.assign(l3=1.0), r"'l3' is not a ligand of the model; its ligands are 'L1', 'L2'"),
        (LEVELS.assign(L2="a"), "column 'L2': 'a' is not a number"),
        (LEVELS.assign(L2=np.nan), "the level of 'L2' in condition 'c0' is nan; write 0"),
        (LEVELS[[]], "nothing is not a ligand of the model"),
        (np.zeros((2, 3)), r"of shape \(2, 3\), but the model has 2 ligands"),
        ({"L1": [1.0, 2.0], "L2": [1.0]}, "lists of one length"),
        ("no.csv", r"no\.csv does not exist"),
        (5, "the model has 2 ligands"),
    ],
)
def test_levels_that_cannot_be_meant_are_named(given, sentence):
    with pytest.raises(InputError, match=sentence):
        MODEL.predict(given)


# --- tables that are long, transposed, or name a condition often ----------------------------------


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


WIDE = "condition,L1\nc0,0\nc1,1\n"
LONG = {
    "statistic first": (
        "statistic,source,condition,score,p_value\nulm,T1,c0,0.1,1\nulm,T2,c0,0.2,1\n"
        "ulm,T1,c1,0.3,1\nulm,T2,c1,0.4,1\n",
        ("condition", "source", "score"),
    ),
    "condition first": (
        "condition,tf,activity\nc0,T1,0.1\nc0,T2,0.2\nc1,T1,0.3\nc1,T2,0.4\n",
        ("condition", "tf", "activity"),
    ),
    "with the index of a frame": (
        ",condition,source,score\n0,c0,T1,0.1\n1,c0,T2,0.2\n2,c1,T1,0.3\n3,c1,T2,0.4\n",
        ("condition", "source", "score"),
    ),
    "other names": (
        "what,where,much\nA,x,0.1\nB,x,0.2\nA,y,0.3\nB,y,0.4\n",
        ("what", "where", "much"),
    ),
    "one condition": (
        "sample,gene,value\nc0,T1,0.1\nc0,T2,0.2\nc0,T3,0.2\n",
        ("sample", "gene", "value"),
    ),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_table_is_named_and_how_it_is_made_wide(tmp_path, kind):
    text, (condition, node, value) = LONG[kind]
    path = write(tmp_path, "long.csv", text)
    mend = rf"is a long table.*pivot\(index='{condition}', columns='{node}', values='{value}'\)"
    with pytest.raises(InputError, match=mend):
        Conditions.read(write(tmp_path, "wide.csv", WIDE), path)
    wide = pd.read_csv(path).pivot(index=condition, columns=node, values=value)
    assert wide.notna().all().all()
    with pytest.raises(InputError, match="is a long table"):
        Conditions.from_frames(pd.DataFrame({"L1": [0.0]}, index=["c0"]), pd.read_csv(path))
    with pytest.raises(InputError, match="is a long table"):
        MODEL.predict(path)


def test_several_statistics_are_to_be_chosen_from(tmp_path):
    rows = [f"{s},T{t},c{c},0.{t}" for s in ("ulm", "mlm") for t in (1, 2) for c in (0, 1)]
    text = "\n".join(["statistic,source,condition,score", *rows, ""])
    with pytest.raises(InputError, match="pivot it, after choosing one of 'statistic', as frame"):
        Conditions.read(write(tmp_path, "wide.csv", WIDE), write(tmp_path, "long.csv", text))


def test_few_rows_are_named_of_many(tmp_path):
    rows = "".join(f"c0,{n}\n" for n in range(100))
    with pytest.raises(InputError) as caught:
        Conditions.read(write(tmp_path, "l.csv", "c,L1\n" + rows), write(tmp_path, "t.csv", WIDE))
    assert "'c0' 100 times in rows 2, 3, 4, 5, 6 and 95 more; name each" in str(caught.value)
    name = "x" * 10_000
    path = write(tmp_path, "l.csv", f"c,L1\n{name},0\n{name},0\n")
    with pytest.raises(InputError) as caught:
        Conditions.read(path, path)
    assert len(str(caught.value)) < 500


def test_a_transposed_table_is_named(tmp_path):
    upright = write(tmp_path, "l.csv", "condition,L1,L2\nc0,0,1\nc1,1,0\n")
    lying = write(tmp_path, "t.csv", ",c0,c1\nT1,0,1\nT2,1,0\n")
    with pytest.raises(InputError, match=r"the conditions are the columns of .*t\.csv: transpose"):
        Conditions.read(upright, lying)
    with pytest.raises(InputError, match=r"columns of .*t\.csv: transpose it"):
        Conditions.read(lying, upright)
    both = write(tmp_path, "l2.csv", ",c0,c1\nL1,0,1\nL2,1,0\n")
    with pytest.raises(InputError, match=r"columns of .*l2\.csv and of .*t\.csv: transpose"):
        Conditions.read(both, lying)


def test_tables_of_several_levels_are_named():
    levels, tfs = CONDITIONS.to_frames()
    nested = levels.set_axis(pd.MultiIndex.from_tuples([(name, "d1") for name in levels.index]))
    with pytest.raises(InputError, match=r"the index of the ligand table has 2 levels.*'_'\.join"):
        Conditions.from_frames(nested, tfs)
    with pytest.raises(InputError, match="the columns of the TF table have 2 levels; keep one"):
        Conditions.from_frames(levels, nested.T)
    joined = nested.set_axis(["_".join(map(str, names)) for names in nested.index])
    again = tfs.set_axis(joined.index)
    assert Conditions.from_frames(joined, again).names[0] == "c0_d1"
    with pytest.raises(InputError, match="the index of ligands has 2 levels"):
        MODEL.predict(nested)
