"""Ensembles of nets: members are single fits, weights are those of sums, and no member spoils another."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxllc import generators, known_laws
from jaxllc.errors import InputError
from jaxllc.neural.ensemble_program import NOT_FINITE, ensemble_program
from jaxllc.neural.net_ensembles import EnsembleFits, NetPoint
from jaxllc.neural.net_fits import NetFits
from jaxllc.neural.structures import BOTH, DIFFERENCE, SENDER, Structure
from jaxllc.neural.variable_projection import moments
from jaxllc.running.member_mesh import one_device_mesh
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from jaxllc.sweeps import net_ensemble
from tests.test_programs_side_by_side import calls_of

ROOT = Path(__file__).resolve().parent.parent
STEPS = 12
POINTS = [
    NetPoint(Structure(BOTH), 0),
    NetPoint(Structure(SENDER), 1),
    NetPoint(Structure(DIFFERENCE, True), 2),
]


def runs_of(network, db=30.0):
    times = np.linspace(0, 6, 40)
    known = known_laws.get("epidemic")
    return [known.simulate(network, times, seed=s).with_noise(db, s) for s in range(2)]


@pytest.fixture(scope="module")
def network():
    return generators.barabasi_albert(12, 2, seed=1)


@pytest.fixture(scope="module")
def fits(network):
    runs = runs_of(network)
    # With a ridge at which rounding does not grow at once: with less, a path of Levenberg-Marquardt whose
    # start differs by 1e-14 ends elsewhere.
    with jax.enable_x64(True):
        return NetFits(grid_data(runs, smooth(runs)), network, (), width=6, ridge=1e-4)


@pytest.fixture(scope="module")
def ensemble(fits):
    return EnsembleFits(fits, STEPS)


@pytest.fixture(scope="module")
def together(ensemble):
    return ensemble.fitted(POINTS, one_device_mesh())


def test_members_take_the_steps_of_single_fits(fits, together):
    inputs = fits.points()
    for point, (net, loss, steps, message) in zip(POINTS, together, strict=True):
        with jax.enable_x64(True):
            alone = fits.fit(point.structure, STEPS, seed=point.seed)
        np.testing.assert_allclose(net.history[:4], alone.history[:4], atol=1e-6)
        assert (steps, message) == (len(alone.history), alone.message)
        assert loss == net.history[-1] < net.history[0]
        if point.structure.reads == SENDER:  # its path is the one that rounding takes elsewhere
            continue
        np.testing.assert_allclose(net.residual, alone.residual, rtol=1e-4)
        for number in range(2):
            expected = alone.values(number, inputs[number])
            found = net.values(number, inputs[number])
            np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_member_without_a_number_stays_alone(ensemble, together, monkeypatch):
    plain = EnsembleFits.member

    def spoiled(self, point):
        made = plain(self, point)
        if point.seed != 1:
            return made
        kernel, *others = made.hidden
        return made._replace(hidden=(np.full_like(kernel, np.nan), *others))

    monkeypatch.setattr(EnsembleFits, "member", spoiled)
    found = ensemble.fitted(POINTS, one_device_mesh())
    for n in (0, 2):
        np.testing.assert_array_equal(found[n][0].readout, together[n][0].readout)
        assert found[n][1:] == together[n][1:]
    assert found[1][3] == NOT_FINITE
    assert not np.isfinite(found[1][0].residual).any()
    # All of this was one program.
    assert ensemble_program(one_device_mesh(), STEPS)._cache_size() == 1


def test_a_replicate_sums_each_series_as_often_as_it_was_drawn(ensemble, fits):
    """Moments are linear in the weights of the series, and a replicate draws as many as there are."""
    from jaxllc.neural.ensemble_program import _by_batch, _rows

    with jax.enable_x64(True):
        member = ensemble.member(NetPoint(Structure(BOTH), 0, replicate=3))
        weights = member.weights
        assert weights.sum() == weights.size
        assert len(set(weights.ravel().tolist())) > 2
        np.testing.assert_array_equal(weights, ensemble.weights(3))
        assert (ensemble.weights(0) == 1).all()
        assert (ensemble.weights(4) != weights).any()

        def sums(weights):
            one = member._replace(weights=weights)
            batch = jax.tree.map(lambda a: a[0], _by_batch(one, ensemble.shared))
            return moments(member.hidden, _rows(one, batch))

        found, total = sums(weights), None
        for s, weight in enumerate(weights[0]):
            only = np.zeros_like(weights)
            only[0, s] = weight
            part = sums(only)
            total = part if total is None else jax.tree.map(lambda a, b: a + b, total, part)
        for a, b in zip(found, total, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10 * np.abs(b).max())
        # As often as once: the sums that a single fit makes.
        plain = moments(member.hidden, fits.maker(False).batch(0))
        for a, b in zip(sums(ensemble.weights(0)), plain, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12 * np.abs(b).max())


def test_float32_leaves_what_float64_leaves_of_noisy_samples(ensemble, together):
    single = replace(ensemble, dtype="float32").fitted(POINTS, one_device_mesh())
    as_good = []
    for (one, *_), (other, *_) in zip(single, together, strict=True):
        # The loss of one and the same net, up to the rounding of a processor; then the paths part, and one
        # may end in a minimum of its own.
        np.testing.assert_allclose(one.history[0], other.history[0], rtol=0.03)
        as_good.append((one.residual < 1.3 * other.residual).all())
    assert sum(as_good) >= len(POINTS) - 1


def test_the_program_leaves_no_work_to_threads_that_run_programs(ensemble):
    """LAPACK and the FFT would stand still on many devices of a CPU."""
    with jax.enable_x64(True):
        arguments = ensemble.arguments([ensemble.member(point) for point in POINTS])
        text = ensemble_program(one_device_mesh(), STEPS).lower(*arguments).as_text()
    assert len(re.findall("stablehlo.while", text)) > 3
    assert not calls_of({"ensemble": text})


def test_an_ensemble_says_how_well_its_terms_are_known(network, tmp_path):
    """Bootstrap members scatter around f = -x_i/2 and g = (1 - x_i) x_j/2, in the gauge of the samples."""
    options = {"width": 6, "steps": STEPS, "ridge": 1e-6, "together": 3}
    options["records"] = tmp_path / "nets.jsonl"
    runs, said = runs_of(network, 40.0), []
    found = net_ensemble(runs, network, range(2), ("sender", "both"), replicates=2, **options)
    assert found.finished
    assert (found.table["status"] == "done").all()
    assert found.table.columns[:3].tolist() == ["structure", "seed", "replicate"]
    assert len(found.table) == 12
    assert found.structure == "both"
    assert found.median_residual("sender") > 2 * found.median_residual("both")
    assert "both: median residual" in found.summary()
    for term, truth in zip(
        found.terms(), (lambda x: -0.5 * x[:, 0], lambda x: 0.5 * (1 - x[:, 0]) * x[:, 1]), strict=True
    ):  # fmt: skip
        assert term.members == 6
        error, spread = term.mean["x"] - truth(term.points), term.std["x"]
        assert np.sqrt(np.mean(error**2)) < 4 * np.sqrt(
            np.mean(spread**2) + np.mean(term.error["x"] ** 2)
        )
        assert np.sqrt(np.mean(error**2)) < 0.4 * truth(term.points).std()
        assert (spread > 0).all()
    with pytest.raises(InputError, match="no member of the structure 'difference' is done"):
        found.terms("difference")
    # What is done is done: nothing is fitted again, and the spread comes from the records.
    again = net_ensemble(
        runs,
        network,
        range(2),
        ("sender", "both"),
        2,
        progress=lambda *x: said.append(x[:2]),
        **options,
    )
    assert said == [(12, 12)]
    np.testing.assert_array_equal(again.terms()[1].std["x"], found.terms()[1].std["x"])
    with pytest.raises(InputError, match="another study"):
        net_ensemble(runs[:1], network, range(2), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"structures": ["bot"]}, "did you mean 'both'"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [-1]}, "an entry of seeds"),
        ({"replicates": 1.5}, "replicates"),
        ({"precision": "float16"}, "precision"),
        ({"features": ["omega"]}, "no node feature 'omega'"),
        ({"rates": "yes"}, "rates is 'yes'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(network, options, said):
    with pytest.raises(InputError, match=said):
        net_ensemble(runs_of(network), network, **options)


DEVICES = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
import numpy as np
from jaxllc.sweeps import net_ensemble
from tests.test_net_ensembles import runs_of, generators
assert len(jax.local_devices()) == 8
network = generators.barabasi_albert(12, 2, seed=1)
def run(**options):
    return net_ensemble(
        runs_of(network), network, range(5), ("sender", "both"), 1, width=6, steps=8, ridge=1e-6, **options
    )
many, one = run(), run(devices=jax.local_devices()[:1])
assert (many.table["status"] == "done").all()
np.testing.assert_allclose(many.table["residual_x"], one.table["residual_x"], rtol=1e-9)
for a, b in zip(many.terms("both"), one.terms("both")):
    np.testing.assert_allclose(a.mean["x"], b.mean["x"], atol=1e-9)
    np.testing.assert_allclose(a.std["x"], b.std["x"], atol=1e-9)
print("equal")
"""


@pytest.mark.slow
def test_an_ensemble_on_eight_devices_is_that_of_one():
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "equal"
