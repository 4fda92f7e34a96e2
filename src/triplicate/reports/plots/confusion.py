"""The confusion matrix of one run."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots import canvas
from triplicate.reports.plots.recorded import recorded

# With more classes than these the numbers, and then the names, would run into each other.
_NUMBERED = 20
_NAMED = 60

# Inches that a title has at least.
_TITLED = 3.4


def of_run(run: RunRecord) -> Figure | None:
    """Counts over the test examples, coloured by their fraction of the true class; None without confusion.csv."""
    path = recorded(run, "confusion.csv")
    if path is None:
        return None
    # A class may be called NA.
    table = pd.read_csv(path, index_col=0, keep_default_na=False)
    return draw(table.to_numpy(dtype=np.int64), [str(name) for name in table.columns], canvas.run_title(run, _TITLED))


def draw(counts: NDArray[np.int64], classes: list[str], title: str = "") -> Figure:
    """Counts [true classes, predicted classes] as a picture with numbers. The next one's takes its place."""
    figure, axes = _panel(tuple(classes), title.count("\n") + 1 if title else 0)
    canvas.tell(figure, title, "Number: test examples.")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.images[0].set_data(shares)
    for numbers in list(axes.collections):
        numbers.remove()
    if len(classes) <= _NUMBERED:
        _write_numbers(figure, axes, counts, shares)
    return figure


@functools.lru_cache(maxsize=4)
def _panel(classes: tuple[str, ...], lines: int) -> tuple[Figure, Axes]:
    """A figure with an empty picture, and room for a title of so many lines."""
    names = [canvas.wrap(name, 20) for name in classes] if len(classes) <= _NAMED else []
    room = canvas.label_width(names)
    side = min(max(2.2, 0.31 * len(classes)), 6.0)
    margins = canvas.Margins(left=0.4 + max(room, 0.2), bottom=0.24 + max(room, 0.2), right=0.75)
    title = "\n".join(["x"] * lines)
    figure, (axes,) = canvas.panels(1, 1, (side, side), title=title, caption="x", margins=margins)
    nothing = np.zeros((len(classes), len(classes)))
    image = axes.imshow(nothing, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if names:
        small = 7 if len(names) <= _NUMBERED else 6
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=small)
        axes.set_yticks(range(len(names)), names, fontsize=small)
    axes.xaxis.set_label_coords(0.5, -(max(room, 0.2) + 0.06) / side)
    axes.yaxis.set_label_coords(-(max(room, 0.2) + 0.15) / side, 0.5)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    beside = axes.inset_axes((1 + 0.1 / side, 0, 0.12 / side, 1))
    figure.colorbar(image, cax=beside, label="fraction of the true class")
    return figure, axes


def _write_numbers(figure: Figure, axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """Each count in the middle of its square: all as one shape, since a text for each takes longer than all else."""
    inches = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    for colour, chosen in (("white", shares > 0.5), ("black", shares <= 0.5)):
        rows, columns = chosen.nonzero()
        shapes = [_shape(int(count)) for count in counts[chosen]]
        places = np.stack([columns, rows], 1)
        numbers = PathCollection(shapes, offsets=places, offset_transform=axes.transData, facecolor=colour, linewidth=0)
        numbers.set_transform(inches)
        axes.add_collection(numbers, autolim=False)


@functools.lru_cache(maxsize=4096)
def _shape(count: int) -> Path:
    """The outline of a number in small print, about its middle, in points."""
    outline = TextPath((0, 0), str(count), prop=FontProperties(size=6.5))
    box = outline.get_extents()
    return outline.transformed(Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2))
