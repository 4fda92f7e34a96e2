"""Loss and accuracy of every training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.parts import part
from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.trained import Trained
from triplicate.reports.rows import Row
from triplicate.reports.tables import Table

# Panels side by side before a new line of them begins, and rows that share a panel.
_ABREAST = 4
_TOGETHER = 2


@part("steps")
@dataclass(frozen=True)
class Steps(Figures):
    """Loss above, accuracy below, at every step, where `trace.steps` has recorded them."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        if trained.run.steps is None:
            return {}
        figure, panels = canvas.panels(2, 1, (5.5, 2.6), share="x")
        _draw_steps(panels, [trained.run], canvas.colours(1)[0], "")
        _finish_steps(panels, 1)
        return {"steps": figure}

    def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
        """The seeds are thin lines; more than two rows have panels of their own."""
        every = zip(table.rows, canvas.colours(len(table.rows)), strict=True)
        found = [(row, colour) for row, colour in every if any(run.steps is not None for run in row.runs)]
        if not found:
            return {}
        draw = _steps_together if len(found) <= _TOGETHER else _steps_apart
        return {"steps_curves": draw(table.title, [row for row, _ in found], [colour for _, colour in found])}


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
