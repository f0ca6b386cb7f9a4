"""The example of the README runs, and prints what the README shows."""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import pytest

import jaxllc

_ROOT = Path(__file__).resolve().parent.parent
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """What the Python example printed, its names afterwards, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(_ROOT / "docs" / "example", folder / "docs" / "example")
    (program,) = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    names: dict = {}
    output = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output):
        exec(compile(program, "README.md", "exec"), names)  # noqa: S102 - our own file
    return output.getvalue(), names, folder


def test_the_example_prints_what_the_readme_shows(example):
    printed, _, _ = example
    shown = re.search(r"```python\n.*?```.*?```text\n(.*?)```", _README, re.DOTALL).group(1)
    assert [line.rstrip() for line in printed.splitlines()] == [
        line.rstrip() for line in shown.splitlines()
    ]


def test_the_example_finds_the_law_that_made_its_data(example):
    _, names, folder = example
    known = jaxllc.known_laws.get("gene")
    law = names["law"]
    assert jaxllc.metrics.skeleton_equal(law, known)
    for constant in law.constants:
        assert abs(abs(constant.value) - 1.0) < 3 * constant.standard_error
    assert jaxllc.load_law(folder / "law.json").equations == law.equations


def test_the_search_of_one_term_prints_what_the_readme_shows(capsys):
    part = re.search(r"## One term by itself\n(.*?)\n## ", _README, re.DOTALL).group(1)
    code, shown = (
        re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL).group(1) for kind in ("py", "text")
    )
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out == shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "section",
    ["No network", "Networks that are not quite right", "What drives the nodes from outside"],
)
def test_slow_examples_print_what_the_readme_shows(section, capsys):
    part = re.search(rf"## {section}\n(.*?)\n## ", _README, re.DOTALL).group(1)
    code, shown = (
        re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL).group(1) for kind in ("py", "text")
    )
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out == shown


def test_what_is_known_beforehand_prints_what_the_readme_shows(capsys, monkeypatch):
    part = re.search(r"## What you know beforehand\n(.*?)\n## ", _README, re.DOTALL).group(1)
    code, shown = (
        re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL).group(1) for kind in ("py", "text")
    )
    monkeypatch.chdir(_ROOT)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out == shown


def test_the_readme_lists_every_known_law():
    listed = re.search(r"## Known laws\n(.*?)\n## ", _README, re.DOTALL).group(1)
    words = set(re.findall(r"[a-z_]+", listed))
    assert set(jaxllc.known_laws.names()) <= words


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", _README))
def test_links_lead_to_files(target):
    assert os.path.exists(_ROOT / target)
