"""A constant that every node has of its own: where it stands in a law, and its value at each node.

Every plain self term of a law, and all its interactions together, are tried as what varies; a law in which
the right one does leaves far less than any in which nodes are alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.equations.expressions import to_text
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judged
from jaxllc.knowledge.known_terms import KnownFamily
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.search.laws.sparse_engine import refined
from jaxllc.varying.joint_fit import MOST_NODES, is_one_factor, joint_fit
from jaxllc.varying.varying_fit import VaryingFit, VaryingFitter
from jaxllc.varying.varying_search import VaryingSearch, acts

# Laws of nodes that are alike from which each candidate is tried; candidates that are searched whole; plain
# self terms that are candidates.
_LAWS, _WHOLE, _PLAIN = 4, 2, 8
# What a constant of each node must bring beyond its price, in units of -2 log L.
_GAIN = 15.0
# Share of the nodes that follow a law that is taken; where fewer do, no law explains the samples up to their
# noise, and more of it is allowed for.
_FOLLOW, _NOISIER = 0.5, (1.0, 4.0, 16.0, 64.0, 256.0)
# Laws that are proposed.
_PROPOSED = 6


@dataclass(frozen=True, eq=False)
class OwnConstant:
    """A constant of each node in the equation of one variable.

    base: the term that it multiplies, with the sign that makes its mean positive; None where it is the
    strength of all interactions, whose mean is then one. values, errors: (node,) and standard errors; mean,
    spread: over nodes, the spread without what the errors add. laws: of the best fits, the best first, with
    the term that varies left out; gain: what it brings beyond its price; follow: share of the nodes that
    follow the best. law_errors: of the law's constants in the order of its terms, once both were fitted
    together and where all of them were.
    """

    name: str
    variable: int
    base: TermFamily | None
    values: Float[np.ndarray, " node"]
    errors: Float[np.ndarray, " node"]
    mean: float
    spread: float
    laws: tuple[tuple[Term, ...], ...]
    gain: float
    follow: float
    law_errors: Float[np.ndarray, " constant"] | None = None

    @property
    def symbol(self) -> sympy.Symbol:
        return sympy.Symbol(f"{self.name}_i")

    @property
    def family(self) -> KnownFamily | None:
        """The term with the constant in it, which is known once the values are; None for interactions."""
        if self.base is None:
            return None
        expression = self.symbol * self.base.expression
        return KnownFamily(self.base.side, expression, text=to_text(expression))

    def inserted(self, problem: SearchProblem) -> SearchProblem:
        """The problem in which the values are a node feature, and the term that they stand in is known."""
        data = replace(
            problem.data, features={**problem.data.features, self.name: np.array(self.values)}
        )
        prior, family = problem.prior, self.family
        if family is not None:
            own = prior.of_variable(self.variable)
            known = list(prior.known or ((),) * len(problem.variables))
            if not any(k.expression.has(self.symbol) for k in own):
                known[self.variable] = (*own, family)
            prior = replace(prior, known=tuple(known))
        placed = problem.placed
        if family is not None:
            placed = tuple(dict.fromkeys((*placed, self.name)))
        return replace(problem, data=data, prior=prior, placed=placed)

    def proposals(self, problem: SearchProblem) -> list[ProposedEquation]:
        """Equations of the laws that were found, for the problem in which the constant was inserted."""
        found = [refined(problem, self.variable, self._terms(law)) for law in self.laws]
        return [one for one in found if np.isfinite(one.residual)]

    def fitted(
        self, problem: TrajectoryProblem, best: Judged
    ) -> tuple[OwnConstant, CandidateLaw] | None:
        """The constant after a fit to the trajectories beside the best law, and the law without terms that
        do not pay for themselves once it may move; None where the law does not hold it, or nodes are too
        many."""
        if not is_one_factor(best.law, self.variable, self.name):
            return None
        if problem.num_nodes > MOST_NODES:
            return None
        law = best.law
        while True:
            joint = joint_fit(problem, law, self.variable, self.name, best.fit.states)
            weakest = min(joint.ratios, key=lambda place: joint.ratios[place], default=None)
            if weakest is None or joint.ratios[weakest] ** 2 > np.log(problem.counts.sum()):
                break
            before = sum(len(terms) for terms in law.terms[: self.variable])
            law = law.without(frozenset([before + weakest]))
        if not np.isfinite(joint.values).all():
            return None
        free = problem.free
        mean = float(np.mean(joint.values[free]))
        scale = 1.0 if self.base is not None else mean
        values, errors = joint.values / scale, joint.errors / abs(scale)
        error = np.where(np.isfinite(errors[free]), errors[free], 0.0)
        variance = float(np.var(values[free], ddof=1) - np.mean(error**2))
        law_errors = joint.law_errors if self.base is not None else None
        found = replace(
            self,
            values=values,
            errors=errors,
            mean=mean / scale,
            spread=float(np.sqrt(max(variance, 0.0))),
            law_errors=law_errors,
        )
        return found, law

    def _terms(self, law: Sequence[Term]) -> list[Term]:
        if self.base is not None:
            return list(law)
        return [
            Term(replace(t.family, expression=self.symbol * t.family.expression), t.inner)
            if acts(t.family)
            else t
            for t in law
        ]


def own_constants(
    problem: SearchProblem,
    names: Sequence[str],
    max_terms: int,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> list[OwnConstant]:
    """The constants of nodes that the samples ask for, one in an equation at most.

    A name that stands in a known term is read there, whatever it brings and however long it takes; others
    are given to the equations that gain most, in turn. seconds: for each variable, about. There may be fewer
    than names, where the samples do not ask for so many.
    """
    bases, problem = _told(problem, names)
    open_names = [name for name in names if name not in bases]
    told = {variable: (name, base) for name, (variable, base) in bases.items()}
    found: list[OwnConstant] = []
    for variable, shown in enumerate(problem.variables):
        if variable not in told and not open_names:
            continue
        say(f"{shown}: constants of nodes")
        name, base = told.get(variable, ("", None))
        best, deadline = None, time.perf_counter() + seconds
        for noisier in _NOISIER:
            plain = single_nodes(problem, variable, max_terms, deadline, noisier=noisier)
            late = time.perf_counter() > deadline and not (name and best is None)
            if len(plain.fitter.kept) < 2 or late:
                break
            one = _searched(plain, variable, name, base)
            if one is not None and (one.gain > _GAIN or name):
                best = one
                if one.follow >= _FOLLOW:
                    break
        if best is not None:
            found.append(best)
    found.sort(key=lambda one: -one.gain)
    named = [one for one in found if one.name]
    others = zip(open_names, (one for one in found if not one.name), strict=False)
    return [*named, *(replace(one, name=name) for name, one in others)]


def without_names(problem: SearchProblem, names: Sequence[str]) -> SearchProblem:
    """The problem without the known terms that hold constants of nodes by these names."""
    return _told(problem, names)[1]


def _told(
    problem: SearchProblem, names: Sequence[str]
) -> tuple[dict[str, tuple[int, TermFamily]], SearchProblem]:
    """Where known terms hold the constants, {name: (variable, what it multiplies)}, and the problem without
    these terms; raises InputError where one is no factor of a term."""
    bases: dict[str, tuple[int, TermFamily]] = {}
    known = [list(families) for families in problem.prior.known or ()]
    for variable, families in enumerate(known):
        for family in tuple(families):
            for name in names:
                symbol = sympy.Symbol(f"{name}_i")
                if not family.expression.has(symbol):
                    continue
                base = sympy.diff(family.expression, symbol)
                product = sympy.expand(symbol * base - family.expression) == 0
                if not product or family.constants or name in bases or base.has(symbol):
                    raise InputError(
                        f"the known term {family.text} of {problem.variables[variable]} must be {name}_i "
                        "times a term without free constants, and the only one with it; vary says that it "
                        "differs from node to node"
                    )
                bases[name] = variable, TermFamily(family.side, base)
                families.remove(family)
    prior = replace(problem.prior, known=tuple(map(tuple, known)))
    return bases, replace(problem, prior=prior)


def _searched(
    plain: RobustSearch, variable: int, name: str, base: TermFamily | None
) -> OwnConstant | None:
    """The constant that explains most in one equation; base: what it multiplies, where that is known."""
    alike = plain.best()
    if not alike:
        return None
    first = first_searches(plain, alike[:_LAWS], base)
    best: tuple[RobustLaw, VaryingSearch] | None = None
    for search in first[:_WHOLE]:
        laws = search.best()
        if laws and (best is None or laws[0].criterion < best[0].criterion):
            best = laws[0], search
    if best is None or not isinstance(best[0].fit, VaryingFit):
        return None
    return _read(best[1], variable, name, alike[0].criterion - best[0].criterion)


def first_searches(
    plain: RobustSearch, alike: Sequence[RobustLaw], base: TermFamily | None = None
) -> list[VaryingSearch]:
    """Searches of each constant that may vary, which have seen some laws of nodes that are alike with it; the
    best first. base: the only one to be looked at."""
    fitter = VaryingFitter(plain.rows, plain.fitter.noise)
    listed = [f for f in plain.starts if f.side == SELF and not f.num_inner][:_PLAIN]
    in_laws = [t.family for law in alike for t in law.terms if _is_plain(t.family)]
    families = [*dict.fromkeys([*listed, *in_laws]), None] if base is None else [base]
    first: list[tuple[float, VaryingSearch]] = []
    for family in families:
        search = VaryingSearch(plain, fitter, family)
        for law in alike:
            own = [t for t in law.terms if t.family != family]
            more = search.fitted([*search.given[len(plain.given) :], *own])
            if len(more.terms) > 1:
                search.shortened(more)
        first.append((min(law.criterion for law in search.seen.values()), search))
    return [search for _, search in sorted(first, key=lambda pair: pair[0])]


def _is_plain(family: TermFamily) -> bool:
    return family.side == SELF and not family.num_inner and not acts(family) and not family.known


def _read(search: VaryingSearch, variable: int, name: str, gain: float) -> OwnConstant:
    """The constant of the best law of a search."""
    laws = [law for law in search.best() if isinstance(law.fit, VaryingFit)]
    fit = laws[0].fit
    assert isinstance(fit, VaryingFit)
    scale, base = fit.mean, search.varying
    if base is not None:
        # A user's own term has its sign already.
        scale = 1.0 if name or fit.mean >= 0 else -1.0
        base = replace(base, expression=sympy.Integer(int(scale)) * base.expression)
    mean = fit.mean / scale
    values = np.full(len(search.rows.target), mean)
    errors = np.full(len(values), fit.spread / abs(scale))
    kept = search.fitter.kept
    values[kept] += fit.effect / scale
    errors[kept] = fit.error / abs(scale)
    terms = [tuple(t for t in law.terms if t.family != search.varying) for law in laws[:_PROPOSED]]
    return OwnConstant(
        name,
        variable,
        base,
        values,
        errors,
        mean,
        fit.spread / abs(scale),
        tuple(terms),
        gain,
        float(np.mean(fit.follows >= 0.5)),
    )
