"""The three tables that a signaling model is fitted to: their arguments, and how they are read."""

from __future__ import annotations

import argparse
from dataclasses import replace

from jaxllc.commands.progress import say
from jaxllc.errors import InputError, listed
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """The three tables that a model is fitted to."""
    parser.add_argument("network", metavar="NETWORK", help="signed edges: a table or a SIF file")
    parser.add_argument("ligands", metavar="LIGANDS", help="ligand levels: conditions x nodes")
    parser.add_argument("tfs", metavar="TFS", help="TF activities, 0 to 1: conditions x nodes")
    parser.add_argument(
        "--trim",
        action="store_true",
        help="leave out the nodes that are on no path from a ligand to a TF",
    )


def read_problem(options: argparse.Namespace) -> tuple[PriorNetwork, Conditions]:
    """The prior network and the conditions matched to it; what the readers noted is said on stderr.

    Raises InputError for tables that cannot be used, and where no path leads from a ligand to a TF.
    """
    tables = Conditions.read(options.ligands, options.tfs)
    prior = PriorNetwork.read(options.network, conditions=tables)
    conditions = tables.matched(prior)
    if not prior.has_path(conditions.ligands, conditions.tfs):
        raise InputError(
            f"{options.network}: no path leads from a ligand ({listed(conditions.ligands)}) to a TF "
            f"({listed(conditions.tfs)}), so no ligand can act on any; add the edges between them or "
            "check the names"
        )
    more = []
    beyond = set(prior.unreached(conditions.ligands))
    unreached = [tf for tf in conditions.tfs if tf in beyond]
    if unreached:
        more.append(
            f"no path leads from a ligand to {len(unreached)} of {len(conditions.tfs)} TFs, which the "
            f"model predicts alike in all conditions: {listed(unreached, shown=20)}"
        )
    if options.trim:
        before = prior.num_nodes
        prior = prior.trimmed(conditions.ligands, conditions.tfs)
        conditions = conditions.matched(prior)
        if prior.num_nodes < before:
            more.append(f"--trim leaves out {before - prior.num_nodes} of {before} nodes")
    conditions = replace(conditions, remarks=once(*conditions.remarks, *more))
    if not options.quiet:
        for note in once(*prior.notes, *conditions.notes):
            say(note)
    return prior, conditions
