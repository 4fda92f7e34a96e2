"""Lines over the epochs and over the training steps, of one run and of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import canvas
from triplicate.reports.names import MEASURES
from triplicate.reports.tables import Row, Table, is_fraction, training_accuracy

_SPLITS = {"train": "training", "validation": "validation", "test": "test"}
_LOSS, _ACCURACY = "loss (mean over examples)", "accuracy %"
_LABELS = {"loss": _LOSS, "accuracy": _ACCURACY}

# Not a column of metrics.csv but the difference of two.
_GAP = "accuracy_gap"

# Panels side by side before a new line of them begins, and rows that share a panel.
_ABREAST = 4
_TOGETHER = 2


def of_run(metrics: pd.DataFrame, measure: str) -> Figure:
    """'loss' or 'accuracy' of one run over the epochs: training, validation, test."""
    figure, (axes,) = canvas.panels(1, 1, (5.5, 3.5))
    for split, name in _SPLITS.items():
        column = f"{split}_{measure}"
        if column in metrics:
            marker = "." if len(metrics) <= canvas.MARKED else ""
            axes.plot(metrics["epoch"], canvas.scale(column) * metrics[column], marker=marker, label=name)
    canvas.finish_axes(axes, "epoch", _LABELS[measure])
    canvas.whole_numbers(axes)
    if measure == "loss":
        canvas.log_if_wide(axes)
    axes.legend()
    return figure


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
        return _side_by_side(table, {entry: ""}, MEASURES.get(entry, entry))
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


def steps_of_run(run: RunRecord) -> Figure | None:
    """Loss above, accuracy below, at every step of the training; None where steps were not recorded."""
    if run.steps is None:
        return None
    figure, panels = canvas.panels(2, 1, (5.5, 2.6), share="x")
    _draw_steps(panels, [run], canvas.colours(1)[0], "")
    _finish_steps(panels, 1)
    return figure


def steps_of_sweep(table: Table) -> Figure | None:
    """Loss and accuracy of every step, the seeds as thin lines; more than two rows have panels of their own."""
    every = zip(table.rows, canvas.colours(len(table.rows)), strict=True)
    found = [(row, colour) for row, colour in every if any(run.steps is not None for run in row.runs)]
    if not found:
        return None
    rows, colours = [row for row, _ in found], [colour for _, colour in found]
    if len(rows) <= _TOGETHER:
        return _steps_together(table.title, rows, colours)
    return _steps_apart(table.title, rows, colours)


def _steps_together(title: str, rows: Sequence[Row], colours: Sequence[canvas.Colour]) -> Figure:
    labels = [row.label for row in rows]
    figure, panels = canvas.panels(2, 1, (6.5, 2.6), title=title, legend=labels, share="x")
    for row, colour in zip(rows, colours, strict=True):
        _draw_steps(panels, row.runs, colour, row.label)
    _finish_steps(panels, 1)
    canvas.outside_legend(panels[0])
    return figure


def _steps_apart(title: str, rows: Sequence[Row], colours: Sequence[canvas.Colour]) -> Figure:
    """Columns of loss above accuracy, four abreast, all on the same two scales."""
    columns = min(_ABREAST, len(rows))
    lines = -(-len(rows) // columns)
    headings = [canvas.wrap(row.label) for row in rows]
    tallest = max(heading.count("\n") + 1 for heading in headings)
    figure, panels = canvas.panels(
        2 * lines,
        columns,
        (2.9, 2.0),
        title=title,
        margins=canvas.Margins(top=0.15 + 0.17 * tallest),
        gaps=(0.2, 0.3 + 0.17 * tallest if lines > 1 else 0.15),
        share="x",
    )
    losses, accuracies = _pairs(panels, columns)
    for axes in (*losses[1:], *accuracies[1:]):
        axes.sharey(losses[0] if axes in losses else accuracies[0])
    for number, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        _draw_steps((losses[number], accuracies[number]), row.runs, colour, row.label)
        losses[number].set_title(headings[number], fontsize="small")
    _finish_steps(panels, columns, len(rows))
    for axes in (*losses[len(rows) :], *accuracies[len(rows) :]):
        axes.set_visible(False)
    return figure


def _pairs(panels: Sequence[Axes], columns: int) -> tuple[list[Axes], list[Axes]]:
    """The panels of the losses, and those below them of the accuracies, each in the order of the rows."""
    losses = [axes for number, axes in enumerate(panels) if number // columns % 2 == 0]
    return losses, [axes for axes in panels if axes not in losses]


def _draw_steps(panels: Sequence[Axes], runs: Sequence[RunRecord], colour: canvas.Colour, label: str) -> None:
    tables = [run.steps for run in runs if run.steps is not None]
    for number, steps in enumerate(tables):
        named = label if number == 0 else ""
        panels[0].plot(steps["step"], _finite(steps["loss"]), linewidth=0.6, alpha=0.7, color=colour, label=named)
        panels[1].plot(steps["step"], 100 * steps["accuracy"], linewidth=0.6, alpha=0.7, color=colour)


def _finite(values: pd.Series) -> pd.Series:
    return values.replace([float("inf"), float("-inf")], float("nan"))


def _finish_steps(panels: Sequence[Axes], columns: int, rows: int = 1) -> None:
    """Labels at the left and below the last panel of each column; the scales are shared."""
    losses, accuracies = _pairs(panels, columns)
    for number, (above, below) in enumerate(zip(losses, accuracies, strict=True)):
        first, last = number % columns == 0, number + columns >= rows
        canvas.finish_axes(above, "", "batch loss" if first else "")
        canvas.finish_axes(below, "step" if last else "", "batch accuracy %" if first else "")
        canvas.whole_numbers(below)
        above.tick_params(labelleft=first)
        below.tick_params(labelleft=first, labelbottom=last)
    canvas.log_if_wide(*losses)
