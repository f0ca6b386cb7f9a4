"""The symbols that skeletons are written in, and the automaton that knows which may follow.

A skeleton is a sum of a polynomial and of groups, each a polynomial times one or two functions:

    y = P0(x) + sum over groups of P(x) f(Q(x) + h(R(x))) f'(...),    P0, P, Q, R: polynomials, h: one at most

A string lists the monomials of P0, then for each group its functions, each by its kind and the monomials
of its argument (and, after "(", an inner function with its own), then ":" and the monomials of P. All
coefficients are left out. What the automaton lets through is a skeleton; monomials stand in their order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from jaxllc.errors import InputError, check_integer

# Functions a group may hold. Sine with a phase is also cosine; hinges of min and max are written with abs.
KINDS = (
    "sin",
    "cos",
    "exp",
    "log",
    "sqrt",
    "abs",
    "tanh",
    "sigmoid",
    "reciprocal",
    "power",
)
KIND = {name: k + 1 for k, name in enumerate(KINDS)}  # 0 stands for none
GROUPS = 3
FACTORS = 2
LENGTH = 20  # symbols of a string, its end included
MOST_VARIABLES = 6
_DEGREE = 3  # of monomials of several variables; powers of one go one higher


@dataclass(frozen=True)
class Alphabet:
    """The symbols for expressions of so many variables.

    Symbols are numbers: monomials first, in the order of `exponents`, then kinds, then the marks.
    """

    num_variables: int

    @cached_property
    def exponents(self) -> np.ndarray:
        """Exponents of each monomial, (monomial, variable), by degree, then earlier variables first."""
        n = self.num_variables
        found = [
            e
            for e in itertools.product(range(_DEGREE + 2), repeat=n)
            if sum(e) <= _DEGREE or (sum(e) == _DEGREE + 1 and max(e) == sum(e))
        ]
        return np.array(sorted(found, key=lambda e: (sum(e), [-k for k in e])))

    @cached_property
    def index(self) -> dict[tuple[int, ...], int]:
        """The place of a monomial by its exponents."""
        return {tuple(map(int, e)): k for k, e in enumerate(self.exponents)}

    @cached_property
    def num_monomials(self) -> int:
        return len(self.exponents)

    @property
    def opening(self) -> int:
        return self.num_monomials + len(KINDS)

    @property
    def colon(self) -> int:
        return self.opening + 1

    @property
    def end(self) -> int:
        return self.opening + 2

    @property
    def padding(self) -> int:
        """Fills a string after its end, and stands before its first symbol."""
        return self.opening + 3

    @property
    def size(self) -> int:
        """How many symbols there are."""
        return self.opening + 4

    def symbol_of(self, kind: np.ndarray | int) -> np.ndarray | int:
        """The symbol of a kind, 1 for the first of KINDS."""
        return self.num_monomials - 1 + kind

    @cached_property
    def quotient(self) -> np.ndarray:
        """(monomial, monomial): the place of the first divided by the second, -1 where it is no monomial."""
        difference = self.exponents[:, None] - self.exponents[None]
        table = [[self.index.get(tuple(map(int, e)), -1) for e in row] for row in difference]
        return np.array(table)

    def renaming(self, order: Sequence[int] | np.ndarray) -> np.ndarray:
        """(monomial,) where each monomial goes when variable k is renamed to order[k]."""
        back = np.argsort(order)
        return np.array([self.index[tuple(map(int, e[back]))] for e in self.exponents])

    @cached_property
    def permutations(self) -> np.ndarray:
        """(permutation, monomial): the renamings by all permutations of the variables."""
        orders = itertools.permutations(range(self.num_variables))
        return np.array([self.renaming(order) for order in orders])

    @cached_property
    def automaton(self) -> Automaton:
        return _automaton(self)


@lru_cache(maxsize=MOST_VARIABLES)
def alphabet(num_variables: int = 3) -> Alphabet:
    """The alphabet for expressions of 1 to 6 variables; raises InputError for another number.

    Three are enough where inputs are chosen first: no term of the known laws needs more, and with each
    further variable the share of skeletons that training can show falls.
    """
    check_integer("num_variables", num_variables, 1)
    if num_variables > MOST_VARIABLES:
        raise InputError(
            f"num_variables is {num_variables}; an alphabet has at most {MOST_VARIABLES}"
        )
    return Alphabet(num_variables)


# --- the automaton -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Automaton:
    """Which symbol may follow which.

    follows: (state, symbol) the next state, -1 where the symbol may not stand. remaining: (state,) the fewest
    symbols up to the end. State 0 is the first; the last state is after the end, where only padding follows.
    In a run of monomials each must also stand after the one before.
    """

    follows: np.ndarray
    remaining: np.ndarray

    @property
    def num_states(self) -> int:
        return len(self.follows)


def _automaton(symbols: Alphabet) -> Automaton:
    """States are (group, factor, place): after a kind, with a constant alone, with an argument, and so on."""
    monomials = symbols.num_monomials
    linear = [int(k) for k in np.flatnonzero(symbols.exponents.sum(1) == 1)]
    power = symbols.symbol_of(KIND["power"])
    kinds = range(monomials, symbols.opening)
    done = (GROUPS + 1, 0, "done")

    def after(state: tuple[int, int, str]) -> dict[int, tuple[int, int, str]]:
        """Symbols that may follow a state (group, factor, place), each with its state."""
        group, factor, place = state
        found: dict[int, tuple[int, int, str]] = {}

        def to_monomials(name: str, constant: str = "", start: int = 0) -> None:
            for m in range(start, monomials):
                found[m] = (group, factor, name if m or not constant else constant)

        def to_kind(group: int, factor: int) -> None:
            for k in kinds:
                found[k] = (group, factor, "power" if k == power else "kind")

        if place in ("start", "base", "outer"):
            to_monomials("base" if place == "start" else place)
            if group < GROUPS:
                to_kind(group + 1, 1)
            if place != "start":
                found[symbols.end] = done
        elif place == "kind":
            to_monomials("argument", "constant")
            found[symbols.opening] = (group, factor, "open")
        elif place == "constant":
            to_monomials("argument", start=1)
            found[symbols.opening] = (group, factor, "open")
        elif place == "open":
            for k in kinds:
                if k != power:
                    found[k] = (group, factor, "inner kind")
        elif place == "inner kind":
            to_monomials("inner argument", "inner constant")
        elif place == "inner constant":
            to_monomials("inner argument", start=1)
        elif place == "power":
            for m in linear:
                found[m] = (group, factor, "powered")
        elif place == "colon":
            to_monomials("outer")
        else:  # an argument is complete
            if place != "powered":
                to_monomials(place, start=1)
            if place == "argument":
                found[symbols.opening] = (group, factor, "open")
            if factor < FACTORS:
                to_kind(group, factor + 1)
            found[symbols.colon] = (group, 0, "colon")
        return found

    first = (0, 0, "start")
    states, waiting, table = {first: 0}, [first], {}
    while waiting:
        state = waiting.pop()
        table[state] = after(state)
        for new in table[state].values():
            if new not in states and new != done:
                states[new] = len(states)
                waiting.append(new)
    last = states[done] = len(states)
    follows = np.full((len(states), symbols.size), -1, np.int32)
    for state, found in table.items():
        for symbol, new in found.items():
            follows[states[state], symbol] = states[new]
    follows[last, symbols.padding] = last
    return Automaton(follows, _fewest(follows, last))


def _fewest(follows: np.ndarray, last: int) -> np.ndarray:
    fewest = np.full(len(follows), 10**6)
    fewest[last] = 0
    for _ in range(len(follows)):
        nearest = np.where(follows >= 0, fewest[follows], 10**6).min(1) + 1
        nearest[last] = 0
        fewest = np.minimum(fewest, nearest)
    return fewest
