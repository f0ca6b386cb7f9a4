"""The command line: exit codes, one sentence for each bad input, and files that are whole or absent."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from types import FunctionType

import numpy as np
import pytest

import jaxllc
from jaxllc.commands import command_line
from jaxllc.commands.command_line import main

WORDS = ["--max-terms", "3"]


@pytest.fixture(scope="module")
def discovered(tables, tmp_path_factory):
    """Standard output and folder of a real `jaxllc discover`, run once."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("found") / "made" / "here"
    output = io.StringIO()
    words = [str(tables / "states.csv"), str(tables / "edges.csv"), "--out", str(folder), "--json"]
    with contextlib.redirect_stdout(output):
        assert main(["discover", *words, *WORDS]) == 0
    return output.getvalue(), folder


@pytest.fixture
def quick(monkeypatch, found_law):
    """`discover` that returns the shared law at once; the list holds what it was called with."""
    calls = []

    def found(runs, network, seed, settings, progress):
        calls.append((runs, network, seed, settings))
        return replace(found_law, data=tuple(runs), fitted_states=(), network=network)

    monkeypatch.setattr("jaxllc.commands.discover.discover", found)
    return calls


def discover(*words):
    return main(["discover", *map(str, words)])


# --- the law ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_law_from_files_as_from_arrays(discovered, found_law):
    record = json.loads(discovered[0])
    assert record["law"]["text"] == str(found_law)
    assert record["law"]["equations"]["x"]["self_term"] == found_law.equations["x"].to_text()[0]
    values = [constant["value"] for constant in record["law"]["constants"]]
    assert values == [constant.value for constant in found_law.constants]


def test_the_folder_holds_the_law_its_tables_its_figures_and_its_report(discovered, found_law):
    output, folder = discovered
    names = {path.name for path in folder.iterdir()}
    figures = {"fit.png", "terms.png", "pareto.png"}
    tables = {"constants.csv", "pareto.csv"}
    assert names == {"law.json", "report.html", "settings.json", *tables, *figures}
    assert {os.path.basename(path) for path in json.loads(output)["files"]} == names
    assert jaxllc.load_law(folder / "law.json").equations == found_law.equations
    assert (folder / "constants.csv").read_text().count("\n") == 1 + len(found_law.constants)


def test_it_prints_the_law_and_says_where_it_is(quick, tables, tmp_path, capsys, found_law):
    out = tmp_path / "out"
    assert discover(tables / "states.csv", tables / "edges.csv", "--out", out, "--seed", 7) == 0
    printed = capsys.readouterr()
    assert found_law.summary() in printed.out
    assert str(out) in printed.out
    assert printed.err == ""
    assert quick[0][2] == 7


def test_settings_are_flags(quick, tables):
    words = ["--max-terms", "5", "--neural", "never", "--engines", "sparse", "--moves", "1"]
    assert discover(tables / "states.csv", tables / "edges.csv", *words) == 0
    settings = quick[0][3]
    assert (settings.max_terms, settings.neural, settings.moves) == (5, "never", 1)
    assert settings.engines == ("sparse",)


def test_held_out_samples_are_not_fitted_and_the_forecast_beats_no_change(quick, tables, capsys):
    words = ["--hold-out", "0.6", "--json"]
    assert discover(tables / "states.csv", tables / "edges.csv", *words) == 0
    fitted = quick[0][0]
    assert [run.num_times for run in fitted] == [17, 17]  # of 41
    held_out = json.loads(capsys.readouterr().out)["hold_out"]
    assert held_out["relative_error"]["x"] < 0.1 * held_out["no_change_error"]["x"]


def test_node_features_reach_the_discovery(quick, tables, tmp_path):
    rows = "".join(f"{n},{n / 10}\n" for n in reversed(range(20)))
    (tmp_path / "features.csv").write_text("node,omega\n" + rows)
    words = ["--features", tmp_path / "features.csv"]
    assert discover(tables / "states.csv", tables / "edges.csv", *words) == 0
    (runs, network, *_) = quick[0]
    expected = [int(name) / 10 for name in network.names]
    np.testing.assert_array_equal(runs[0].node_features["omega"], expected)


# --- bad input ----------------------------------------------------------------------------------

