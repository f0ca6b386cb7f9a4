"""What the pre-trained engine costs: the file, the time to load it, the time to propose and to fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import CompileClock, median
from symbolic_conditions import samples
from symbolic_targets import Target, read_targets

from jaxllc.pretrained.engine import PretrainedEngine, best_inputs
from jaxllc.pretrained.model import num_parameters
from jaxllc.pretrained.skeletons.starts import fitted
from jaxllc.pretrained.weights import load_model
from jaxllc.search.forms.term_samples import Samples

# All terms of a law of two variables; those between nodes have four inputs.
LAW = """
FitzHugh-Nagumo f_x; x_i y_i; x_i - x_i**3 - y_i; -1.5:1.5 -1:1.5
FitzHugh-Nagumo f_y; x_i y_i; 0.28 + 0.5*x_i - 0.04*y_i; -1.5:1.5 -1:1.5
FitzHugh-Nagumo g_x; x_i y_i x_j y_j; 0.2*(x_j - x_i); -1.5:1.5 -1:1.5 -1.5:1.5 -1:1.5
FitzHugh-Nagumo g_y; x_i y_i x_j y_j; sin(y_j - y_i); -1.5:1.5 -1:1.5 -1.5:1.5 -1:1.5
"""
PROPOSALS = 50  # for each term


# In a process of its own: what is imported here has been imported.
_LOADING = """
import json, sys, time
import flax.nnx, jax, jaxllc
jax.devices()
start = time.perf_counter()
from jaxllc.pretrained import engine, weights
imported = time.perf_counter()
weights.load_model(sys.argv[1])
print(json.dumps({"import": imported - start, "load": time.perf_counter() - imported}))
"""


def loading(path: Path) -> dict[str, Any]:
    """Seconds in a fresh process to import the engine, after JAX, Flax and jaxllc, and to read the file."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADING, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode:
        return {"failure": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout)


def file_facts(path: Path, fresh: int = 3) -> dict[str, Any]:
    """Megabytes, parameters, what the file says of its training, seconds to load it in fresh processes."""
    model, about = load_model(path)
    runs = [loading(path) for _ in range(fresh)]
    failed = [run["failure"] for run in runs if "failure" in run]
    return {
        "file": path.name,
        "megabytes": path.stat().st_size / 1e6,
        "parameters": num_parameters(model),
        "model": model.settings.to_dict(),
        "about": about,
        "import_seconds": median(run.get("import") for run in runs),
        "load_seconds": median(run.get("load") for run in runs),
        "failure": failed[0] if failed else None,
    }


def speed(engine: PretrainedEngine, repeats: int = 5) -> dict[str, Any]:
    """Seconds to propose for all terms of a law and to fit, after a first run that compiles."""
    targets = read_targets([line for line in LAW.splitlines() if line], "the law")
    terms = [_inputs(engine, target) for target in targets]
    clock, start = CompileClock(), time.perf_counter()
    _once(engine, terms, seed=0)
    first, compiled = time.perf_counter() - start, clock.since(start)
    runs = [_once(engine, terms, seed=0) for _ in range(repeats)]
    proposing, fitting = (float(np.median([run[k] for run in runs])) for k in (0, 1))
    written = runs[0][2]
    return {
        "terms": len(terms),
        "skeletons": [int(count) for count in written],
        "first_seconds": first,
        "compile_seconds": compiled,
        "propose_seconds": proposing,
        "fit_seconds": fitting,
        "proposals_per_second": sum(written) / (proposing + fitting),
    }


def _inputs(engine: PretrainedEngine, target: Target) -> list[Samples]:
    """The samples of a term by each choice of inputs that the engine looks at."""
    given = samples(target, "white 0.5%")
    found = []
    for inputs in best_inputs(given, engine.model.settings.num_variables, engine.choices):
        names = tuple(given.names[k] for k in inputs)
        found.append(Samples(names, given.points[:, inputs], given.values, given.error))
    return found


def _once(engine: PretrainedEngine, terms: list[list[Samples]], seed: int):
    """Seconds to write and to fit at most PROPOSALS skeletons a term, and how many each has."""
    writing, fitting, counts = 0.0, 0.0, []
    for choices in terms:
        share = PROPOSALS // len(choices)
        count = 0
        for given in choices:
            start = time.perf_counter()
            skeletons = engine.skeletons(given, seed=seed)
            skeletons = skeletons.taken(np.arange(min(share, len(skeletons))))
            written = time.perf_counter()
            fitted(skeletons, given, engine.model.settings.alphabet, seed)
            fitting += time.perf_counter() - written
            writing += written - start
            count += len(skeletons)
        counts.append(count)
    return writing, fitting, counts
