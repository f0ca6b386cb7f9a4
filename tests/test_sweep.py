"""Sweeps of any function: rows, records, resuming, failures, interrupts, and a kill in the middle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc.errors import InputError
from jaxllc.sweeps import Outcome, grid, points, read_records, sweep
from jaxllc.sweeps.devices.devices import members_within
from tests.sweep_problem import killed_at

ROOT = Path(__file__).resolve().parent.parent
GRID = grid(x=[3, 1, 2], seed=[0, 1])


def square(point):
    return {"square": point["x"] ** 2, "text": f"s{point['seed']}", "list": np.arange(2)}


def squares(chunk):
    return [square(point) for point in chunk]


def same(one, two):
    """Whether two tables are equal but for the columns of time."""
    one, two = one.drop(columns="seconds"), two.drop(columns="seconds")
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_each_point_is_a_row_in_the_order_of_the_grid():
    result = sweep(square, GRID)
    assert result.finished
    table = result.table
    assert list(table.columns) == [
        "x", "seed", "status", "note", "square", "text", "list", "seconds"
    ]  # fmt: skip
    assert table["x"].tolist() == [3, 3, 1, 1, 2, 2]
    assert (table["square"] == table["x"] ** 2).all()
    assert table["list"].iloc[0] == [0, 1]
    assert "6 of 6 runs: 6 done, 0 diverged, 0 failed" in result.summary()


@pytest.mark.parametrize("together", [1, 4, 100])
def test_a_batched_function_gives_the_same_table_in_chunks(together):
    sizes = []

    def counted(chunk):
        sizes.append(len(chunk))
        return squares(chunk)

    same(sweep(counted, GRID, together=together).table, sweep(square, GRID).table)
    assert max(sizes) == min(together, 6)
    assert sum(sizes) == 6


def test_chunks_are_sized_to_the_memory_and_keep_groups_apart():
    chunks = []

    def seen(chunk):
        chunks.append([(point["x"], point["seed"]) for point in chunk])
        return squares(chunk)

    sweep(seen, GRID, memory=250.0, bytes_per_member=100.0, group=lambda point: point["seed"])
    assert chunks == [[(3, 0), (1, 0)], [(2, 0)], [(3, 1), (1, 1)], [(2, 1)]]
    assert members_within(50, 100) == 1
    assert members_within(1e9, 1, most=64) == 64
    with pytest.raises(InputError, match="memory and bytes_per_member need each other"):
        sweep(squares, GRID, memory=1e9)
    with pytest.raises(InputError, match="bytes_per_member is 0"):
        sweep(squares, GRID, memory=1e9, bytes_per_member=0)


def test_records_say_what_was_run_and_are_not_run_again(tmp_path):
    path, calls = tmp_path / "runs.jsonl", []

    def counted(point):
        calls.append(point)
        return Outcome(square(point), settings={"x": point["x"]})

    first = sweep(counted, GRID[:4], records=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 4
    assert {"point", "seed", "settings", "versions", "device", "metrics", "seconds"} <= set(
        lines[0]
    )
    assert lines[1]["seed"] == 1
    assert lines[1]["settings"] == {"x": 3}
    assert set(lines[0]["versions"]) == {"jaxllc", "jax", "numpy", "python"}
    # A larger grid in another order: what is done stays done.
    turned = points(reversed(list(GRID)))
    second = sweep(counted, turned, records=path)
    assert len(calls) == 6
    same(second.table[::-1].reset_index(drop=True), sweep(counted, GRID, records=path).table)
    same(first.table, read_records(path, GRID[:4])[first.table.columns])
    table = read_records(path)
    assert len(table) == 6
    assert table["device"].str.contains("x").all()
    assert table["jax_version"].notna().all()


def test_a_line_cut_off_while_being_written_is_run_again(tmp_path):
    path = tmp_path / "runs.jsonl"
    whole = sweep(square, GRID, records=path)
    lines = path.read_text().splitlines(keepends=True)
    done = []
    for length in (1, 20, len(lines[-1]) - 1):
        path.write_text("".join(lines[:-1]) + lines[-1][:length])
        assert len(read_records(path)) == 5
        again = sweep(square, GRID, records=path, progress=lambda n, *_: done.append(n))
        assert done == [5, 6]
        done.clear()
        same(again.table, whole.table)
        assert len(path.read_text().splitlines()) == 6


def test_records_of_another_study_and_other_files_are_refused(tmp_path):
    path = tmp_path / "runs.jsonl"
    sweep(square, GRID, records=path, study={"data": 1}, identity=lambda point: point["x"])
    with pytest.raises(InputError, match="row 1 belongs to another study"):
        sweep(square, GRID, records=path, study={"data": 2})
    with pytest.raises(
        InputError, match=r'of the point {"seed":0,"x":3}, which stood for something'
    ):
        sweep(square, GRID, records=path, study={"data": 1}, identity=lambda point: 0)
    with pytest.raises(InputError, match="study cannot be written as JSON"):
        sweep(square, GRID, study=print)
    for content in ("x,y\n1,2\n", "text without an end", '{"point": 1}\n', "[1]\n"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"not a (file of records|record) of a sweep"):
            sweep(square, GRID, records=path)
        assert path.read_text() == content
    with pytest.raises(InputError, match="whose folder does not exist"):
        sweep(square, GRID, records=tmp_path / "no" / "runs.jsonl")
    with pytest.raises(InputError, match="does not exist; give the file of records"):
        read_records(tmp_path / "none.jsonl")


def failing(point):
    if point["x"] == 1:
        raise ValueError("x is one\nand more")
    return {"square": point["x"] ** 2}


def failing_chunk(chunk):
    return [failing(point) for point in chunk]


@pytest.mark.parametrize("together", [None, 2, 6])
def test_a_run_that_fails_is_a_row_that_says_so_and_is_tried_again(tmp_path, together):
    path = tmp_path / "runs.jsonl"
    function = failing if together is None else failing_chunk
    result = sweep(function, GRID, records=path, together=together)
    table = result.table
    assert result.finished
    assert table["status"].tolist() == ["done", "done", "failed", "failed", "done", "done"]
    assert table["note"][2] == "ValueError: x is one"
    assert table["square"].tolist()[:2] == [9, 9]
    assert np.isnan(table["square"][2])
    assert "2 of 6 runs failed, the first: ValueError: x is one" in result.summary()
    again = sweep(function, GRID, records=path, together=together)
    same(again.table, table)
    assert len(path.read_text().splitlines()) == 8
    assert len(read_records(path)) == 6


def test_a_member_of_a_chunk_may_diverge_or_fail_alone():
    def mixed(chunk):
        return [Outcome({"m": 1.0}, "diverged", "too far"), ValueError("no"), {"m": float("inf")}]

    table = sweep(mixed, grid(x=range(3)), together=3).table
    assert table["status"].tolist() == ["diverged", "failed", "done"]
    assert table["note"].tolist() == ["too far", "ValueError: no", ""]
    assert table["m"][0] == 1
    assert table["m"][1:].isna().all()
    with pytest.raises(InputError, match="status is 'bad'"):
        Outcome({}, "bad")


def test_an_interrupt_ends_early_and_the_same_call_goes_on(tmp_path):
    path, stop = tmp_path / "runs.jsonl", [True]

    def interrupted(point):
        if stop and point["x"] == 2:
            raise KeyboardInterrupt
        return square(point)

    part = sweep(interrupted, GRID, records=path)
    assert not part.finished
    assert len(part.table) == 4
    assert "interrupted with 2 runs left" in part.summary()
    stop.clear()
    whole = sweep(interrupted, GRID, records=path)
    assert whole.finished
    same(whole.table, sweep(square, GRID).table)


@pytest.mark.parametrize(
    ("function", "together", "said"),
    [
        (lambda point: 3, None, 'the function gave 3 for the point {"seed":0,"x":3}'),
        (lambda point: {"x": 3}, None, "the metric 'x' has the name of another column"),
        (lambda point: {"status": 3}, None, "the metric 'status' has the name"),
        (lambda point: {"f": print}, None, "cannot be recorded"),
        (lambda chunk: [], 2, "the function gave 0 results for 2 points"),
        (lambda chunk: 5, 2, "the function gave 5 for 2 points"),
        (square, 0, "together is 0"),
    ],
)
def test_results_that_cannot_be_recorded_are_refused(function, together, said):
    with pytest.raises(InputError, match=said):
        sweep(function, GRID, together=together)


def test_an_empty_grid_is_an_empty_table():
    result = sweep(square, GRID[:0])
    assert result.finished
    assert list(result.table.columns) == ["status", "note", "seconds"]
    assert result.summary().startswith("0 of 0 runs")


@pytest.mark.slow
def test_an_ensemble_of_discoveries_is_a_sweep(epidemic_runs, small_network, found_law, tmp_path):
    def discovered(point):
        law = jaxllc.discover(
            epidemic_runs, small_network, seed=point["seed"], max_terms=point["max_terms"]
        )
        return {"law": str(law), "converged": law.converged, "r2": law.adjusted_r2}

    laws = grid(seed=[0, 1], max_terms=[3])
    table = sweep(discovered, laws, records=tmp_path / "laws.jsonl").table
    assert table["law"][0] == str(found_law)
    assert table["converged"].all()
    assert (read_records(tmp_path / "laws.jsonl", laws)["law"] == table["law"]).all()


SLOW = """
import sys, time
from jaxllc.sweeps import grid, sweep
def slow(chunk):
    time.sleep(0.2)
    return [{"third": point["seed"] / 3} for point in chunk]
sweep(slow, grid(seed=range(9)), records=sys.argv[1], together=2)
"""


def test_a_kill_in_the_middle_loses_nothing_but_the_chunk_in_progress(tmp_path):
    path, untouched = tmp_path / "killed.jsonl", tmp_path / "whole.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", SLOW]
    done = killed_at(path, 4, [*words, str(path)], environment, seconds=120)
    assert 4 <= done < 9
    for file in (path, untouched):
        subprocess.run([*words, str(file)], env=environment, check=True)
    seeds = grid(seed=range(9))
    same(read_records(path, seeds), read_records(untouched, seeds))
    assert len(path.read_text().splitlines()) == 9
