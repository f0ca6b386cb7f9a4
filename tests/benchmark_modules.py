"""Modules of the folder benchmarks, for the tests of what they measure with."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def benchmark_module(name: str) -> ModuleType:
    """A module by its name; the test module that asks is skipped where there are no benchmarks."""
    if not FOLDER.is_dir():  # a source distribution has none
        pytest.skip("needs the folder benchmarks, which is not here", allow_module_level=True)
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    return importlib.import_module(name)
