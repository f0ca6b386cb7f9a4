"""The devices that models are trained on side by side: a mesh of one axis, which members are cut over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxllc.errors import InputError, listing, quoted

MEMBER = "member"  # the name of the axis of the mesh


def member_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of one axis, "member", over these devices, by default all local ones."""
    chosen = list(jax.local_devices())
    if devices is not None:
        chosen = listing("devices", devices, "devices", "jax.devices()[:2]")
    wrong = [one for one in chosen if not isinstance(one, jax.Device)]
    if wrong:
        raise InputError(f"devices holds {quoted(wrong[0], 80)}; give some of jax.devices()")
    if not chosen:
        raise InputError("devices is empty; give some of jax.devices(), or leave it out for all")
    return Mesh(np.array(chosen), (MEMBER,))


def one_device_mesh() -> Mesh:
    """A mesh of the one device that arrays go to where nothing else is said."""
    return member_mesh(list(jnp.zeros(()).devices()))


def by_member(mesh: Mesh) -> NamedSharding:
    """Arrays whose first axis is the members, cut over the devices."""
    return NamedSharding(mesh, PartitionSpec(MEMBER))


def everywhere(mesh: Mesh) -> NamedSharding:
    """Arrays that every device has a copy of."""
    return NamedSharding(mesh, PartitionSpec())


def padded_to(count: int, mesh: Mesh) -> int:
    """The smallest multiple of the number of devices that is not below `count`."""
    return -(-count // mesh.size) * mesh.size
