"""Small inputs of every command, made in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_DOCS = Path(__file__).resolve().parents[2] / "docs/signaling"


class Problem:
    """Files of a small discovery and a small training, and the words of commands on them."""

    def __init__(self, folder: Path, names: list[str] | None = None):
        self.folder = folder
        self.states, self.edges = folder / "states.csv", folder / "edges.csv"
        names = names or [f"n{k}" for k in range(6)]
        states, times, pairs = _diffusion(len(names))
        quoted = ['"' + name.replace('"', '""') + '"' for name in names]
        rows = [
            f"{t:.6g}," + ",".join(f"{v:.8g}" for v in row)
            for t, row in zip(times, states, strict=True)
        ]
        self.states.write_text(
            "\n".join(["time," + ",".join(quoted), *rows]) + "\n", encoding="utf-8"
        )
        lines = [f"{quoted[u]},{quoted[v]}" for u, v in pairs]
        self.edges.write_text("\n".join(["sender,receiver", *lines]) + "\n", encoding="utf-8")
        self.signaling = [_DOCS / name for name in ("network.tsv", "ligands.csv", "tfs.csv")]

    def discover(self, out: Path, *more: object) -> list[object]:
        """A discovery of some seconds."""
        quick = ["--neural", "never", "--no-sums", "--max-terms", "3", "--moves", "1", "--quiet"]
        return ["discover", self.states, self.edges, "--out", out, *quick, *more]

    def train(self, out: Path, *more: object) -> list[object]:
        """A training of some seconds with checkpoints on its way."""
        return [
            "signaling",
            "train",
            *self.signaling,
            "--out",
            out,
            "--epochs",
            "2000",
            "--quiet",
            *more,
        ]

    def cross_validate(self, out: Path, *more: object) -> list[object]:
        """Ten folds of one seed."""
        few = ["--epochs", "100", "--seeds", "0", "--fold-size", "4", "--quiet"]
        return ["signaling", "cross-validate", *self.signaling, "--out", out, *few, *more]

    def self_prune(self, out: Path, *more: object) -> list[object]:
        """Eight models on networks with spurious edges."""
        few = [
            "--l2",
            "1e-5",
            "1e-4",
            "--seeds",
            "0:4",
            "--spurious-edges",
            "20",
            "--epochs",
            "200",
        ]
        return ["signaling", "self-prune", *self.signaling, "--out", out, *few, "--quiet", *more]

    def simulate(self, out: object, *more: object) -> list[object]:
        """A simulation of a known law on the edges."""
        times = ["--times", "0:1:21", "--quiet"]
        return ["simulate", "heat", "--network", self.edges, "--out", out, *times, *more]


def _diffusion(count: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """States of dx_i/dt = -0.5 x_i + sum_j (x_j - x_i) on a ring with a chord, times and edges."""
    pairs = [(k, (k + 1) % count) for k in range(count)] + [
        ((k + 1) % count, k) for k in range(count)
    ]
    if count > 3:
        pairs += [(0, count // 2), (count // 2, 0)]
    A = np.zeros((count, count))
    for u, v in pairs:
        A[v, u] = 1
    J = A - np.diag(A.sum(axis=1)) - 0.5 * np.eye(count)
    values, vectors = np.linalg.eigh(J)
    start = np.random.default_rng(0).normal(2, 1, size=count)
    times = np.linspace(0, 1.5, 25)
    states = np.stack([vectors @ (np.exp(values * t) * (vectors.T @ start)) for t in times])
    return states, times, sorted(set(pairs))
