"""Products of columns: beside a slow search of all, with a base, and with a factor that is given."""

import itertools

import numpy as np
import pytest

from jaxllc.search.engines import product_beam
from jaxllc.search.engines.dictionary import Features
from jaxllc.search.engines.product_beam import ProductSearch


def _features(count=14, points=60, families=7, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, points))
    family = np.arange(count) % families
    return Features(values, family, np.ones(count), 100 + np.arange(count))


def _left(columns, target, weight):
    matrix = np.stack(columns, axis=1) * weight[:, None]
    solved = np.linalg.lstsq(matrix, target * weight, rcond=None)[0]
    return float(((target * weight - matrix @ solved) ** 2).sum())


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("with_start", [True, False])
def test_the_best_pair_is_that_of_a_slow_search(monkeypatch, paired, with_start):
    features = _features()
    random = np.random.default_rng(3)
    start = random.normal(size=60) if with_start else None
    base = [np.ones(60), random.normal(size=60)]
    weight = random.uniform(0.5, 2, 60)
    own = np.ones(60) if start is None else start
    target = 2 * own * features.values[2] * features.values[10] + 0.7 * base[1] - 1
    target += 0.1 * random.normal(size=60)
    if not paired:
        monkeypatch.setattr(product_beam, "_MAX_PAIRED", 0)
    products = ProductSearch(features, 60, 40.0).best(target, weight, base, 2, 60, start)
    found = [p for p in products if len(p.positions) == 2]
    best = min(found, key=lambda p: p.residual)
    slow = {
        (a, b): _left([own * features.values[a] * features.values[b], *base], target, weight)
        for a, b in itertools.combinations(range(14), 2)
        if features.family[a] != features.family[b]
    }
    expected = min(slow, key=lambda pair: slow[pair])
    assert {p - 100 for p in best.positions} == set(expected)
    assert best.residual == pytest.approx(slow[expected], rel=1e-3)


def test_three_factors_are_found():
    features = _features(seed=5)
    target = -1.5 * features.values[0] * features.values[4] * features.values[9]
    found = ProductSearch(features, 40, 40.0).best(target, np.ones(60), [], 3, 20)
    best = min(found, key=lambda p: p.residual)
    assert set(best.positions) == {100, 104, 109}
    assert best.residual < 1e-6 * float(target @ target)


def test_factors_of_one_family_are_not_multiplied():
    features = _features(seed=6)
    target = features.values[1] * features.values[8]
    for product in ProductSearch(features, 40, 40.0).best(target, np.ones(60), [], 3, 40):
        families = [features.family[p - 100] for p in product.positions]
        assert len(set(families)) == len(families)


def test_features_that_are_not_finite_with_a_factor_are_left_out():
    features = _features()
    features.values[3] = 1e30
    target = features.values[0] * features.values[1]
    best = min(
        ProductSearch(features, 40, 40.0).best(target, np.ones(60), [], 2, 20),
        key=lambda p: p.residual,
    )
    assert set(best.positions) == {100, 101}


def test_sizes_do_not_matter():
    """Errors may be 1e-14 and values 1e20: single precision must not overflow."""
    features = _features(seed=8)
    target = features.values[3] * features.values[11] + 0.3 * features.values[0]
    for size, weight in ((1.0, 1.0), (1e20, 1e14), (1e-18, 1e16)):
        scaled = features._replace(values=size * features.values)
        search = ProductSearch(scaled, 40, 40.0)
        products = search.best(size * target, np.full(60, weight), [], 2, 40)
        best = min((p for p in products if len(p.positions) == 2), key=lambda p: p.residual)
        assert set(best.positions) == {103, 111}
        whole = float(((weight * size * target) ** 2).sum())
        expected = _left([features.values[3] * features.values[11]], target, np.ones(60))
        assert best.residual / whole == pytest.approx(expected / float(target @ target), rel=1e-3)
