"""The traces of a page: gradients of the layers, and loss and accuracy of the batches, over the training steps.

A run has thousands of steps. The first are shown one by one; the others are put together, and of so many steps the
smallest and the greatest value are kept, so that no extreme is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triplicate.records.run_folder import RunRecord
from triplicate.reports.page import charts
from triplicate.reports.page.curves import Plain, is_wide, lines, names, short
from triplicate.reports.plots.gradients import ALL, STATISTICS
from triplicate.reports.tables import Table

# The first steps, which are shown one by one where there is room.
_FIRST = 200
# Numbers on a page: some 7 bytes each. A trace has at least _FEWEST of them, and no more than _MOST.
_ROOM, _FEWEST, _MOST = 150_000, 40, 1000
# Here a name stands alone, and not at the axis of a plot of gradients.
_STATISTICS = {**STATISTICS, "mean": "signed mean of the gradient"}
_BATCHES = {"loss": "loss of the batch", "accuracy": "accuracy of the batch, %"}


@dataclass(frozen=True)
class _Trace:
    """One statistic of one layer of one run; `steps` and `values` [steps]."""

    run: int
    layer: str
    statistic: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def traces(table: Table) -> dict[str, Any] | None:
    """What the charts over the steps show; None where nothing was traced.

    Returns:
        statistics and layers: their names. series: for each trace its run, layer, statistic, the number of its steps
        in `steps`, and its values. together: so many steps are one, after the first ones; 1: all are shown.
    """
    runs = [[run for run in row.runs if run.gradients is not None or run.steps is not None] for row in table.rows]
    found = list(_traces([run for of in runs for run in of]))
    if not found:
        return None
    room = min(max(_ROOM // len(found), _FEWEST), _MOST)
    grids: dict[tuple[int, ...], int] = {}
    statistics = list(dict.fromkeys(trace.statistic for trace in found))
    layers = list(dict.fromkeys(trace.layer for trace in found))
    views = _views(table, layers, runs)
    series, together = [], 1
    for trace in found:
        each = spacing(len(trace.steps), room)
        together = max(together, each)
        steps, values = thinned(trace.steps, trace.values, each, _first(room))
        grid = grids.setdefault(tuple(steps.tolist()), len(grids))
        series.append([trace.run, layers.index(trace.layer), statistics.index(trace.statistic), grid, short(values)])
    return {
        **lines(table.rows, runs),
        "chart": charts.over_steps(),
        "layers": layers,
        "layer_colours": charts.colours(len(layers)),
        "layer_dashes": charts.dashes(len(layers)),
        "statistics": [{"label": label, "log": _log(series, number)} for number, label in enumerate(statistics)],
        "views": views,
        "start": _start(table, statistics, views),
        "first": _first(room),
        "together": together,
        "last": max(grid[-1] for grid in grids),
        "steps": [list(grid) for grid in grids],
        "series": series,
    }


def spacing(steps: int, room: int) -> int:
    """How many steps are put together, so that a trace takes no more than about `room` numbers."""
    if steps <= room:
        return 1
    return -(-(steps - _first(room)) // max((room - _first(room)) // 2, 1))


def thinned(
    steps: NDArray[np.int64], values: NDArray[np.float64], together: int, first: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The first steps, and of every `together` others the smallest and the greatest value, in the order they came.

    They stand at the first and the last step of those that are put together. What is not finite is passed over where
    something finite is beside it.
    """
    if together <= 1 or len(steps) <= first:
        return steps, values
    count = -(-(len(steps) - first) // together)
    whole = np.full(count * together, np.nan)
    whole[: len(steps) - first] = values[first:]
    parts = whole.reshape(count, together)
    starts = first + together * np.arange(count)
    ends = np.minimum(starts + together, len(steps)) - 1
    finite = np.isfinite(parts)
    low, high = np.where(finite, parts, np.inf).argmin(1), np.where(finite, parts, -np.inf).argmax(1)
    order = np.sort(np.stack([low, high], 1), axis=1)
    pairs = np.take_along_axis(parts, order, axis=1).ravel()
    places = np.stack([starts, ends], 1).ravel()
    alone = np.append(places[1:] == places[:-1], False)  # the last part may be of one step
    return (
        np.concatenate([steps[:first], steps[places[~alone]]]),
        np.concatenate([values[:first], pairs[~alone]]),
    )


def _first(room: int) -> int:
    return min(_FIRST, room // 3)


def _traces(runs: list[RunRecord]) -> Iterator[_Trace]:
    for number, run in enumerate(runs):
        if run.gradients is not None:
            yield from _of_gradients(number, run.gradients)
        if run.steps is not None:
            for column, label in _BATCHES.items():
                scale = 100 if column == "accuracy" else 1
                yield _trace(number, ALL, label, run.steps, scale * run.steps[column])


def _of_gradients(number: int, gradients: pd.DataFrame) -> Iterator[_Trace]:
    """Those of the whole network and its layers, or of the tensors where these alone were traced."""
    whole = gradients[gradients["parameter"] == ALL]
    shown = whole if len(whole) else gradients
    by = shown["layer"] if len(whole) else shown["layer"] + "." + shown["parameter"]
    for layer, rows in shown.groupby(by, sort=False):
        for statistic, label in _STATISTICS.items():
            if statistic in rows:
                yield _trace(number, str(layer), label, rows, rows[statistic])


def _trace(number: int, layer: str, label: str, rows: pd.DataFrame, values: pd.Series) -> _Trace:
    return _Trace(number, layer, label, rows["step"].to_numpy(np.int64), values.to_numpy(np.float64))


def _log(series: list[list[Any]], statistic: int) -> bool:
    of: list[list[Plain]] = [values for _, _, number, _, values in series if number == statistic]
    return is_wide([value for values in of for value in values if value is not None])


def _start(table: Table, statistics: list[str], views: list[dict[str, Any]]) -> dict[str, int]:
    """What is shown first: what the report of the sweep draws first, such as layers.mean_absolute."""
    place, _, statistic = next(iter(table.report["gradients"]), "").rpartition(".")
    label = _STATISTICS.get(statistic)
    by_row = next((number for number, view in enumerate(views) if "row" in view), 0)
    return {
        "measure": statistics.index(label) if label in statistics else 0,
        "view": by_row if place == "layers" else 0,
    }


def _views(table: Table, layers: list[str], runs: list[list[RunRecord]]) -> list[dict[str, Any]]:
    """What can be compared: the layers of one row, or the rows in one layer."""
    by_row = [
        {"label": f"the layers of {name}" if len(table.rows) > 1 else "the layers", "row": place}
        for place, (name, of) in enumerate(zip(names(table.rows), runs, strict=True))
        if of and len(layers) > 1
    ]
    by_layer = [
        {"label": "all parameters" if layer == ALL else layer, "layer": number} for number, layer in enumerate(layers)
    ]
    return [*by_layer, *by_row] if len(table.rows) > 1 else [*by_row, *by_layer]
