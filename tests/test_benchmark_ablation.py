"""The benchmark of the parts of the neural road: errors of nets, what is exchanged, and what it prints."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxllc
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.equations.equation import Equation
from jaxllc.neural.neural_fit import TermSamples
from jaxllc.neural.structures import EITHER_END, Structure
from jaxllc.search.term import term_search
from tests.benchmark_modules import benchmark_module

road = benchmark_module("ablation_road")
ablation = benchmark_module("ablation")

X = np.random.default_rng(0).uniform(0.5, 3.0, (300, 2))
STRENGTH = np.random.default_rng(1).integers(1, 6, 300).astype(float)
LAW = SimpleNamespace(equations={"x": Equation.from_text("1 - x_i", "2*x_i*x_j")})
OVER_STRENGTH = SimpleNamespace(equations={"x": Equation.from_text("1 - x_i", "x_j/k_i")})


def nets(f, g, normalised=False):
    """Nets with these values at the points of X; over k_i, samples of the interaction are, too."""
    nothing = np.zeros(len(X))
    names, points = ("x_i", "x_j"), X
    if normalised:
        names, points, g = (*names, "k_i"), np.column_stack([X, STRENGTH]), g / STRENGTH
    own = TermSamples(("x_i",), X[:, :1], {"x": f}, {"x": nothing})
    pair = TermSamples(names, points, {"x": g}, {"x": nothing})
    structure = Structure("sender", True) if normalised else EITHER_END
    return SimpleNamespace(sample_terms=lambda *_: (own, pair), structure=structure)


def errors_of(fit, known, network):
    found = road.true_errors(fit, known, network, 0)
    return found[SELF]["x"], found[INTERACTION]["x"]


@pytest.fixture
def uneven():
    return jaxllc.generators.barabasi_albert(12, 2, seed=0)


def ring(size=8):
    """Every node has two senders, so that a constant may stand in either term."""
    return jaxllc.Network.from_edges(
        range(size), [(i + 1) % size for i in range(size)], undirected=True
    )


def test_an_error_is_told_in_units_of_the_true_term(uneven):
    f, g = 1 - X[:, 0], 2 * X[:, 0] * X[:, 1]
    assert errors_of(nets(f, g), LAW, uneven) == (0.0, 0.0)
    assert errors_of(nets(1.1 * f, 0.8 * g), LAW, uneven) == pytest.approx((0.1, 0.2))


def test_a_constant_that_may_stand_in_either_term_is_no_error(uneven):
    f, g = 1 - X[:, 0], 2 * X[:, 0] * X[:, 1]
    moved = nets(f - 2 * 0.7, g + 0.7)  # two senders
    assert errors_of(moved, LAW, ring()) == pytest.approx((0.0, 0.0), abs=1e-12)
    told = errors_of(moved, LAW, uneven)
    assert told[1] == pytest.approx(0.7 / np.sqrt(np.mean(g**2)))
    assert told[0] == pytest.approx(1.4 / np.sqrt(np.mean(f**2)))


def test_over_the_strength_a_constant_is_no_error_either(uneven):
    f, g = 1 - X[:, 0], X[:, 1]
    moved = nets(f - 0.7, g + 0.7, normalised=True)
    assert errors_of(moved, OVER_STRENGTH, uneven) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_net_that_does_not_read_what_the_law_does_has_no_error_to_tell(uneven):
    assert np.isnan(errors_of(nets(X[:, 0], X[:, 1]), OVER_STRENGTH, uneven)).all()


def test_growth_is_back_after_a_search_without_it():
    before = term_search.grown
    with road._grown(False):
        assert term_search.grown(None, ["as it was"], rounds=4) == ["as it was"]
    assert term_search.grown is before
    with road._grown(True):
        assert term_search.grown is before


def test_nets_of_the_published_road_are_drawn_alike_for_both_their_values_and_errors():
    own = TermSamples(("x_i",), X[:, :1], {"x": X[:, 0] ** 2}, {"x": X[:, 0] ** 3})
    drawn, _ = road.AdamNets(own, own, {"x": 0.1}).sample_terms(50, seed=3)
    assert drawn.points.shape == (50, 1)
    np.testing.assert_array_equal(drawn.values["x"], drawn.points[:, 0] ** 2)
    np.testing.assert_array_equal(drawn.error["x"], drawn.points[:, 0] ** 3)


def laws(**texts):
    return road.Stages({stage: {"x": Equation.from_text(*pair)} for stage, pair in texts.items()})


def row(**changes):
    found = laws(alone=("1", "x_i*x_j"), end=("1 - x_i", "1.999*x_i*x_j"))
    seconds = {part: road.Seconds(6.0, 2.0, 3.0).record() for part in ablation.PARTS}
    return {
        "law": "made_up", "network": "ba", "seed": 0, "nets": "adam", "growth": True, "reads": "both",
        "error": {SELF: {"x": 0.01}, INTERACTION: {"x": 0.2}}, "seconds": seconds, "failure": None,
        **ablation.compared(found, LAW, 0.01), **changes,
    }  # fmt: skip


def test_a_law_is_exact_where_its_constants_are_too():
    found = ablation.compared(laws(pairs=("1 - x_i", "2.1*x_i*x_j")), LAW, 0.01)
    assert found["recall"]["pairs"] == 1.0
    assert not found["exact"]["pairs"]
    assert row()["exact"] == {"alone": False, "end": True}


def test_a_stage_that_was_not_reached_has_found_nothing():
    (record,) = ablation.summary([row(), row(recall={}, exact={}), row()])
    assert record["laws"] == 3
    assert record["exact"]["end"] == 2
    assert record["recall"]["end"] == pytest.approx(2 / 3)
    assert record["recall"]["pairs"] == 0.0
    assert record["seconds"]["nets"] == pytest.approx(
        {"processor_running": 2.0, "processor_compiling": 1.0}
    )


def test_a_row_says_where_it_failed():
    text = ablation.row_text(row(failure="InputError: no expression"))
    assert "made_up ba 0" in text
    assert "1.00*" in text
    assert text.endswith("FAILED InputError: no expression")
    assert "FAILED E" in ablation.row_text(
        {"law": "l", "network": "er", "seed": 1, "nets": "", "growth": True, "failure": "E"}
    )
