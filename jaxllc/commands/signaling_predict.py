"""Predict TF activities for other ligands, and with nodes knocked out.

MODEL: a model.npz that `jaxllc signaling train` wrote, or its folder. LIGANDS: a table like that of
the training; ligands that have no column were not given. A knocked-out node is removed from the
network. Exit code 3: a steady state was not reached, and stderr says for which condition.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.commands.output import check_output_file, print_json
from jaxllc.commands.progress import say
from jaxllc.errors import InputError, listed
from jaxllc.output_file import output_file

if TYPE_CHECKING:
    import pandas as pd

    from jaxllc.signaling.model import SignalingModel

_NOT_CONVERGED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc signaling predict`."""
    parser.add_argument("model", metavar="MODEL", help="model.npz, or the folder of a training")
    parser.add_argument("ligands", metavar="LIGANDS", help="ligand levels: conditions x nodes")
    parser.add_argument("--out", required=True, metavar="FILE.csv", help="where the TFs go")
    parser.add_argument(
        "--knock-out", nargs="+", default=[], metavar="NODE", help="nodes to remove"
    )


def run(options: argparse.Namespace) -> int:
    """Read, predict, write; 3 if a condition did not reach its steady state."""
    from jaxllc.signaling.model import SignalingModel

    target = check_output_file(options.out)
    path = Path(options.model)
    model = SignalingModel.load(path / "model.npz" if path.is_dir() else path)
    unknown = [name for name in options.knock_out if name not in model.prior.position]
    if unknown:
        raise InputError(
            f"--knock-out names {listed(unknown, model.prior.names)}, which is not among the "
            f"{model.prior.num_nodes} nodes of the model"
        )
    levels, remarks = _read_levels(options.ligands, model)
    prediction = model.predict(levels, knock_out=options.knock_out)
    with output_file(target) as temporary:
        prediction.tfs.to_csv(temporary, index_label="condition")
    converged = np.asarray(prediction.converged)
    stalled = [str(name) for name, well in zip(levels.index, converged, strict=True) if not well]
    for remark in [*([] if options.quiet else remarks), *prediction.notes]:
        say(remark)
    for name in stalled:
        residual = prediction.residual[levels.index.get_loc(name)]
        say(
            f"the condition {name!r} did not reach its steady state: its last iteration changed it by "
            f"{residual:.2g} of its size; its values in {target} are those of a state on the way"
        )
    if options.json:
        shape = {"conditions": len(levels), "tfs": len(prediction.tfs.columns)}
        record = {**shape, "knock_out": list(options.knock_out), "not_converged": stalled}
        print_json({**record, "notes": [*remarks, *prediction.notes], "files": [target]})
    else:
        without = f" without {', '.join(options.knock_out)}" if options.knock_out else ""
        print(
            f"Wrote {target}: {len(prediction.tfs.columns)} TFs in {len(levels)} "
            f"condition{'s' * (len(levels) != 1)}{without}"
        )
    return _NOT_CONVERGED if stalled else 0


def _read_levels(path: str, model: SignalingModel) -> tuple[pd.DataFrame, list[str]]:
    """The ligand levels of a table, and remarks; unknown ligands may stand there if never given."""
    import pandas as pd

    from jaxllc.csv_table import LabelledTable
    from jaxllc.signaling.conditions import levels_of

    names, nodes, values, table = levels_of(LabelledTable(path))
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise InputError(
            f"{table.place(int(row), nodes[column])} is empty; write 0 for a ligand that was not given"
        )
    is_ligand = np.array([node in model.ligands for node in nodes])
    unknown = [node for node, known in zip(nodes, is_ligand, strict=True) if not known]
    given = [node for node in unknown if values[:, nodes.index(node)].any()]
    if given:
        raise InputError(
            f"{path}: {listed(given, model.ligands)} is not a ligand of the model; its ligands are "
            f"{', '.join(model.ligands)}"
        )
    remarks = []
    if unknown:
        remarks.append(
            f"{path}: {listed(unknown, model.ligands)} is not a ligand of the model and is left out, "
            "because it is given in no condition"
        )
    kept = [node for node in nodes if node not in unknown]
    frame = pd.DataFrame(values[:, is_ligand], index=pd.Index(names, dtype=object), columns=kept)
    return frame, remarks
