"""A self-pruning study whose process is killed goes on to what an undisturbed study finds."""

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from jaxllc.self_pruning.study import RECORDS, SNAPSHOTS, self_pruning_study
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS, killed_at, same

ROOT = Path(__file__).resolve().parent.parent

KILLED = """
import sys
from tests.test_self_pruning_processes import run
run(sys.argv[1])
"""


def run(folder, **more):
    return self_pruning_study(
        PRIOR,
        CONDITIONS,
        [1e-6, 1e-3],
        range(20),
        6,
        settings=SETTINGS,
        times=5,
        folder=folder,
        **more,
    )


@pytest.mark.slow
def test_a_study_that_was_killed_is_in_the_end_that_of_an_undisturbed_one(tmp_path):
    folder = tmp_path / "killed"
    records = folder / RECORDS
    words = [sys.executable, "-c", KILLED, str(folder)]
    done = killed_at(records, 3, words, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert 3 <= done < 40
    said = []
    resumed = run(folder, progress=lambda *what: said.append(what))
    assert said[0] == (done, 40, f"{done} of 40 runs were done before")
    undisturbed = run(tmp_path / "undisturbed")
    assert resumed.finished
    assert len(resumed.table) == 40
    same(resumed.table, undisturbed.table)
    for name in ("separation", "over_training"):
        found, wanted = getattr(resumed, name), getattr(undisturbed, name)
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    # Nothing is left of what was being written when the process was killed.
    whole = {path.name for path in (tmp_path / "undisturbed" / SNAPSHOTS).iterdir()}
    assert whole == set(resumed.table["snapshots"])
    assert whole <= {path.name for path in (folder / SNAPSHOTS).iterdir()}
