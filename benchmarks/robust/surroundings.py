"""Odd surroundings: locale C, no HOME, no folder for temporary files, names that would be code in a page."""

from __future__ import annotations

import csv
import html.parser
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from robust.command import run
from robust.problems import Problem
from robust.table import Row

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>", "&lt;b&gt;",
    '=HYPERLINK("http://evil")', "+1+1", "@SUM(A1)", "$\\frac{", "%n", "\u202eabc", "]]>", "<!--",
    "</pre></section>", 'a"b', "a,b", "\u03b1\u03b2",
]  # fmt: skip


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """A row for each."""
    problem = Problem(folder)
    for what, before in _SURROUNDINGS.items():
        out = folder / what.replace(" ", "-")
        ended = run(problem.discover(out), before=before)
        seen = f"exit code {ended.code}: {ended.last[-120:]}" if ended.code else "exit code 0"
        good = ended.code == 0 and "Traceback" not in ended.text
        yield Row("around", f"discover: {what}", "exit code 0", seen, good)
        out = folder / f"train-{what.replace(' ', '-')}"
        ended = run(problem.train(out, "--epochs", "60"), before=before)
        seen = f"exit code {ended.code}: {ended.last[-120:]}" if ended.code else "exit code 0"
        yield Row("around", f"train: {what}", "exit code 0", seen, ended.code == 0)
    yield from _hostile_names(folder)


def _environment(**values: str | None) -> Callable[[], None]:
    def change() -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        tempfile.tempdir = None

    return change


def _no_working_folder() -> None:
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    os.rmdir(gone)


_SURROUNDINGS: dict[str, Callable[[], None]] = {
    "locale C": _environment(LC_ALL="C", LANG="C", PYTHONUTF8=None, PYTHONIOENCODING="ascii"),
    "no HOME": _environment(
        HOME=None, XDG_CACHE_HOME=None, XDG_CONFIG_HOME=None, MPLCONFIGDIR=None
    ),
    "HOME that is not there": _environment(HOME="/nowhere/at/all", MPLCONFIGDIR=None),
    "TMPDIR that is not there": _environment(TMPDIR="/nowhere/at/all"),
    "a working folder that has gone": _no_working_folder,
    "one column of terminal": _environment(COLUMNS="1", LINES="1", TERM="dumb"),
}


class _Page(html.parser.HTMLParser):
    """Tags and attributes that would run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "svg", "iframe", "object", "link"):
            self.bad.append(tag)
        for name, value in attributes:
            outside = name in ("src", "href") and not (value or "").startswith(("data:image/", "#"))
            if name.startswith("on") or outside:
                self.bad.append(f"{tag} {name}={value}")


def _hostile_names(folder: Path) -> Iterator[Row]:
    inside = folder / "hostile"
    inside.mkdir()
    problem = Problem(inside, HOSTILE)
    out = folder / "hostile-out"
    ended = run(problem.discover(out, "--hold-out", "0.2"))
    seen = f"exit code {ended.code}: {ended.last[-120:]}" if ended.code else "exit code 0"
    yield Row("around", "discover: nodes named like code", "exit code 0", seen, ended.code == 0)
    page = _Page()
    if (out / "report.html").exists():
        page.feed((out / "report.html").read_text("utf-8"))
    yield Row(
        "around",
        "its report.html",
        "no script, nothing from outside",
        str(page.bad or "none"),
        not page.bad,
    )
    formulas = []
    for path in out.glob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            formulas += [
                cell for row in csv.reader(file) for cell in row if cell[:1] in ("=", "@", "\t")
            ]
    yield Row(
        "around",
        "its CSV files",
        "no cell that a spreadsheet runs",
        str(formulas or "none"),
        not formulas,
    )
