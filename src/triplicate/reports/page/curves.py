"""The curves of a page: every column of metrics.csv over the epochs, of every run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from triplicate.measures.shared.names import shown
from triplicate.records.run_folder import RunRecord
from triplicate.reports.numbers import heading, is_fraction
from triplicate.reports.page import charts
from triplicate.reports.rows import Row
from triplicate.reports.tables import Table

_EPOCH = "epoch"
# The order of the panels of a measure, as its columns begin.
_SPLITS = ("train", "evaluated_train", "validation", "test", "")
# Where the largest value is this many medians a linear axis shows only the largest.
_WIDE = 10

# What JSON can say: a number, or nothing where there is none.
Plain = float | None


def curves(table: Table) -> dict[str, Any] | None:
    """What the charts over the epochs show; None where no run has an epoch.

    Returns:
        measures: each with its panels: the columns of metrics.csv, their headings, and whether a logarithmic axis shows
            more of them. values: column → run → a number for each epoch, accuracies in percent.
    """
    runs = [run for row in table.rows for run in row.runs if len(run.metrics)]
    if not runs:
        return None
    columns = list(dict.fromkeys(str(name) for run in runs for name in run.metrics if name != _EPOCH))
    epochs = max(int(run.metrics[_EPOCH].max()) for run in runs)
    scale = {column: 100 if is_fraction(column) else 1 for column in columns}
    values = {c: [over_epochs(run.metrics, c, scale[c]) for run in runs] for c in columns}
    return {
        **lines(table.rows, [[run for run in row.runs if len(run.metrics)] for row in table.rows]),
        "chart": charts.over_epochs(epochs),
        "last": epochs,
        "measures": [_measure(name, of, values) for name, of in _by_measure(_ordered(columns, table)).items()],
        "values": values,
    }


def lines(rows: Sequence[Row], runs: Sequence[Sequence[RunRecord]]) -> dict[str, Any]:
    """What all charts know of the rows and runs: their names, colours and dashes.

    Args:
        runs: those of each row that are shown.
    """
    by_number = len(rows) > 1 and all(len(row.axes) == 1 and _is_number(*row.axes.values()) for row in rows)
    return {
        "axis": ", ".join(rows[0].axes) or "setting",
        "rows": names(rows),
        "colours": charts.colours(len(rows), by_number),
        "dashes": charts.dashes(len(rows)),
        "runs": [[place, int(run.summary["seed"])] for place, of in enumerate(runs) for run in of],
    }


def names(rows: Sequence[Row]) -> list[str]:
    """The rows in short: where one axis tells them apart, its values alone."""
    return [next(iter(row.axes.values())) if len(row.axes) == 1 else row.label or "all runs" for row in rows]


def short(values: Iterable[float]) -> list[Plain]:
    """Numbers with the five digits that a chart shows; None for what is not finite."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def over_epochs(metrics: pd.DataFrame, column: str, scale: float = 1) -> list[Plain]:
    """A column of one run from epoch 1 on, times `scale`; nothing where the run has no such column."""
    if column not in metrics:
        return []
    epochs = metrics[_EPOCH].to_numpy(np.int64)
    every = np.full(epochs.max(), np.nan)
    every[epochs - 1] = metrics[column].to_numpy(np.float64)
    return short(scale * every)


def _ordered(columns: Sequence[str], table: Table) -> list[str]:
    """The measure that the table begins with comes first."""
    main = _taken_apart(next(iter(table.rows[0].cells), ""))[1]
    return sorted(columns, key=lambda column: _taken_apart(column)[1] != main)


def _by_measure(columns: Sequence[str]) -> dict[str, list[str]]:
    """Measure → its columns: those of the training, validation and test images stand side by side."""
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(_taken_apart(column)[1], []).append(column)
    return {name: sorted(of, key=lambda c: _SPLITS.index(_taken_apart(c)[0])) for name, of in found.items()}


def _taken_apart(column: str) -> tuple[str, str]:
    """'test_loss' is the loss of the test images; 'seconds' of none."""
    split = next((s for s in _SPLITS if s and column.startswith(f"{s}_")), "")
    return split, column.removeprefix(f"{split}_")


def _measure(name: str, columns: Sequence[str], values: dict[str, list[list[Plain]]]) -> dict[str, Any]:
    panels = [{"column": column, "label": heading(column)} for column in columns]
    known = [value for column in columns for run in values[column] for value in run if value is not None]
    is_log = not is_fraction(columns[0]) and is_wide(known)
    title = getattr(shown(columns[0]).part, "heading", name)
    percent = is_fraction(columns[0])
    return {"label": str(title).removesuffix(" %"), "panels": panels, "log": is_log, "percent": percent}


def is_wide(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows more than a linear one."""
    return bool(values) and min(values) > 0 and max(values) > _WIDE * float(np.median(values))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
