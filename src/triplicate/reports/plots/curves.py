"""Lines over the epochs and over the training steps, of one run and of a sweep."""

from __future__ import annotations

import functools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.measures.shared.epochs import training_accuracy
from triplicate.measures.shared.names import shown
from triplicate.reports.numbers import is_fraction
from triplicate.reports.plots import canvas
from triplicate.reports.rows import Row
from triplicate.reports.tables import Table

_SPLITS = {"train": "training", "validation": "validation", "test": "test"}
_LOSS, _ACCURACY = "loss (mean over examples)", "accuracy %"
_LABELS = {"loss": _LOSS, "accuracy": _ACCURACY}

# Not a column of metrics.csv but the difference of two.
_GAP = "accuracy_gap"


def of_run(metrics: pd.DataFrame, measure: str) -> Figure:
    """'loss' or 'accuracy' of one run over the epochs: training, validation, test. The next run's takes its place."""
    columns = tuple(column for split in _SPLITS if (column := f"{split}_{measure}") in metrics)
    figure, axes = _panel_of_run(measure, columns, "." if len(metrics) <= canvas.MARKED else "")
    canvas.set_lines(axes, [(metrics["epoch"], canvas.scale(column) * metrics[column]) for column in columns])
    if measure == "loss":
        canvas.log_if_wide(axes)
    return figure


@functools.lru_cache(maxsize=8)
def _panel_of_run(measure: str, columns: tuple[str, ...], marker: str) -> tuple[Figure, Axes]:
    """A figure with an empty line for each column of metrics.csv."""
    figure, (axes,) = canvas.panels(1, 1, (5.5, 3.5))
    for column in columns:
        axes.plot([], [], marker=marker, label=_SPLITS[column.removesuffix(f"_{measure}")])
    canvas.finish_axes(axes, "epoch", _LABELS[measure])
    canvas.whole_numbers(axes)
    axes.legend()
    return figure, axes


def of_sweep(table: Table, entry: str) -> Figure | None:
    """One entry of report.curves; None where no run has measured it.

    'loss' and 'accuracy' are drawn for training and test, and for validation if all runs have it, side by side;
    'accuracy_gap' is training minus test accuracy; anything else is a column of metrics.csv.
    """
    runs = [run for row in table.rows for run in row.runs]
    if entry in _LABELS:
        splits = [s for s in _SPLITS if all(f"{s}_{entry}" in run.metrics for run in runs)]
        return _side_by_side(table, {f"{s}_{entry}": _SPLITS[s] for s in splits}, _LABELS[entry]) if splits else None
    if entry == _GAP:
        return _side_by_side(table, {_GAP: ""}, "training − test accuracy, percentage points")
    if any(entry in run.metrics for run in runs):
        return _side_by_side(table, {entry: ""}, shown(entry).heading())
    return None


def _side_by_side(table: Table, measures: dict[str, str], label: str) -> Figure:
    """A panel for each measure (name → heading), with one legend to the right of all."""
    labels = [row.label for row in table.rows]
    margins = canvas.Margins(top=0.3 if any(measures.values()) else 0.15)
    size = (4.3 if len(measures) > 1 else 5.5, 3.3)
    figure, panels = canvas.panels(1, len(measures), size, title=table.title, legend=labels, margins=margins, share="y")
    for axes, (measure, heading) in zip(panels, measures.items(), strict=True):
        for row, colour in zip(table.rows, canvas.colours(len(labels)), strict=True):
            _draw_row(axes, row, measure, colour)
        axes.set_title(heading, fontsize="medium")
        canvas.finish_axes(axes, "epoch", label if axes is panels[0] else "")
        canvas.whole_numbers(axes)
    if not any(is_fraction(measure) for measure in measures):
        canvas.log_if_wide(*panels)
    canvas.outside_legend(panels[-1])
    return figure


def _draw_row(axes: Axes, row: Row, measure: str, colour: canvas.Colour) -> None:
    curves = [curve for run in row.runs if (curve := _curve(run.metrics, measure)) is not None]
    if curves:
        canvas.draw_band(axes, curves, colour, row.label)


def _curve(metrics: pd.DataFrame, measure: str) -> pd.Series | None:
    by_epoch = metrics.set_index("epoch")
    if measure == _GAP:
        return 100 * (by_epoch[training_accuracy(metrics)] - by_epoch["test_accuracy"])
    return canvas.scale(measure) * by_epoch[measure] if measure in metrics else None
