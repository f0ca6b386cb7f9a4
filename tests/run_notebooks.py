"""Run every notebook from top to bottom in its folder; the files are not changed.

JAXLLC_NOTEBOOK_QUICK=1 asks the notebooks for their short mode.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

_FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def main() -> int:
    """The number of notebooks that failed."""
    notebooks = sorted(_FOLDER.glob("*.ipynb"))
    failed = 0
    for path in notebooks:
        started = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": _FOLDER}}
        )
        try:
            client.execute()
        except CellExecutionError as error:
            failed += 1
            print(f"FAILED {path.name}\n{error}", file=sys.stderr)
        else:
            print(f"{path.name}: {time.monotonic() - started:.0f} s")
    print(f"{len(notebooks) - failed} passed" + (f", {failed} failed" if failed else ""))
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
