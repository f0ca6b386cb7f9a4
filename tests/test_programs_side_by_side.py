"""Programs that run side by side on a CPU: of the size of real studies they come to an end, without LAPACK.

On a CPU, LAPACK and the FFT split a batch over the threads that run the programs: with as many of them at
once as there are threads, each waits for ever for work that only the others could do.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxllc.running.member_mesh import one_device_mesh
from jaxllc.self_pruning import leverage
from jaxllc.signaling.training.side_by_side import COARSE, WHOLE, advance_program, judge_program
from jaxllc.signaling.training.signaling_training import advance, dtype, initial_state, prepare
from jaxllc.signaling.training.training_state import Rates, Shape
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS

ROOT = Path(__file__).resolve().parent.parent

# What a lowered program may call: errors of diffrax, which are no work for other threads.
_HARMLESS = {"xla_ffi_python_cpu_callback"}
# The implicit solver of diffrax has one system, which is no batch: LAPACK solves it where it is.
_ONE_SYSTEM = {"lapack_dgetrf_ffi", "lapack_dtrsm_ffi"}
_CALL = re.compile(r"stablehlo\.custom_call @([\w.$]+)\(.*")
_SPLIT = re.compile(r"stablehlo\.(?:fft|cholesky|triangular_solve)\b")
_BATCH = re.compile(r"tensor<\d+x\d+x\d+x[fc]\d")

STUDY = """
import dataclasses
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
from jaxllc.self_pruning import edge_scores, self_pruning_study
from jaxllc.self_pruning.pruned_models import removal_curves
from jaxllc.signaling import cross_validate, preset, simulate_conditions, train
from jaxllc.signaling.model.synthetic import synthetic_problem
assert len(jax.local_devices()) == 2
truth = synthetic_problem(200, 800, 20, 20, seed=0)
conditions = simulate_conditions(truth, 400)
settings = dataclasses.replace(preset("self_pruning_synthetic"), epochs=12)
study = self_pruning_study(
    truth.prior, conditions, [1e-5, 1e-4], range(2), 30, settings=settings, times=3, folder="study",
)
assert (study.table["status"] == "done").all(), study.table["note"].tolist()
removal_curves(study, [0.0, 0.5])
edge_scores(study)
fit = train(truth.prior, conditions, settings, held_out=conditions.select(range(10)))
fit.summary()
names = conditions.names
folds = (tuple(names[:5]), tuple(names[5:9]))
cross_validate(truth.prior, conditions.select(range(40)), folds, settings, together=2)
print("ended")
"""

LAWS = """
import numpy as np, jaxllc
from jaxllc import generators, known_laws
from jaxllc.neural.neural_fit import fit_neural_terms
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from jaxllc.baselines.llc import RoadSettings, published_law
network = generators.barabasi_albert(12, 2, seed=1)
known = known_laws.get("gene")
times = np.linspace(0, known.horizon / 2, 30)
runs = [known.simulate(network, times, seed=seed).with_noise(40.0, seed) for seed in range(2)]
jaxllc.discover(runs, network, neural="always", search_seconds=20.0)
fit_neural_terms(
    grid_data(runs, smooth(runs)), network, width=4, hidden_steps=5, replicate_steps=0, solver_steps=2
)
published_law(runs, network, settings=RoadSettings("adam", steps=60, width=8, beam=2, restarts=1))
states = np.stack([run.states[0] for run in runs])
for solver in ("tsit5", "kvaerno5"):
    known.simulate(network, times, states, solver=solver)
print("ended")
"""


def programs_of(code, folder, seconds=900):
    """The text of every program that JAX makes of Python code in a process of its own, which must end."""
    texts = folder / "programs"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DUMP_IR_TO": str(texts),
        "JAX_DUMP_IR_MODES": "stablehlo",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "ended"
    return {path.name: path.read_text() for path in texts.rglob("*.mlir")}


def calls_of(texts):
    """What programs call outside of themselves, with the text of the call, by the name of the program."""
    found = []
    for name, text in texts.items():
        found += [(name, match[1], match[0]) for match in _CALL.finditer(text)]
        found += [(name, match[0], "") for match in _SPLIT.finditer(text)]
    return [call for call in found if call[1] not in _HARMLESS]


@pytest.mark.slow
def test_a_study_of_real_size_on_two_devices_ends_and_calls_no_lapack(tmp_path):
    """400 conditions: LAPACK takes fewer at once, which is why smaller studies did not stand still."""
    texts = programs_of(STUDY, tmp_path)
    named = " ".join(texts)
    for program in ("member", "advance", "settle", "leverage"):
        assert program in named, sorted(texts)
    assert not calls_of(texts)


@pytest.mark.slow
def test_a_discovery_a_published_road_and_simulations_call_no_lapack_for_a_batch(tmp_path):
    texts = programs_of(LAWS, tmp_path)
    named = " ".join(texts)
    for program in (
        "refit_batch",
        "moments",
        "value_and_gradient",
        "train",
        "decode",
        "one_by_one",
    ):
        assert program in named, sorted(texts)
    calls = calls_of(texts)
    assert {call for _, call, _ in calls} == _ONE_SYSTEM
    for name, call, text in calls:
        assert "one_by_one" in name, (name, call)
        assert not _BATCH.search(text), text


def test_what_trains_and_judges_models_calls_no_lapack():
    """The programs of sweeps, cross-validation and studies, as they are lowered."""
    mesh = one_device_mesh()
    _, structure, data = prepare(PRIOR, CONDITIONS, SETTINGS)
    state, rates = initial_state(structure, data, SETTINGS, 0), Rates.of(SETTINGS, dtype())
    shape, count, tolerance = (
        Shape.of(SETTINGS, len(CONDITIONS.names)),
        jnp.asarray(1),
        jnp.asarray(1e-5),
    )
    assert shape.spectral
    many = jax.tree.map(lambda x: jnp.asarray(x)[None], (data, rates, state))
    levels, learned = jnp.asarray(data.ligands), many[2].parameters
    programs = [
        advance.lower(shape, 10, structure, data, rates, state, count),
        *(
            advance_program(one, 10, True, mesh).lower(structure, *many, count)
            for one in (shape, shape._replace(filled=True))
        ),
        leverage._leverage.lower("mml", structure, state.parameters, levels, jnp.eye(2), tolerance),
        *(
            judge_program("mml", solver, True, mesh).lower(structure, learned, levels, tolerance)
            for solver in (WHOLE, COARSE)
        ),
    ]
    assert not calls_of({str(n): program.as_text() for n, program in enumerate(programs)})
    # The compiler brings no call of its own.
    assert "custom-call" not in programs[-1].compile().as_text()
