"""DataFrames are read as files are, and errors name their rows and columns."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.errors import InputError

TIMES = np.arange(6.0)
WIDE = pd.DataFrame({"time": TIMES, "a": TIMES**2, "b": 1 - TIMES})
LONG = WIDE.melt("time", var_name="node", value_name="value")
DATES = pd.date_range("2020-01-06", periods=6, freq="7D")


@pytest.mark.parametrize(
    "frame",
    [
        WIDE,
        WIDE.set_index("time"),
        WIDE.convert_dtypes(),
        WIDE.reset_index(names="Unnamed: 0"),
        WIDE.astype(object),
        WIDE.astype(str),
        WIDE[["a", "time", "b"]],
        LONG,
        LONG.sample(frac=1, random_state=0).sort_values("node", kind="stable"),
        LONG.set_index(["time", "node"]),
        LONG.set_index(["time", "node"])["value"],
        LONG.set_index(["node", "time"]),
    ],
)
def test_frames_in_the_shapes_of_files(frame):
    (run,) = read_states(frame)
    np.testing.assert_array_equal(run.times, TIMES)
    np.testing.assert_array_equal(run.select(["a", "b"]).states[:, :, 0], WIDE[["a", "b"]])


@pytest.mark.parametrize(
    "frame",
    [
        WIDE.assign(time=DATES),
        WIDE.assign(time=DATES.tz_localize("Europe/Budapest")),
        WIDE.assign(time=DATES.to_pydatetime()),
        WIDE.assign(time=[stamp.date() for stamp in DATES]),
        WIDE.assign(time=DATES.strftime("%d.%m.%Y")),
        WIDE.drop(columns="time").set_index(DATES),
        WIDE.drop(columns="time").set_index(DATES.rename("date")),
        WIDE.assign(time=pd.period_range("2020-01-06", periods=6, freq="W")),
        WIDE.assign(time=DATES - DATES[0]),
    ],
)
def test_dates_of_frames_are_days(frame):
    (run,) = read_states(frame)
    np.testing.assert_allclose(run.times - run.times[0], 7 * TIMES)
    assert run.time_unit == "days"


def test_columns_of_two_levels_are_nodes_and_variables():
    frame = pd.DataFrame(
        np.arange(24.0).reshape(6, 4),
        index=pd.Index(TIMES, name="time"),
        columns=pd.MultiIndex.from_product([["x", "y"], ["a", "b"]], names=["variable", "node"]),
    )
    (run,) = read_states(frame)
    assert (run.names, run.variables) == (("a", "b"), ("x", "y"))
    np.testing.assert_array_equal(run.states[0], [[0, 2], [1, 3]])
    frame.columns.names = [None, None]
    with pytest.raises(InputError, match="two levels named node and variable"):
        read_states(frame)


def test_missing_values_were_not_observed():
    frame = WIDE.astype(object)
    frame.iloc[1, 1], frame.iloc[2, 1], frame.iloc[3, 2] = None, np.ma.masked, pd.NA
    (run,) = read_states(frame)
    np.testing.assert_array_equal(np.argwhere(~run.observed)[:, :2], [[1, 0], [2, 0], [3, 1]])


def changed(frame, row, column, value):
    frame = frame.astype(object)
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (changed(WIDE, 3, "a", "high"), "the DataFrame, row 3, column 'a': 'high' is not a number"),
        (changed(WIDE, 3, "a", True), "the DataFrame, row 3, column 'a': True is not a number"),
        (changed(WIDE, 3, "a", 1j), "row 3, column 'a': 1j is not a number"),
        (changed(WIDE, 3, "a", np.inf), "row 3, column 'a': the value is infinite"),
        (changed(WIDE, 3, "time", np.nan), "row 3, column 'time' holds no number"),
        (WIDE.assign(time=DATES).mask(WIDE["a"] == 9), "row 3, column 'time' is empty; every row"),
        (changed(WIDE, 3, "time", 2.0), "the DataFrame, row 3: the time 2 repeats time 2 of row 2"),
        (WIDE.assign(c=DATES), "column 'c'.* not a number|'c' holds dates"),
        (WIDE.set_axis(list("uvwxyz")).assign(a=["q", 1, 2, 3, 4, 5]), "row 'u', column 'a': 'q'"),
        (WIDE.drop(columns="time"), "no column 'time'"),
        (WIDE.rename(columns={"b": "a"}), "the column 'a' twice"),
        (WIDE.iloc[:0], "the DataFrame has no rows"),
        (WIDE.iloc[:3], "the DataFrame has 3 sample times"),
        (WIDE.set_index(["a", "b"]), "an index of the levels 'a', 'b'; name them"),
        (WIDE.set_index("time", drop=False), "'time' as index and as column"),
        (WIDE.iloc[:, :0], "the DataFrame has no columns"),
        (WIDE.assign(a=[[1, 2, 3]] * 6), r"row 0, column 'a': \[1, 2, 3\] is not a number"),
        (WIDE.assign(a=[np.ones(1)] * 6), "row 0, column 'a': .* is not a number"),
        (
            LONG.set_index(["node", "time"]).rename_axis(["node", "node"]),
            "two columns or levels of one",
        ),
        (WIDE["a"], "must be the path of a file or a pandas DataFrame, not of type Series"),
        (pd.concat([LONG, LONG.iloc[:1]]), "row 0: the time 0 of node 'a' repeats time 0 of row 0"),
    ],
)
def test_errors_name_the_row_and_column_of_the_frame(frame, sentence):
    with pytest.raises(InputError, match=sentence):
        read_states(frame)


def test_edges_and_features_as_frames():
    frame = pd.DataFrame({"source": [3, 1], "target": [1, 2], "weight": [1.5, 2]})
    network = read_edges(frame)
    assert network.names == ("1", "2", "3")
    assert network.weights.tolist() == [1.5, 2.0]
    indexed = read_edges(frame.set_index(["source", "target"]))
    assert (indexed.names, indexed.num_edges) == (network.names, 2)
    with pytest.raises(InputError, match="the DataFrame, row 1, column 'target' is empty"):
        read_edges(frame.assign(target=[1.0, np.nan]))
    features = pd.DataFrame({"node": ["b", "a"], "w": [2.0, 1.0]})
    assert read_features(features, names=["a", "b"])["w"].tolist() == [1, 2]
    assert read_features(features.set_index("node"), names=["a", "b"])["w"].tolist() == [1, 2]


def test_floats_that_stand_for_integers_beside_missing_ones_name_nodes():
    frame = pd.DataFrame({"sender": [0.0, 1.0], "receiver": [1.0, 2.0]})
    assert read_edges(frame).names == ("0", "1", "2")
