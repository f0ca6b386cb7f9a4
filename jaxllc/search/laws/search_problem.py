"""What every engine is given: the data of one discovery in the forms a search can use.

Integral forms of the samples, the library of candidate terms and the error no candidate can undercut.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import SELF, Term
from jaxllc.equations.function_table import DEFAULT_FUNCTIONS
from jaxllc.fit.integral_form import IntegralForm
from jaxllc.knowledge.known_terms import starts
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.running.time_limit import current_limit
from jaxllc.search.forms.constants import ColumnCache
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.laws.demanded_terms import demanded_terms, general_terms
from jaxllc.search.laws.input_terms import InputRange, input_terms
from jaxllc.search.laws.library import CLEAN, Scale, candidate_terms, input_arguments, sum_terms

if TYPE_CHECKING:
    import sympy

    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

# Share of a signal's standard deviation that is not held against a law: grid, solver, rounding.
FLOOR = 1e-5
# Logarithm of the largest constant of a law of variables of about one, in a time of about one.
_LARGEST = 9.0
# Share of the time of a discovery after which engines come to an end.
_SHARE = 0.5
# Rows of the regression at most; noise calls for more of them.
_CLEAN_ROWS = 9000
_NOISY_ROWS = 24000


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """Data of one discovery for the engines. A value: it never changes, and what is made of it is kept.

    regular: all nodes have the same total input weight; grammar: what a law may hold; prior: what the user
    knows of it; sums: whether `library` also holds functions of the sum over neighbours; held: nodes
    that a law is not asked to explain; placed: features that stand in known terms and nowhere else.
    """

    data: GridData
    network: Network
    regular: bool
    seed: int = 0
    grammar: Grammar = field(default_factory=Grammar)
    prior: PriorKnowledge = field(default_factory=PriorKnowledge)
    sums: bool = False
    held: tuple[int, ...] = ()
    placed: tuple[str, ...] = ()

    def with_held(self, nodes: Sequence[int]) -> SearchProblem:
        """The problem in which some nodes are not explained; their states act on others all the same."""
        other = copy(self)
        object.__setattr__(other, "held", tuple(int(node) for node in nodes))
        for name in ("forms", "caches", "explained"):
            other.__dict__.pop(name, None)
        return other

    def with_sums(self, sums: bool) -> SearchProblem:
        """The problem whose library also holds functions of sums over neighbours, or does not."""
        other = copy(self)  # what was made of the data so far, too
        object.__setattr__(other, "sums", sums)
        return other

    @property
    def variables(self) -> tuple[str, ...]:
        return self.data.variables

    @cached_property
    def explained(self) -> np.ndarray:
        """The nodes that a law is asked to explain."""
        return np.setdiff1d(np.arange(self.network.num_nodes), np.array(self.held, dtype=int))

    @property
    def open_features(self) -> tuple[str, ...]:
        """Features that any term may hold."""
        return tuple(name for name in self.data.features if name not in self.placed)

    @property
    def open_inputs(self) -> dict[str, InputRange]:
        """Inputs that any term may hold: all but those that a forcing is a sum of."""
        return {n: known for n, known in self.inputs.items() if not self.data.inputs[0][n].is_shape}

    @property
    def late(self) -> bool:
        """Whether the share of the time for searching whole equations is over."""
        limit = current_limit()
        return limit is not None and limit.share_over(_SHARE)

    @cached_property
    def scales(self) -> dict[str, Scale]:
        scales = {}
        for v, name in enumerate(self.variables):
            values = np.concatenate([s[v].T.ravel() for s in self.data.states])
            scales[name] = Scale(values, float(self.data.noise[v]))
        return scales

    @cached_property
    def inputs(self) -> dict[str, InputRange]:
        """What terms of the inputs go by."""
        found = {}
        for name, values in self.data.named_inputs().items():
            courses = [run[name] for run in self.data.inputs]
            is_time = all(course.is_time for course in courses)
            step = float(np.median(np.concatenate([np.diff(t) for t in self.data.times])))
            found[name] = InputRange(
                Scale(values),
                all(course.common for course in courses),
                len(np.unique(np.concatenate([c.values.ravel() for c in courses]))) <= 2
                and not is_time,
                step if is_time else 0.0,
            )
        return found

    @cached_property
    def differences(self) -> dict[str, Scale]:
        """Ranges of x_j - x_i over edges."""
        senders, receivers = self.network.senders, self.network.receivers
        gaps = [s[:, senders] - s[:, receivers] for s in self.data.states]
        return {
            name: Scale(np.concatenate([g[v].T.ravel() for g in gaps]))
            for v, name in enumerate(self.variables)
        }

    @cached_property
    def std(self) -> np.ndarray:
        """(variable,) standard deviation of the smoothed states."""
        return np.array([self.scales[v].std for v in self.variables])

    @cached_property
    def largest_constant(self) -> float:
        """Beyond what a constant of a law can be in the units of these samples, cubic terms included."""
        spans = [float(np.ptp(times)) for times in self.data.times]
        sizes = [scale.size for scale in self.scales.values()]
        apart = [max(v, 1 / v) for v in (*spans, *sizes) if v > 0]
        # Logarithms: states of 1e150 are understood, too.
        return 10.0 ** min(300.0, _LARGEST + 4 * np.log10(max(apart, default=1.0)))

    @property
    def floor(self) -> np.ndarray:
        """(variable,) error of a sample that is not held against a law."""
        return FLOOR * self.std

    @property
    def noise(self) -> np.ndarray:
        """(variable,) estimated standard deviation of a sample, not below the floor."""
        return np.maximum(self.data.noise, self.floor)

    def is_clean(self, variable: int) -> bool:
        """Whether a variable is free of noise for the purposes of a search."""
        return bool(self.data.noise[variable] < CLEAN * self.std[variable])

    @property
    def clean(self) -> bool:
        """Whether all variables are free of noise."""
        return all(self.is_clean(v) for v in range(len(self.variables)))

    @property
    def library(self) -> list[Term]:
        """All candidate terms; those of functions of sums come last."""
        return [*self._additive, *self.sum_library] if self.sums else self._additive

    @cached_property
    def _normalised(self) -> bool:
        """Whether dividing by k_i makes sense: an input weight of one sign, well away from zero."""
        strength = self.network.in_strength[self.network.in_degree > 0]
        return bool(strength.min() > 0 and np.ptp(strength) > 1e-9 * strength.max())

    @cached_property
    def _additive(self) -> list[Term]:
        terms = candidate_terms(
            self.variables,
            self.open_features,
            self.scales,
            self.differences,
            self.regular,
            self._normalised,
        )
        terms += input_terms(self.open_inputs, self.variables, self.regular)
        wanted = tuple(dict.fromkeys((*self.prior.demand, *self._unlisted)))
        if wanted:
            more = demanded_terms(wanted, self.variables, self.scales, self.differences)
            listed = {t.family for t in terms}
            terms += [t for t in more if t.family not in listed]
        return self.allowed(terms)

    @property
    def _unlisted(self) -> list[str]:
        """Functions that were asked for and that no library lists."""
        return [name for name in self.grammar.functions if name not in DEFAULT_FUNCTIONS]

    @cached_property
    def sum_library(self) -> list[Term]:
        """Candidate terms that are functions of sums over neighbours, and more terms over k_i."""
        features = self._added
        arguments = input_arguments(self.variables, features, self._normalised)
        inputs = {}
        for argument in arguments:
            scale = Scale(self.values_of(argument))
            # Nodes without a sender all have the input zero.
            if scale.std > 1e-9 * scale.size:
                inputs[argument] = scale
        terms = sum_terms(self.variables, features, inputs, self.scales, self._normalised)
        for name in self._unlisted:
            for argument, scale in inputs.items():
                terms += general_terms(SELF, name, argument, scale)
        return self.allowed(terms)

    @property
    def _added(self) -> tuple[str, ...]:
        """What may be added to a sum over neighbours: node features, and inputs but for the time."""
        driven = (name for name, known in self.open_inputs.items() if not known.step)
        return (*self.open_features, *driven)

    def values_of(self, argument: sympy.Expr) -> np.ndarray:
        """Values of an expression of the self side over the nodes with a sender and all grid times, flat."""
        fed = np.flatnonzero(self.network.in_degree > 0)
        return self.smoothed_stage.evaluator().at_nodes(argument)[fed].ravel()

    @cached_property
    def smoothed_stage(self) -> Stage:
        """All nodes at all grid times of the smoothed states."""
        return Stage(self.network, self.data.named(), self.data.features)

    def allowed(self, terms: list[Term]) -> list[Term]:
        """Those of some terms that the grammar, the units and the bounds of the user admit."""
        terms = self.prior.bounded(terms)
        if self.grammar == Grammar() and self.prior.units is None:
            return terms
        listed = {
            f: self.grammar.lists(f.expression) and self.prior.is_consistent(f)
            for f in {t.family: None for t in terms}
        }
        return [t for t in terms if listed[t.family]]

    def candidates(self, variable: int) -> list[Term]:
        """What an equation may hold: its known terms with free constants, then the library without them."""
        known = self.prior.fitted(variable)
        sizes = [scale.size for scale in self.scales.values()]
        own = [t for family in known for t in starts(family, sizes, self.seed)]
        return own + [t for t in self.library if not self.prior.holds(variable, t.family)]

    @cached_property
    def forms(self) -> list[IntegralForm]:
        """Integral forms with one window and, under noise, with four."""
        nodes = self.explained if self.held else None
        samples, count = self.data.num_times, len(self.explained)
        rows = _CLEAN_ROWS if self.clean else _NOISY_ROWS
        if samples * count > rows and max(12, rows // samples) < count:
            random = np.random.default_rng(self.seed)
            nodes = np.sort(random.choice(self.explained, max(12, rows // samples), replace=False))
        forms = [
            IntegralForm(self.data, self.network, windows, nodes)
            for windows in ((1,) if self.clean else (1, 4))
        ]
        for variable in range(len(self.variables)):
            for term in self.prior.fixed(variable):
                forms = [form.without(term, variable) for form in forms]
                if not np.all(np.isfinite(forms[0].target(variable))):
                    raise self.prior.not_evaluated(term.family, self.variables[variable])
        return forms

    @cached_property
    def caches(self) -> list[ColumnCache]:
        first = ColumnCache(self.forms[0], bounds=self.prior.bounds)
        return [first, *(ColumnCache(f, first, self.prior.bounds) for f in self.forms[1:])]

    def mean_square_floor(self, variable: int) -> float:
        """Mean squared error of the integral form that no set of terms is expected to undercut."""
        spread = float(self.forms[0].samples(variable).std())
        return (FLOOR * spread) ** 2 + 0.25 * float(self.data.noise[variable]) ** 2
