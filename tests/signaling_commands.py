"""Tables of a small signaling network, and calls of `jaxllc signaling`, which tests share."""

import contextlib
import io
import json

import numpy as np
import pandas as pd

from jaxllc.commands.command_line import main
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork

EDGES = [
    ("L1", "A", 1), ("L2", "B", 1), ("A", "C", 1), ("B", "C", -1), ("C", "D", None), ("D", "A", -1),
    ("A", "T1", 1), ("C", "T1", 1), ("D", "T2", 1), ("B", "T2", -1), ("B", "T3", 1), ("X", "T1", 1),
]  # fmt: skip


def write_tables(folder):
    """The three tables of a network of two ligands and three TFs, six conditions."""
    PriorNetwork.from_edges(*zip(*EDGES, strict=True)).to_csv(folder / "network.tsv")
    levels = pd.DataFrame(
        [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0], [0.5, 1]],
        index=["none", "first", "second", "both", "half", "half+second"],
        columns=["L1", "L2"],
    )
    first, second = levels["L1"], levels["L2"]
    activities = pd.DataFrame(
        {"T1": 0.2 + 0.6 * first, "T2": 0.5 - 0.4 * second, "T3": 0.1 + 0.7 * second}
    )
    activities.loc["half", "T2"] = np.nan
    Conditions.from_frames(levels, activities).to_csv(folder / "ligands.tsv", folder / "tfs.tsv")


def tables(folder):
    """What `write_tables` wrote, in the order of the arguments."""
    return [str(folder / name) for name in ("network.tsv", "ligands.tsv", "tfs.tsv")]


def signaling(command, *words):
    """The exit code of a command of the group."""
    return main(["signaling", command, *map(str, words)])


def printed_json(command, *words):
    """What a command that ends well prints with --json."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert signaling(command, *words, "--json") == 0
    return json.loads(output.getvalue())


def unreachable(*_, **__):
    """In the place of a training that must not begin."""
    raise AssertionError("the long work began")
