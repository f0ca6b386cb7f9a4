"""The report: one page that needs nothing else, is well formed, and shows every text as text."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import jaxllc
from jaxllc.errors import InputError
from jaxllc.law.forecast import forecast, hold_out
from jaxllc.law.law import Constant
from jaxllc.law.report import FIGURE_NAMES, figures_of, write_report

_VOID = {"meta", "img", "br", "hr", "link"}


class Balanced(HTMLParser):
    """Checks that tags close in order, and gathers them and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(path):
    page = Balanced()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def page(found_law, epidemic_runs, small_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "law.html"
    early, late = hold_out(epidemic_runs, 0.2)
    write_report(found_law, path, forecast=forecast(found_law, early, late, small_network))
    return path


def test_it_shows_the_law_its_constants_and_its_front(page, found_law):
    text = "\n".join(read(page).texts)
    assert str(found_law) in text
    for constant in found_law.constants:
        assert f"{constant.standard_error:.2g}" in text
    for law in found_law.pareto_table()["law"]:
        assert law in text
    assert "error of no change" in text
    assert "jaxllc.load_law" in text


def test_it_asks_for_nothing_from_elsewhere(page):
    parsed = read(page)
    names = {tag for tag, _ in parsed.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "form"})
    for _, attributes in parsed.tags:
        for value in attributes.values():
            assert not re.match(r"\s*(https?:|//|javascript:)", value or "")
    assert "@import" not in page.read_text()
    assert "url(" not in page.read_text()


def test_its_pictures_are_png_files(page):
    pictures = [attributes for tag, attributes in read(page).tags if tag == "img"]
    assert len(pictures) == 4
    for picture in pictures:
        prefix, data = picture["src"].split(",")
        assert prefix == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert picture["alt"]


def test_the_figures_have_the_names_that_are_known(
    found_law, epidemic_runs, small_network, monkeypatch
):
    """An unfinished law removes figures by these names."""
    for name in ("plot_fit", "plot_forecast", "plot_edges", "plot_terms", "plot_pareto"):
        monkeypatch.setattr(f"jaxllc.plotting.{name}", lambda *_, **__: None)
    shown = forecast(found_law, *hold_out(epidemic_runs, 0.2), small_network)
    law = replace(found_law, edges=object())
    assert tuple(figure.name for figure in figures_of(law, shown)) == tuple(
        name for name in FIGURE_NAMES if name != "forcing"
    )


def test_the_equation_is_drawn_as_mathematics(page):
    names = [tag for tag, _ in read(page).tags]
    assert names.count("math") == 1
    assert "mfrac" in names
    assert "munder" in names


def test_every_text_is_escaped(found_law, tmp_path):
    attack = "<script>alert('&')</script>"
    constant = Constant("x", "self", attack, attack, 1.0, 0.1)
    law = replace(
        found_law,
        constants=(constant,),
        notes=(attack,),
        settings={attack: [attack]},
        seconds={attack: 1.0},
        adjusted_r2={attack: 1.0},
        noise={attack: 1.0},
        data=(),
        covariance=None,
    )
    write_report(law, tmp_path / "law.html", title=attack)
    parsed = read(tmp_path / "law.html")
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "".join(parsed.texts).count(attack) >= 8


def test_a_loaded_law_has_a_report_without_data(found_law, tmp_path):
    found_law.save(tmp_path / "law.json")
    jaxllc.load_law(tmp_path / "law.json").report(tmp_path / "law.html")
    assert [tag for tag, _ in read(tmp_path / "law.html").tags].count("img") == 2


def test_it_appears_whole_or_not_at_all(found_law, tmp_path, monkeypatch):
    from pathlib import Path

    def interrupted(self, text, **_):
        self.write_bytes(text.encode()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(found_law, tmp_path / "law.html", figures=[])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_named(found_law, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        write_report(found_law, tmp_path / "nowhere" / "law.html", figures=[])
