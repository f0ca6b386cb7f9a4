"""Peers of the benchmark of one term: each finds a product under little noise, or comes near it."""

import pytest

from tests.benchmark_modules import benchmark_module

symbolic_targets = benchmark_module("symbolic_targets")
symbolic_conditions = benchmark_module("symbolic_conditions")
exactness = benchmark_module("exactness")
symbolic = benchmark_module("symbolic")


@pytest.fixture(scope="module")
def target():
    (found,) = (t for t in symbolic_targets.targets(("core",)) if t.name == "Lotka-Volterra")
    return found


@pytest.fixture(scope="module")
def given(target):
    return symbolic_conditions.samples(target, "white 0.5%")


def test_pysindy_finds_a_product(target, given):
    pytest.importorskip("pysindy")
    found = symbolic.PEERS["pysindy"](given, 1.0, 0)
    assert exactness.exact(target, found.expression).exact


def test_gplearn_comes_near_a_product(target, given):
    pytest.importorskip("gplearn")
    found = symbolic.PEERS["gplearn"](given, 0.5, 0)  # how near depends on the machine
    assert exactness.exact(target, found.expression).off < 0.5


def test_the_published_road_finds_a_product(target, given):
    found = symbolic.PEERS["llc"](given, 1.0, 0)
    assert exactness.exact(target, found.expression).exact
