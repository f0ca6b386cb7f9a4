"""Runs out of tables in whatever order: no row is lost, none is guessed, what tells neither way is named."""

import numpy as np
import pytest

from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write_file(rows, name="states.csv"):
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path

    return write_file


def wide(times, header="time,a,b"):
    return [header, *(f"{t},{n},{n * n}" for n, t in enumerate(times))]


def test_times_that_start_anew_begin_a_new_run(write):
    times = [0, 1, 2, 3, 4, 5] * 2 + [0, 2, 4, 6, 8]
    runs = read_states(write(wide(times)))
    assert [run.num_times for run in runs] == [6, 6, 5]
    assert np.concatenate([run.times for run in runs]).tolist() == times
    assert np.concatenate([run.states[:, 0, 0] for run in runs]).tolist() == [*range(17)]
    assert (
        "the times start anew in row 8 and 1 times more, so the table was read as 3 runs"
        in runs[0].notes[0]
    )


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (
            [0, 1, 2, 3, 4, 0.5, 1.5, 2.5, 3.5, 4.5],
            "row 7: the time 0.5 comes after the later time 4 of row 6, so the times start anew there: "
            "if these are several runs, add a column run",
        ),
        ([5, 6, 7, 8, 9, 0, 1, 2, 3, 4], "row 7: .*start anew.*add a column run"),
        (
            [0, 0, 0, 1, 1, 1, 2, 2, 2],
            "row 3: the time 0 repeats time 0 of row 2; .*add a column run",
        ),
        ([0, 1, 2, 0, 1, 2, 2], "add a column run"),
    ],
)
def test_rows_whose_order_tells_neither_one_run_nor_several_are_named(write, times, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_states(write(wide(times)))
    assert "keep one" not in str(caught.value)


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]])
def test_shuffled_rows_of_one_run_are_sorted_and_said(write, order):
    (run,) = read_states(write(wide(order)))
    assert run.times.tolist() == [0, 1, 2, 3, 4, 5]
    assert run.states[:, 0, 0].tolist() == np.argsort(order).tolist()
    assert "have been sorted by it" in run.notes[0]


def test_a_column_run_tells_runs_apart_in_any_order(write):
    rows = [f"{run},{t},{t + n},{t * n}" for n, run in enumerate(["x 1", "y"]) for t in range(6)]
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = read_states(write(["run,time,a,b", *(rows[n] for n in order)]))
    plain = read_states(write(["run,time,a,b", *rows]))
    by_start = sorted(shuffled, key=lambda run: run.states[0, 0, 0])
    for one, other in zip(plain, by_start, strict=True):
        np.testing.assert_array_equal(one.states, other.states)


def test_runs_are_called_as_in_the_table(write):
    rows = [f"exp7,{t},1,{t}" for t in range(6)] + [f"exp9,{t},1,{t}" for t in range(3)]
    with pytest.raises(InputError, match=r"run 'exp9' of .*states\.csv has 3 sample times"):
        read_states(write(["run,time,a,b", *rows]))
    with pytest.raises(
        InputError, match="row 11: the time 2 of run 'exp9' repeats time 2 of row 10"
    ):
        read_states(write(["run,time,a,b", *rows, "exp9,2,1,5"]))


def test_a_shuffled_long_table_is_read(write):
    keys = [(r, t, n, v) for r in "pq" for t in range(6) for n in "abc" for v in "xy"]
    rows = [f"{r},{t},{n},{v},{k * 0.1!r}" for k, (r, t, n, v) in enumerate(keys)]
    header = "run,time,node,variable,value"
    plain = read_states(write([header, *rows]))
    order = np.random.default_rng(2).permutation(len(rows))
    shuffled = read_states(write([header, *(rows[k] for k in order)]))
    found = {run.states[0, 0].sum(): run for run in shuffled}
    assert len(found) == 2
    for run in plain:
        matches = [
            other.select(run.names)
            for other in shuffled
            if set(other.states.ravel()) == set(run.states.ravel())
        ]
        (other,) = matches
        columns = [other.variables.index(v) for v in run.variables]
        np.testing.assert_array_equal(other.states[:, :, columns], run.states)


def test_a_key_that_stands_twice_is_named(write):
    rows = ["run,time,node,value", "u,1,a,5", "u,0,a,1", "u,0,b,2", "v,0,a,3", "u,0,a,4"]
    sentence = (
        "row 6: the time 0 of node 'a' in run 'u' repeats time 0 of row 3; .* in the column run"
    )
    with pytest.raises(InputError, match=sentence):
        read_states(write(rows))


def test_a_sparse_long_table_is_refused_before_it_fills_the_memory(write):
    rows = [f"{t},n{t},{t}" for t in range(30_000)]
    with pytest.raises(
        InputError, match=r"30000 different times for 30000 nodes, too many .*common times"
    ):
        read_states(write(["time,node,value", *rows]))


def test_a_hundred_thousand_columns_are_read(write):
    count = 100_000
    header = "time," + ",".join(f"n{n}" for n in range(count))
    rows = [
        f"{t}," + ",".join([str(t)] * (count - 1) + ["" if t == 3 else "1.5"]) for t in range(5)
    ]
    (run,) = read_states(write([header, *rows]))
    assert run.num_nodes == count
    assert np.isnan(run.states[3, -1, 0])
    with pytest.raises(InputError, match="'n99999': 'x' is not a number"):
        read_states(write([header, *rows[:4], rows[4][:-3] + "x"]))


