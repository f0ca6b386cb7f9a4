"""Which columns of a table are the two ends of an edge, and which say its sign.

The ends are chosen in pairs, because tables hold several: OmniPath has source and target beside
source_genesymbol and target_genesymbol, and in a table of NicheNet `from` and `to` are the ends and `source`
is the data base. Where the data are at hand, the pair is chosen whose names they use.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from jaxllc.errors import InputError, listed
from jaxllc.signaling.network.sign_words import sign_of_word

# In the order in which they are taken where nothing else tells.
PAIRS = (
    ("source", "target"),
    ("sender", "receiver"),
    ("node1", "node2"),
    ("from", "to"),
    ("source_genesymbol", "target_genesymbol"),
    ("source_symbol", "target_symbol"),
    ("source_name", "target_name"),
    ("source_uniprot", "target_uniprot"),
    ("source_id", "target_id"),
    ("from_genesymbol", "to_genesymbol"),
    ("entitya", "entityb"),
    ("ida", "idb"),
    ("participant_a", "participant_b"),
    ("interactor_a", "interactor_b"),
    ("node_a", "node_b"),
    ("node_1", "node_2"),
    ("gene_a", "gene_b"),
    ("gene1", "gene2"),
    ("gene_1", "gene_2"),
    ("protein1", "protein2"),
    ("protein_a", "protein_b"),
    ("tf", "target"),
    ("tf", "gene"),
    ("regulator", "target"),
    ("regulator", "gene"),
    ("regulator", "regulated"),
    ("enzyme", "substrate"),
    ("enzyme_genesymbol", "substrate_genesymbol"),
    ("kinase", "substrate"),
    ("effector", "target"),
    ("ligand", "receptor"),
    ("ligand", "target"),
    ("upstream", "downstream"),
    ("parent", "child"),
    ("start", "end"),
    ("src", "dst"),
    ("tail", "head"),
)
_SENDER = ("source", "sender", "node1", "from", "source_genesymbol")
_RECEIVER = ("target", "receiver", "node2", "to", "target_genesymbol")
FLAGS = (
    ("consensus_stimulation", "consensus_inhibition"),
    ("is_stimulation", "is_inhibition"),
    ("stimulation", "inhibition"),
    ("stimulates", "inhibits"),
    ("is_activation", "is_inhibition"),
    ("activation", "inhibition"),
    ("activates", "inhibits"),
)
DIRECTED = ("is_directed", "direction", "consensus_direction")
# Columns that say nothing but signs, and others that may say them: these count where all cells do.
SIGNS = (
    *("sign", "interaction", "signs", "mor", "mode_of_regulation", "mode_of_action", "moa", "mode"),
    *("modes", "consensus_sign"),
)
MAYBE_SIGNS = (
    *("effect", "interaction_type", "edge_type", "type", "relation", "regulation", "action"),
    *("polarity", "regulation_type", "arrow"),
)
WEIGHTS = ("weight", "weights", "edge_weight")
SOURCES = ("sources", "databases", "database", "resources", "resource", "source")
_HARMLESS = {
    *(name for pair in PAIRS for name in pair),
    *DIRECTED,
    *SOURCES,
    *("", "references", "reference", "pmid", "pmids", "doi", "n_references", "n_sources"),
    *("n_resources", "curation_effort", "evidence", "confidence", "score", "combined_score"),
    *(
        "level",
        "comment",
        "comments",
        "notes",
        "organism",
        "tax_id",
        "id",
        "index",
        "dorothea_level",
    ),
    *("typea", "typeb", "databasea", "databaseb", "mechanism", "direct", "category"),
    *("lr", "from_type", "to_type", "type_source", "type_target", "unnamed_0", "rownames"),
}
LAYOUTS = (
    "source,target,stimulation,inhibition; source,target,is_stimulation,is_inhibition; "
    "source,interaction,target; Node1,Sign,Node2; sender,receiver[,weight or sign]; "
    "or a SIF file without a header"
)


class Ends(NamedTuple):
    """The columns of the two ends of every edge."""

    sender: str
    receiver: str

    def __str__(self) -> str:
        return f"{self.sender!r} and {self.receiver!r}"


class EdgeColumns(NamedTuple):
    """The columns of a table of edges, None where there is none.

    pairs: every pair that may be the ends, the first as a rule. flags: of stimulation and inhibition. sign:
    signs alone. maybe: signs if all cells are some. weight: a number, whose sign counts if any is negative.
    """

    pairs: list[Ends]
    flags: tuple[str, str] | None
    sign: str | None
    maybe: list[str]
    weight: str | None
    directed: str | None
    sources: str | None
    odd: list[str]

    @property
    def all(self) -> list[str]:
        """Every column that is looked at."""
        one = [self.sign, self.weight, self.directed, self.sources, *(self.flags or ())]
        found = [*(name for pair in self.pairs for name in pair), *self.maybe, *one]
        return list(dict.fromkeys(name for name in found if name is not None))


def columns_of(header: Sequence[str]) -> EdgeColumns:
    """What each column of a table of edges is, by its name."""
    by_name: dict[str, str] = {}
    for name in header:
        by_name.setdefault(column_key(name), name)

    def find(*names: str) -> str | None:
        return next((by_name[name] for name in names if name in by_name), None)

    def both(pair: tuple[str, str]) -> bool:
        return pair[0] in by_name and pair[1] in by_name

    pairs = [Ends(by_name[a], by_name[b]) for a, b in PAIRS if both((a, b))]
    if not pairs:
        sender, receiver = find(*_SENDER), find(*_RECEIVER)
        pairs = [Ends(sender, receiver)] if sender and receiver else []
    flags = next(((by_name[a], by_name[b]) for a, b in FLAGS if both((a, b))), None)
    ends = {name for pair in pairs for name in pair}
    sources = next((by_name[s] for s in SOURCES if s in by_name and by_name[s] not in ends), None)
    maybe = [by_name[name] for name in MAYBE_SIGNS if name in by_name]
    known = {*_HARMLESS, *SIGNS, *WEIGHTS}
    return EdgeColumns(
        pairs,
        flags,
        find(*SIGNS),
        maybe,
        find(*WEIGHTS),
        find(*DIRECTED),
        sources,
        [name for name in header if column_key(name) not in known],
    )


def column_key(name: str) -> str:
    """The name of a column as it is compared: lower case, with underscores for blanks, dots and dashes."""
    return re.sub(r"[\s.:-]+", "_", name.strip().lower())


def check_columns(place: object, header: Sequence[str], columns: EdgeColumns) -> None:
    """Raises InputError for a table without ends, and for one whose odd columns may be meant as signs."""
    signed = columns.flags or columns.sign or columns.weight or columns.maybe
    if not columns.pairs or (columns.odd and not signed):
        raise InputError(
            f"{place} has the columns {listed(list(header), shown=12)}, but a prior network needs one of "
            f"these sets: {LAYOUTS}{_without_header(header)}"
        )


def _without_header(header: Sequence[str]) -> str:
    """What to say of a first row that seems to be an edge, as in the files of TRRUST."""
    if len(header) > 2 and any(sign_of_word(cell) not in (None, 0) for cell in header[2:]):
        return ". Its first row looks like an edge: write a header above it"
    return ""


def chosen_ends(
    pairs: Sequence[Ends], names: Sequence[Collection[str]], wanted: Collection[str] = ()
) -> int:
    """The pair of which most of the wanted names are nodes; the first one where none is better.

    names: the nodes that each pair has.
    """
    fits = [len(set(wanted) & set(nodes)) for nodes in names]
    return int(np.argmax(fits)) if fits else 0


def given_ends(
    pairs: Sequence[Ends], columns: object, header: Sequence[str], place: object
) -> Ends:
    """The two columns that a caller names; raises InputError for what does not name two of the table."""
    given = list(columns) if isinstance(columns, list | tuple) else []
    if len(given) != 2 or not all(isinstance(name, str) for name in given):
        raise InputError(
            f"columns is {columns!r:.80}; give the names of two columns, such as ('source', 'target')"
        )
    by_name = {column_key(name): name for name in reversed(header)}
    unknown = [name for name in given if column_key(name) not in by_name]
    if unknown or column_key(given[0]) == column_key(given[1]):
        wrong = listed(unknown, header) if unknown else f"{given[0]!r} twice"
        has = "; ".join(str(pair) for pair in pairs) or listed(list(header), shown=12)
        raise InputError(f"columns names {wrong}, but {place} has {has}; name two of these")
    return Ends(by_name[column_key(given[0])], by_name[column_key(given[1])])
