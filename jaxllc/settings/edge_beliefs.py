"""What a user believes of edges beforehand, as plain values; checked before anything is loaded."""

from __future__ import annotations

from os import PathLike
from typing import Any

from jaxllc.errors import InputError, check_mapping, check_number, listing, nearest_match
from jaxllc.settings.edge_beliefs_table import BELIEFS, read_edge_beliefs

# Probabilities: of an edge of the network, of any other, and of the likely ones.
PROBABILITIES = ("given", "other", "likely_probability")
_EXAMPLE = "{'sure': [('g07', 'g12')], 'given': 0.8}"


def checked_edge_prior(prior: Any) -> dict[str, Any] | None:
    """Pairs of names (sender, receiver) of each kind, and probabilities, of a mapping or a table; raises
    InputError for anything else."""
    if prior is None:
        return None
    if isinstance(prior, str | PathLike) or hasattr(prior, "columns"):
        prior = read_edge_beliefs(prior)
    check_mapping("edge_prior", prior, _EXAMPLE)
    checked: dict[str, Any] = {}
    for name, value in prior.items():
        if name in PROBABILITIES:
            check_number(f"edge_prior[{name!r}]", value, 0.0, 1.0)
            checked[name] = float(value)
        elif name in BELIEFS:
            checked[name] = _pairs(name, value)
        else:
            known = (*BELIEFS, *PROBABILITIES)
            raise InputError(
                f"edge_prior names {name!r}{nearest_match(str(name), known)}; it may hold "
                f"{', '.join(known[:-1])} and {known[-1]}"
            )
    return checked or None


def _pairs(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in listing(f"edge_prior[{name!r}]", value, "pairs (sender, receiver)", _EXAMPLE):
        if isinstance(pair, str) or not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InputError(
                f"edge_prior[{name!r}] holds {pair!r:.80}, which is no pair of a sender and a receiver; give "
                f"pairs of names, as in {_EXAMPLE}"
            )
        found.append((str(pair[0]), str(pair[1])))
    return tuple(found)
