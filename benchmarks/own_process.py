"""Measurements in processes of their own, on one thread and one core, so that their peak memory is theirs."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def one_thread() -> None:
    """One thread and one core for all processes that start from here, before any of them loads JAX."""
    threads = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM")
    os.environ |= {f"{name}_THREADS": "1" for name in threads}
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def in_own_process(function: Callable, *arguments: Any) -> Any:
    """What the function returns in a fresh process, or {"failure": sentence}."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def use(device: str) -> None:
    """This process computes on the CPU, or on what JAX takes by itself."""
    import jax

    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")


def peak_megabytes() -> float:
    """Largest resident memory of this process so far, in 10^6 bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size * 1024 / 1e6
