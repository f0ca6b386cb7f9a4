"""What commands leave behind: where --out leads, the seed in settings.json, and the law of an interrupt."""

import json
import os
import threading
from dataclasses import replace

import pytest

import jaxllc
from jaxllc.commands.command_line import main
from jaxllc.commands.demo import _constants_beside_truth


def run(*words):
    return main(list(map(str, words)))


@pytest.fixture
def interrupted(monkeypatch, found_law):
    """`discover` that was interrupted, with a law in hand."""

    def found(runs, network, seed, settings, progress):
        notes = (*found_law.notes, "Interrupted after 3.0 seconds")
        told = {**found_law.settings, "seed": seed}
        return replace(
            found_law,
            finished=False,
            notes=notes,
            settings=told,
            data=tuple(runs),
            fitted_states=(),
        )

    monkeypatch.setattr("jaxllc.commands.discover.discover", found)


def test_an_interrupted_discovery_writes_the_law_it_has(interrupted, tables, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("of another law")
    (out / "terms.png").write_text("of another law")
    words = [tables / "states.csv", tables / "edges.csv", "--out", out, "--hold-out", 0.2]
    assert run("discover", *words, "--seed", 5) == 130
    said = capsys.readouterr()
    assert "Interrupted after 3.0 seconds" in said.out
    assert "best law so far" in said.err
    assert not jaxllc.load_law(out / "law.json").finished
    assert set(os.listdir(out)) == {"law.json", "constants.csv", "pareto.csv", "settings.json"}
    settings = json.loads((out / "settings.json").read_text())
    assert settings["seed"] == 5
    assert settings["max_terms"] == 3
    assert settings["arguments"]["hold_out"] == 0.2
    assert [name for name in os.listdir(out) if name.startswith(".")] == []


def test_the_demo_shows_the_true_value_of_a_constant_that_stands_twice(found_law):
    text = _constants_beside_truth(found_law, jaxllc.known_laws.get("epidemic"))
    lines = text.splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["-0.5", "0.5"]
    assert "sum_j A_ij (-x_i*x_j + x_j)" in lines[1]
    assert len({len(line) for line in text.splitlines()}) == 1


SIMULATE = ["simulate", "gene", "--times", "0:1:3", "--quiet"]


def test_a_simulation_goes_into_a_pipe(tables, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert run(*SIMULATE, "--network", tables / "edges.csv", "--out", pipe) == 0
    reader.join(10)
    assert read[0].startswith("time,")
    assert pipe.is_fifo()


def test_a_simulation_on_stdout_is_a_table_and_nothing_else(tables, capfd):
    words = [*SIMULATE, "--network", tables / "edges.csv", "--out", "/dev/stdout"]
    assert run(*words) == 0
    said = capfd.readouterr()
    assert said.out.startswith("time,")
    assert len(said.out.splitlines()) == 4
    assert "Wrote /dev/stdout" in said.err
    assert run(*words, "--json") == 2
    assert "both go to stdout" in capfd.readouterr().err


def test_drawn_features_are_not_lost(tables, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = ["--network", tables / "edges.csv", "--times", "0:1:3", "--out", pipe]
    assert run("simulate", "kuramoto_heterogeneous", *words) == 2
    assert "--features" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["pipe"]


def test_seeds_come_from_a_file_of_settings_unless_given(tmp_path):
    from argparse import Namespace

    from jaxllc.commands.common_arguments import DEFAULT_SEED
    from jaxllc.commands.signaling.settings_arguments import seeds_of
    from jaxllc.errors import InputError

    path = tmp_path / "settings.json"
    options = Namespace(settings=path, seed=DEFAULT_SEED, seeds=None, quiet=True)
    for content, seeds in (({"seed": 7}, (7,)), ({"seeds": [2, 3]}, (2, 3)), ({}, (0,))):
        path.write_text(json.dumps(content))
        assert seeds_of(options) == seeds
    path.write_text('{"seed": -1}')
    assert seeds_of(Namespace(settings=path, seed=4, seeds=None, quiet=True)) == (4,)
    assert seeds_of(Namespace(settings=path, seed=0, seeds=(1, 2), quiet=True)) == (1, 2)
    with pytest.raises(InputError, match="the seed -1"):
        seeds_of(options)
