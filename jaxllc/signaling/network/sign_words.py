"""The words, symbols and numbers by which tables of edges say how an edge acts.

Those of SIF and CARNIVAL files, OmniPath, SIGNOR, KEGG, TRRUST and Pathway Commons, case, blanks and
underscores aside; several in one cell are joined by ; , | or /.
"""

import math
import re

from jaxllc.errors import nearest_match

BOTH = 2  # a cell that says both, as "activation; inhibition" does

_NOT_SAID = ("", "0", "0.0", "na", "n/a", "nan", "none", "null", "?", "--", "unknown")
_SIGN_OF_WORD = {
    **dict.fromkeys(("1", "+1", "1.0", "+", "->", "-->", "→", "activates", "activate"), 1),
    **dict.fromkeys(("activation", "activating", "activator", "stimulates", "stimulate"), 1),
    **dict.fromkeys(("stimulation", "stimulating", "stimulatory", "induces", "induction"), 1),
    **dict.fromkeys(("increases", "increase", "positive", "pos", "agonist"), 1),
    **dict.fromkeys(("up", "up-regulates", "upregulates", "up-regulation", "upregulation"), 1),
    **dict.fromkeys(("expression", "enhances", "promotes"), 1),
    **dict.fromkeys(("-1", "-1.0", "−1", "-", "-|", "--|", "⊣", "inhibits", "inhibit"), -1),
    **dict.fromkeys(("inhibition", "inhibiting", "inhibitor", "inhibitory", "represses"), -1),
    **dict.fromkeys(("repression", "repressor", "suppresses", "suppression", "decreases"), -1),
    **dict.fromkeys(("decrease", "negative", "neg", "antagonist", "reduces", "blocks"), -1),
    **dict.fromkeys(("down", "down-regulates", "downregulates", "down-regulation"), -1),
    "downregulation": -1,
    **dict.fromkeys(_NOT_SAID, 0),
    **dict.fromkeys(("unsigned", "directed", "interacts", "interacts-with", "binds"), 0),
    **dict.fromkeys(("binding", "regulates", "pp", "pd"), 0),  # pp, pd: the usual words of SIF
    **dict.fromkeys(("regulation", "undetermined", "unspecified", "not-determined", "other"), 0),
    **dict.fromkeys(("form-complex", "complex", "association", "dissociation"), 0),
    **dict.fromkeys(("phosphorylation", "dephosphorylation", "ubiquitination", "cleavage"), 0),
    **dict.fromkeys(("methylation", "glycosylation", "acetylation", "ubiquination"), 0),
    **dict.fromkeys(("indirect-effect", "state-change", "compound", "missing-interaction"), 0),
    **dict.fromkeys(("controls-state-change-of", "controls-transport-of", "in-complex-with"), 0),
    **dict.fromkeys(("controls-phosphorylation-of", "controls-expression-of"), 0),
    **dict.fromkeys(("catalysis-precedes", "neighbor-of", "controls-production-of"), 0),
}
# SIGNOR goes on with what is regulated: "up-regulates quantity by expression".
_BEGINNINGS = {"up-regulates-": 1, "down-regulates-": -1}
_PARTS = re.compile(r"[;,|/]")
_JOINED = re.compile(r".*[A-Za-z].*|[+-][;,/][+-]")  # not an arrow such as ->|


def sign_of_word(cell: str) -> int | None:
    """1, -1, 0 if the cell says that the sign is not known, BOTH, or None for a cell that is no such word."""
    sign = _sign_of_one(cell)
    if sign is not None or not _JOINED.fullmatch(cell):
        return sign
    parts = [_sign_of_one(part) for part in _PARTS.split(cell) if part.strip()]
    if not parts or None in parts:
        return None
    signs = {part for part in parts if part}
    return BOTH if len(signs) > 1 else (signs.pop() if signs else 0)


def sign_of_number(cell: str) -> int | None:
    """The sign of a number, 0 where nothing is said, None for any other text."""
    if cell.lower() in _NOT_SAID:
        return 0
    try:
        number = float(cell)
    except ValueError:
        return None
    return None if not math.isfinite(number) else (number > 0) - (number < 0)


def sign_of_mode(cell: str) -> int | None:
    """The sign of a word or of a number, as in a column mor (mode of regulation)."""
    sign = sign_of_word(cell)
    return sign_of_number(cell) if sign is None else sign


def near_sign_word(cell: str) -> str:
    """A clause with the nearest word, unless the cell is too short to say."""
    return nearest_match(cell, (word for word in _SIGN_OF_WORD if len(word) > 3))


def _sign_of_one(cell: str) -> int | None:
    word = "-".join(cell.lower().replace("_", " ").split())
    if word in _SIGN_OF_WORD:
        return _SIGN_OF_WORD[word]
    return next((sign for start, sign in _BEGINNINGS.items() if word.startswith(start)), None)