@pytest.mark.parametrize(
    "header",
    [
        "node,0,0.5,1.0,1.5",
        "name,2020-01-06,2020-01-13,2020-01-20,2020-01-27",
        ",0,1,2,3",
        "time,0,1,2,3",
    ],
)
def test_a_transposed_table_is_named_as_one(write, header):
    rows = [header, *(f"{node},1,2,3,4" for node in "abc")]
    with pytest.raises(
        InputError, match=r"is transposed: its columns are times .*\.T\.rename_axis"
    ):
        read_states(write(rows))


def test_nodes_may_be_called_by_numbers(write):
    (run,) = read_states(write(["time,0,1,2,3", *(f"{t},{t},2,3,4" for t in range(6))]))
    assert run.names == ("0", "1", "2", "3")
    with pytest.raises(InputError, match="no column 'time'"):
        read_states(write(["day,0,1,2,3", *(f"{t},{t},2,3,4" for t in range(6))]))


def test_a_long_table_with_names_of_its_own_is_named(write):
    rows = [f"{t},g{n},{t + n}" for t in range(6) for n in range(3)]
    sentence = (
        "column 'gene': 'g0' is not a number.*long table, name that column node and 'level' value"
    )
    with pytest.raises(InputError, match=sentence):
        read_states(write(["time,gene,level", *rows]))


@pytest.mark.parametrize("first", ["", "Unnamed: 0"])
def test_row_numbers_of_pandas_are_left_out(write, first):
    rows = [f"{n},{n * 0.5},{n},1" for n in range(6)]
    (run,) = read_states(write([f"{first},time,a,b", *rows]))
    assert run.names == ("a", "b")
    assert run.times[-1] == 2.5
    network = read_edges(write([f"{first},sender,receiver", "0,a,b", "1,b,a"]))
    assert network.num_edges == 2
    assert read_features(write([f"{first},node,w", "0,a,1", "1,b,2"]))["w"].tolist() == [1, 2]
    with pytest.raises(InputError, match="column 1 of the header has no name"):
        read_states(write([f"{first},time,a,b", *(f"x{row}" for row in rows)]))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["TR:a,DA:ALL,DV:b", "1,0,1"], "a MIDAS file"),
        (["0,1,2", "1,2,3"], "has no header: its first row holds the numbers 0, 1, 2"),
        (["time a b", "0 1 2"], "separated by blanks"),
        (['"time" "a" "b"', '"1" 0 1'], "separated by blanks"),
        (["when,a", "2020-W05,1", "2020-W06,2"], "'when' holds dates: rename it to time"),
        (["time,a", "2020Q1,1", "2020Q2,2"], "'2020Q1' is not a number, nor a date such as"),
        (
            [",a,b,c", "a,0,1,0", "b,1,0,0", "c,0,0,1"],
            "adjacency matrix of 3 nodes, not a table of states",
        ),
        (["gene,t0,t1,t2", "a,0,1,0", "b,1,0,0", "c,0,0,1"], "is transposed"),
        (["time,0h,1h,2h", "a,0,1,0", "b,1,0,0"], "is transposed"),
        (["time,node,level", "0,a,1", "0,b,2", "1,a,1"], "has a column value too: name 'level' so"),
        (["time,node,x,y", "0,a,1,1", "0,b,2,1", "1,a,1,1"], "time,node,variable,value"),
        (["time,gene,value", "0,a,1", "0,b,2", "1,a,1"], "name that column node, else"),
        (
            ["time,id,level", "0,1,1", "0,2,2", "1,1,1"],
            "long table, name its columns time,node,value",
        ),
        (["# made by me", "time,a", "0,1"], "remove the remark"),
        (["time,a,b", '0,"1,2', "1,2,3"], "row 2: a quotation mark is not closed"),
        (["time,a,b", '0,"' + "1," * 100_000], "row 2: a cell is longer than 131072"),
        (["time,a.b", "1,9"], "1 sample times"),
    ],
)
def test_other_tables_are_named(write, rows, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_states(write(rows))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("names", [range(2), ["u", "v"]])
def test_a_column_that_tells_the_runs_apart_by_another_name_is_named(write, names):
    rows = [f"{t},{name},{t},{t * t}" for name in names for t in range(6)]
    with pytest.raises(InputError, match=r"Replicate'.*if .* tells the runs apart, name it run"):
        read_states(write(["time,Replicate,a,b", *rows]))


def test_columns_with_dots_do_not_make_a_table_without_end(write):
    names = [f"n{n}.v{n}" for n in range(3000)]
    rows = ["time," + ",".join(names), *(f"{t}" + f",{t}" * 3000 for t in range(5))]
    (run,) = read_states(write(rows))
    assert run.num_nodes == 3000


def test_the_separator_of_excel_and_empty_cells_at_the_end_of_rows(write):
    (run,) = read_states(write(["sep=;", "time;a;b;;", *(f"{t};{t};1;;" for t in range(6))]))
    assert run.names == ("a", "b")
    header = "time;Korea, South;Iran, Islamic Republic of"
    (run,) = read_states(write([header, *(f"{t};{t},5;1" for t in range(6))]))
    assert run.names == ("Korea, South", "Iran, Islamic Republic of")
    assert run.states[2, 0, 0] == 2.5


def test_a_row_that_ends_early_is_said(write):
    (run,) = read_states(write([*wide(range(6)), "6,1"]))
    assert np.isnan(run.states[-1, 1, 0])
    assert "row 8 has fewer cells than the header" in run.notes[0]
