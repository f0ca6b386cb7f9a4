"""Public names of a package, imported when first asked for, so that importing the package is light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names live in modules of it.

    homes: the module of each name, within the package, or its whole name where that begins with "jaxllc.".
    modules: public names that are modules of the package themselves.
    """

    def get(name: str) -> Any:
        if name not in homes and name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes.get(name, name)
        value: Any = importlib.import_module(
            home if home.startswith("jaxllc.") else f"{package}.{home}"
        )
        if name in homes:
            value = getattr(value, name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted([*homes, *modules])
