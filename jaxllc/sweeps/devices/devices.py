"""The devices that a sweep runs on: how many members at once fit into their memory, and their name."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
from jax.sharding import Mesh

from jaxllc.errors import check_number

# Beyond, a chunk takes so long that an interruption loses much, and devices are full anyway.
_MOST = 64
_PART = 0.8  # of the free memory, because the program's own estimate leaves out what is fragmented


def members_within(memory: float, bytes_per_member: float, most: int | None = None) -> int:
    """How many members fit into so many bytes; one at least, `most` at most.

    Raises InputError unless both are above 0.
    """
    for name, value in (("memory", memory), ("bytes_per_member", bytes_per_member)):
        check_number(name, value, 0, above=True, unit="bytes")
    count = max(1, int(memory // bytes_per_member))
    return count if most is None else min(count, most)


def bytes_of(compiled: Any) -> int | None:
    """The bytes that a compiled program takes on each device: arguments, results and what lies between.

    None where the compiler does not tell.
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        + analysis.temp_size_in_bytes
        - analysis.alias_size_in_bytes
    )


def free_memory(device: Any) -> float | None:
    """The bytes that may be used on a device; None where it does not tell, as a CPU."""
    stats = device.memory_stats()
    if not stats or "bytes_limit" not in stats:
        return None
    return _PART * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))


def members_per_device(compiled: Any, mesh: Mesh, memory: float | None) -> int:
    """How many members each device takes, from the program of one member on each.

    memory: bytes of each device, by default what is free. On a CPU, without a number given, one: there
    models one after the other are faster than any number side by side.
    """
    room = free_memory(mesh.devices.flat[0]) if memory is None else memory
    size = bytes_of(compiled)
    if room is None or size is None:
        return 1
    return members_within(room, size, _MOST)


@cache
def device_name() -> str:
    """The kind and number of the local devices, such as "gpu NVIDIA H200 x 1"."""
    devices = jax.local_devices()
    kind = devices[0].device_kind
    name = devices[0].platform
    return f"{name if kind == name else f'{name} {kind}'} x {len(devices)}"
