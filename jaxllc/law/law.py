"""Law: what a discovery returns, and what can be done with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.law.record import Constant, FrontRow, LawRecord
from jaxllc.law.report import write_report
from jaxllc.law.snapping import snapped
from jaxllc.law.trajectories_of_law import run_law, vector_field_of
from jaxllc.law.writing.law_file import read_law, save_law
from jaxllc.law.writing.law_tables import (
    confidence_table,
    constants_table,
    edges_of,
    forcing_table,
    model_classes_table,
    network_table,
    node_constants_table,
    nodes_table,
    pareto_table,
)
from jaxllc.law.writing.law_text import law_latex, law_summary, law_text
from jaxllc.law.writing.missing_input_table import missing_input_table

if TYPE_CHECKING:
    import pandas

    from jaxllc.dynamics.integrate import Simulation
    from jaxllc.dynamics.vector_field import VectorField

__all__ = ["Constant", "FrontRow", "Law", "load_law"]


class Law(LawRecord):
    """The law of a network: dx_i/dt = self term + sum over j of A_ij interaction term, for each variable.

    Of a map, x_i(k+1) takes the place of dx_i/dt.

    equations: {variable: Equation(self_term, interaction_term)}, sympy expressions in v_i, v_j (variables
        and node features of receiver and sender), k_i (total input weight of the receiver) and, in self
        terms, v_s, which stands for sum_j A_ij v_j; a file of the law holds this symbol too.
    constants: every constant with its standard error; nan where the data do not determine it.
    inputs: names of what acts on the nodes from outside, with "time" where that is the time itself. held:
        nodes that were given, which the law does not explain.
    adjusted_r2: {variable: value} of the fitted trajectories.
    skill: {variable: {"no_change": value, "constant": value}} of the fitted trajectories, beside a forecast
        of no change and a constant for each node and run (`jaxllc.law.skill`): 1 is perfect, 0 no better.
    noise: {variable: standard deviation of a sample that the law leaves}.
    converged: whether the last fit converged; doubt: why the law is not to be trusted at all, empty where
        nothing speaks against it: no law that was found stays finite and beats dx/dt = 0 on its own samples,
        or this one does not; notes: sentences on what the data do not determine.
    seconds: {stage: time taken}.
    data, fitted_states: the runs it was fitted to, and its own states (time, node, variable) at their
        samples; a law read from a file has neither.
    covariance: (constant, constant) of the values of `constants`, with what grid and solver may be off, so
        that it exceeds the standard errors on data without noise; None in files of earlier versions.
    confidence: bootstrap frequencies of terms and intervals of constants; None where not known.
    snapping: which constants may be set to nice numbers without that the samples object (`law.snapping`);
        None where they were not asked.
    rivals: other laws that the samples leave possible, with their frequencies.
    follows: (node,) the probability of each node that it follows the law, where some do not; None where all
        were asked to. Nodes that do not are held: their states are given as they were measured.
    edges: what the samples say of every pair of nodes under this law, where no network was given, or where
        some nodes do not follow it and the interaction adds up over edges (see
        `jaxllc.nodewise.edges.edge_table`); None elsewhere, and in files.
    node_constants: constants that every node has of its own (`jaxllc.law.record.NodeConstant`), which the
        equations hold as they hold node features; empty where `vary` asked for none.
    dynamics: "flow", or "map" for a law that gives the next state, x_i(k+1), from x_i and x_j at k. step: how
        far the times of two states of a map are apart.
    process_noise: {variable: q} of a law of dynamics that are noisy themselves: of a flow per root of time,
        dx_i = (...) dt + q dW_i, of a map of each step. `noise` is that of the measurement then, and
        adjusted_r2, skill and fitted_states are those of forecasts from each sample to the next, since a
        noisy trajectory is no solution of its law. Empty for other laws.
    forcing: what drives a variable at all nodes alike (`jaxllc.data.drivers.forcing.Forcing`), where that was
        asked for; the equations hold it as u_x, which stands for u_x(t). Empty for other laws.
    model_classes: what the law may lack (`jaxllc.law.record.ModelClass`), where that was asked; see the
        setting `classes`. No part of its file.
    finished: False where the search was interrupted, and this is the best law so far.
    """

    def __str__(self) -> str:
        return law_text(self)

    def summary(self) -> str:
        """The equations, the quality of the fit and what is not determined, in a few lines."""
        return law_summary(self)

    def latex(self) -> str:
        """The equations as LaTeX, one line for each variable, without an environment around them."""
        return law_latex(self)

    def _repr_latex_(self) -> str:
        return "$$\\begin{aligned}" + self.latex().replace(" = ", " &= ") + "\\end{aligned}$$"

    def vector_field(self) -> VectorField:
        """The law as a vector field for `jaxllc.simulate`: a pytree, whose leaves are its constants.

        Raises InputError for a map, which has none.
        """
        return vector_field_of(self)

    def constants_table(self) -> pandas.DataFrame:
        """Every constant: variable, side, term, role, value, standard_error, low and high, the ends of its
        bootstrap interval of 95 % (nan where there is none), and unit if known."""
        return constants_table(self)

    def confidence_table(self) -> pandas.DataFrame:
        """How often each term comes back in the bootstrap: variable, side, term, in_law, frequency.

        Raises InputError for a law that has no confidence, such as one from a file of an earlier version.
        """
        return confidence_table(self)

    def pareto_table(self) -> pandas.DataFrame:
        """The front of complexity against misfit: one row for each law, simplest first."""
        return pareto_table(self)

    def nodes_table(self) -> pandas.DataFrame:
        """How likely each node follows the law, the least likely first: node, follows.

        nan where a node was not asked, since it or a sender of its was not observed. Raises InputError
        where all nodes were asked to follow, as long as the samples allow it.
        """
        return nodes_table(self)

    def node_constants_table(self) -> pandas.DataFrame:
        """The constants that every node has of its own: node, and for each its value, its standard error and
        the value drawn to the mean over nodes, as far as error and spread ask for.

        Raises InputError for a law without any.
        """
        return node_constants_table(self)

    def missing_input_table(
        self,
        data: Trajectories | Sequence[Trajectories] | None = None,
        network: Network | None = None,
        nodes: Sequence[str] | None = None,
    ) -> pandas.DataFrame:
        """What acts on nodes beside this law, over time: run, node, variable, time, value, lower and upper,
        the ends of its band of 95 % at each time; in units of the variable per unit of time.

        It is what hidden neighbours, lost edges or inputs that nobody measured add to the rate of a node,
        estimated from its samples less the law on smoothed states. data, network: by default those the law
        was found on. nodes: names, by default those that do not follow the law, or all where none were
        told apart. Raises InputError for a law of steps, and where data, network and law do not fit.
        """
        return missing_input_table(self, data, network, nodes)

    def forcing_table(self) -> pandas.DataFrame:
        """The forcing of each variable that has one, at 101 times over those of the samples: time, variable,
        value, and lower and upper, the ends of its band of 95 % (nan where the samples leave it open).

        Its mean over that time is zero by convention: no samples tell it from a constant of the law, which
        holds the sum of both. Raises InputError for a law without any.
        """
        return forcing_table(self)

    def model_classes_table(self) -> pandas.DataFrame:
        """What the law may lack, that which brings most first: class, variable, gain, the fall of the
        criterion with it, follow and followed, the share of the nodes that follow one law with and without
        it, needed.

        Raises InputError where that was not asked, as for a law that explains the samples.
        """
        return model_classes_table(self)

    def network_table(self, least: float = 0.01) -> pandas.DataFrame:
        """What the samples say of the edges under this law: sender, receiver, weight, probability, given,
        edge (kept, added, removed, absent; found where none was given) and follows, the probability that the
        receiver follows with its repaired senders; where that is small, probabilities are no more than a
        ranking. Where no network was given also low and high: an interval of 95 % for the weight of an edge
        by itself, all others being there.

        Pairs that were given, are there, or have a probability of at least `least`; those that changed come
        first. Raises InputError where edges were not asked for, and for a `least` that is no probability.
        """
        return network_table(self, least)

    def repaired_network(self) -> Network:
        """The network with the edges that the samples ask for under this law, and without those they do not.

        `network` stays the one that was given, unless edges were said to be uncertain. Raises InputError
        where edges were not asked for.
        """
        return edges_of(self).network()

    def run(
        self,
        initial_state: np.ndarray,
        times: Sequence[float] | np.ndarray,
        network: Network | None = None,
        node_features: Mapping[str, np.ndarray] | None = None,
        inputs: Mapping[str, Any] | None = None,
        held: Mapping[str, Any] | Trajectories | None = None,
        **options: Any,
    ) -> Simulation:
        """As `simulate`, but the whole result: whether it ended well, and if not when and why.

        Initial states of several runs, (run, node, variable), give a list of these.
        """
        return run_law(self, initial_state, times, network, node_features, inputs, held, **options)

    def simulate(
        self,
        initial_state: np.ndarray,
        times: Sequence[float] | np.ndarray,
        network: Network | None = None,
        node_features: Mapping[str, np.ndarray] | None = None,
        inputs: Mapping[str, Any] | None = None,
        held: Mapping[str, Any] | Trajectories | None = None,
        **options: Any,
    ) -> Trajectories:
        """Trajectories of the law from initial_state (node,) or (node, variable) at times[0], at times (T,).

        network: another network; by default the one the law was found on. node_features: {name: (node,)};
        by default those of the data, and the law's own constants of nodes. inputs: {name: source} over these
        times, as `jaxllc.discover` takes them; by default those of the data, which know no other times.
        held: the states of the nodes that are held, {node: (times, states)} or the run that holds them; by
        default those of the data, and {} lets them follow the law. options: of `jaxllc.simulate`;
        process_noise=True takes that of the law, of which else there is none, and each of several runs is a
        realisation of its own. Times and states are in the units of the data; times of a map are apart by
        multiples of its step. A run that diverges ends in nan; `run` says when and why. Initial states of
        several runs, (run, node, variable), give a list.
        Raises InputError where there is no network, and for states or features that do not fit it.

        >>> import jaxllc
        >>> law = jaxllc.Law(jaxllc.known_laws.get("heat").equations)
        >>> pair = jaxllc.Network.from_edges([0], [1])
        >>> print(law)
        dx_i/dt = sum_j A_ij (-x_i + x_j)
        >>> law.simulate([1.0, 0.0], [0.0, 1.0], pair).states[-1, :, 0].round(4)
        array([1.    , 0.6321])
        """
        found = self.run(initial_state, times, network, node_features, inputs, held, **options)
        if isinstance(found, list):
            return [one.trajectories for one in found]  # type: ignore[return-value]
        return found.trajectories

    def snapped(self) -> Law:
        """The law with its constants set to nice numbers (1, 1/2, 0.3, 2 pi) and to one another, where
        the data do not object; the others move along.

        Numbers, tests and limits are those of `law.snapping`. A law that was discovered was refitted with
        its constants set, and holds what the samples agreed to. `adjusted_r2`, `noise` and `fitted_states`
        stay those of the fit. Standard errors become zero where a constant was set.
        Raises InputError for a law without a covariance, as from a file of an earlier version.
        """
        return snapped(self)

    def save(self, path: str | os.PathLike) -> None:
        """Write the law as JSON, whole or not at all; `jaxllc.load_law` reads it."""
        save_law(self, path)

    def report(self, path: str | os.PathLike) -> None:
        """Write one self-contained HTML page: equations, constants, front and figures."""
        write_report(self, path)


def load_law(path: str | os.PathLike) -> Law:
    """Read a law written by `Law.save`; nothing in the file can run.

    Raises InputError that names the file, the place and the value for a file that is no such law.
    """
    return read_law(path, Law)
