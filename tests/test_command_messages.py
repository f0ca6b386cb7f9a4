"""What commands say: options that they have, seconds that they took, and laws that are none."""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import jaxllc
from jaxllc.commands import COMMANDS, elapsed
from jaxllc.commands.command_line import main
from jaxllc.commands.common_arguments import add_common_arguments
from jaxllc.commands.progress import _FLAGS

_PACKAGE = Path(jaxllc.__file__).parent
# Parsers that are no command of jaxllc, options of dask and slurm, and colours of a page.
_ELSEWHERE = {"pretrained", "published_road", "cluster.py", "page.py"}


def _parsers(table=COMMANDS):
    """{file of a command: its options}, of every command."""
    found = {}
    for command in table:
        module = command.module()
        if hasattr(module, "COMMANDS"):
            found |= _parsers(module.COMMANDS)
            continue
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        add_common_arguments(parser)
        options = {flag for action in parser._actions for flag in action.option_strings}
        found[Path(module.__file__).name] = options
    return found


def _every(table=COMMANDS):
    """Every command and group of commands."""
    for command in table:
        yield command
        yield from _every(getattr(command.module(), "COMMANDS", ()))


def test_the_help_of_a_command_is_the_first_line_of_its_module():
    helps = {command.path: command.help for command in _every()}
    assert len(helps) == 8
    assert helps == {path: import_module(path).__doc__.splitlines()[0] for path in helps}


@pytest.mark.parametrize(
    "words", [["--help"], ["signaling", "--help"], ["--version"]], ids=" ".join
)
def test_help_comes_without_loading_what_commands_need(words):
    program = (
        "import sys; from jaxllc.commands.command_line import main; main(sys.argv[1:]); "
        "print('loaded', *{'jax', 'numpy', 'pandas', 'scipy', 'sympy'} & {*sys.modules})"
    )
    root = str(_PACKAGE.parent)
    ended = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "loaded"
    assert len(ended.stdout.splitlines()) > 1


