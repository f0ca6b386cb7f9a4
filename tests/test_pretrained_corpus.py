"""Skeletons have one form, strings tell them, and the corpus is the same for the same seed."""

import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.pretrained.descriptors import describe
from jaxllc.pretrained.skeletons.alphabet import KIND, LENGTH, alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    Structures,
    canonical,
    empty,
    family,
    identity,
    renamed,
)
from jaxllc.pretrained.skeletons.strings import lengths, strings, structures_of, text
from jaxllc.pretrained.training.corpus import Corpus, CorpusSettings
from jaxllc.pretrained.training.corpus_structures import draw_structures, held_out
from jaxllc.pretrained.training.corpus_values import monomials_at


@pytest.fixture(scope="module", params=[1, 3, 5])
def symbols(request):
    return alphabet(request.param)


@pytest.fixture(scope="module")
def drawn(symbols):
    return draw_structures(np.random.default_rng(0), 200, symbols)


def skeleton(symbols, base=(), groups=()):
    """One skeleton from names: groups of (outer, kind, argument), monomials as exponents."""
    one = empty(1, symbols.num_monomials)
    for e in base:
        one.base[0, symbols.index[e]] = True
    for g, (outer, kind, argument) in enumerate(groups):
        one.kind[0, g, 0] = KIND[kind]
        for e in outer:
            one.outer[0, g, symbols.index[e]] = True
        for e in argument:
            one.argument[0, g, 0, symbols.index[e]] = True
    return one


ONE, X, Y, X2 = (0, 0), (1, 0), (0, 1), (2, 0)


@pytest.mark.parametrize(
    ("written", "canonical_form"),
    [
        (([], [([ONE], "cos", [ONE, X])]), ([], [([ONE], "sin", [ONE, X])])),
        (([], [([ONE], "exp", [ONE, X])]), ([], [([ONE], "exp", [X])])),
        (([ONE], [([ONE], "tanh", [X])]), ([ONE], [([ONE], "sigmoid", [X])])),
        (([], [([ONE], "tanh", [X])]), ([], [([ONE], "tanh", [X])])),
        # x^2/(1 + x^2) and a constant is a constant and 1/(1 + x^2)
        (
            ([ONE], [([X2], "reciprocal", [ONE, X2])]),
            ([ONE], [([ONE], "reciprocal", [ONE, X2])]),
        ),
        # x^2/(1 + x) with x and a constant beside it is divided twice
        (
            ([ONE, X], [([X2], "reciprocal", [ONE, X])]),
            ([ONE, X], [([ONE], "reciprocal", [ONE, X])]),
        ),
        (([Y], [([X2], "reciprocal", [ONE, X2])]), ([Y], [([X2], "reciprocal", [ONE, X2])])),
        (([], [([ONE], "log", [X2])]), ([], [([ONE], "log", [X])])),
        # Groups and factors stand in one order.
        (
            ([], [([ONE], "exp", [X]), ([Y], "sin", [X])]),
            ([], [([Y], "sin", [X]), ([ONE], "exp", [X])]),
        ),
    ],
)
def test_forms_of_one_function_have_one_string(written, canonical_form):
    symbols = alphabet(2)
    found, good = canonical(skeleton(symbols, *written), symbols)
    expected = skeleton(symbols, *canonical_form)
    assert good.all()
    assert text(found, symbols) == text(expected, symbols)
    assert identity(found) == identity(expected)


@pytest.mark.parametrize(
    "written",
    [
        ([], []),
        ([], [([ONE], "sin", [ONE])]),
        ([ONE], [([], "sin", [X])]),
        ([], [([ONE], "sqrt", [X2])]),
        ([], [([X2], "reciprocal", [X])]),
        ([], [([ONE], "power", [X2])]),
    ],
)
def test_what_is_no_skeleton_is_told(written):
    symbols = alphabet(2)
    _, good = canonical(skeleton(symbols, *written), symbols)
    assert not good.any()


