"""Lines over the epochs, of one run and of a sweep."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.measures.shared.epochs import training_accuracy
from triplicate.measures.shared.names import shown
from triplicate.records.run_folder import RunRecord
from triplicate.reports.numbers import is_fraction
from triplicate.reports.plots import canvas, seeds
from triplicate.reports.plots.looks import Look, Looks
from triplicate.reports.plots.scales import Scale
from triplicate.reports.plots.seeds import Curve, Spread
from triplicate.reports.plots.style import DASHES, MARKERS, PALETTE
from triplicate.reports.tables import Table

_SPLITS = {"train": "training", "validation": "validation", "test": "test"}
_LOOKS = {split: Look(*look) for split, look in zip(_SPLITS, zip(PALETTE, DASHES, MARKERS, strict=False), strict=False)}
_LOSS, _ACCURACY = "loss (mean over examples)", "accuracy %"
_LABELS = {"loss": _LOSS, "accuracy": _ACCURACY}

# Not a column of metrics.csv but the difference of two.
_GAP = "accuracy_gap"

_SIZE = (3.4, 2.0)

# Where all rows have one epoch alone, their dots stand side by side over so much of it.
_SIDE_BY_SIDE = 0.8


def of_run(run: RunRecord, measure: str) -> Figure:
    """'loss' or 'accuracy' of one run over the epochs: training, validation, test. The next run's takes its place."""
    metrics = run.metrics
    splits = tuple(split for split in _SPLITS if f"{split}_{measure}" in metrics)
    found = {split: _of_run(metrics, f"{split}_{measure}") for split in splits}
    scale = Scale.of(list(found.values()), may_be_log=measure == "loss")
    any_finite = any(len(curve.x) for curve in found.values())
    title = canvas.run_title(run, _SIZE[0])
    figure, axes = _panel_of_run(measure, splits, title.count("\n") + 1)
    canvas.tell(figure, title, " ".join(scale.words()) if any_finite else "No finite values.")
    canvas.set_lines(axes, list(found.values()))
    scale.apply(axes)
    for split, curve in found.items():
        scale.mark(axes, curve, _LOOKS[split].colour)
    canvas.whole_numbers(axes)
    return figure


def _of_run(metrics: pd.DataFrame, column: str) -> Curve:
    return Curve.of(canvas.scale(column) * metrics.set_index("epoch")[column])


@functools.lru_cache(maxsize=8)
def _panel_of_run(measure: str, splits: tuple[str, ...], lines: int) -> tuple[Figure, Axes]:
    """A figure with an empty line for each split, and room for a title of so many lines."""
    margins = canvas.Margins(top=0.32)
    figure, (axes,) = canvas.panels(1, 1, _SIZE, title="\n".join(["x"] * lines), caption="x", margins=margins)
    for split in splits:
        look = _LOOKS[split]
        axes.plot([], [], color=look.colour, linestyle=look.dash, marker=look.marker, label=_SPLITS[split])
    canvas.finish_axes(axes, "epoch", _LABELS[measure])
    canvas.legend_above(axes, [_LOOKS[split].handle(_SPLITS[split]) for split in splits])
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


def _side_by_side(table: Table, measures: Mapping[str, str], label: str) -> Figure:
    """A panel for each measure (name → heading), all on one scale, with one legend to the right of all."""
    looks = Looks.of(table.rows)
    drawn = {measure: _spreads(table, measure) for measure in measures}
    every = [spread for spreads in drawn.values() for spread in spreads.values()]
    fraction = any(is_fraction(measure) or measure == _GAP for measure in measures)
    scale = Scale() if fraction else Scale.of([line for spread in every for line in spread.lines])
    figure, panels = canvas.panels(
        1,
        len(measures),
        (2.9 if len(measures) > 1 else 3.9, 2.4),
        title=table.title,
        caption=" ".join([*seeds.words(every), *_without(table, drawn), *scale.words()]),
        legend=looks.handles({number for spreads in drawn.values() for number in spreads}),
        margins=canvas.Margins(top=0.28 if any(measures.values()) else 0.12),
        share="y",
    )
    for axes, (measure, heading) in zip(panels, measures.items(), strict=True):
        for number, spread in drawn[measure].items():
            spread.draw(axes, looks.rows[number], table.rows[number].label)
            for line in spread.lines:
                scale.mark(axes, line, looks.rows[number].colour)
        axes.set_title(heading)
        scale.apply(axes)
        canvas.finish_axes(axes, "epoch", label if axes is panels[0] else "")
        canvas.whole_numbers(axes)
    return figure


def _spreads(table: Table, measure: str) -> dict[int, Spread]:
    """Number of the row → what is drawn of its seeds, of the rows that have anything."""
    at_most = 100 if measure != _GAP and is_fraction(measure) else np.inf
    rows = enumerate(table.rows)
    found = {n: seeds.of_row(row.runs, [_curve(run.metrics, measure) for run in row.runs], at_most) for n, row in rows}
    found = {number: spread for number, spread in found.items() if spread.lines}
    if len(found) < 2 or any(len(line.x) > 1 for spread in found.values() for line in spread.lines):
        return found
    places = np.linspace(-_SIDE_BY_SIDE / 2, _SIDE_BY_SIDE / 2, len(found))
    return {n: spread.moved(float(place)) for (n, spread), place in zip(found.items(), places, strict=True)}


def _without(table: Table, drawn: Mapping[str, Mapping[int, Spread]]) -> list[str]:
    """The rows whose runs have no finite value of anything that is drawn."""
    seen = {number for spreads in drawn.values() for number in spreads}
    lost = [row.label for number, row in enumerate(table.rows) if row.runs and number not in seen]
    return [f"Without a finite value: {'; '.join(lost)}."] if lost and seen else []


def _curve(metrics: pd.DataFrame, measure: str) -> pd.Series | None:
    by_epoch = metrics.set_index("epoch")
    if measure == _GAP:
        return 100 * (by_epoch[training_accuracy(metrics)] - by_epoch["test_accuracy"])
    return canvas.scale(measure) * by_epoch[measure] if measure in metrics else None
