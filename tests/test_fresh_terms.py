"""Terms of kinds that no table lists, drawn anew by the benchmark of the search for one term."""

import pytest

from jaxllc.errors import InputError
from tests.benchmark_modules import benchmark_module

fresh_terms = benchmark_module("fresh_terms")
fair_targets = benchmark_module("fair_targets")


def test_fresh_terms_are_fair_and_the_same_for_one_seed(monkeypatch):
    monkeypatch.setattr(fresh_terms, "NUM_TERMS", 8)
    monkeypatch.setattr(fresh_terms, "hidden", lambda target: target.name)  # which takes seconds
    drawn = fresh_terms.fresh_terms("develop", 5)
    assert drawn == fresh_terms.fresh_terms("develop", 5)
    assert drawn != fresh_terms.fresh_terms("develop", 6)
    assert [t.family for t in drawn] == [f"develop {kind}" for kind in fresh_terms.KINDS]
    for one in drawn:
        size = fair_targets.operators(one.expression)
        assert fair_targets.reason_to_refuse(one, size) == ""
        assert {s.name for s in one.expression.free_symbols} == set(one.variables)


def test_an_unknown_generator_is_a_sentence():
    with pytest.raises(InputError, match="no generator 'tuned'; choose from develop, judge"):
        fresh_terms.fresh_terms("tuned")
