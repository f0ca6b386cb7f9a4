"""Beside a fitted skeleton its neighbours are found, with what they leave, and with them the truth."""

from dataclasses import replace

import numpy as np
import pytest

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.pretrained.decoding import allowed_symbols
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.local_search import LocalSearch, ranked, searched
from jaxllc.pretrained.model import ModelSettings, new_model
from jaxllc.pretrained.skeletons.alphabet import KIND, alphabet
from jaxllc.pretrained.skeletons.canonical_form import canonical, identity, joined
from jaxllc.pretrained.skeletons.drawn_functions import FunctionTable
from jaxllc.pretrained.skeletons.fitted_skeleton import starts_of
from jaxllc.pretrained.skeletons.neighbours import Neighbours
from jaxllc.pretrained.skeletons.skeleton_draws import Frame, OneSkeleton
from jaxllc.pretrained.skeletons.starts import fitted
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.forms.search_work import SearchWork
from tests.test_pretrained_engine import ONE, TRUE, X2, XY, X, Y, samples_of, skeleton

SYMBOLS = alphabet(3)
ALLOWED = allowed_symbols(np.array([[True, True, False]]), SYMBOLS)[0]
SMALL = LocalSearch(rounds=2, parents=2, fits=25)


@pytest.mark.parametrize("name", [name for name in TRUE if name != "polynomial"])
def test_the_functions_of_a_fit_are_read_back_from_its_constants(name):
    function, structure, _ = TRUE[name]
    samples = samples_of(function, noise=1e-4)
    (fit,) = fitted(structure, samples, SYMBOLS)
    one = OneSkeleton(structure, Frame(samples, SYMBOLS))
    factors = one.read(fit.skeleton.values)
    (again,) = one.best(factors, *one.solved(factors, 1), 1)
    first, second = (evaluate(s.numeric(), samples.columns) for s in (fit.skeleton, again))
    assert np.abs(first - second).max() < 1e-3 * samples.values.std()


def neighbours(function, structure, noise=1e-2):
    samples = samples_of(function, noise=noise)
    (fit,) = fitted(structure, samples, SYMBOLS)
    frame, rng = Frame(samples, SYMBOLS), np.random.default_rng(0)
    table = FunctionTable(frame, ALLOWED, rng)
    near = Neighbours(structure, fit.skeleton.values, frame, table, ALLOWED, rng)
    return frame, near


def test_neighbours_leave_what_they_are_said_to_leave():
    """Against the residual of the best coefficients, reckoned for each neighbour by itself."""
    structure = skeleton([ONE, X], ([Y], ("reciprocal", [ONE, X])))
    frame, near = neighbours(TRUE["hill"][0], structure)
    found = near.all()
    assert {n.way for n in found} >= {
        "more",
        "fewer",
        "exchanged",
        "built",
        "group",
        "argument",
        "kind",
    }
    for neighbour in found:
        if neighbour.way == "nested":  # by a slope
            continue
        one, factors, _ = starts_of(neighbour, frame)
        with np.errstate(all="ignore"):
            columns = [frame.monomials[m] for m in one.base]
            for group, (_, outer) in zip(factors, one.groups, strict=True):
                product = np.prod([f.values[0] for f in group], axis=0)
                columns += [product * frame.monomials[m] for m in outer]
        matrix = np.array(columns).T * frame.weight[:, None]
        target = frame.values * frame.weight
        # A second function takes the coefficients of the group as they are.
        rest = target - matrix @ np.linalg.lstsq(matrix, target, rcond=1e-12)[0]
        left = np.mean(rest**2)
        if neighbour.way == "product":
            assert left <= neighbour.mean_square * (1 + 1e-3)
        else:
            assert neighbour.mean_square == pytest.approx(left, rel=1e-2, abs=1e-3)


def test_no_neighbour_holds_what_may_not_be_written():
    allowed = ALLOWED.copy()
    allowed[: SYMBOLS.num_monomials] &= SYMBOLS.exponents.max(1) <= 2
    for name in ("sin", "abs", "log"):
        allowed[SYMBOLS.symbol_of(KIND[name])] = False
    samples = samples_of(TRUE["gate"][0])
    structure = TRUE["gate"][1]
    (fit,) = fitted(structure, samples, SYMBOLS)
    frame, rng = Frame(samples, SYMBOLS), np.random.default_rng(0)
    table = FunctionTable(frame, allowed, rng)
    found = Neighbours(structure, fit.skeleton.values, frame, table, allowed, rng).all()
    forms, _ = canonical(joined([n.structure for n in found]), SYMBOLS)
    used = forms.base | forms.outer.any(1) | (forms.argument | forms.inner).any((1, 2))
    assert not used[:, ~allowed[: SYMBOLS.num_monomials]].any()
    for name in ("abs", "log"):
        assert not (forms.kind == KIND[name]).any()
        assert not (forms.inner_kind == KIND[name]).any()


BESIDE = {
    "a term less": ("hill", skeleton([], ([Y], ("reciprocal", [ONE, X2])))),
    "a term more": ("root", skeleton([X, XY], ([Y], ("sqrt", [ONE, X])))),
    "another argument": ("hill", skeleton([ONE], ([Y], ("reciprocal", [ONE, X])))),
    "another function": ("gate", skeleton([], ([ONE, X], ("exp", [Y])))),
    "a factor less": ("two factors", skeleton([], ([X], ("exp", [X])))),
    "a group less": ("hinge", skeleton([X])),
    "a function inside": ("nested", skeleton([], ([Y], ("reciprocal", [ONE, X])))),
}


@pytest.mark.parametrize("case", BESIDE)
def test_the_truth_is_found_beside(case):
    name, start = BESIDE[case]
    function, truth, _ = TRUE[name]
    samples = samples_of(function)
    fits = fitted(start, samples, SYMBOLS)
    structures, found = searched(start, fits, samples, SYMBOLS, ALLOWED, SMALL)
    assert len(set(identity(structures))) == len(structures)
    best = [f.number for f in ranked(found, samples)[:20]]
    assert identity(truth)[0] in identity(structures)[best]


def test_a_search_is_the_same_each_time_and_ends_with_its_work():
    name, start = BESIDE["a group less"]
    samples = samples_of(TRUE[name][0])
    fits = fitted(start, samples, SYMBOLS)

    def numbers():
        structures, found = searched(start, fits, samples, SYMBOLS, ALLOWED, SMALL, seed=3)
        return list(identity(structures)), [f.mean_square for f in found]

    assert numbers() == numbers()
    work = SearchWork(0.0)
    with work.current():
        assert len(numbers()[0]) == 1


def test_an_engine_searches_within_its_grammar():
    settings = ModelSettings(width=16, blocks=1, decoder_width=16, layers=1, heads=2)
    engine = PretrainedEngine(new_model(settings, seed=4), width=12, views=2, search=SMALL, first=6)
    samples = samples_of(TRUE["gate"][0])
    grammar = Grammar(functions=("tanh",), division=False, largest_power=2)
    found = engine.propose(samples, grammar, 3, np.inf)
    plain = replace(engine, search=None).propose(samples, grammar, 3, np.inf)
    assert all(operators_in(e) <= {"tanh"} for e in found)

    def least(proposals):
        return min(np.std(evaluate(e, samples.columns) - samples.values) for e in proposals)

    assert least(found) < 0.5 * least(plain)