STATES = "time,alpha,beta,gamma\n" + "".join(f"{t},{t},{t * t},{3 - t}\n" for t in range(8))
WITH_LONE = "time,alpha,beta,gamma,lone\n" + "".join(f"{t},{t},{t * t},2,{-t}\n" for t in range(8))
CONSTANT = "time,alpha,beta,gamma\n" + "".join(f"{t},1,2,3\n" for t in range(8))
EDGES = "sender,receiver,weight\nalpha,beta,1\nbeta,gamma,2\ngamma,alpha,1\n"


def row(number, text, table=STATES):
    """The table with one row, counted as in an editor, replaced."""
    lines = table.splitlines()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


BAD_INPUT = {
    "node only in the states": (STATES.replace("gamma", "gama"), EDGES, ["'gamma'", "did you mean 'gama'"]),
    "node only in the edges": (STATES, EDGES + "delta,alpha,1\n", ["'delta'", "not in the states"]),
    "node without edges": (WITH_LONE, EDGES, ["'lone'", "no edge", "--allow-isolated"]),
    "repeated time": (row(5, "2,1,1,1"), EDGES, ["states.csv, row 5", "repeats"]),
    "unsorted time": (row(5, "0.5,1,1,1"), EDGES, ["states.csv, row 5", "sort"]),
    "text for a number": (row(4, "2,2,high,1"), EDGES, ["row 4", "'beta'", "'high'"]),
    "too few samples": ("".join(STATES.splitlines(True)[:4]), EDGES, ["3 sample times"]),
    "constant series": (CONSTANT, EDGES, ["constant"]),
    "negative weight": (STATES, row(3, "beta,gamma,-2", EDGES), ["row 3", "-2", "--signed"]),
    "weight nan": (STATES, row(3, "beta,gamma,nan", EDGES), ["row 3", "'weight'"]),
    "weight text": (STATES, row(3, "beta,gamma,big", EDGES), ["row 3", "'big'"]),
    "empty states": ("", EDGES, ["states.csv is empty"]),
    "empty edges": (STATES, "", ["edges.csv is empty"]),
    "no data": (STATES.splitlines()[0] + "\n", EDGES, ["no data"]),
    "swapped": (EDGES, STATES, ["swapped"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_tables_get_one_sentence_that_names_the_place(name, bad, tmp_path):
    states, edges, named = BAD_INPUT[name]
    (tmp_path / "states.csv").write_text(states)
    (tmp_path / "edges.csv").write_text(edges)
    out = tmp_path / "out"
    sentence = bad(["discover", tmp_path / "states.csv", tmp_path / "edges.csv", "--out", out])
    for part in named:
        assert part in sentence
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--hold-out", "1.5"], "1.5"),
        (["--hold-out", "0.95"], "hold out less"),
        (["--neural", "perhaps"], "'perhaps'"),
        (["--engines", "spars"], "spars"),
        (["--seed", "-1"], "'-1'"),
        (["--max-terms", "many"], "'many'"),
        (["--max-trems", "3"], "--max-trems"),
        (["--features", "nowhere.csv"], "nowhere.csv"),
    ],
    ids=str,
)
def test_bad_arguments_get_one_sentence(bad, tables, words, named):
    assert named in bad(["discover", tables / "states.csv", tables / "edges.csv", *words])


def test_unknown_commands_get_the_nearest_match(bad):
    assert "did you mean 'discover'" in bad(["discver"])
    assert "COMMAND" in bad([])


@pytest.mark.parametrize("command", ["discover", "demo"])
def test_a_folder_that_cannot_be_written_stops_before_the_work(
    bad, tables, tmp_path, monkeypatch, command
):
    (tmp_path / "file").write_text("in the way")

    def unreachable(*_, **__):
        raise AssertionError("the long work began")

    monkeypatch.setattr("jaxllc.commands.discover.discover", unreachable)
    monkeypatch.setattr("jaxllc.commands.demo.discover", unreachable)
    files = [tables / "states.csv", tables / "edges.csv"] if command == "discover" else []
    assert "file" in bad([command, *files, "--out", tmp_path / "file" / "out"])
    if os.geteuid() != 0:  # no folder is closed to root
        (tmp_path / "closed").mkdir(mode=0o500)
        assert "closed" in bad([command, *files, "--out", tmp_path / "closed"])


# --- failures and interruptions -----------------------------------------------------------------


def test_an_interrupted_search_leaves_no_folder(tables, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.discover.discover", interrupted)
    out = tmp_path / "new" / "out"
    assert discover(tables / "states.csv", tables / "edges.csv", "--out", out) == 130
    assert "half-written" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_interrupted_report_leaves_only_whole_files(
    quick, tables, tmp_path, monkeypatch, discovered
):
    from jaxllc.law.report import LawFigure

    def interrupted(figure):
        raise KeyboardInterrupt

    monkeypatch.setattr(LawFigure, "png", interrupted)
    out = tmp_path / "out"
    assert discover(tables / "states.csv", tables / "edges.csv", "--out", out) == 130
    assert {path.name for path in out.iterdir()} == {"law.json", "constants.csv", "pareto.csv"}
    jaxllc.load_law(out / "law.json")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_signal_stops_the_demo_with_nothing_half_written(tmp_path, number):
    command = [sys.executable, "-m", "jaxllc", "demo", "--nodes", "30", "--out", "out"]
    root = os.path.dirname(os.path.dirname(jaxllc.__file__))
    environment = {**os.environ, "PYTHONPATH": root}
    # A shell without job control starts what runs in its background deaf to SIGINT, and children inherit it.
    hear = partial(signal.signal, number, signal.SIG_DFL)
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=pipe, stdout=pipe, preexec_fn=hear
    )
    try:
        edges, deadline = tmp_path / "out" / "edges.csv", time.monotonic() + 60
        while not edges.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        try:
            output, errors = process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            # Python loses an exception that strikes in some callbacks of C code; a person presses again.
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert (output, b"Traceback" in errors) == (b"", False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"states.csv", "edges.csv"}


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("name", ["_xla_gc_callback", "match_library_callback", "__del__"])
def test_a_signal_where_exceptions_are_lost_comes_again(monkeypatch, name):
    calls = []

    def inside():
        command_line._interrupt(signal.SIGTERM, sys._getframe())

    def callback():
        inside()

    monkeypatch.setattr(command_line.os, "kill", lambda *words: calls.append(words))
    renamed = callback.__code__.replace(co_name=name)
    FunctionType(renamed, {}, closure=callback.__closure__)()
    deadline = time.monotonic() + 10
    while not calls and time.monotonic() < deadline:
        time.sleep(0.01)
    assert calls == [(os.getpid(), signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        command_line._interrupt(signal.SIGTERM, sys._getframe())


def test_threadpoolctl_still_names_its_callback_so():
    """An interrupt in that callback would be lost if it had another name."""
    import threadpoolctl

    assert "def match_library_callback(" in inspect.getsource(threadpoolctl)


def test_an_unexpected_failure_is_one_line_and_exit_code_one(tables, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("a fault\nof ours")

    monkeypatch.setattr("jaxllc.commands.discover.discover", broken)
    words = [tables / "states.csv", tables / "edges.csv"]
    assert discover(*words) == 1
    error = capsys.readouterr().err
    assert "RuntimeError: a fault of ours" in error
    assert error.count("\n") == 1
    with pytest.raises(RuntimeError):
        discover(*words, "--traceback")


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxllc {jaxllc.__version__}\n"
    for words in (["--help"], ["discover", "--help"], ["simulate", "--help"], ["demo", "--help"]):
        assert main(words) == 0
        assert "exit codes" in capsys.readouterr().out


# --- demo ---------------------------------------------------------------------------------------


def test_the_demo_finds_the_law_from_the_files_it_wrote(tmp_path, capsys):
    words = ["demo", "--nodes", "20", "--noise-db", "45", "--out", str(tmp_path / "demo"), "--json"]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["same_form"]
    assert record["worst_constant_error"] < 0.02
    assert record["unseen_network"]["relative_error"] < 0.02
    assert record["unseen_network"]["adjusted_r2"] > 0.999
    for path in record["files"]:
        assert os.path.getsize(path) > 0
    assert {"states.csv", "edges.csv", "unseen.png"} <= {
        os.path.basename(f) for f in record["files"]
    }
