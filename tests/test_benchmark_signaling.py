"""The speed benchmark: its slopes, and that a short run ends well and agrees with the published algorithm."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "benchmarks" / "signaling.py"

if not PROGRAM.is_file():  # a source distribution has no benchmarks
    pytest.skip("needs the folder benchmarks, which is not here", allow_module_level=True)


def run(*words, **changes):
    """The finished program, with the environment of this process but for `changes`."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **changes},
    )


def test_slopes_are_the_exponents_of_time():
    code = """
import json, sys
sys.path.insert(0, "benchmarks")
import signaling
rows = [{"edges": n, "conditions": 20, "ms": 3e-4 * n} for n in (1_000, 10_000, 100_000)]
rows += [{"edges": 10_000, "conditions": b, "ms": 3.0 * (b / 20) ** 0.5} for b in (80, 40)]
rows += [{"edges": 1_000_000, "conditions": 20, "failure": "MemoryError: "}]
print(json.dumps(signaling.slopes(rows)))
"""
    found = json.loads(run("-c", code).stdout)
    assert found["edges"] == pytest.approx([1, 1])
    assert found["conditions"] == pytest.approx([0.5, 0.5])


def test_a_failing_measurement_is_a_row():
    code = """
import sys
sys.path.insert(0, "benchmarks")
from own_process import in_own_process
if __name__ == "__main__":
    print(in_own_process(int, "x"), in_own_process(int, "7"))
"""
    found = run("-c", code).stdout
    assert found.startswith("{'failure': \"ValueError: invalid literal")
    assert found.endswith(" 7\n")


@pytest.mark.slow
def test_a_short_run_agrees_with_the_published_algorithm(shared_folder, tmp_path):
    path = tmp_path / "signaling.json"
    finished = run(str(PROGRAM), "--quick", "--json", str(path))
    assert finished.returncode == 0, finished.stderr
    last = finished.stdout.splitlines()[-1]
    assert re.fullmatch(r"step ms: macrophage \d+\.\d\d ligand \d+\.\d\d", last)
    text = path.read_text()
    assert str(ROOT.parent) not in text
    assert "failure" not in text
    record = json.loads(text)
    ours = {(r["set"], r["after"]): r for r in record["steps"] if r["program"] == "jaxllc"}
    theirs = {(r["set"], r["after"]): r for r in record["steps"] if r["program"] == "SciPy"}
    assert ours.keys() == theirs.keys()
    for key, row in ours.items():
        # Both begin at the same parameters; what differs is the noise and float32.
        assert row["mse"] == pytest.approx(theirs[key]["mse"], rel=0.05)
    assert record["complete"][0]["converged"] == record["complete"][0]["conditions"]
    assert 0.5 < record["slopes"]["edges"][0] < 1.5