def _named_options():
    """(file, option) for each `--option` in a text of the package."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        if _ELSEWHERE & set(path.relative_to(_PACKAGE).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # Flags of XLA have underscores.
                for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?!\w)", node.value):
                    yield path.name, option


def test_every_option_that_a_message_names_exists():
    parsers = _parsers()
    every = set().union(*parsers.values()) | {"--version"}
    named = set(_named_options())
    assert len(named) > 20
    for file, option in named:
        allowed = parsers.get(file, every) | {"--version"}
        assert option in allowed, f"{file} names {option}"


def test_arguments_of_python_are_named_as_options_of_the_commands_that_have_them():
    """Solvers are those of the simulation; nodes without an edge are refused by the discovery alone."""
    parsers = _parsers()
    for argument, flag in _FLAGS.items():
        options = set(re.findall(r"--[a-z-]+", flag))
        having = {name for name, known in parsers.items() if options <= known}
        solver = bool(options & {"--solver", "--rtol", "--max-steps"})
        needed = {"simulate.py"} if solver else {"discover.py"}
        assert needed <= having, argument


# --- a run that ends early ----------------------------------------------------------------------


@pytest.fixture
def stiff(tmp_path):
    """A law with a rate of 1e6, its network and where the states go."""
    law = jaxllc.Law(
        equations={"x": jaxllc.equations.equation.Equation.from_text("1 - 1e6*x_i", "0")}
    )
    law.save(tmp_path / "law.json")
    (tmp_path / "edges.csv").write_text("sender,receiver\na,b\nb,a\n")
    return [str(tmp_path / "law.json"), "--network", str(tmp_path / "edges.csv")]


def test_a_run_that_stalls_says_so_once_and_the_options_it_names_help(stiff, tmp_path, capsys):
    words = ["simulate", *stiff, "--times", "0:1:11", "--quiet", "--out", str(tmp_path / "o.csv")]
    assert main(words) == 3
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("jaxllc: Stalled at t = ")
    assert (said.out + said.err).lower().count("stalled") == 1
    assert "Wrote" not in said.out
    assert said.out.startswith("Only in part: ")
    assert "1 ended early, the first after its sample at 0 of 1" in said.out
    for option in ("--solver kvaerno5", "--rtol", "--max-steps"):
        assert option in said.err
    assert main([*words, "--solver", "kvaerno5"]) == 0
    assert "Wrote" in capsys.readouterr().out


def test_of_several_runs_that_end_early_one_sentence_is_said(tmp_path, capsys):
    law = jaxllc.Law(equations={"x": jaxllc.equations.equation.Equation.from_text("x_i**2", "0")})
    law.save(tmp_path / "law.json")
    (tmp_path / "edges.csv").write_text("sender,receiver\na,b\nb,a\n")
    words = [tmp_path / "law.json", "--network", tmp_path / "edges.csv", "--times", "0:4:9"]
    words += ["--initial-range", "0.5:1", "--runs", 3, "--out", tmp_path / "o.csv"]
    assert main(["simulate", *map(str, words)]) == 3
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "3 of 3 runs did not end well; run 1: Diverged at t = " in said.err
    assert main(["simulate", *map(str, words), "--json"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert not record["success"]
    assert len(record["reached"]) == 3
    assert all(0.5 <= t < 4 for t in record["reached"])


@pytest.mark.parametrize(
    ("option", "value"), [("--rtol", "0"), ("--rtol", "x"), ("--max-steps", "0.5")]
)
def test_bad_tolerances_get_one_sentence(bad, tables, tmp_path, option, value):
    files = ["--network", tables / "edges.csv", "--out", tmp_path / "o.csv"]
    assert value in bad(["simulate", "epidemic", *files, option, value])


# --- a law that is none -------------------------------------------------------------------------


@pytest.fixture
def discovered(monkeypatch, found_law, tables):
    """Runs `discover` on the tables with a law that is there at once."""

    def run(law, *words):
        monkeypatch.setattr("jaxllc.commands.discover.discover", lambda *_, **__: law)
        files = [str(tables / "states.csv"), str(tables / "edges.csv")]
        return main(["discover", *files, *map(str, words)])

    return run


def test_a_law_that_is_not_to_be_trusted_is_no_success(discovered, found_law, capsys):
    doubt = "No law was found that can be trusted."
    law = replace(found_law, doubt=doubt, notes=(doubt,), confidence=None, covariance=None)
    assert discovered(law) == 3
    said = capsys.readouterr()
    assert said.err == f"jaxllc: {doubt}\n"
    assert said.out.count(doubt) == 1
    assert discovered(law, "--json") == 3
    record = json.loads(capsys.readouterr().out)["law"]
    assert record["trusted"] is False
    assert record["doubt"] == doubt
    assert discovered(found_law, "--json") == 0
    record = json.loads(capsys.readouterr().out)["law"]
    assert record["trusted"] is True
    assert record["skill"]["x"]["no_change"] > 0.99


# --- seconds and figures ------------------------------------------------------------------------


def test_the_seconds_are_those_of_the_command(discovered, found_law, tmp_path, capsys):
    begun = time.perf_counter()
    assert discovered(found_law, "--out", tmp_path, "--json") == 0
    wall = time.perf_counter() - begun
    seconds = json.loads(capsys.readouterr().out)["seconds"]
    assert list(seconds) == ["law", "figures and report", "in all"]
    assert seconds["law"] + seconds["figures and report"] <= seconds["in all"] <= wall
    # The stages of the search are those of the law, which was there at once.
    assert seconds["law"] < sum(found_law.seconds.values())
    assert discovered(found_law) == 0
    assert re.search(r"\nlaw \d+\.\d s, in all \d+\.\d s\n$", capsys.readouterr().out)


def test_what_a_process_took_before_its_command_counts():
    age = elapsed.process_age()
    assert 0 < age < 1e6
    time.sleep(0.05)
    assert elapsed.process_age() > age
    total = elapsed.with_total({"law": 1.0}, time.perf_counter() - 7.0)
    assert total["in all"] == pytest.approx(7.0, abs=0.5)


def test_figures_are_drawn_once_and_no_simulation_is_compiled(found_law, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from jaxllc.commands.law_output import write_law_files

    def simulate(*_, **__):
        raise AssertionError("the states of the fit are at hand")

    drawn = []
    real = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda f, *a, **o: (drawn.append(f), real(f, *a, **o))[1]
    )
    monkeypatch.setattr(type(found_law), "run", simulate)
    files = write_law_files(found_law, tmp_path)
    assert len(drawn) == len(set(map(id, drawn))) == sum(f.suffix == ".png" for f in files) == 3


def test_the_lines_of_the_fit_are_the_states_that_were_fitted(found_law):
    from jaxllc import plotting

    figure = plotting.plot_fit(found_law, nodes=["3"])
    (line,) = [x for x in figure.axes[0].get_lines() if x.get_linestyle() == "-"]
    run = found_law.data[0]
    node = run.node_names.index("3")
    np.testing.assert_array_equal(line.get_ydata(), found_law.fitted_states[0][:, node, 0])
