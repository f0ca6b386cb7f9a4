"""Prior networks: each layout reads to the same edges, and what a table leaves open is said."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.network.prior_network import PriorNetwork
from tests.counted_calls import at_most_calls

# Stimulation, inhibition, unknown sign.
EDGES = [("L", "R", 1), ("R", "T", -1), ("S", "T", None)]
PUBLISHED = (
    "source\ttarget\tdirection\tstimulation\tinhibition\tsources\treferences\n"
    "L\tR\t1\t1\t0\tKEGG;IntAct\tKEGG:1\nR\tT\t1\t0\t1\tKEGG\t\nS\tT\t1\t0\t0\t\t\n"
)
TABLES = {
    "published": PUBLISHED,
    "published, words": PUBLISHED.replace("\t1\t1\t0", "\tTrue\tTRUE\tfalse"),
    "trailing cells": PUBLISHED.replace("KEGG:1", "KEGG:1\t\t").replace("KEGG\t\n", "KEGG\t\t\n"),
    "trailing cells below": PUBLISHED.replace("\t\t\n", "\t\t\t\t\n").replace("\tKEGG\t\n", "\n"),
    "OmniPath": (
        ",source,target,source_genesymbol,target_genesymbol,is_directed,is_stimulation,is_inhibition,"
        "consensus_direction,consensus_stimulation,consensus_inhibition,sources\n"
        "0,L,R,l,r,True,True,True,True,True,False,KEGG\n"
        "1,R,T,r,t,True,True,True,True,False,True,KEGG\n"
        "2,S,T,s,t,True,True,False,False,False,False,KEGG\n"
        "3,S,R,s,r,False,True,False,False,True,False,KEGG\n"
    ),
    "OmniPath, no consensus": (
        "source_genesymbol;target_genesymbol;is_directed;is_stimulation;is_inhibition\n"
        "L;R;1;1;0\nR;T;1;0;1\nS;T;1;0;0\nS;R;0;1;0\n"
    ),
    "CARNIVAL": "Node1,Sign,Node2\nL,1,R\nR,-1,T\nS,NA,T\n",
    "CARNIVAL, lower case": "source\tinteraction\ttarget\nL\t+1\tR\nR\t-1.0\tT\nS\t0\tT\n",
    "signs": "SOURCE,sign,TARGET\nL,+,R\nR,-,T\nS,,T\n",
    "words": "source,interaction,target\nL,activates,R\nR,Inhibits,T\nS,unknown,T\n",
    "house, weight": "sender,receiver,weight\nL,R,0.3\nR,T,-2\nS,T,\n",
    "house, sign": "sender,receiver,sign\nL,R,1\nR,T,-1\nS,T,0\n",
    "SIF, tabs": "L\tactivates\tR\nR\tinhibits\tT\nS\tunknown\tT\n",
    "SIF, arrows": "L -> R\n\nR -| T\nS pp T\n",
    "SIF, numbers": "\ufeffL  1  R\r\nR  -1  T\r\nS  0  T\r\n",
}


@pytest.fixture
def write(tmp_path):
    def write_file(text: str, name: str = "edges.tsv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_file


def edges_of(prior: PriorNetwork) -> dict[tuple[str, str], int | None]:
    """Sender and receiver name -> sign, None if unknown."""
    ends = zip(prior.senders, prior.receivers, strict=True)
    signs = [
        int(s) if known else None for s, known in zip(prior.signs, prior.sign_known, strict=True)
    ]
    return {(prior.names[u], prior.names[v]): s for (u, v), s in zip(ends, signs, strict=True)}


def assert_same(one: PriorNetwork, other: PriorNetwork, sources: bool = True) -> None:
    assert one.names == other.names
    for field in ("senders", "receivers", "signs", "sign_known"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert not sources or one.sources == other.sources


@pytest.mark.parametrize("layout", TABLES)
def test_every_layout_reads_to_the_same_edges(write, layout):
    prior = PriorNetwork.read(write(TABLES[layout]))
    assert edges_of(prior) == {(u, v): sign for u, v, sign in EDGES}
    assert_same(prior, PriorNetwork.from_edges(*zip(*EDGES, strict=True)), sources=False)
    assert prior.names == ("L", "R", "S", "T")
    assert (prior.senders.dtype, prior.signs.dtype) == (np.int32, np.int8)
    assert prior.signs[~prior.sign_known].tolist() == [0]


def test_sif_with_several_targets_lone_nodes_and_its_suffix(write):
    prior = PriorNetwork.read(write("A up-regulates B C\nlonely\nB down_regulates C\n", "net.sif"))
    assert edges_of(prior) == {("A", "B"): 1, ("A", "C"): 1, ("B", "C"): -1}
    assert prior.notes == ("nodes that stand alone in a row were left out: 1",)


def test_names_may_hold_blanks_and_look_like_missing_values(write):
    prior = PriorNetwork.read(write("NA\t->\tnan \n p 53\t-|\tNA\n"))
    assert prior.names == ("NA", "nan", "p 53")
    assert PriorNetwork.read(write("source,sign,target\nNA,1,None\n")).names == ("NA", "None")


def test_edges_are_sorted_by_receiver_then_sender_whatever_the_rows(write):
    rng = np.random.default_rng(0)
    header, *rows = PUBLISHED.splitlines()
    rows += ["L\tR\t1\t0\t1\tSIGNOR;KEGG\t", "R\tT\t1\t0\t0\tACSN\t", "Z\tL\t1\t1\t1\tX\t"]
    first = PriorNetwork.read(write("\n".join([header, *rows])))
    order = first.receivers.astype(int) * first.num_nodes + first.senders
    assert (np.diff(order) > 0).all()
    assert list(first.names) == sorted(first.names)
    for _ in range(5):
        shuffled = [rows[n] for n in rng.permutation(len(rows))]
        assert_same(PriorNetwork.read(write("\n".join([header, *shuffled]))), first)


def test_both_flags_repeats_and_contradictions_are_settled_and_reported(write):
    rows = [
        ("A", "B", 1, 1),
        ("B", "C", 0, 0),
        ("B", "C", 1, 0),
        ("C", "A", 1, 0),
        ("C", "A", 0, 1),
    ]
    text = "source,target,stimulation,inhibition,sources\n" + "".join(
        f"{u},{v},{s},{i},{'S' if s else 'I;S'}\n" for u, v, s, i in rows
    )
    prior = PriorNetwork.read(write(text))
    assert edges_of(prior) == {("A", "B"): -1, ("B", "C"): 1, ("C", "A"): -1}
    assert dict(zip(edges_of(prior), prior.sources, strict=True))["B", "C"] == "I;S"
    assert prior.notes == (
        "both flags are set in 1 row, which counts as inhibition: 'A' -> 'B' (row 2)",
        "4 rows that repeat were merged into 2 edges, in 1 of which a known sign won over unknown: "
        "'C' -> 'A' (row 5, row 6), 'B' -> 'C' (row 3, row 4)",
        "the rows contradict each other in the sign of 1 edge, which counts as inhibition: "
        "'C' -> 'A' (row 5, row 6)",
    )


def test_undirected_rows_are_counted(write):
    prior = PriorNetwork.read(write(TABLES["OmniPath"]))
    assert prior.notes == ("1 of 4 rows are undirected and were left out, the first in row 5",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"edges\.tsv is empty"),
        ("\n\n", "nothing in row 1"),
        ("source,sign,target\n", "a header but no data"),
        (
            "a,b\nb,c\n",
            "the columns 'a', 'b', but a prior network needs one of these sets: source,t",
        ),
        ("source,target,effect\na,b,1\n", "columns 'source', 'target', 'effect', but"),
        ("source,target,stimulation\na,b,1\n", "'stimulation', but"),
        ("source,sign,target,sign\na,1,b,1\n", "the column 'sign' twice; keep one"),
        ("source,,target\na,1,b\n", "column 2 of the header has no name"),
        ("source,sign,target\na,1,b\n,1,c\n", "row 3, column 'source' is empty; name the node"),
        ("source,sign,target\na,1,b\n\nc,1,\n", "row 4, column 'target' is empty; name the node"),
        (
            "source,sign,target\na,1,b\nc,2,d\n",
            "row 3, column 'sign': '2' is not understood; write 1",
        ),
        (
            "source,interaction,target\na,inhibts,b\n",
            r"row 2, column 'interaction': 'inhibts' is not understood \(did you mean 'inhibits'\?\)",
        ),
        ("sender,receiver,weight\na,b,inf\n", "row 2, column 'weight': 'inf' is not understood"),
        ("sender,receiver,weight\na,b,big\n", "'big' is not understood.*; write a number"),
        (
            PUBLISHED.replace("R\tT\t1\t0\t1", "R\tT\t1\t0\t2"),
            "row 3, column 'inhibition': '2' is not understood; write 1 or 0",
        ),
        (
            PUBLISHED.replace("R\tT\t1\t0\t1", "R\tT\t1\t\t1"),
            "row 3, column 'stimulation' is empty; write 1 or 0",
        ),
        (
            PUBLISHED.replace("KEGG:1", "KEGG:1\t\tx"),
            "row 2 holds 'x' in cell 9, but the header has 7 cells; name every column",
        ),
        ("source,target,is_directed\na,b,0\n", "only undirected edges; give .*'is_directed' is 1"),
        ("A -> B\nB -> \n", "row 2: 'B ->' is not an edge; write .* separated by blanks"),
        ("A\t->\tB\nB\t->\t\tC\n", "row 2: .* is not an edge; write .* separated by tabs"),
        ("A -> B\nB activtes C\n", r"row 2, .*'activtes' .*'activates'\?\); write activates"),
    ],
)
def test_wrong_tables_are_named(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        PriorNetwork.read(write(text))


def test_files_that_are_not_tables(tmp_path, write):
    with pytest.raises(InputError, match=r"nothing\.tsv does not exist; check the name"):
        PriorNetwork.read(tmp_path / "nothing.tsv")
    with pytest.raises(InputError, match="cannot read"):
        PriorNetwork.read(tmp_path)
    with pytest.raises(InputError, match="has no edge; write source, interaction and target"):
        PriorNetwork.read(write("lonely\n", "net.sif"))
    for name in ("latin.tsv", "latin.sif"):
        (tmp_path / name).write_bytes(("A\t->\tB\n" * 9999 + "Zürich\t->\tB\n").encode("latin-1"))
        with pytest.raises(InputError, match="not UTF-8 text; save it in UTF-8"):
            PriorNetwork.read(tmp_path / name)
    (tmp_path / "binary.tsv").write_bytes(b"source\0\0\x01\n")
    with pytest.raises(InputError, match="not a text table"):
        PriorNetwork.read(tmp_path / "binary.tsv")


def test_from_edges_names_what_is_wrong():
    prior = PriorNetwork.from_edges(["a", "b", "c", "a"], "bcaa", [1, None, float("nan"), -1])
    assert edges_of(prior) == {("a", "a"): -1, ("c", "a"): None, ("a", "b"): 1, ("b", "c"): None}
    with pytest.raises(InputError, match="one length, not 2, 1 and 2"):
        PriorNetwork.from_edges(["a", "b"], ["b"])
    with pytest.raises(InputError, match="are empty; a prior network needs edges"):
        PriorNetwork.from_edges([], [])
    with pytest.raises(InputError, match=r"receivers\[1\] is empty"):
        PriorNetwork.from_edges(["a", "b"], ["b", None])
    with pytest.raises(InputError, match=r"signs\[1\] is 0.5; write \+1, -1 or None"):
        PriorNetwork.from_edges(["a", "b"], ["b", "a"], [1, 0.5])
    with pytest.raises(InputError, match="signs must hold"):
        PriorNetwork.from_edges(["a"], ["b"], ["up"])


def test_frames_read_like_files_and_name_the_index(write):
    prior = PriorNetwork.read(write(PUBLISHED))
    frame = prior.to_frame()
    assert list(frame) == ["source", "target", "stimulation", "inhibition", "sources"]
    assert_same(PriorNetwork.from_frame(frame), prior)
    flags = frame.astype({"stimulation": bool, "inhibition": float}).sample(frac=1, random_state=0)
    assert_same(PriorNetwork.from_frame(flags), prior)
    signs = pd.DataFrame(
        {"Node1": ["L", "R", "S"], "Sign": [1, -1, None], "Node2": ["R", "T", "T"]}
    )
    assert edges_of(PriorNetwork.from_frame(signs)) == edges_of(prior)
    with pytest.raises(InputError, match="my edges, index 1, column 'target' is empty; name"):
        PriorNetwork.from_frame(frame.assign(target=["R", None, "T"]), place="my edges")
    with pytest.raises(InputError, match="the table has no rows"):
        PriorNetwork.from_frame(frame[:0])
    with pytest.raises(InputError, match="must be a pandas DataFrame, not a dict"):
        PriorNetwork.from_frame({})


@pytest.mark.parametrize("name", ["net.tsv", "net.csv", "net.sif"])
def test_a_written_network_reads_back(write, tmp_path, name):
    prior = PriorNetwork.read(write(PUBLISHED))
    prior.to_csv(tmp_path / name)
    assert_same(PriorNetwork.read(tmp_path / name), prior, sources=name != "net.sif")


def random_prior(seed: int) -> PriorNetwork:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 40, size=(2, 55)).astype(str)
    return PriorNetwork.from_edges(*ends, rng.choice([1, -1, np.nan], 55))


@pytest.mark.parametrize("seed", range(8))
def test_reachability_agrees_with_networkx(seed):
    prior = random_prior(seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(prior.names)
    graph.add_edges_from(edges_of(prior))
    inputs, outputs = list(prior.names[:3]), list(prior.names[-3:])
    reached = set(inputs).union(*(nx.descendants(graph, n) for n in inputs))
    leading = set(outputs).union(*(nx.ancestors(graph, n) for n in outputs))
    assert prior.unreached(inputs) == sorted(set(prior.names) - reached)
    assert prior.leading_nowhere(outputs) == sorted(set(prior.names) - leading)
    assert prior.has_path(inputs, outputs) == bool(reached & leading)
    if reached & leading:
        trimmed = prior.trimmed(inputs, outputs)
        kept = graph.subgraph(reached & leading)
        assert set(trimmed.names) == set(kept)
        assert edges_of(trimmed) == {e: s for e, s in edges_of(prior).items() if e in kept.edges}
        assert (np.diff(trimmed.receivers.astype(int) * 40 + trimmed.senders) > 0).all()


def test_trimming_keeps_cycles_and_drops_dead_ends():
    prior = PriorNetwork.from_edges(
        ["L", "a", "b", "a", "dead", "a", "T", "x"],
        ["a", "b", "a", "T", "dead", "dead", "off", "T"],
    )
    trimmed = prior.trimmed(["L"], ["T"])
    assert trimmed.names == ("L", "T", "a", "b")
    assert prior.unreached(["L"]) == ["x"]
    assert prior.leading_nowhere(["T"]) == ["dead", "off"]
    assert "x" not in prior.trimmed(["L", "x"], ["b"]).names
    assert not prior.has_path(["dead"], ["T"])
    with pytest.raises(InputError, match="no path leads from the inputs 'dead' to the outputs 'T'"):
        prior.trimmed(["dead"], ["T"])
    with pytest.raises(InputError, match=r"outputs holds 't' \(did you mean 'T'\?\), not among"):
        prior.has_path(["L"], ["t"])


def test_nodes_and_edges_can_be_added_and_removed():
    prior = PriorNetwork.from_edges(*zip(*EDGES, strict=True))
    added = prior.with_edges(["T", "L"], ["T", "S"])
    assert edges_of(added) == {**edges_of(prior), ("T", "T"): None, ("L", "S"): None}
    loops = [e for e, edge in enumerate(edges_of(added)) if edge in (("T", "T"), ("L", "S"))]
    assert_same(added.without_edges(loops), prior)
    assert_same(prior.without_edges([]), prior)
    knocked_out = added.without_nodes(["R"])
    assert knocked_out.names == ("L", "S", "T")
    assert edges_of(knocked_out) == {e: s for e, s in edges_of(added).items() if "R" not in e}
    assert prior.without_edges(np.arange(3)).names == prior.names
    assert (prior.position["S"], prior.num_nodes, prior.num_edges) == (2, 4, 3)
    with pytest.raises(InputError, match="the edge 'L' -> 'R' is in the network"):
        prior.with_edges(["L"], ["R"])
    with pytest.raises(InputError, match="senders holds 'Q'"):
        prior.with_edges(["Q"], ["R"])
    with pytest.raises(InputError, match="one length, not 1, 2 and 1"):
        prior.with_edges(["L"], ["R", "S"])
    for wrong in ([3], [-1], [0.5], [True, False]):
        with pytest.raises(InputError, match="integers from 0 to 2"):
            prior.without_edges(wrong)
    with pytest.raises(ValueError, match="read-only"):
        prior.signs[0] = 1


@pytest.mark.parametrize(
    ("table", "reference", "counts"),
    [
        ("macrophage-Model.tsv", "macrophage", (1128, 5732, 1470, 536, 3726)),
        ("ligandScreen-Model.tsv", "ligand", (1262, 6594, 3931, 1488, 1175)),
        ("KEGGnet-Model.tsv", None, (409, 832, 702, 130, 0)),
        ("ToyNetRecurrent-Model.txt", "toy", (7, 8, 6, 2, 0)),
    ],
)
def test_published_networks_agree_with_the_references(shared_folder, table, reference, counts):
    folder = shared_folder / "data" / "lembas"
    prior = PriorNetwork.read(folder / table)
    known = prior.sign_known
    stimulation, inhibition = known & (prior.signs > 0), known & (prior.signs < 0)
    found = (prior.num_nodes, prior.num_edges, stimulation.sum(), inhibition.sum(), (~known).sum())
    assert found == counts
    assert prior.describe().startswith("{} nodes, {} edges: {} stimulating, {} inh".format(*counts))
    assert_same(PriorNetwork.from_frame(prior.to_frame()), prior)
    if reference:
        with np.load(folder / "reference" / f"{reference}.npz") as values:
            assert list(prior.names) == values["node_names"].tolist()
            np.testing.assert_array_equal(prior.senders, values["edge_source"])
            np.testing.assert_array_equal(prior.receivers, values["edge_target"])
            np.testing.assert_array_equal(stimulation, values["moa_stim"])
            np.testing.assert_array_equal(inhibition, values["moa_inh"])


def test_the_repeated_rows_of_the_ligand_screen_are_reported(shared_folder):
    prior = PriorNetwork.read(shared_folder / "data" / "lembas" / "ligandScreen-Model.tsv")
    (note,) = prior.notes
    assert note.startswith(
        "6 rows that repeat were merged into 3 edges, in 3 of which a known sign"
    )
    assert "'O00548' -> 'P46531' (row 2, row 187)" in note
    edge = list(edges_of(prior)).index(("O00548", "P46531"))
    sources = prior.sources[edge].split(";")
    assert len(sources) == len(set(sources))
    assert {"Baccin2019", "KEGG-MEDICUS"} <= set(sources)


def test_a_hundred_thousand_edges_take_little_work(tmp_path):
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 30_000, size=(2, 100_000)).astype(str)
    with at_most_calls(5_000_000):
        prior = PriorNetwork.from_edges(*ends)
        assert prior.num_edges > 99_000
        assert len(prior.trimmed(prior.names[:1], prior.names[1:2]).names) > 20_000
        prior.to_csv(tmp_path / "large.tsv")
        assert_same(PriorNetwork.read(tmp_path / "large.tsv"), prior)
