"""Kills, signals, full disks, pipes and odd surroundings: what was tried, what is right, what was seen.

    python benchmarks/robustness.py
    python benchmarks/robustness.py --parts kill,signal --seed 3 --json FILE

kill: `kill -9` at random moments, then the run to its end beside one that was left alone. signal: Ctrl-C
and SIGTERM from the first block to the closing prediction. disk: small and read-only disks (file systems in
memory where mount is allowed, limits of file size in any case), two runs in one folder. pipe: tables through
pipes, output into pipes, links and devices. around: locale C, no HOME, hostile names. Devices and disks are
made in a folder of this program; those of the machine are left alone. Exit code 1 where a row is not ok.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for `python -m benchmarks.robustness`

from robust import disks, kill, pipes, signals, surroundings
from robust.command import import_everything
from robust.table import Row, text

PARTS = {
    "kill": kill.rows,
    "signal": signals.rows,
    "disk": disks.rows,
    "pipe": pipes.rows,
    "around": surroundings.rows,
}


def main() -> int:
    """Try what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    names = options.parts.split(",")
    if not set(names) <= set(PARTS):
        parser.error(f"--parts knows {', '.join(PARTS)}")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    found: list[Row] = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jaxllc_robust_") as folder:
        # Later runs find what the first has compiled, as on a person's machine.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/compiled"
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        import_everything()
        print(
            f"machine: {os.cpu_count()} shared {platform.machine()} cores, Python {platform.python_version()}"
        )
        print(
            f"command: python benchmarks/robustness.py --parts {options.parts} --seed {options.seed}"
        )
        for name in names:
            inside = Path(folder) / name
            inside.mkdir()
            for row in PARTS[name](inside, options.seed):
                found.append(row)
                print(text(row).replace(folder, "DIR"), flush=True)
    if options.json:
        rows = [row._asdict() for row in found]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    good = sum(row.ok for row in found)
    print(f"robustness: {good}/{len(found)} ok in {time.monotonic() - start:.0f} s")
    return 0 if good == len(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
