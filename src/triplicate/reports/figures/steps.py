"""Loss and accuracy of every training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.parts import part
from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.looks import Looks
from triplicate.reports.plots.scales import Scale
from triplicate.reports.plots.seeds import Curve
from triplicate.reports.plots.style import PALETTE, Colour
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table

# Rows side by side before a new line of panels begins.
_ABREAST = 4

# Inches of a panel that is alone in its line, and of others.
_WIDE, _NARROW = (3.7, 1.7), (2.0, 1.4)


@dataclass(frozen=True)
class _Traced:
    """A row: the loss and the accuracy of each of its runs over the steps, and those that diverged."""

    heading: str
    colour: Colour
    losses: tuple[Curve, ...]
    accuracies: tuple[Curve, ...]

    @staticmethod
    def of(heading: str, colour: Colour, runs: Sequence[RunRecord]) -> _Traced:
        tables = [run.steps.set_index("step") for run in runs if run.steps is not None]
        losses = tuple(Curve.of(steps["loss"]).thinned() for steps in tables)
        return _Traced(heading, colour, losses, tuple(Curve.of(100 * steps["accuracy"]).thinned() for steps in tables))


@part("steps")
@dataclass(frozen=True)
class Steps(Figures):
    """Loss above, accuracy below, at every step, where `trace.steps` has recorded them; in a sweep each row by itself.

    The seeds are thin lines.
    """

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        if trained.run.steps is None:
            return {}
        title = canvas.run_title(trained.run, _WIDE[0])
        return {"steps": _draw(title, [_Traced.of("", PALETTE[0], [trained.run])])}

    def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
        every = zip(table.rows, Looks.of(table.rows).rows, strict=True)
        found = [_Traced.of(row.label, look.colour, row.runs) for row, look in every]
        found = [row for row in found if row.losses]
        return {"steps_curves": _draw(table.title, found, "Lines: one seed each.")} if found else {}


def _draw(title: str, rows: Sequence[_Traced], caption: str = "") -> Figure:
    """Columns of loss above accuracy, four abreast, all on the same two scales."""
    scale = Scale.of([curve for row in rows for curve in row.losses])
    columns = min(_ABREAST, len(rows))
    lines = -(-len(rows) // columns)
    size = _NARROW if columns > 1 else _WIDE
    headings = [canvas.wrap(row.heading, int(size[0] / 0.062)) for row in rows]
    room = canvas.label_height(headings) if any(headings) else 0.0
    figure, panels = canvas.panels(
        2 * lines,
        columns,
        size,
        title=title,
        caption=" ".join([caption, *scale.words()]),
        margins=canvas.Margins(top=0.1 + room),
        gaps=(0.15, 0.12 + room if lines > 1 else 0.12),
        share="x",
    )
    losses, accuracies = _pairs(panels, columns)
    for axes in (*losses[1:], *accuracies[1:]):
        axes.sharey(losses[0] if axes in losses else accuracies[0])
    for row, heading, above, below in zip(rows, headings, losses, accuracies, strict=False):
        above.set_title(heading, fontsize=7, pad=3)
        for curves, axes in ((row.losses, above), (row.accuracies, below)):
            for curve in curves:
                axes.plot(curve.x, curve.y, linewidth=0.5, alpha=0.75, color=row.colour)
        for curve in row.losses:
            scale.mark(above, curve, row.colour)
        scale.apply(above)
    _finish(panels, columns, len(rows))
    return figure


def _pairs(panels: Sequence[Axes], columns: int) -> tuple[list[Axes], list[Axes]]:
    """The panels of the losses, and those below them of the accuracies, each in the order of the rows."""
    losses = [axes for number, axes in enumerate(panels) if number // columns % 2 == 0]
    return losses, [axes for axes in panels if axes not in losses]


def _finish(panels: Sequence[Axes], columns: int, rows: int) -> None:
    """Labels at the left and below the last panel of each column; the scales are shared."""
    losses, accuracies = _pairs(panels, columns)
    for number, (above, below) in enumerate(zip(losses, accuracies, strict=True)):
        first, last = number % columns == 0, number + columns >= rows
        canvas.finish_axes(above, "", "loss of the batch" if first else "")
        canvas.finish_axes(below, "training step" if last else "", "accuracy of the batch %" if first else "")
        above.tick_params(labelleft=first)
        below.tick_params(labelleft=first, labelbottom=last)
        above.set_visible(number < rows)
        below.set_visible(number < rows)
    canvas.whole_numbers(accuracies[0])