def test_canonical_skeletons_stay_as_they_are(drawn, symbols):
    again, good = canonical(drawn, symbols)
    assert good.all()
    assert np.array_equal(strings(again, symbols), strings(drawn, symbols))


def test_renaming_variables_and_bringing_to_canonical_form_commute(drawn, symbols):
    for places in symbols.permutations[:: max(1, len(symbols.permutations) // 5)]:
        moved, good = canonical(renamed(drawn, places), symbols)
        assert good.all()
        assert np.array_equal(identity(moved), identity(drawn, places))
        assert np.array_equal(family(moved, symbols), family(drawn, symbols))
        assert np.array_equal(held_out(moved, symbols), held_out(drawn, symbols))


def test_the_order_of_groups_has_no_part_in_the_form(drawn, symbols):
    order = [2, 0, 1]
    base, outer, kind, argument, inner_kind, inner = drawn
    turned = (
        outer[:, order],
        kind[:, order],
        argument[:, order],
        inner_kind[:, order],
        inner[:, order],
    )
    shuffled = Structures(base, *turned)
    again, _ = canonical(shuffled, symbols)
    assert np.array_equal(strings(again, symbols), strings(drawn, symbols))


def test_strings_are_read_back_as_they_were_written(drawn, symbols):
    written = strings(drawn, symbols)
    assert np.array_equal((written != symbols.padding).sum(1), lengths(drawn))
    for part, again in zip(drawn, structures_of(written, symbols), strict=True):
        assert np.array_equal(part, again)
    distinct = np.unique(written, axis=0)
    assert len(distinct) == len(np.unique(identity(drawn)))


def test_what_the_automaton_lets_through_can_be_read_and_ends_in_time(symbols):
    rng = np.random.default_rng(1)
    automaton = symbols.automaton
    walks = []
    for _ in range(100):
        state, last, walk = 0, -1, []
        while len(walk) < LENGTH:
            after = automaton.follows[state]
            allowed = (after >= 0) & (np.arange(symbols.size) != symbols.padding)
            allowed &= automaton.remaining[after] <= LENGTH - len(walk) - 1
            allowed[: last + 1] = False
            if not allowed.any():
                break
            symbol = int(rng.choice(np.flatnonzero(allowed)))
            walk.append(symbol)
            last = symbol if symbol < symbols.num_monomials else -1
            state = automaton.follows[state, symbol]
        if walk[-1] == symbols.end:
            walks.append(walk)
    assert len(walks) > 80
    for walk, one in zip(walks, text(structures_of(walks, symbols), symbols), strict=True):
        assert one, walk


def test_a_string_that_breaks_the_rules_is_refused():
    symbols = alphabet(2)
    for wrong in ([symbols.end], [2, 1, symbols.end], [1], [1, symbols.colon], [1, 999]):
        with pytest.raises(InputError, match="string 0"):
            structures_of([wrong], symbols)


def test_an_alphabet_has_at_most_six_variables():
    with pytest.raises(InputError, match="at most 6"):
        alphabet(7)


def test_batches_depend_on_seed_and_number_only():
    first, again = Corpus(seed=3).batch(5, 64), Corpus(seed=3).batch(5, 64)
    for a, b in zip(first[:5], again[:5], strict=True):
        assert np.array_equal(a, b)
    for other in (Corpus(seed=4).batch(5, 64), Corpus(seed=3).batch(6, 64)):
        assert not np.array_equal(first.strings, other.strings)


def test_held_out_skeletons_are_not_in_the_other_split():
    seen, other = (Corpus(seed=0, split=s) for s in ("seen", "held-out"))
    symbols = seen.settings.alphabet
    names = [{*family(c.batch(k, 200).structures, symbols)} for c in (seen, other) for k in (0, 1)]
    trained, held = names[0] | names[1], names[2] | names[3]
    assert len(held) > 60
    assert not trained & held


def test_strings_of_a_batch_tell_its_structures():
    batch = Corpus(seed=0).batch(0, 128)
    symbols = alphabet(3)
    assert np.array_equal(strings(batch.structures, symbols), batch.strings)
    assert np.all(batch.points[~batch.present] == 0)
    assert np.isfinite(batch.values).all()


def test_exact_values_of_polynomials_are_combinations_of_their_monomials():
    corpus = Corpus(CorpusSettings(exact=1.0, points=(64,)), seed=1)
    batch, symbols = corpus.batch(0, 200), corpus.settings.alphabet
    columns = monomials_at(batch.points.astype(float), symbols)
    polynomials = np.flatnonzero(~batch.structures.kind.any((1, 2)))
    assert len(polynomials) > 20
    for b in polynomials:
        used = columns[b, batch.structures.base[b]].T
        weights, *_ = np.linalg.lstsq(used, batch.values[b], rcond=None)
        assert np.abs(used @ weights - batch.values[b]).max() < 1e-4 * np.abs(batch.values[b]).max()
        assert np.all(np.abs(weights) > 1e-3)


def test_errors_have_the_level_that_was_asked_for():
    exact = Corpus(CorpusSettings(exact=1.0, points=(64,))).batch(0, 256)
    noisy = Corpus(CorpusSettings(exact=0.0, points=(64,), error=(0.01, 0.01))).batch(0, 256)
    assert np.array_equal(exact.strings, noisy.strings)
    spread = exact.values.std(1)
    varies = spread > 1e-6  # a constant has errors relative to its size
    assert varies.mean() > 0.9
    level = (noisy.values - exact.values).std(1)[varies] / spread[varies]
    assert np.median(level) == pytest.approx(0.01, rel=0.1)
    assert np.all(exact.error == 0)
    np.testing.assert_allclose(noisy.error[varies], 0.01 * spread[varies], rtol=1e-3, atol=1e-7)


def test_unusable_settings_are_refused():
    with pytest.raises(InputError, match="points"):
        CorpusSettings(points=(4,))
    with pytest.raises(InputError, match="error"):
        CorpusSettings(error=(0.1, 0.01))
    with pytest.raises(InputError, match="split"):
        Corpus(split="test")


# --- descriptions ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batch():
    return Corpus(CorpusSettings(points=(96,)), seed=2).batch(0, 64)


def test_descriptions_do_not_depend_on_the_order_of_samples_or_on_units(batch):
    symbols = alphabet(3)
    plain = describe(batch.points, batch.values, batch.present, symbols)
    order = np.random.default_rng(0).permutation(96)
    shuffled = describe(batch.points[..., order], batch.values[:, order], batch.present, symbols)
    scaled = describe(7.0 * batch.points, 0.2 * batch.values, batch.present, symbols)
    for other in (shuffled, scaled):
        assert np.quantile(np.abs(other - plain).max(1), 0.5) < 0.02
        assert np.abs(other - plain).mean() < 1e-3


def test_descriptions_disregard_variables_that_are_no_inputs(batch):
    symbols = alphabet(3)
    plain = describe(batch.points, batch.values, batch.present, symbols)
    filled = np.where(batch.present[..., None], batch.points, 5.0).astype(np.float32)
    assert np.array_equal(describe(filled, batch.values, batch.present, symbols), plain)


def test_descriptions_tell_what_a_cubic_explains():
    symbols = alphabet(3)
    x = np.random.default_rng(0).uniform(-1, 2, (1, 3, 200)).astype(np.float32)
    there = np.ones((1, 3), bool)
    cubic = x[:, 0] - x[:, 0] ** 2 * x[:, 1] + 0.3 * x[:, 2]
    both = describe(
        np.repeat(x, 2, 0), np.concatenate([cubic, np.abs(x[:, 0])]), there[[0, 0]], symbols
    )
    # The levels of the fits come with the number of their coefficients between them.
    linear, quadratic, cubic_fit = 0, 1 + 4, 1 + 4 + 1 + 10
    assert both[0, cubic_fit] < -1.5 < -0.2 < both[0, quadratic] < both[0, linear] + 0.1
    assert both[1, cubic_fit] > 0.0
