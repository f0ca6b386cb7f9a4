"""The default road: whole equations out of a library of terms; nets and engines where these leave much."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from jaxllc.discovery.followers import (
    Followers,
    followers_of,
    robust_proposals,
    without_what_nodes_do_not_ask_for,
)
from jaxllc.discovery.mended_network import OnMendedNetwork
from jaxllc.discovery.needed_forcing import with_needed_forcing, with_rich_forcing
from jaxllc.discovery.prior_checks import demanded
from jaxllc.discovery.restored_starts import with_starts
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.judge import moves
from jaxllc.judge.pareto import explained
from jaxllc.judge.price import Prices
from jaxllc.law.law import Law
from jaxllc.model_classes.class_tests import class_note, class_record, class_tests
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.search.forms.grammar import operators_in
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.search.laws.sparse_engine import SparseEngine, equations_of
from jaxllc.search.second_look.wide_terms import listed_terms
from jaxllc.settings.discover_settings import nets_through_solver
from jaxllc.varying.joint_fit import MOST_NODES
from jaxllc.varying.on_law import own_notes, with_own_constants
from jaxllc.varying.own_constants import OwnConstant, own_constants, without_names

if TYPE_CHECKING:
    from jaxllc.neural.neural_fit import NeuralFit

# Constants in an equation up to which a law that explains the samples is taken as it is.
PLAIN = 8
# Share of the time that the search for one expression of the second look may take.
_TEACHING = 0.01
# Share of the nodes that follow below which it is asked what the law lacks, and nodes that it takes.
_FEW, _FEWEST = 0.25, 4
# Units of the criterion up to which other laws are fitted again with new constants of nodes, and how many.
_NEAR, _RIVALS = 30.0, 4
# Share of the time that the laws of single nodes may take for one variable.
_NODES = 0.1


def _imitates(terms) -> bool:
    """Whether an equation may imitate another form: many constants, and functions of two kinds."""
    terms = [t for t in terms if not t.family.known]
    kinds = {name for t in terms if t.inner for name in operators_in(t.family.expression)}
    return sum(t.num_constants for t in terms) > PLAIN and len(kinds) > 1


class LibraryRoad(OnMendedNetwork):
    """Whole equations are searched sparsely first; nets propose where that leaves something."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        # Constants that every node has of its own, once they are found.
        self.own: list[OwnConstant] = []
        # What single nodes said, whether or not only some of them follow.
        self.asked: Followers | None = None

    def _chosen(self, proposals):
        """The best law, its judge, and notes on how it was chosen."""
        with self.clock("refinement"):
            judge, best = self._judged(proposals)
        judge, best = self._with_own_constants(judge, best)
        judge, best = self._with_needed_forcing(judge, best)
        # Where two nets explain clean samples, the law has no functions of sums.
        if self._two_terms_explain(judge, best):
            best = self._with_neural_terms(judge, best)
        # Without noise no function but the right one explains any node: sums come first there.
        for step in (self._with_sums, self._of_followers)[:: 1 if self.search.clean else -1]:
            judge, best = step(judge, best)
        # Moves are dear: where the library leaves much, expressions are looked for first.
        sought = self._needs_neural(judge, best)
        if sought:
            if self.nets is None:
                self._fit_nets(structures=False)
            best = self._with_neural_terms(judge, best)
        with self.clock("refinement"):
            best = self._moved(judge, best)
        if not sought and self._needs_neural(judge, best):
            self._fit_nets(structures=False)
            better = self._with_neural_terms(judge, best)
            with self.clock("refinement"):
                best = best if better is best else self._moved(judge, better)
        if explained(judge, best) and not (self.search.clean or judge.at_floor(best)):
            judge, best = self._with_starts(judge, best)
            best = self._looked_at_again(judge, best)
        if self.followers:
            with self.clock("nodes"):
                best = without_what_nodes_do_not_ask_for(judge, best, self.followers.searches)
        with self.clock("refinement"):
            judge, best = self._with_needed_forcing(judge, best)
            if not explained(judge, best):
                judge.fit_small(best, proposals)
            if self.prior.demand:
                return demanded(self.search, judge, best, proposals, self.settings.num_fits)
        judge, best = self._with_own_constants(judge, best)
        judge, best = self._on_mended(judge, best)
        notes = [self.followers.note(self.node_names)] if self.followers else []
        return judge, best, notes

    def _of_followers(self, judge, best):
        """The judge and the best law of the nodes that follow one, where only some do."""
        if self.settings.nodes == "all" or explained(judge, best):
            return judge, best
        with self.clock("nodes"):
            found = followers_of(
                self.search,
                self.settings.max_terms,
                _NODES * self.settings.search_seconds,
                self.settings.sums,
                self.edge_prior,
                partial(self.say, "nodes"),
            )
        self.asked = found
        if found is None:
            return judge, best
        self.cut_short |= not found.finished
        # All nodes may follow what single ones say.
        self.search = self.search.with_sums(found.sums or self.search.sums)
        best = self._improved(judge, best, robust_proposals(self.search, found))
        if explained(judge, best) or not found.some or self._nets_explain_all():
            return judge, best
        self.given = self.search
        if found.mended and self.settings.edges != "given":
            found = self._with_edges_first(found)
        self.followers = found
        if self.search is self.given:
            self.search = self.search.with_held(found.held)
        with self.clock("search"):
            proposals = self._proposals()
            more = robust_proposals(self.search, found)
        with self.clock("refinement"):
            return self._judged([[*a, *b] for a, b in zip(more, proposals, strict=True)])

    def _with_own_constants(self, judge, best):
        """The judge and the best law with the constants of the nodes fitted beside those of the law."""
        for place, one in enumerate(self.own):
            with self.clock("nodes"):
                fitted = one.fitted(judge.problem, best)
            if fitted is None:
                continue
            self.own[place], law = fitted
            self.search = self.own[place].inserted(self.search)
            with self.clock("refinement"):
                laws = [law, *(j.law for j in judge.near(best, _NEAR, _RIVALS))]
                judge, best = self._judged(equations_of(self.search, laws))
        return judge, best

    def _with_needed_forcing(self, judge, best):
        """The judge and the best law with a forcing of those variables alone that ask for it."""
        if self.settings.forcing == "none" or not explained(judge, best):
            return judge, best
        found = with_needed_forcing(self.search, judge, best)
        if found is None:
            return judge, best
        self.search, laws = found
        self.prior = self.search.prior
        with self.clock("refinement"):
            return self._judged(equations_of(self.search, laws))

    def _law(self, judge, best, notes):
        said = own_notes(self.own, self.settings.vary)
        law = super()._law(judge, best, [*notes, *said])
        law = with_own_constants(law, self.own, self.node_names)
        if law.doubt and not law.node_constants:
            # No law was found, and nothing is said of what would have stood in it.
            law = replace(law, notes=tuple(note for note in law.notes if note not in said))
        return self._with_classes(law, explained(judge, best) and not law.doubt)

    def _with_classes(self, law: Law, explains: bool) -> Law:
        """The law with what it lacks, where that is asked."""
        few = self.followers is not None and self.followers.share < _FEW
        wanted = self.settings.classes == "always" or not explains or few
        if not wanted or self.settings.classes == "never" or self.own or self.limit.ended:
            return law
        if self.search.network.num_nodes > MOST_NODES:
            return law
        with self.clock("model classes"):
            searches = self._searches()
            for search in searches:
                search.deadline = time.perf_counter() + _NODES * self.settings.search_seconds
            tests = class_tests(searches)
        note = class_note(tests, law.variables)
        record = class_record(tests, law.variables)
        return replace(law, model_classes=record, notes=(*law.notes, *([note] if note else ())))

    def _searches(self) -> list[RobustSearch]:
        """The searches of the laws of single nodes, made anew where they were not."""
        if self.asked is not None:
            return list(self.asked.searches)
        plain = replace(self.search, held=())
        found = []
        for variable, name in enumerate(plain.variables):
            self.say("model classes", f"{name}: laws of single nodes")
            deadline = time.perf_counter() + _NODES * self.settings.search_seconds
            search = single_nodes(
                plain, variable, self.settings.max_terms, deadline, self.settings.sums
            )
            if len(search.fitter.kept) >= _FEWEST:
                search.best()
                found.append(search)
        return found

    def _proposals(self):
        self.engine = SparseEngine(max_terms=self.settings.max_terms)
        if self.settings.vary and not self.own:
            self._find_own_constants()
        if self.settings.forcing != "none" and self.judge is None:
            self.search = with_rich_forcing(self.search)
            self.prior = self.search.prior
        proposals = []
        for variable, name in enumerate(self.search.variables):
            self.say("search", f"{name}: {self.engine.name}")
            proposals.append(self.engine.propose(self.search, variable))
        for one in self.own:
            proposals[one.variable] = [*one.proposals(self.search), *proposals[one.variable]]
        return proposals

    def _find_own_constants(self) -> None:
        with self.clock("nodes"):
            self.own = own_constants(
                self.search,
                tuple(self.settings.vary or ()),
                self.settings.max_terms,
                _NODES * self.settings.search_seconds,
                partial(self.say, "nodes"),
            )
        found = {one.name for one in self.own}
        missing = [name for name in self.settings.vary or () if name not in found]
        self.search = without_names(self.search, missing)
        for one in self.own:
            self.search = one.inserted(self.search)
        self.prior = self.search.prior

    def _judged(self, proposals):
        search = self.search
        judge, law = self._judge_of(
            proposals,
            restart=partial(self.engine.start_for, search),
            replacements=partial(self.engine.replacements, search),
            prices=Prices(t for v in range(len(proposals)) for t in listed_terms(search, v)),
        )
        best = judge.choose(proposals, law, self.settings.num_fits)
        if not (search.clean or judge.late or judge.at_floor(best)):
            plain = [self.engine.plain(search, v) for v in range(len(search.variables))]
            best = judge.choose(plain, best.law, self.settings.num_fits) if any(plain) else best
        return judge, judge.recalibrated(best)

    def _moved(self, judge, best):
        best = self._varied(judge, best, self.search.library)
        if not judge.at_floor(best):
            exchanged = moves.exchanged(judge, best)
            best = best if exchanged is best else moves.dropped(judge, exchanged)
        plain = [t for t in self.search.library if not t.inner]
        simpler = moves.simplified(judge, best, plain)
        return best if simpler is best else moves.dropped(judge, simpler)

    def _with_starts(self, judge, best):
        """The judge and the best law with the samples that were left out, where the law explains them."""
        if self.coarse and not (self.cut or judge.late):
            with self.clock("refinement"):
                found = with_starts(judge, best, self.whole)
            if found is not None:
                judge, best = found
                self.runs = self.measured = self.whole
                self.judge, self.coarse = judge, []
        return judge, best

    def _looked_at_again(self, judge, best):
        """Shorter and better laws near one that explains the samples; see `second_look`."""
        from jaxllc.search.second_look.look import second_look

        seconds = _TEACHING * self.settings.search_seconds
        say = partial(self.say, "second look")
        with self.clock("second look"):
            return second_look(
                self.search, self.engine, judge, best, self.settings.engines, seconds, say
            )

    def _needs_neural(self, judge, best) -> bool:
        if self.settings.neural == "never" or self.search.held or self.search.inputs:
            return False
        wanted = self.settings.neural == "always" or self._unexplained(judge, best)
        return wanted and self.limit.may_compile()

    def _unexplained(self, judge, best) -> bool:
        """Whether the best law leaves something, or may imitate another form."""
        if judge.late:
            return False
        if any(_imitates(terms) for terms in best.law.terms):
            return True
        return not judge.at_floor(best) and judge.merit(best.fit) / judge.num_samples > 1.3

    def _with_sums(self, judge, best):
        """The judge and the best law, with functions of sums over neighbours where these are asked for."""
        if not self.settings.sums or not self._unexplained(judge, best):
            return judge, best
        from jaxllc.search.laws.sum_proposals import sum_proposals

        self.search = self.search.with_sums(True)
        with self.clock("sums over neighbours"):
            more = sum_proposals(self.search, self.engine)
        best = self._improved(judge, best, more)
        if self._unexplained(judge, best) and self.limit.may_compile():
            best = self._improved(judge, best, self._whole_rates(best.law))
        # Moves are dear: functions of sums take part in them only where one has proved itself.
        proved = any(
            sums_in(t.family.expression)
            for terms in best.law.terms
            for t in terms
            if not t.family.known
        )
        self.search = self.search.with_sums(proved)
        return judge, best

    def _with_neural_terms(self, judge, best):
        from jaxllc.search.laws.neural_proposals import neural_proposals, searched_proposals

        with self.clock("neural terms"):
            given = self.search, self.nets, best.law, self.seed
            more = neural_proposals(*given, self.settings.max_terms)
        with self.clock("expressions"):
            found = searched_proposals(
                *given,
                self.settings.max_terms,
                self.settings.engines,
                0.2 * self.settings.search_seconds,
                say=lambda what: self.say("expressions", what),
            )
            self.cut_short |= not found.finished
            more = [[*a, *b] for a, b in zip(more, found.proposals, strict=True)]
        return self._improved(judge, best, more)

    def _two_terms_explain(self, judge, best) -> bool:
        """Whether clean samples that the library does not explain are explained by the nets."""
        if not (self.search.clean and self._needs_neural(judge, best)):
            return False
        return self._fit_nets(structures=True).explains

    def _nets_explain_all(self) -> bool:
        """Whether two nets explain all nodes on the network as it is: what is wrong is the law, then."""
        given = self.search.inputs or self.search.held  # which nets do not know of
        if self.settings.neural == "never" or given or not self.limit.may_compile():
            return False
        return (self.nets or self._fit_nets(structures=False)).explains

    def _fit_nets(self, structures: bool) -> NeuralFit:
        from jaxllc.search.laws.neural_proposals import fitted_neural_terms

        with self.clock("neural terms"):
            nets = fitted_neural_terms(
                self.search,
                self.seed,
                structures=structures,
                solver=nets_through_solver(self.settings),
            )
        self.nets = nets
        return nets
