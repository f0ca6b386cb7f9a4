"""What a command leaves behind of a law: its files and figures, and the record of `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxllc.files.output_file import output_file
from jaxllc.law.forecast import Forecast
from jaxllc.law.law import Law
from jaxllc.law.report import FIGURE_NAMES, LawFigure, figures_of, write_report
from jaxllc.law.writing.law_text import unobjected


def write_law_files(
    law: Law,
    folder: Path,
    forecast: Forecast | None = None,
    known: Any = None,
    more: Sequence[LawFigure] = (),
) -> list[Path]:
    """law.json, constants.csv, pareto.csv, report.html and a PNG for each figure, each whole or not at all;
    where the law says something of the edges also network.csv, those that the samples ask for, and
    network_table.csv, all with their probabilities; where it has a forcing also forcing.csv, and where some
    nodes do not follow it missing_input.csv.

    more: figures that stand before the law's own. A law of an interrupted search goes without report and
    figures, which would keep the user waiting; those of a law that was here before are removed.
    """
    written = [folder / "law.json", folder / "constants.csv", folder / "pareto.csv"]
    law.save(written[0])
    for path, frame in zip(written[1:], (law.constants_table(), law.pareto_table()), strict=True):
        with output_file(path) as temporary:
            frame.to_csv(temporary, index=False)
    files = ("network.csv", "network_table.csv", "missing_input.csv", "forcing.csv", "forcing.png")
    for name in files:
        (folder / name).unlink(missing_ok=True)
    if law.forcing:
        with output_file(folder / "forcing.csv") as temporary:
            law.forcing_table().to_csv(temporary, index=False)
        written.append(folder / "forcing.csv")
    if law.edges is not None:
        table = law.network_table()
        there = table.loc[
            table.edge.isin(("found", "kept", "added")), ["sender", "receiver", "weight"]
        ]
        for name, frame in (("network.csv", there), ("network_table.csv", table)):
            with output_file(folder / name) as temporary:
                frame.to_csv(temporary, index=False)
            written.append(folder / name)
    if law.finished and law.data and law.follows is not None and not law.by_steps:
        with output_file(folder / "missing_input.csv") as temporary:
            law.missing_input_table().to_csv(temporary, index=False)
        written.append(folder / "missing_input.csv")
    report = folder / "report.html"
    if not law.finished:
        for path in (report, *(folder / f"{name}.png" for name in FIGURE_NAMES)):
            path.unlink(missing_ok=True)
        return written
    figures = [*more, *figures_of(law, forecast, known)]
    for figure in figures:
        path = folder / f"{figure.name}.png"
        with output_file(path) as temporary:
            temporary.write_bytes(figure.png())
        written.append(path)
    write_report(law, report, forecast=forecast, known=known, figures=figures)
    return [*written, report]


def law_record(law: Law) -> dict[str, Any]:
    """A law as plain data for `--json`; equations are text that `jaxllc.load_law` files also hold."""
    equations = {}
    for variable, equation in law.equations.items():
        self_term, interaction_term = equation.to_text()
        equations[variable] = {"self_term": self_term, "interaction_term": interaction_term}
    return {
        "text": str(law),
        "latex": law.latex(),
        "equations": equations,
        "constants": law.constants_table().to_dict("records"),
        "snapped": unobjected(law) or None,
        "confidence": None if law.confidence is None else asdict(law.confidence),
        "rivals": [asdict(rival) for rival in law.rivals],
        "pareto": law.pareto_table().to_dict("records"),
        "adjusted_r2": law.adjusted_r2,
        "skill": law.skill,
        "noise": law.noise,
        "process_noise": law.process_noise,
        "forcing": law.forcing_table().to_dict("records") if law.forcing else [],
        "dynamics": law.dynamics,
        "converged": law.converged,
        "trusted": law.trusted,
        "doubt": law.doubt,
        "notes": list(law.notes),
        "seconds": law.seconds,
        "settings": law.settings,
    }
