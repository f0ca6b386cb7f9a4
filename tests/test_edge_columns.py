"""Which columns of a prior table are the ends of edges, and which their signs, in tables as they come."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.sign_words import BOTH, sign_of_word


def conditions(ligands=("EGF",), tfs=("STAT1",)):
    return Conditions(
        ("a", "b"), ligands, tfs, np.eye(2, len(ligands)), np.full((2, len(tfs)), 0.5)
    )


def edges_of(prior):
    """Sender and receiver -> sign, None if it is not known."""
    signs = np.where(prior.sign_known, prior.signs, 0).tolist()
    ends = zip(prior.senders, prior.receivers, signs, strict=True)
    return {(prior.names[u], prior.names[v]): s or None for u, v, s in ends}


@pytest.fixture
def read(tmp_path):
    def read_text(text, **more):
        path = tmp_path / "edges.csv"
        path.write_text(text, encoding="utf-8")
        return PriorNetwork.read(path, **more)

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        "from,to,source\nEGF,EGFR,kegg\nEGFR,STAT1,omnipath\n",
        "from,to,source,database\nEGF,EGFR,kegg_1,kegg\nEGFR,STAT1,x,kegg\n",
        "source,from,to\nkegg,EGF,EGFR\nkegg,EGFR,STAT1\n",
        "From,To,Weight\nEGF,EGFR,0.1\nEGFR,STAT1,0.4\n",
        "from,to,source,database,weight\nEGF,EGFR,k,kegg,1.0\nEGFR,STAT1,k,kegg,1.0\n",
        "protein1,protein2,combined_score\nEGF,EGFR,999\nEGFR,STAT1,700\n",
        "ligand,receptor\nEGF,EGFR\nEGFR,STAT1\n",
        "source,target,weight\nEGF,EGFR,1\nEGFR,STAT1,1\n",
        "source,target,weight\nEGF,EGFR,0\nEGFR,STAT1,2\n",
        "Source Genesymbol,Target Genesymbol\nEGF,EGFR\nEGFR,STAT1\n",
        "PARTICIPANT_A,INTERACTION_TYPE,PARTICIPANT_B\n"
        "EGF,controls-state-change-of,EGFR\nEGFR,in-complex-with,STAT1\n",
    ],
)
def test_tables_without_signs_have_the_right_ends_and_no_sign(read, text):
    assert edges_of(read(text)) == {("EGF", "EGFR"): None, ("EGFR", "STAT1"): None}


@pytest.mark.parametrize("weights", ["0.1,0.9", "1,1", "0,3"])
def test_weights_that_are_never_negative_are_no_signs_and_a_note_says_so(read, weights):
    one, two = weights.split(",")
    prior = read(f"source,target,weight\nA,B,{one}\nB,C,{two}\n")
    assert not prior.sign_known.any()
    assert any("'weight' is never negative" in note for note in prior.notes)
    signed = read(f"source,target,weight\nA,B,-{one}\nB,C,-{two}\n")
    assert signed.sign_known.sum() == sum(float(x) != 0 for x in (one, two))
    assert signed.notes == ()
    frame = pd.DataFrame(
        {"source": ["A", "B"], "target": ["B", "C"], "weight": [float(one), float(two)]}
    )
    assert PriorNetwork.from_frame(frame).notes == prior.notes


@pytest.mark.parametrize(
    "text",
    [
        "tf,confidence,target,mor\nA,A,B,1\nB,D,C,-1\n",
        "source,target,weight\nA,B,0.7\nB,C,-0.2\n",
        "source,target,mor,weight\nA,B,1,0.3\nB,C,-1,0.4\n",
        "source,target,sign,weight\nA,B,1,5\nB,C,-1,5\n",
        "from,to,mode,weight\nA,B,1,5\nB,C,-1,5\n",
        "ENTITYA,TYPEA,IDA,ENTITYB,TYPEB,IDB,EFFECT,MECHANISM,SCORE\n"
        "A,protein,P1,B,protein,P2,up-regulates quantity by expression,t,0.5\n"
        "B,protein,P2,C,protein,P3,down-regulates activity,p,0.4\n",
        "source,target,is_activation,is_inhibition\nA,B,True,False\nB,C,False,True\n",
        "source,target,Effect\nA,B,activation\nB,C,inhibition\n",
        "source,target,effect\nA,B,1\nB,C,-1\n",
        "source,target,interaction_type\nA,B,activation; phosphorylation\nB,C,repression\n",
        "regulator,target,type\nA,B,Activation\nB,C,Repression\n",
        "source,target,consensus_stimulation,consensus_inhibition,is_stimulation,is_inhibition\n"
        "A,B,1,0,1,1\nB,C,0,1,1,1\n",
        "source,target,stimulation,inhibition,weight\nA,B,yes,no,1\nB,C,F,T,1\n",
        "source\tactivation\ttarget\tinhibition\nA\t1\tB\t0\nB\t0\tC\t1\n",
    ],
)
def test_columns_that_say_signs_count(read, text):
    prior = read(text)
    assert edges_of(prior) == {("A", "B"): 1, ("B", "C"): -1}
    assert prior.notes == ()


def test_signs_that_are_all_positive_count_in_a_column_of_signs(read):
    for name in ("sign", "mor", "interaction", "mode"):
        assert edges_of(read(f"source,target,{name}\nA,B,1\n")) == {("A", "B"): 1}
    assert read("source,target,stimulation,inhibition\nA,B,1,0\n").sign_known.all()


def test_a_column_that_may_say_signs_but_does_not_is_noted(read):
    prior = read("source,target,type\nA,B,PPI\nB,C,PPI\n")
    assert not prior.sign_known.any()
    assert prior.notes == ("the column 'type' ('PPI') says no signs and was not looked at",)
    with pytest.raises(InputError, match=r"row 4, column 'type': 'odd' is not understood"):
        read("source,target,type\nA,B,activation\nB,C,inhibition\nC,A,odd\n")


OMNIPATH = (
    "source,target,source_genesymbol,target_genesymbol,is_stimulation,is_inhibition\n"
    "P01133,P00533,EGF,EGFR,1,0\nP00533,P42224,EGFR,STAT1,1,0\n"
)


def test_the_pair_is_chosen_whose_names_fit_the_data(read):
    assert read(OMNIPATH).names == ("P00533", "P01133", "P42224")
    prior = read(OMNIPATH, conditions=conditions())
    assert prior.names == ("EGF", "EGFR", "STAT1")
    (note,) = prior.notes
    assert "'source_genesymbol' and 'target_genesymbol', whose nodes are 2 of the 2" in note
    codes = conditions(("P01133",), ("P42224",))
    assert read(OMNIPATH, conditions=codes).notes == ()
    assert read(OMNIPATH, columns=("source_genesymbol", "target_genesymbol")).names == prior.names
    frame = pd.DataFrame([line.split(",") for line in OMNIPATH.splitlines()[1:]])
    frame.columns = OMNIPATH.splitlines()[0].split(",")
    assert PriorNetwork.from_frame(frame, conditions=conditions()).names == prior.names


def test_names_of_the_other_pair_are_told_where_none_fits(read):
    prior = read(OMNIPATH)
    with pytest.raises(
        InputError,
        match=r"'EGF'; 1 of them is a node in the columns 'source_genesymbol' and 'target_genesymbol' of",
    ):
        conditions().matched(prior)
    with pytest.raises(
        InputError, match="or those of its columns 'source_genesymbol' and 'target_g"
    ):
        conditions(("ENSG01",)).matched(prior)
    for kept in (prior.without_edges([0]), prior.trimmed(["P01133"], ["P42224"])):
        with pytest.raises(InputError, match="in the columns 'source_genesymbol'"):
            conditions().matched(kept)
    with pytest.raises(InputError, match=r"use the node names of the network$"):
        conditions().matched(PriorNetwork.from_edges(["a"], ["b"]))


@pytest.mark.parametrize("wrong", ["source", ("source",), ("source", "x"), ("source", "source"), 3])
def test_columns_that_are_none_are_named(read, wrong):
    with pytest.raises(InputError, match="columns"):
        read(OMNIPATH, columns=wrong)


def test_ends_that_are_no_pair_are_noted(read):
    prior = read("source,sign,receiver\nA,1,B\n")
    assert edges_of(prior) == {("A", "B"): 1}
    assert "the columns 'source' and 'receiver', which are no usual pair" in prior.notes[0]


def test_a_file_without_a_header_is_named(read):
    with pytest.raises(InputError, match="first row looks like an edge: write a header above it"):
        read("AATF,BAX,Repression,22909821\nAATF,CDKN1A,Unknown,17157788\n")


@pytest.mark.parametrize(
    ("word", "sign"),
    [
        ("up-regulates quantity by stabilization", 1),
        ("Down-regulates quantity by repression", -1),
        ("form complex", 0),
        ("activation, phosphorylation", 1),
        ("inhibition|ubiquitination", -1),
        ("activation;inhibition", BOTH),
        ("+/-", BOTH),
        ("-|", -1),
        ("--|", -1),
        ("->|", None),
        ("n/a", 0),
        ("upregulated by magic", None),
        ("", 0),
    ],
)
def test_words_of_signs(word, sign):
    assert sign_of_word(word) == sign


def test_a_cell_that_says_both_counts_as_inhibition(read):
    prior = read("source,target,interaction\nA,B,activation;inhibition\n")
    assert edges_of(prior) == {("A", "B"): -1}
    assert prior.notes[0].startswith("both flags are set in 1 row, which counts as inhibition")
