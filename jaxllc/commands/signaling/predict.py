"""Predict TF activities for other ligands, and with nodes knocked out.

MODEL: a model.npz that `jaxllc signaling train` wrote, or its folder. LIGANDS: a table like that of
the training; ligands that have no column were not given. A knocked-out node is removed from the
network. Exit code 3: a steady state was not reached, and stderr says for which condition.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from jaxllc.commands.output import check_output_file, print_json, print_of
from jaxllc.commands.progress import say
from jaxllc.errors import InputError, listed
from jaxllc.files.output_file import output_file
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.model.signaling_model import SignalingModel

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
    target = check_output_file(options.out, options.json)
    path = Path(options.model)
    model = SignalingModel.load(path / "model.npz" if path.is_dir() else path)
    unknown = [name for name in options.knock_out if name not in model.prior.position]
    if unknown:
        raise InputError(
            f"--knock-out names {listed(unknown, model.prior.names)}, which is not among the "
            f"{model.prior.num_nodes} nodes of the model"
        )
    prediction = model.predict(options.ligands, knock_out=options.knock_out)
    names = list(prediction.tfs.index)
    with output_file(target) as temporary:
        prediction.tfs.to_csv(temporary, index_label="condition")
    converged = np.asarray(prediction.converged)
    stalled = [name for name, well in zip(names, converged, strict=True) if not well]
    notes = once(*model.notes, *prediction.notes)
    if not options.quiet or stalled:
        for note in notes:
            say(note)
    for name in stalled:
        residual = prediction.residual[names.index(name)]
        say(
            f"the condition {name!r} did not reach its steady state: its last iteration changed it by "
            f"{residual:.2g} of its size; its values in {target} are those of a state on the way"
        )
    if options.json:
        shape = {"conditions": len(names), "tfs": len(prediction.tfs.columns)}
        record = {**shape, "knock_out": list(options.knock_out), "not_converged": stalled}
        print_json({**record, "notes": notes, "files": [target]})
    else:
        without = f" without {', '.join(options.knock_out)}" if options.knock_out else ""
        print_of(target)(
            f"Wrote {target}: {len(prediction.tfs.columns)} TFs in {len(names)} "
            f"condition{'s' * (len(names) != 1)}{without}"
        )
    return _NOT_CONVERGED if stalled else 0
