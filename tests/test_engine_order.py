"""The engines of a search are asked in their order, until one explains the samples plainly."""

import numpy as np
import sympy

from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term import term_search
from jaxllc.search.term.term_search import search_term


def test_what_an_engine_explains_with_many_constants_does_not_end_the_search(monkeypatch):
    asked = []

    class Asked:
        plain = 1

        def __init__(self, name, expression):
            self.name, self.expression = name, expression

        def propose(self, samples, grammar, seed, deadline):
            asked.append(self.name)
            return [self.expression]

    x = sympy.Symbol("x")
    points = np.linspace(0.5, 2.0, 60)[:, None]
    answers = {
        "short": Asked("short", 2.1 * x),
        "long": Asked("long", 1.9 * x + 0.1 * x**2 + 0.3),
        "sparse": Asked("sparse", 2.0 * x),
    }
    monkeypatch.setattr(term_search, "term_engine", answers.__getitem__)
    for first, true, wanted in (
        ("short", 2.0 * points[:, 0], ["short"]),
        ("long", 2.0 * points[:, 0] + 0.2 * points[:, 0] ** 2 + 0.5, ["long", "sparse"]),
    ):
        asked.clear()
        samples = Samples.of(["x"], points, true, 0.01)
        search_term(samples, [first, "sparse"], seconds=60.0)
        assert asked == wanted
