"""Skeletons as strings of symbols, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.errors import InputError
from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KINDS, LENGTH, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures, empty


def lengths(structures: Structures) -> np.ndarray:
    """(b,) how many symbols each string has, its end included."""
    there = structures.kind > 0
    inside = (
        structures.argument.sum(-1) + structures.inner.sum(-1) + 2 * (structures.inner_kind > 0)
    )
    groups = (structures.outer.sum(-1) + 1) * there.any(-1)
    return structures.base.sum(-1) + ((1 + inside) * there).sum((1, 2)) + groups.sum(1) + 1


def strings(structures: Structures, symbols: Alphabet) -> np.ndarray:
    """(b, LENGTH) the symbols of each skeleton, filled with padding; none may be longer."""
    count, monomials = structures.base.shape
    numbers = np.arange(monomials, dtype=np.int16)

    def listed(sets: np.ndarray) -> np.ndarray:
        return np.where(sets, numbers, -1).astype(np.int16)

    def marked(there: np.ndarray, symbol: np.ndarray | int) -> np.ndarray:
        return np.where(there, symbol, -1).astype(np.int16)[:, None]

    columns = [listed(structures.base)]
    for g in range(GROUPS):
        for f in range(FACTORS):
            kind, inner = structures.kind[:, g, f], structures.inner_kind[:, g, f]
            columns += [
                marked(kind > 0, symbols.symbol_of(kind.astype(int))),
                listed(structures.argument[:, g, f]),
                marked(inner > 0, symbols.opening),
                marked(inner > 0, symbols.symbol_of(inner.astype(int))),
                listed(structures.inner[:, g, f]),
            ]
        there = structures.kind[:, g, 0] > 0
        columns += [marked(there, symbols.colon), listed(structures.outer[:, g])]
    columns.append(np.full((count, 1), symbols.end, np.int16))
    wide = np.concatenate(columns, axis=1)
    row, column = np.nonzero(wide >= 0)
    before = np.concatenate([[0], np.cumsum((wide >= 0).sum(1))[:-1]])
    written = np.full((count, LENGTH), symbols.padding, np.int16)
    written[row, np.arange(len(row)) - before[row]] = wide[row, column]
    return written


def structures_of(written: Sequence[Sequence[int]] | np.ndarray, symbols: Alphabet) -> Structures:
    """The skeletons that strings tell, as written, not brought to canonical form.

    Raises InputError for a string that the automaton does not let through.
    """
    found = empty(len(written), symbols.num_monomials)
    last_state = symbols.automaton.num_states - 1
    for b, string in enumerate(written):
        state, group, factor, last = 0, -1, 0, -1
        inside = "sum"
        target = found.base[b]
        for symbol in map(int, string):
            if symbol == symbols.padding:
                break
            in_alphabet = 0 <= symbol < symbols.size
            state = int(symbols.automaton.follows[state, symbol]) if in_alphabet else -1
            if state < 0 or (symbol < symbols.num_monomials and symbol <= last):
                raise InputError(
                    f"string {b} is no skeleton at symbol {symbol}; give strings of the same alphabet"
                )
            last = -1
            if symbol < symbols.num_monomials:
                target[symbol] = True
                last = symbol
            elif symbol == symbols.colon:
                inside, target = "sum", found.outer[b, group]
            elif symbol == symbols.opening:
                inside = "opening"
            elif symbol < symbols.opening:
                kind = symbol - symbols.num_monomials + 1
                if inside == "opening":
                    found.inner_kind[b, group, factor] = kind
                    inside, target = "inner", found.inner[b, group, factor]
                    continue
                group, factor = (group + 1, 0) if inside == "sum" else (group, factor + 1)
                found.kind[b, group, factor] = kind
                inside, target = "argument", found.argument[b, group, factor]
        if state != last_state:
            raise InputError(f"string {b} has no end; give whole strings")
    return found


def text(structures: Structures, symbols: Alphabet) -> list[str]:
    """Skeletons for a person to read, coefficients left out: x1 + (1 + x2)*sin(x1 + exp(x2))."""
    return [_text(structures.taken(np.array([b])), symbols) for b in range(len(structures))]


def monomial_text(exponents: np.ndarray) -> str:
    """Such as x1*x2^2; 1 for no variable."""
    powers = [f"x{v + 1}" + (f"^{e}" if e > 1 else "") for v, e in enumerate(exponents) if e]
    return "*".join(powers) or "1"


def _text(one: Structures, symbols: Alphabet) -> str:
    def listed(row: np.ndarray) -> list[str]:
        return [monomial_text(symbols.exponents[m]) for m in np.flatnonzero(row)]

    terms = listed(one.base[0])
    for g in range(GROUPS):
        factors = []
        for f in range(FACTORS):
            if not one.kind[0, g, f]:
                continue
            argument = listed(one.argument[0, g, f])
            if one.inner_kind[0, g, f]:
                inner = " + ".join(listed(one.inner[0, g, f]))
                argument.append(f"{KINDS[one.inner_kind[0, g, f] - 1]}({inner})")
            factors.append(f"{KINDS[one.kind[0, g, f] - 1]}({' + '.join(argument)})")
        if factors:
            outer = listed(one.outer[0, g])
            terms.append("*".join(([f"({' + '.join(outer)})"] if outer != ["1"] else []) + factors))
    return " + ".join(terms)
