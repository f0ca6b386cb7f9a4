"""The lowest and the newest versions of every dependency, on each Python at hand: what works with them.

    python benchmarks/versions.py
    python benchmarks/versions.py --pythons 3.11 --resolutions lowest-direct --folder /tmp/environments

Needs uv (`pip install uv`), which picks the versions and makes the environments. With each, the tests of what
reads, of networks, trajectories, expressions and laws are run, and a small discovery, simulation and training
by the commands. A Python that is not there is said and left out. Exit code 1 where anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for `python -m benchmarks.versions`

from robust.problems import Problem

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "test_errors", "test_network", "test_trajectories", "test_tables", "test_expressions", "test_units",
    "test_law", "test_conditions", "test_prior_network", "test_sweep_grids", "test_folds",
    "test_file_text", "test_hostile_json", "test_hostile_arrays", "test_hostile_records",
    "test_output_files", "test_public_names", "test_simulate", "test_fixed_point",
)  # fmt: skip
SHOWN = (
    "numpy",
    "scipy",
    "pandas",
    "sympy",
    "jax",
    "diffrax",
    "flax",
    "optax",
    "networkx",
    "matplotlib",
)


def main() -> int:
    """A row for each Python and resolution."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", default="3.11,3.12,3.13")
    parser.add_argument("--resolutions", default="lowest-direct,highest")
    parser.add_argument("--folder", type=Path, help="where environments are made, and found again")
    options = parser.parse_args()
    uv = shutil.which("uv")
    if uv is None:
        parser.error("uv is not on the PATH; pip install uv")
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for python in options.pythons.split(","):
            for resolution in options.resolutions.split(","):
                name = f"Python {python}, {resolution}"
                made = _environment(uv, folder, python, resolution)
                if isinstance(made, str):
                    print(f"{name}: not tried: {made}", flush=True)
                    continue
                start = time.monotonic()
                words = [_tests(made), *_commands(made)]
                failed += any("failed" in word or "error" in word for word in words)
                print(f"{name}: {'; '.join(words)}; {time.monotonic() - start:.0f} s")
                print(f"    {_versions(uv, made)}", flush=True)
        print(f"with anndata on Python 3.11: {_beside_anndata(uv, folder)}")
    print(f"versions: {failed} failed")
    return int(failed > 0)


def _environment(uv: str, folder: Path, python: str, resolution: str) -> Path | str:
    """The interpreter of an environment with these versions, or why there is none."""
    place, wanted = folder / f"{python}-{resolution}", folder / f"{python}-{resolution}.txt"
    interpreter = place / "bin/python"
    if interpreter.exists():
        return interpreter
    folder.mkdir(parents=True, exist_ok=True)
    steps = (
        [
            "pip",
            "compile",
            "--python-version",
            python,
            "--resolution",
            resolution,
            ROOT / "pyproject.toml",
            "-o",
            wanted,
        ],
        ["venv", "--no-python-downloads", "--python", python, place],
        ["pip", "install", "--python", interpreter, "-r", wanted, "pytest"],
    )
    for step in steps:
        done = subprocess.run([uv, *step, "--quiet"], capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(place, ignore_errors=True)
            return (done.stderr.strip().splitlines() or ["uv failed"])[-1][:200]
    return interpreter


def _surroundings() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "MPLBACKEND": "agg"}


def _tests(interpreter: Path) -> str:
    there = [f"tests/{name}.py" for name in TESTS if (ROOT / f"tests/{name}.py").exists()]
    quiet = ["-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "--slow", "none"]
    done = subprocess.run(
        [interpreter, "-m", "pytest", *quiet, *there],
        cwd=ROOT, env=_surroundings(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(f"    {line[:200]}", flush=True)
    last = (done.stdout.strip().splitlines() or [done.stderr[-200:]])[-1]
    return re.sub(r" in [\d.]+s.*", "", last).strip("= ")


def _commands(interpreter: Path) -> list[str]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder)
        problem = Problem(inside)
        for name, words in (
            ("discover", problem.discover(inside / "discover")),
            ("simulate", problem.simulate(inside / "simulated.csv")),
            ("train", problem.train(inside / "train", "--epochs", "60")),
        ):
            done = subprocess.run(
                [interpreter, "-m", "jaxllc", *map(str, words)],
                cwd=inside, env=_surroundings(), capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                print(f"    {name}: {done.stderr.strip()[-300:]}", flush=True)
            found.append(f"{name} {'ok' if done.returncode == 0 else 'failed'}")
    return found


def _versions(uv: str, interpreter: Path) -> str:
    done = subprocess.run(
        [uv, "pip", "freeze", "--python", interpreter], capture_output=True, text=True, check=False
    )
    known = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    return ", ".join(f"{name} {known.get(name, '?')}" for name in SHOWN)


def _beside_anndata(uv: str, folder: Path) -> str:
    """What pip would install where anndata is asked for, too."""
    wish = folder / "anndata.txt"
    wish.write_text("anndata\n", encoding="utf-8")
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--python-version",
        "3.11",
        ROOT / "pyproject.toml",
        wish,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wanted = [
        line for line in done.stdout.splitlines() if re.match(r"(anndata|pandas|numpy|jax)==", line)
    ]
    return ", ".join(wanted) or "cannot be resolved"


if __name__ == "__main__":
    raise SystemExit(main())
