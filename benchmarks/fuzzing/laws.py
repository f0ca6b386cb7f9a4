"""Readers of laws, expressions and what a user says of a law beforehand."""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import damaged_bytes, json_bytes
from fuzzing.reader import DEAR, Case, Readers
from fuzzing.values import TEXTS

READERS = Readers()
_ATOMS = [
    "x_i", "x_j", "y_i", "k_i", "x_s", "w_i", "delta", "K", "1", "2", "0", "0.5", "1e300", "1e-300",
    "9999999999",
    "pi", "3.0", ".5", "1e5", "100000", "-1", "x", "E", "I", "oo", "nan", "zoo", "lambda", "None",
    "__import__",
]  # fmt: skip
_FUNCTIONS = {
    **dict.fromkeys(("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "abs", "sigmoid", "sign", "sinh"), 1),
    **dict.fromkeys(("min", "max"), 2), "hill": 3, "eval": 1, "gamma": 1, "relu": 1,
}  # fmt: skip
_POWERS = ["2", "-1", "0.5", "100", "-100", "101", "x_i", "(1/3)", "1e9", "-0.5", "99", "3"]


def expression_text(r: Random, depth: int) -> str:
    """A random expression; not always one that makes sense."""
    if depth <= 0 or r.random() < 0.2:
        return r.choice(_ATOMS)
    kind = r.randrange(12)
    inside = lambda: expression_text(r, depth - 1)  # noqa: E731
    if kind < 4:
        return inside() + r.choice("+-*/") + inside()
    if kind == 4:
        return f"{inside()}**{inside()}"
    if kind == 5:
        return f"({inside()})**{r.choice(_POWERS)}"
    if kind < 8:
        return f"({inside()})"
    if kind == 8:
        return f"-{inside()}"
    name = r.choice(list(_FUNCTIONS))
    count = _FUNCTIONS[name] if r.random() < 0.95 else r.randrange(11)
    return f"{name}({','.join(inside() for _ in range(count))})"


def _nested(r: Random) -> str:
    """Functions in functions, as deep as a text may go."""
    chain = [r.choice(list(_FUNCTIONS)[:11]) for _ in range(r.choice([1, 2, 3, 4]))]
    depth = r.choice([2, 4, 8, 12, 16])
    opening = "".join(f"{name}(" for name in chain)
    inner = expression_text(r, 1)
    return opening * depth + inner + ")" * (len(chain) * depth)


def _text(r: Random) -> str:
    text = _nested(r) if r.random() < 0.05 else expression_text(r, r.choice([2, 3, 4, 5, 6, 8]))
    if r.random() < 0.3:
        text = damaged_bytes(r, text.encode()).decode("utf-8", "replace")
    return text[: r.choice([200, 2000, 20_001])]


@READERS.add(lambda r: {"text": _text(r)})
def expressions(given: Any) -> str | None:
    from jaxllc.equations.expressions import parse, to_text

    found = parse(given["text"])
    text = to_text(found)
    return None if parse(text) == found else f"its text is read as another expression: {text}"


_MARKS = ["m", "/", "*", "^", "**", "(", ")", "1", "2", "-", "kg", "99", "100", " ", "%", "\u0662",
"\u00b2", "s",
          "rad", "(1/2)", "_", "9", "mol", "µ", "."]  # fmt: skip


@READERS.add(lambda r: {"text": "".join(r.choices(_MARKS, k=r.choice([1, 3, 6, 12, 60, 400])))})
def units(given: Any) -> str | None:
    from jaxllc.knowledge.units import Unit

    found = Unit.read(given["text"])
    return None if Unit.read(str(found)) == found else f"its text is read as another unit: {found}"


def _prior_texts(r: Random) -> Case:
    number = lambda: r.choice(["0", "1", "-1", "", "inf", "nan", "1e400", "9" * 400, "x"])  # noqa: E731
    known = [
        f"{r.choice(['x', 'x', 'y', 'z', ''])}{r.choice([':', ':', ''])}"
        f"{expression_text(r, r.choice([0, 1, 2, 3]))}{r.choice([';', ';', ';;', ''])}"
        f"{expression_text(r, r.choice([0, 1, 2]))}"
        for _ in range(r.choice([0, 1, 1, 2]))
    ]
    names = ["delta", "K", "coefficients", "inner_constants", "x", ""]
    bounds = [f"{r.choice(names)}={number()}:{number()}" for _ in range(r.choice([0, 0, 1, 2]))]
    units = [
        f"{name}={r.choice(['m', 's', '1', 'mol/L', '1/s', 'm**', '2*m', ''])}"
        for name in r.sample(["x", "y", "w", "t", "A", "q"], r.choice([0, 0, 1, 2, 3]))
    ]
    case = {"known": known, "bounds": bounds, "units": units}
    name = r.choice(list(case))
    if case[name] and r.random() < 0.3:
        text = damaged_bytes(r, case[name][0].encode()).decode("utf-8", "replace")
        case[name][0] = text
    case["vary"] = [
        f"{r.choice(['a', 'K', 'x', '', 'a b'])}{r.choice(['', '=', '=node', '=run', '=node=node'])}"
        for _ in range(r.choice([0, 0, 1, 2]))
    ]
    return case


@READERS.add(_prior_texts, DEAR)
def known_terms(given: Any) -> None:
    from jaxllc.commands.prior_arguments import prior_of
    from jaxllc.knowledge.prior_knowledge import PriorKnowledge
    from jaxllc.settings.checks import checked_settings

    choices = prior_of(argparse.Namespace(**given))
    PriorKnowledge.of(checked_settings(None, choices), ("x", "y"), ("w",))


@READERS.add(lambda r: {"text": _times_text(r), "which": r.choice(["times", "range"])})
def simulate_arguments(given: Any) -> str | None:
    from jaxllc.commands import simulate
    from jaxllc.errors import InputError

    read = simulate._range if given["which"] == "range" else simulate._times
    try:
        found = read(given["text"])
    except argparse.ArgumentTypeError as error:
        raise InputError(str(error)) from error
    return None if np.isfinite(found).all() else f"numbers that are not finite: {found[:5]}"


def _times_text(r: Random) -> str:
    parts = [
        "0",
        "1",
        "5",
        "-1",
        "nan",
        "inf",
        "1e308",
        "-1e308",
        "1e3",
        "",
        "x",
        "\u0665",
        "9" * 400,
        "1e-320",
    ]
    text = r.choice([":", ",", ":", " "]).join(r.choices(parts, k=r.choice([1, 2, 3, 3, 3, 4, 9])))
    if r.random() < 0.2:
        text = damaged_bytes(r, text.encode()).decode("utf-8", "replace")
    return text


@cache
def law_trees() -> list[Any]:
    """Laws as the JSON trees of their files: with and without confidence, of one and of two variables."""
    from jaxllc.equations.equation import Equation
    from jaxllc.law.law import Constant, FrontRow, Law
    from jaxllc.law.record import Confidence, Rival, TermFrequency

    gene = ("-1.01*x_i", "x_j**2/(1 + x_j**2)")
    constant = Constant("x", "self", "-x_i", "coefficient", 1.01, 0.02, "1/s")
    confidence = Confidence(
        0.9, (TermFrequency("x", "self", "x_i", True, 0.9),), ((0.9, 1.1),), 200, 4, 7
    )
    plain = Law({"x": Equation.from_text(*gene)})
    rich = Law(
        {"x": Equation.from_text(*gene)},
        constants=(constant,),
        front=(FrontRow(1, 12.0, 20.0, 0.1, {"x": gene}, True),),
        adjusted_r2={"x": 0.99},
        noise={"x": 0.1},
        notes=("a note",),
        seconds={"search": 1.5},
        settings={"seed": 0, "functions": ["exp", "sin"]},
        covariance=np.array([[4e-4]]),
        confidence=confidence,
        rivals=(Rival({"x": gene}, 1, 0.5, 0.1),),
    )
    two = Law(
        {
            "x": Equation.from_text("y_i + tanh(x_s + w_i)", "sin(x_j - x_i)"),
            "v2": Equation.from_text("-v2_i*exp(-x_i)", "0"),
            "y": Equation.from_text("1 + max(x_i, 0)", "hill(y_j, 0.5, 2)*k_j"),
        },
        feature_names=("w",),
    )
    trees = []
    with tempfile.TemporaryDirectory() as folder:
        for law in (plain, rich, two):
            path = Path(folder) / "law.json"
            law.save(path)
            trees.append(json.loads(path.read_text("utf-8")))
    return trees


def _law_file(r: Random) -> Case:
    tree = r.choice(law_trees())
    if r.random() < 0.3:
        tree = json.loads(json.dumps(tree))
        side = r.choice(["self_term", "interaction_term"])
        tree["equations"]["x"][side] = r.choice([*TEXTS, expression_text(r, 3)])
        return {"law.json": json.dumps(tree).encode(), "use": r.random()}
    return {"law.json": json_bytes(r, tree), "use": r.random()}


@READERS.add(_law_file)
def law(given: Any) -> str | None:
    from jaxllc.law.law import load_law

    path, use = given["law.json"], given["use"]
    found = load_law(path)
    str(found)
    if use < 0.3:
        found.summary()
    elif use < 0.35:
        found.latex()
        found.constants_table()
        found.pareto_table()
    elif use < 0.4:
        found.vector_field()
    if use > 0.9:
        again = path.with_name("again.json")
        found.save(again)
        if load_law(again).equations != found.equations:
            return "what save writes is read as another law"
    return None
