"""What is said of edges that were found, and why none are told."""

from __future__ import annotations

import math

from jaxllc.discovery.without_network.finder import EQUAL, FREE, SHARES, Finding
from jaxllc.nodewise.edges.edge_table import EdgeTable

# Share of wrong pairs, over edges, up to which edges that are known come back.
_WRONG = 0.05
# Difference of the criterion from which on one form is clearly better than another.
_CLEARLY = 20.0


def refusal(finding: Finding, num_runs: int) -> str:
    """Why no edge is told, and what would help; empty where edges can be told."""
    rank, found = finding.rank, finding.found
    if not finding.forms[0].gain > 0:
        return (
            "No network was given, and no edge shows in the samples: every node is explained as well by "
            "itself. Edges show where nodes start apart: record runs from other starts."
        )
    if found is not None and (rank.full or (found.equal and finding.wrong <= _WRONG)):
        return ""
    why = (
        f"the courses of the {rank.senders} nodes that may act on a node differ by more than the noise in "
        f"about {rank.directions} directions"
    )
    if found is None:
        why += ", and no set of edges was found with which half of the nodes follow one law"
    elif found.equal:
        why += (
            f", and where samples were made of known edges {finding.wrong:.0%} as many pairs as there are "
            "edges came back wrong"
        )
    else:
        why += ", too few for a strength of each edge"
    return (
        f"No network was given, and these samples do not tell the edges: {why}. "
        f"{_what_helps(finding, num_runs)} That nodes are explained down to the noise proves nothing here. "
        f"{_form_sentence(finding)}"
    )


def _what_helps(finding: Finding, num_runs: int) -> str:
    rank = finding.rank
    if rank.full:
        return (
            "Runs from other starts, samples that resolve how nodes move, or less noise would help; "
            "something that was not seen may act on the nodes, too."
        )
    needed = math.ceil(num_runs * rank.senders / max(rank.directions, 1))
    return (
        f"More runs from other starts would help, about {needed} where there are {num_runs}; more samples of "
        "the same runs would not."
    )


def _form_sentence(finding: Finding) -> str:
    first, *others = finding.forms
    text = first.term.family.text
    if others and others[0].criterion - first.criterion < _CLEARLY:
        return (
            f"The form is open, too: {text} and {others[0].term.family.text} serve about as well."
        )
    return f"The interaction that serves best, with senders of each node's own choice, is {text}."


def found_sentence(finding: Finding, table: EdgeTable) -> str:
    """How network and law were found, for people."""
    found, rank = finding.found, finding.rank
    assert found is not None
    kind = {
        EQUAL: "all of one strength",
        SHARES: "of which those into a node share one strength, the same for all nodes",
        FREE: "each of a strength of its own",
    }[found.kind]
    text = (
        f"No network was given: {int(table.present.sum())} edges among {len(table.present)} nodes were found "
        f"with the law, {kind}. law.network_table() holds the probability of each and the interval of its "
        "weight by itself."
    )
    if not found.equal:
        text += (
            " Only weights times constants are determined: weights are of mean size one, and constants are "
            "those of single nodes where the notes do not say otherwise."
        )
    if not rank.full:
        text += (
            f" The courses of the {rank.senders} possible senders of a node differ in about "
            f"{rank.directions} directions only: the edges rest on their being of one strength. Where "
            f"samples were made of known edges, {finding.wrong:.1%} as many pairs as there are edges came "
            "back wrong; more runs from other starts would tell more."
        )
    return text
