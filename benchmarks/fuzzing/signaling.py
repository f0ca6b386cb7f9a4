"""Readers of what a signaling model is trained on: networks, conditions, folds, settings, parameters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import Rows, json_bytes, rows_of, table_bytes
from fuzzing.plain_tables import numbers, plain_columns
from fuzzing.reader import DEAR, Case, Readers

READERS = Readers()
_DOCS = Path(__file__).resolve().parents[2] / "docs/signaling"


def _head(name: str, rows: int, columns: int, separator: str = ",") -> Rows:
    text = (_DOCS / name).read_text("utf-8").replace(separator, ",")
    return [row[:columns] for row in rows_of(text)[:rows]]


NETWORKS = [
    _head("network.tsv", 8, 5, "\t"),
    rows_of("source,target,stimulation,inhibition\nA,B,1,0\nB,C,0,1\nC,A,0,0\nA,C,1,1"),
    rows_of("source,interaction,target\nA,activates,B\nB,inhibits,C\nC,unknown,A"),
    rows_of("Node1,Sign,Node2\nA,1,B\nB,-1,C"),
    rows_of(
        "source,target,is_directed,is_stimulation,is_inhibition,sources\n"
        "A,B,1,1,0,X;Y\nB,C,0,0,1,Z\nA,B,True,False,True,Q"
    ),
    rows_of("sender,receiver,weight\nA,B,0.5\nB,C,-2\nC,A,"),
    rows_of("sender,receiver,sign\nA,B,+\nB,C,-"),
    rows_of("from,to,weight,source\nA,B,0.5,db\nB,C,2,db"),
    rows_of(
        "source,target,source_genesymbol,target_genesymbol,is_stimulation,is_inhibition\n"
        "P1,P2,A,B,1,0\nP2,P3,B,C,0,1"
    ),
    rows_of(",source,target,stimulation,inhibition\n0,A,B,1,0\n1,B,C,0,1"),
    rows_of("source,target\nA,B\nB,C"),
    rows_of("reactionID,reaction\n1,A => B\n2,!B => C\n3,A + B => D"),
]
SIF = [
    rows_of("A,activates,B\nB,inhibits,C,D\nE\nC,->,A"),
    rows_of("A,1,B\nB,-1,C"),
    rows_of("A,pp,B\nB,pd,C"),
]
GRAPHML = [
    ['<?xml version="1.0"?>'],
    ['<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'],
    ['<key id="s" for="edge" attr.name="sign" attr.type="int"/>'],
    ['<graph edgedefault="directed"><node id="A"/><node id="B"/>'],
    ['<edge source="A" target="B"><data key="s">1</data></edge></graph></graphml>'],
]
LIGANDS = [
    _head("ligands.csv", 6, 4),
    rows_of(",L1,L2\nc1,0,1\nc2,1,0\nc3,0.5,0.5"),
    rows_of("condition,L1,L2\nc1,0,1\nc2,1,0\nc3,0.5,0.5"),
    rows_of("condition,ligand,value\nc1,L1,1\nc1,L2,0\nc2,L1,0\nc2,L2,1"),
    rows_of("ID:type,TR:CellLine:CellLine,TR:L1:Stimuli,DA:ALL,DV:T1\n1,1,1,0,0\n1,1,1,10,0.5"),
]
TFS = [
    _head("tfs.csv", 6, 4),
    rows_of(",T1,T2\nc1,0,1\nc2,1,\nc3,0.5,0.5"),
    rows_of("condition,T1,T2\nc3,0,1\nc1,1,0\nc9,0.5,0.5"),
    rows_of("condition,tf,value\nc1,T1,1\nc1,T2,0\nc2,T1,0.3"),
]
PARAMETERS = rows_of(
    "Source,Target,Type,Value\nA,B,Weight,0.5\nA,,Bias,1\nB,,Projection,2\nA,,Input,3"
)
FOLDS = rows_of("fold,condition\n1,c1\n1,c2\n2,c3")


def _network(path: Path) -> str | None:
    from jaxllc.signaling import PriorNetwork

    network = PriorNetwork.read(path)
    network.describe()
    network.to_frame()
    known = network.signs[network.sign_known]
    return None if np.isin(known, (-1, 1)).all() else f"a known sign that is none: {known[:9]}"


@READERS.add(lambda r: {"network.tsv": table_bytes(r, r.choice(NETWORKS))})
def network(given: Any) -> str | None:
    return _network(given["network.tsv"])


@READERS.add(lambda r: {"network.sif": table_bytes(r, r.choice(SIF), "\t ")})
def network_sif(given: Any) -> str | None:
    return _network(given["network.sif"])


@READERS.add(lambda r: {"network.graphml": table_bytes(r, r.choice([GRAPHML, NETWORKS[0]]))}, DEAR)
def network_graphml(given: Any) -> str | None:
    return _network(given["network.graphml"])


def _conditions(r: Random) -> Case:
    ligands, tfs = r.choice(LIGANDS), r.choice(TFS)
    which = r.randrange(3)
    plain = ["\n".join(",".join(row) for row in table).encode() for table in (LIGANDS[1], TFS[1])]
    return {
        "ligands.csv": plain[0] if which == 1 else table_bytes(r, ligands),
        "tfs.csv": plain[1] if which == 2 else table_bytes(r, tfs),
    }


@READERS.add(_conditions)
def conditions(given: Any) -> str | None:
    from jaxllc.signaling import Conditions

    found = Conditions.read(given["ligands.csv"], given["tfs.csv"])
    found.describe()
    if not np.isfinite(found.ligand_levels).all() or np.isinf(found.tf_activities).any():
        return "levels that are not finite"
    columns = plain_columns(given["ligands.csv"])
    if columns is None or next(iter(columns)) != "condition":
        return None
    levels = {name: numbers(columns[name]) for name in found.ligands if name in columns}
    rows = {name: n for n, name in enumerate(columns["condition"])}
    if None in levels.values() or len(levels) < len(found.ligands):
        return None
    for c, name in enumerate(found.names):
        wanted = [levels[ligand][rows[name]] for ligand in found.ligands if name in rows]
        if wanted and wanted != found.ligand_levels[c].tolist():
            return f"other levels of {name} than the table holds"
    return None


@READERS.add(lambda r: {"parameters.tsv": table_bytes(r, PARAMETERS)})
def parameters(given: Any) -> str | None:
    from jaxllc.signaling.model.synthetic import GroundTruth

    found = GroundTruth.read(given["parameters.tsv"])
    good = all(np.isfinite(values).all() for values in found.parameters)
    return None if good else "values that are not finite"


@cache
def _three_conditions() -> Any:
    import pandas as pd

    from jaxllc.signaling import Conditions

    index = ["c1", "c2", "c3"]
    ligands = pd.DataFrame({"L1": [0, 1, 0.5], "L2": [1, 0, 0.5]}, index=index)
    return Conditions.from_frames(ligands, pd.DataFrame({"T1": [0, 1, 0.5]}, index=index))


@READERS.add(lambda r: {"folds.csv": table_bytes(r, FOLDS)})
def folds(given: Any) -> None:
    from jaxllc.signaling.data.folds import read_folds

    read_folds(given["folds.csv"], _three_conditions())


def _settings(r: Random) -> Case:
    from jaxllc.signaling.settings import PRESETS

    return {"settings.json": json_bytes(r, r.choice(list(PRESETS.values())).to_dict())}


@READERS.add(_settings)
def settings(given: Any) -> str | None:
    from jaxllc.signaling.settings import SignalingSettings

    found = SignalingSettings.read(given["settings.json"])
    again = SignalingSettings.from_dict(found.to_dict())
    return None if again == found else "settings that are not read back"


_ROW = {
    "study": "abc", "identity": None, "point": {"l2": 1e-5, "seed": 3}, "seed": 3, "status": "done",
    "note": "",
    "metrics": {"r": 0.5, "mse": 1.0}, "settings": {"a": 1}, "seconds": 1.5, "device": "cpu",
    "versions": {"jax": "1"},
}  # fmt: skip


def _records(r: Random) -> Case:
    lines = []
    for _ in range(r.choice([1, 2, 3])):
        row = {**_ROW, "point": {"l2": r.choice([1e-5, 1e-6]), "seed": r.randrange(3)}}
        lines.append(json_bytes(r, row) if r.random() < 0.7 else json_bytes(Random(3), row))
    content = b"\n".join(lines) + b"\n" * (r.random() < 0.8)
    return {"records.jsonl": content, "resume": r.random() < 0.5}


@READERS.add(_records)
def records(given: Any) -> str | None:
    from jaxllc.sweeps.grids import grid
    from jaxllc.sweeps.records import Records, read_records

    path = given["records.jsonl"]
    before = path.read_bytes()
    if not given["resume"]:
        read_records(path)
        return None if path.read_bytes() == before else "reading changed the file"
    rows = Records(path, "abc")
    rows.table(grid(l2=[1e-5, 1e-6], seed=[0, 1, 2]))
    for key in rows.rows:
        rows.is_done(key)
    whole = before[: before.rfind(b"\n") + 1]
    return None if path.read_bytes() in (before, whole) else "a row was lost"
