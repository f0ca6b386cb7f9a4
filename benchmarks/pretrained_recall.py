"""How often the true family is among the best 20 proposals: of the pre-trained engine, and of `sparse`.

On sets of the corpus the truth is a skeleton of the alphabet, and a proposal is right if its canonical form
is that skeleton. On targets with a known expression `exactness` decides, as in `symbolic`, by what the
fitted proposal computes:
- from exact samples the target is found if a proposal is it, each constant within 5 %. A proposal with a
  term too many would fit as well, its constant all but nought: one with such an idle constant is not it.
- from samples with errors it is found if a proposal has its skeleton, whatever the constants.
`whole family` is stricter on exact samples: the constants of a proposal are moved, each by what changes the
function by a few percent, and what it computes then must still be given by the target's skeleton. So a
proposal whose constants must be tied to make the target, as 1 + cos(2*x) for cos(x)**2, does not count.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from alphabet_form import alphabet_form
from exactness import FRESH_POINTS, FRESH_SEED, Verdict, exact
from symbolic_conditions import CONDITIONS, Condition, samples
from symbolic_targets import Target, values_at

from jaxllc.equations.skeletons import Skeleton, as_written
from jaxllc.equations.tapes.fitted_tapes import MAX_CONSTANTS
from jaxllc.errors import InputError
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.skeletons.canonical_form import identity
from jaxllc.pretrained.skeletons.starts import score
from jaxllc.pretrained.training.corpus_structures import draw_structures, held_out
from jaxllc.pretrained.training.recall import TOP, RecallSet, best_fits
from jaxllc.search.engines.enumeration import EnumerationEngine
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples, scale_of
from jaxllc.search.term.term_judge import TermJudge

CLEAN, NOISY = CONDITIONS["clean"], Condition("white 1%", white=0.01)
_NEAR = 0.2  # a fit that is farther off the truth, in its spreads, is another function
_NEAR_CLEAN = 1e-3
_MOVED = 0.03  # of the spread: what moving a constant changes
_IDLE = 1e-4  # of the spread: what leaving an idle constant out changes at most
_CHUNK = 20_000


def standard_error(share: float, count: int) -> float:
    """Of a share of so many independent cases."""
    return float(np.sqrt(share * (1 - share) / count)) if count else float("nan")


# --- targets with an expression -------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """found: whether the target is among the proposals; whole_family: whether one holds it and nothing more;
    constants: whether one has its constants within 5 %, too."""

    found: bool
    whole_family: bool
    constants: bool


def found_among(target: Target, proposals: Sequence[Skeleton], clean: bool) -> Found:
    """Whether the target is among proposals that were fitted to its samples, exact ones or not."""
    truth = target.values(target.points(FRESH_POINTS, FRESH_SEED))
    found = whole = right = False
    for proposal in proposals:
        try:
            verdict = _verdict(target, proposal.numeric(), truth, _NEAR_CLEAN if clean else _NEAR)
            if verdict is None or not verdict.same_skeleton:
                continue
            if clean:
                if not verdict.exact or _idle(target, proposal):
                    continue
                whole = whole or _same_when_moved(target, proposal)
            else:
                whole = True
        except (InputError, ValueError, np.linalg.LinAlgError):
            continue
        found, right = True, right or verdict.exact
        if whole and right:
            break
    return Found(found, whole, right)


def _idle(target: Target, proposal: Skeleton) -> bool:
    """Whether some constant could as well be nought."""
    points = target.points(FRESH_POINTS, FRESH_SEED)
    whole = values_at(proposal.numeric(), target.variables, points)
    for k in range(len(proposal.values)):
        values = [0.0 if k == j else value for j, value in enumerate(proposal.values)]
        try:
            without = values_at(proposal.with_values(values).numeric(), target.variables, points)
        except InputError:  # it makes no function
            continue
        change = np.sqrt(np.mean((without - whole) ** 2))
        if change < _IDLE * scale_of(whole):  # not where it is no number
            return True
    return False


def _verdict(
    target: Target, expression: sympy.Expr, truth: np.ndarray, near: float
) -> Verdict | None:
    points = target.points(FRESH_POINTS, FRESH_SEED)
    off = values_at(expression, target.variables, points) - truth
    if not np.sqrt(np.mean(off**2)) < near * scale_of(truth):
        return None
    return exact(target, expression)


def _same_when_moved(target: Target, proposal: Skeleton) -> bool:
    points = target.points(FRESH_POINTS, FRESH_SEED)
    names = [symbol.name for symbol in proposal.constants]
    constants = np.array(proposal.values)

    def at(values: np.ndarray) -> np.ndarray:
        given = dict(zip(names, values, strict=True))
        return values_at(proposal.expression, target.variables, points, **given)

    moved = constants.copy()
    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(constants))
    for k, value in enumerate(constants):
        step = np.zeros(len(constants))
        step[k] = 1e-6 * max(abs(value), 1e-3)
        slope = (at(constants + step) - at(constants - step)) / (2 * step[k])
        size = float(np.sqrt(np.mean(slope**2)))
        if not size > 0:
            return False
        moved[k] += signs[k] * _MOVED * scale_of(at(constants)) / size / np.sqrt(len(constants))
    other = exact(target, proposal.with_values(moved).numeric())
    return other.same_skeleton


def recall_of_targets(
    engine: PretrainedEngine, targets: Sequence[Target], seed: int = 0
) -> list[dict[str, Any]]:
    """A row for each target and each of exact samples and such with 1 % noise."""
    rows = []
    for target in targets:
        for condition in (CLEAN, NOISY):
            given = samples(target, condition, seed)
            start = time.perf_counter()
            fits = best_fits(engine, given, TOP, seed)
            taken = time.perf_counter() - start
            found = found_among(target, [fit.skeleton for fit in fits], condition is CLEAN)
            rows.append(
                {
                    "target": target.name,
                    "family": target.family,
                    "truth": target.text,
                    "condition": condition.name,
                    "found": found.found,
                    "whole_family": found.whole_family,
                    "constants": found.constants,
                    "seconds": taken,
                }
            )
    return rows


def place_in_corpus(targets: Sequence[Target], symbols: Alphabet, draws: int) -> list[str]:
    """Of each target: "no form" in the alphabet, "drawn" among so many draws of the corpus that are trained
    on, or "not drawn"."""
    wanted: dict[int, list[int]] = {}
    place = ["no form"] * len(targets)
    for k, target in enumerate(targets):
        form = alphabet_form(target.expression, target.variables, symbols)
        if form is None:
            continue
        place[k] = "not drawn"
        for names in symbols.permutations:
            wanted.setdefault(int(identity(form, names)[0]), []).append(k)
    keys = np.array(list(wanted), np.uint64)
    rng = np.random.default_rng([draws, 11])
    for start in range(0, draws, _CHUNK):
        drawn = draw_structures(rng, min(_CHUNK, draws - start), symbols)
        rows = np.flatnonzero(np.isin(identity(drawn), keys))
        chosen = drawn.taken(rows)
        chosen = chosen.taken(np.flatnonzero(~held_out(chosen, symbols)))
        for key in np.unique(identity(chosen)):
            for k in wanted[int(key)]:
                place[k] = "drawn"
    return place


def shares(rows: Sequence[dict[str, Any]], key: str) -> dict[str, list[float]]:
    """By a field of the rows: [share found, standard error, how many]."""
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in rows:
        found[row[key]] += row["found"]
        total[row[key]] += 1
    return {
        name: [found[name] / n, standard_error(found[name] / n, n), n]
        for name, n in sorted(total.items())
    }


# --- what a user would take instead ---------------------------------------------------------------


def sparse_proposals(given: Samples, seed: int = 0) -> list[Skeleton]:
    """What the sparse enumeration proposes, fitted and ranked as the pre-trained proposals are."""
    grammar = Grammar()
    judge = TermJudge(given, grammar)
    skeletons: dict[sympy.Expr, tuple[Skeleton, str]] = {}
    for expression in EnumerationEngine().propose(given, grammar, seed, np.inf):
        skeleton = as_written(expression)
        if len(skeleton.values) <= MAX_CONSTANTS:
            skeletons.setdefault(skeleton.key, (skeleton, "sparse"))
    count = len(given.values)
    fits = judge.refitted(list(skeletons.values()), steps=25)
    fits.sort(key=lambda f: score(f.chi_squared / count, f.num_constants, count))
    return [fit.skeleton for fit in fits]


def recall_of_sparse(sets: Sequence[RecallSet], symbols: Alphabet) -> dict[str, Any]:
    """The share of sets whose skeleton is among the best 20 of the sparse enumeration, and its seconds."""
    found, seconds = [], []
    for number, (given, truth, _) in enumerate(sets):
        start = time.perf_counter()
        proposals = sparse_proposals(given, number)
        seconds.append(time.perf_counter() - start)
        found.append(int(identity(truth)[0]) in _first_identities(proposals, given, symbols))
    share = float(np.mean(found))
    return {
        "sets": len(sets),
        "recall": share,
        "standard_error": standard_error(share, len(sets)),
        "seconds": float(np.median(seconds)),
    }


def _first_identities(proposals: Sequence[Skeleton], given: Samples, symbols: Alphabet) -> set[int]:
    """Of the first 20 different forms; what has no form in the alphabet takes a place as well."""
    found: set[int] = set()
    others = 0
    for proposal in proposals:
        form = alphabet_form(proposal.numeric(), given.names, symbols)
        if form is None:
            others += 1
        else:
            found.add(int(identity(form)[0]))
        if len(found) + others >= TOP:
            break
    return found
