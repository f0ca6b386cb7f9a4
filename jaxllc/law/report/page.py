"""Pieces of an HTML page: every text that goes in is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxllc.law.report.law_figures import LawFigure

_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #5c6670; --line: #e2e6ea; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f8; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header h1 { font-size: 2rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
header p { color: var(--soft); margin: 0.4rem 0 1.6rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 1.25rem 1.5rem; margin: 0 0 1.1rem; overflow-x: auto; }
h2 { font-size: 1.1rem; margin: 0 0 0.8rem; }
.equations math { font-size: 1.35rem; margin: 0.6rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; }
.cards b { display: block; font-size: 1.5rem; color: var(--accent); font-weight: 600; }
.cards span { color: var(--soft); font-size: 0.85rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
th, td { padding: 0.4rem 0.8rem 0.4rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 0.86rem; }
.marked td { background: #e8f2f9; font-weight: 600; }
pre { background: #f4f6f8; border-radius: 8px; padding: 0.8rem 1rem; margin: 0.8rem 0 0;
  overflow-x: auto; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
figure { margin: 0; } figcaption, p { color: var(--soft); font-size: 0.9rem; margin: 0.7rem 0 0; }
p.note { color: var(--ink); border-left: 3px solid #e69f00; padding-left: 0.8rem; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""


def page(title: str, subtitle: str, body: str) -> str:
    """The whole document; `body` is HTML already, made by the functions below."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>\n{body}\n"
        "</main>\n</body>\n</html>\n"
    )


def section(title: str, body: str) -> str:
    """A box on the page, with a heading unless `title` is empty."""
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f"<section>{heading}{body}</section>"


def cards(numbers: Sequence[tuple[str, str]]) -> str:
    """Numbers to see first, each with its meaning."""
    inside = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in numbers
    )
    return f'<div class="cards">{inside}</div>'


def paragraphs(texts: Sequence[str], style: str = "") -> str:
    """One paragraph for each text."""
    attribute = f' class="{escape(style)}"' if style else ""
    return "".join(f"<p{attribute}>{escape(text)}</p>" for text in texts)


def code(text: str) -> str:
    """Text to copy, in the font of code."""
    return f"<pre>{escape(text)}</pre>"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[int] = (),
    code: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> str:
    """A table of texts; `numeric` columns stand right, `code` columns in the font of code, `marked`
    rows are set off."""

    def style(column: int) -> str:
        names = [n for n, of in (("number", numeric), ("code", code)) if column in of]
        return f' class="{" ".join(names)}"' if names else ""

    head = "".join(f"<th{style(n)}>{escape(name)}</th>" for n, name in enumerate(header))
    lines = []
    for r, row in enumerate(rows):
        cells = "".join(f"<td{style(n)}>{escape(cell)}</td>" for n, cell in enumerate(row))
        mark = ' class="marked"' if r in marked else ""
        lines.append(f"<tr{mark}>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def figure_html(figure: LawFigure) -> str:
    """A figure inside the page, as a PNG in base64."""
    data = base64.b64encode(figure.png()).decode("ascii")
    return (
        f'<figure><img alt="{escape(figure.title)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )
