"""Plots of one run and of a sweep, each from the records.

What a record does not hold is left out: a run whose gradients were not traced has no plot of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import bars, boundary, canvas, confusion, curves, gradients, images
from triplicate.reports.figures.images import samples
from triplicate.reports.figures.trained import Trained
from triplicate.reports.names import FIGURES
from triplicate.reports.tables import Table

__all__ = ["FIGURES", "samples", "write_run", "write_sweep"]

_Drawn = Mapping[str, Figure | None]

# Name in report.figures → the plots of one run, by the names of their files.
_OF_RUN: Mapping[str, Callable[[Trained], _Drawn]] = {
    "gradient_layers": lambda trained: {"gradient_layers": gradients.layers_of_run(trained.run)},
    "filters": images.filters,
    "activation_maps": images.activation_maps,
    "feature_maps": images.feature_maps,
    "boundary": lambda trained: {"boundary": boundary.of_run(trained)},
    "steps": lambda trained: {"steps": curves.steps_of_run(trained.run)},
    "samples": lambda trained: {"samples": trained.samples and samples(*trained.samples, trained.classes)},
}

# Those that compare the rows of a sweep too.
_OF_SWEEP: Mapping[str, Callable[[Table], _Drawn]] = {
    "gradient_layers": lambda table: {"gradient_layers": gradients.layers_of_sweep(table)},
    "steps": lambda table: {"steps_curves": curves.steps_of_sweep(table)},
}


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
    for name in run.config["report"]["figures"]:
        yield _OF_RUN[name](trained)


def write_sweep(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write the plots that compare the rows of a sweep, as its report configuration lists them."""
    return tuple(_write(_of_sweep(table), folder))


def _of_sweep(table: Table) -> Iterable[_Drawn]:
    report = table.rows[0].runs[0].config["report"]
    for entry in report["curves"]:
        yield {f"{entry}_curves": curves.of_sweep(table, entry)}
    for measure in report["bars"]:
        yield {f"{measure}_bars": bars.of_sweep(table, measure)}
    for entry in report["gradients"]:
        yield {f"gradient_{entry}": gradients.of_sweep(table, entry)}
    for name in report["figures"]:
        if name in _OF_SWEEP:
            yield _OF_SWEEP[name](table)


def _write(groups: Iterable[_Drawn], folder: Path) -> Iterable[Path]:
    """Save one group after the other, so that few figures are in memory at once."""
    for group in groups:
        for name, figure in group.items():
            if figure is not None:
                yield canvas.save(figure, folder / f"{name}.png")
