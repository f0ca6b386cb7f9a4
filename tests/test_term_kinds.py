"""Kinds of terms that no library lists are among what the enumeration proposes, with the grids they need."""

import numpy as np
import pytest

from jaxllc.search.engines.dictionary import build_dictionary, single_functions
from jaxllc.search.engines.enumeration import EnumerationEngine
from jaxllc.search.engines.subset_beam import Columns, beam
from jaxllc.search.forms.function_atoms import Argument, atoms_of
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.term.term_judge import TermJudge
from tests.test_term_search import samples_of, values_of

# Function of both inputs, and the functions that a search may use: few, so that it is quick.
KINDS = {
    "power law": (lambda x, y: 1.4 * x**1.3 - 0.8 * y, ("sqrt",), False),
    "two powers": (lambda x, y: 0.8 * x**1.3 * y**0.65, ("sqrt",), False),
    "roots": (lambda x, y: x - 1.6 * np.sqrt(x * y) + y, ("sqrt",), False),
    "logarithm": (lambda x, y: 1.2 * np.log(1 + 2.5 * x) - 0.4 * y, ("log",), False),
    "ratio in a logarithm": (lambda x, y: np.log((0.4 + x) / (1.3 + y)), ("log",), True),
    "rise": (lambda x, y: (1 - np.exp(-1.4 * x)) * np.exp(-0.5 * y), ("exp",), False),
    "saturating": (lambda x, y: 2 * np.tanh(3 * x) * y / (0.7 + y), ("tanh",), True),
    "saturating and decaying": (
        lambda x, y: 3.9 * x / (0.79 + x) * np.exp(-1.4 * y) - 0.55 * x,
        ("exp",),
        True,
    ),
    "harmonics": (lambda x, y: np.sin(2 * x) - 0.6 * np.sin(4 * x) + 0.3 * y, ("sin",), False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_judge_finds_the_kind_among_the_proposals(kind):
    function, functions, division = KINDS[kind]
    samples = samples_of(function, low=0.1, num=150)
    grammar = Grammar(functions, division=division)
    found = EnumerationEngine().propose(samples, grammar, 0, np.inf)
    best = TermJudge(samples, grammar).judge([(e, "mine") for e in found])[0]
    rest = samples.values - values_of(best.skeleton.numeric(), samples)
    assert np.mean((rest / samples.error) ** 2) < 1.5


def test_no_power_is_taken_of_what_may_be_nought_or_negative():
    grammar = Grammar(("sqrt",))
    for low, wanted in ((0.1, True), (0.0, False), (-1.0, False)):
        samples = samples_of(lambda x: x, ("x_i",), low=low, num=40)
        points = np.append(samples.points[:, 0], low)
        atoms = list(atoms_of(Argument(samples.columns.popitem()[0], points), grammar))
        assert any(a.family.startswith("power") for a in atoms) == wanted
        assert all(np.isfinite(a.values).all() for a in atoms if a.family.startswith("power"))


def test_features_are_written_as_what_their_columns_hold():
    samples = samples_of(lambda x, y: x + y, low=0.2, num=30)
    for dictionary in (build_dictionary(samples, Grammar()), single_functions(samples, Grammar())):
        size = dictionary.starts[-1]
        for position in range(0, size, max(size // 150, 1)):
            column = dictionary.values(position)
            written = values_of(dictionary.expression(position), samples)
            np.testing.assert_allclose(written, column, rtol=1e-8, atol=1e-9)


def test_a_set_may_hold_two_harmonics_of_one_input():
    samples = samples_of(lambda x: np.sin(2 * x) + 0.5 * np.sin(4 * x), ("x_i",), num=100)
    dictionary = build_dictionary(samples, Grammar(("sin",), division=False))
    columns = Columns(*dictionary.columns(), 1 / samples.error)
    best = beam(columns, samples.values / samples.error, 2, 12, 60.0, 2.5)[-1]
    pair = [dictionary.expression(p) for p in best.positions]
    assert all(operators_in(e) == {"sin"} for e in pair)
