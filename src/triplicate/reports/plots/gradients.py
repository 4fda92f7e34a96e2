"""Gradients over the steps and over the layers, of one run and of a sweep, from gradients.csv."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots import canvas
from triplicate.reports.rows import Row
from triplicate.reports.tables import Table

ALL = "all"
_LAYERS = "layers"
MEAN_ABSOLUTE = "mean_absolute"
STATISTICS = {
    "mean": "signed mean of the gradient",
    MEAN_ABSOLUTE: "mean absolute gradient",
    "l2": "L2 norm of the gradient",
}
_ABREAST = 4


def of_run(run: RunRecord) -> Figure | None:
    """Signed mean over all parameters above, L2 norm of every layer below; None where nothing was traced.

    Where single tensors were traced both panels show these. The next run's takes the place of the figure.
    """
    if run.gradients is None:
        return None
    traced = _main_lines(run.gradients)
    labels = tuple(label for label, _ in traced)
    figure, above, below = _panels_of_run(labels)
    canvas.set_lines(above, [(steps["step"], steps["mean"]) for label, steps in traced if label in _above(labels)])
    canvas.set_lines(below, [(steps["step"], steps["l2"]) for _, steps in traced])
    above.ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def _above(labels: Sequence[str]) -> Sequence[str]:
    """Whose signed mean is shown."""
    return [ALL] if ALL in labels else labels


@functools.lru_cache(maxsize=4)
def _panels_of_run(labels: tuple[str, ...]) -> tuple[Figure, Axes, Axes]:
    """A figure with an empty line for each of these in the panel below, and for some in that above."""
    margins = canvas.Margins(top=0.3)
    figure, (above, below) = canvas.panels(2, 1, (5.5, 2.6), legend=labels, margins=margins, share="x")
    named = dict(zip((label for label in labels if label != ALL), canvas.colours(len(labels)), strict=False))
    for label in labels:
        colour = named.get(label, (0.0, 0.0, 0.0))
        if label in _above(labels):
            above.plot([], [], linewidth=1, color=colour)
        below.plot([], [], linewidth=1, color=colour, label=label)
    above.axhline(0, color="0.7", linewidth=0.8)
    canvas.finish_axes(above, "", "signed mean" + (", all parameters" if ALL in labels else ""))
    canvas.finish_axes(below, "step", STATISTICS["l2"])
    canvas.outside_legend(above, below)
    return figure, above, below


def _main_lines(gradients: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name → steps of the whole network and its layers, or of the tensors where these alone were traced."""
    whole = gradients[gradients["parameter"] == ALL]
    if len(whole):
        return [(str(layer), steps) for layer, steps in whole.groupby("layer", sort=False)]
    names = gradients["layer"] + "." + gradients["parameter"]
    return [(str(name), steps) for name, steps in gradients.groupby(names, sort=False)]


def of_sweep(table: Table, entry: str) -> Figure | None:
    """One entry of report.gradients; None where no run has traced it or nothing is called so.

    Args:
        entry: '<layer>.<parameter>.<statistic>', such as all.all.l2 or conv1.weight.mean: one line per row;
            or 'layers.<statistic>': every layer, one panel per row.
    """
    place, _, statistic = entry.rpartition(".")
    if statistic not in STATISTICS:
        return None
    if place == _LAYERS:
        return _of_layers(table, statistic)
    layer, _, parameter = place.rpartition(".")
    found = [(row, colour, _traced(row.runs, layer, parameter, statistic)) for row, colour in coloured(table)]
    if not any(curves for _, _, curves in found):
        return None
    labels = [row.label for row in table.rows]
    margins = canvas.Margins(top=0.35)
    figure, (axes,) = canvas.panels(1, 1, (6.0, 3.5), title=table.title, legend=labels, margins=margins)
    for row, colour, curves in found:
        if curves:
            canvas.draw_band(axes, curves, colour, row.label)
    canvas.finish_axes(axes, "step", STATISTICS[statistic])
    axes.set_title(_place(layer, parameter), fontsize="medium")
    canvas.whole_numbers(axes)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    if statistic == "mean":
        axes.axhline(0, color="0.7", linewidth=0.8)
    else:
        canvas.log_if_wide(axes)
    canvas.outside_legend(axes)
    return figure


def coloured(table: Table) -> list[tuple[Row, canvas.Colour]]:
    return list(zip(table.rows, canvas.colours(len(table.rows)), strict=True))


def _place(layer: str, parameter: str) -> str:
    if layer == ALL:
        return "all parameters"
    return f"all of {layer}" if parameter == ALL else f"{layer}.{parameter}"


def _traced(runs: Sequence[RunRecord], layer: str, parameter: str, statistic: str) -> list[pd.Series]:
    """A statistic of one tensor over the steps, of each run that has it."""
    tables = [run.gradients for run in runs if run.gradients is not None and statistic in run.gradients]
    places = [t[(t["layer"] == layer) & (t["parameter"] == parameter)] for t in tables]
    return [rows.set_index("step")[statistic] for rows in places if len(rows)]


def _of_layers(table: Table, statistic: str) -> Figure | None:
    """A panel for each row of the table; the layers from dark to light in the order of the network."""
    rows = [(row, layers) for row in table.rows if (layers := _layers(row.runs, statistic))]
    if not rows:
        return None
    names = list(dict.fromkeys(name for _, layers in rows for name in layers))
    columns = min(_ABREAST, len(rows))
    headings = [canvas.wrap(row.label) for row, _ in rows]
    heading = 0.17 * max(text.count("\n") + 1 for text in headings)
    figure, panels = canvas.panels(
        -(-len(rows) // columns),
        columns,
        (3.0 if columns > 1 else 5.5, 2.8),
        title=table.title,
        legend=names,
        margins=canvas.Margins(top=0.15 + heading),
        gaps=(0.2, 0.45 + heading),
        share="both",
    )
    shades = dict(zip(names, canvas.ramp(len(names)), strict=True))
    for number, axes in enumerate(panels[: len(rows)]):
        for name, curves in rows[number][1].items():
            mean, _ = canvas.mean_and_std(curves)
            axes.plot(mean.index, mean, linewidth=0.9, color=shades[name], label=name)
        axes.set_title(headings[number], fontsize="small")
        last = number + columns >= len(rows)
        canvas.finish_axes(axes, "step" if last else "", "" if number % columns else STATISTICS[statistic])
        canvas.whole_numbers(axes)
        axes.tick_params(labelbottom=last)
    for axes in panels[len(rows) :]:
        axes.set_visible(False)
    if statistic != "mean":
        canvas.log_if_positive(*panels[: len(rows)])
    _legend_of_names(panels[columns - 1], shades)
    return figure


def _legend_of_names(corner: Axes, shades: Mapping[str, canvas.Colour]) -> None:
    """One legend for all panels: the networks of the rows may differ."""
    handles = [Line2D([], [], color=shade, label=name) for name, shade in shades.items()]
    corner.legend(handles=handles, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False)


def _layers(runs: Sequence[RunRecord], statistic: str) -> dict[str, list[pd.Series]]:
    """Layer → its statistic over the steps of each run, from the input to the output."""
    tables = [run.gradients for run in runs if run.gradients is not None]
    names = dict.fromkeys(str(name) for t in tables for name in t["layer"] if name != ALL)
    found = {name: _traced(runs, name, ALL, statistic) for name in names}
    return {name: curves for name, curves in found.items() if curves}
