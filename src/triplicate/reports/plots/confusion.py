"""The confusion matrix of one run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots import canvas
from triplicate.reports.plots.recorded import recorded

# With more classes than these the numbers, and then the names, would run into each other.
_NUMBERED = 20
_NAMED = 60


def of_run(run: RunRecord) -> Figure | None:
    """Counts over the test examples, coloured by their fraction of the true class; None without confusion.csv."""
    path = recorded(run, "confusion.csv")
    if path is None:
        return None
    # A class may be called NA.
    table = pd.read_csv(path, index_col=0, keep_default_na=False)
    return draw(table.to_numpy(dtype=np.int64), [str(name) for name in table.columns])


def draw(counts: NDArray[np.int64], classes: list[str]) -> Figure:
    """Counts [true classes, predicted classes] as a picture with numbers."""
    names = [canvas.wrap(name, 20) for name in classes] if len(classes) <= _NAMED else []
    room = canvas.label_width(names)
    side = min(max(2.6, 0.52 * len(classes)), 8.0)
    margins = canvas.Margins(left=0.6 + max(room, 0.2), bottom=0.5 + max(room, 0.2), right=1.0)
    figure, (axes,) = canvas.panels(1, 1, (side, side), margins=margins)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(classes) <= _NUMBERED:
        _write_numbers(axes, counts, shares)
    if names:
        small = "small" if len(names) <= _NUMBERED else 6
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=small)
        axes.set_yticks(range(len(names)), names, fontsize=small)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    beside = axes.inset_axes((1 + 0.1 / side, 0, 0.12 / side, 1))
    figure.colorbar(image, cax=beside, label="fraction of the true class")
    return figure


def _write_numbers(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", fontsize="small", color=colour)
