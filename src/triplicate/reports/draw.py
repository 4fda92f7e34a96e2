"""Draws the plots of a run and of a sweep, each from the records, and writes them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from matplotlib.figure import Figure

from triplicate.parts import find, names
from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import Figures
from triplicate.reports.plots import bars, canvas, confusion, curves, gradients
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table

_Drawn = Mapping[str, Figure | None]


def write_run(run: RunRecord) -> tuple[Path, ...]:
    """Write the plots of one run to its plots/: loss, accuracy, gradients, confusion, and those of report.figures."""
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    return tuple(_write(_of_run(run), folder))


def _of_run(run: RunRecord) -> Iterable[_Drawn]:
    yield {"loss": curves.of_run(run.metrics, "loss")}
    yield {"accuracy": curves.of_run(run.metrics, "accuracy")}
    yield {"gradients": gradients.of_run(run)}
    yield {"confusion": confusion.of_run(run)}
    trained = Trained(run)
    for figures in _chosen(run):
        yield figures.of_run(trained)


def write_sweep(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write the plots that compare the rows of a sweep, as its report configuration lists them."""
    return tuple(_write(_of_sweep(table), folder))


def _of_sweep(table: Table) -> Iterable[_Drawn]:
    run = table.rows[0].runs[0]
    report = run.config["report"]
    for entry in report["curves"]:
        yield {f"{entry}_curves": curves.of_sweep(table, entry)}
    for measure in report["bars"]:
        yield {f"{measure}_bars": bars.of_sweep(table, measure)}
    for entry in report["gradients"]:
        yield {f"gradient_{entry}": gradients.of_sweep(table, entry)}
    for figures in _chosen(run):
        yield figures.of_sweep(table)


def _chosen(run: RunRecord) -> Iterable[Figures]:
    """The figures that a run's configuration names; one from outside that is not here any more is left out."""
    for name in run.config["report"]["figures"]:
        if name in names(Figures.kind):
            yield cast("Figures", find(Figures.kind, name)())
        else:
            print(f"note: {run.path}: there is no figure {name}, which was a part from outside", file=sys.stderr)


def _write(groups: Iterable[_Drawn], folder: Path) -> Iterable[Path]:
    """Save one group after the other, so that few figures are in memory at once."""
    for group in groups:
        for name, figure in group.items():
            if figure is not None:
                yield canvas.save(figure, folder / f"{name}.png")
