"""What the data themselves say of a law that does not come: in sentences that a person can act on.

`data_notes` looks at the data before a search, `law_notes` at what a law has left unexplained.
"""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names

if TYPE_CHECKING:
    from jaxllc.diagnosis.findings import data_notes, law_notes

_HOMES = {"data_notes": "findings", "law_notes": "findings"}

__all__ = [
    "data_notes",
    "law_notes",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
