"""What all figures share: a layout in inches, colours, labels, and the mean and the band over the seeds.

The margins are computed here: matplotlib's own "constrained" layout doubled the time of a sweep's plots.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from triplicate.files import atomic
from triplicate.reports.numbers import is_fraction

Colour = tuple[float, float, float]

# Characters a line of a label, and inches a character and a line of small print: measured, generously.
_WRAP = 38
_CHARACTER = 0.072
_LINE = 0.165

# Between the settings of a row's label, and not inside the brackets of a list.
_SETTINGS = re.compile(r"(?<=,) (?![^\[]*\])")

# With more points than this the markers hide the line.
MARKED = 40

# Where the largest value is this many medians a linear axis shows only the largest.
_WIDE = 100


@dataclass(frozen=True)
class Margins:
    """Inches around the panels, without title and legend."""

    left: float = 0.95
    right: float = 0.15
    bottom: float = 0.55
    top: float = 0.15


def panels(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    title: str = "",
    legend: Sequence[str] = (),
    margins: Margins = Margins(),
    gaps: tuple[float, float] = (0.25, 0.35),
    share: Literal["none", "x", "y", "both"] = "none",
) -> tuple[Figure, list[Axes]]:
    """Make a figure of equal panels.

    Args:
        size: width and height of a panel in inches; the height grows where the legend needs it.
        legend: labels of a legend to the right of all panels; see `outside_legend`.
        gaps: inches between columns and between rows.

    Returns:
        The figure and its axes, row by row.
    """
    right = margins.right + _legend_width(legend)
    width = margins.left + columns * size[0] + (columns - 1) * gaps[0] + right
    heading = textwrap.wrap(plain(title), max(20, int((width - margins.left) / 0.105)))
    top = margins.top + 0.22 * len(heading)
    inside = max(rows * size[1] + (rows - 1) * gaps[1], _legend_height(legend))
    height = margins.bottom + inside + top
    panel = (inside - (rows - 1) * gaps[1]) / rows
    figure = Figure(figsize=(width, height), dpi=100)
    grid = {
        "left": margins.left / width,
        "right": 1 - right / width,
        "bottom": margins.bottom / height,
        "top": 1 - top / height,
        "wspace": gaps[0] / size[0],
        "hspace": gaps[1] / panel,
    }
    share_x, share_y = share in ("x", "both"), share in ("y", "both")
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=grid, sharex=share_x, sharey=share_y)
    if heading:
        figure.suptitle("\n".join(heading), x=margins.left / width, y=1 - 0.08 / height, ha="left", va="top", size=12)
    return figure, list(axes.flat)


def outside_legend(corner: Axes, source: Axes | None = None) -> None:
    """A legend of what `source` (else the panel itself) shows, to the right of the panel in the upper right corner."""
    handles, labels = (source or corner).get_legend_handles_labels()
    if any(labels):
        wrapped = [wrap(label) for label in labels]
        corner.legend(handles, wrapped, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False)


def _legend_width(labels: Sequence[str]) -> float:
    longest = max((len(line) for label in labels for line in wrap(label).splitlines()), default=0)
    return 0.6 + _CHARACTER * longest if longest else 0.0


def _legend_height(labels: Sequence[str]) -> float:
    lines = sum(wrap(label).count("\n") + 1 for label in labels if label)
    return _LINE * lines + 0.04 * len(labels) + 0.15 if lines else 0.0


def wrap(text: str, characters: int = _WRAP) -> str:
    """A label in lines of limited length, a setting a line if need be, with nothing in it read as a formula."""
    shown = plain(text)
    if len(shown) <= characters:
        return shown
    return "\n".join(line for setting in _SETTINGS.split(shown) for line in textwrap.wrap(setting, characters))


def plain(text: str) -> str:
    """A text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


def label_width(labels: Sequence[str]) -> float:
    """Inches that the longest line of some labels in small print takes."""
    return _CHARACTER * max((len(line) for label in labels for line in label.splitlines()), default=0)


def colours(count: int) -> list[Colour]:
    """Distinct colours; a gradient where a palette would repeat itself."""
    palette = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    if count <= len(palette):
        return list(palette[:count])
    return ramp(count)


def ramp(count: int) -> list[Colour]:
    """Colours for things in an order, from dark to light."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, count))
    return [(float(red), float(green), float(blue)) for red, green, blue, _ in shades]


def scale(measure: str) -> float:
    """The factor from a measure as recorded to the measure as shown."""
    return 100 if is_fraction(measure) else 1


def mean_and_std(curves: Sequence[pd.Series]) -> tuple[pd.Series, pd.Series]:
    """Mean and sample standard deviation at each epoch or step over the curves that are still there.

    Values that are not finite do not count; where one curve is left its deviation is 0.
    """
    together = pd.concat(list(curves), axis=1).sort_index().replace([np.inf, -np.inf], np.nan)
    return together.mean(axis=1), together.std(axis=1, ddof=1).fillna(0)


def draw_band(axes: Axes, curves: Sequence[pd.Series], colour: Colour, label: str) -> None:
    """The mean over the seeds of a row, and a band of one standard deviation about it."""
    mean, std = mean_and_std(curves)
    marker, width = (".", 1.5) if len(mean) <= MARKED else ("", 1.0)
    axes.plot(mean.index, mean, marker=marker, linewidth=width, color=colour, label=label)
    axes.fill_between(mean.index, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)


def log_if_wide(*panels: Axes) -> None:
    """Logarithmic axes where one line, such as that of a run that diverged, would flatten all others."""
    values = np.concatenate([drawn(axes) for axes in panels])
    if values.size and values.min() > 0 and values.max() > _WIDE * np.median(values):
        for axes in panels:
            axes.set_yscale("log")


def log_if_positive(*panels: Axes) -> None:
    """Logarithmic axes if all that is drawn is above 0 and spans a power of ten."""
    values = np.concatenate([drawn(axes) for axes in panels])
    if values.size and values.min() > 0 and values.max() > 10 * values.min():
        for axes in panels:
            axes.set_yscale("log")


def drawn(axes: Axes) -> NDArray[np.float64]:
    """The finite values of all lines of a panel, one after the other."""
    lines = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()]
    values = np.concatenate(lines) if lines else np.empty(0)
    return values[np.isfinite(values)]


def finish_axes(axes: Axes, x: str, y: str) -> None:
    """Labels, a light grid behind the lines, no frame above and to the right."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def whole_numbers(axes: Axes) -> None:
    """Ticks at whole epochs or steps alone."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def set_lines(axes: Axes, curves: Sequence[tuple[pd.Series, pd.Series]]) -> None:
    """Give the first lines of a panel other numbers (x and y), and the panel the limits that follow from them.

    Most of the time of a plot goes into making its panels and ticks, which the next run can have too.
    """
    for line, (x, y) in zip(axes.get_lines(), curves, strict=False):
        line.set_data(x, y)
    axes.set_yscale("linear")
    axes.relim()
    axes.autoscale_view()


def png(figure: Figure) -> bytes:
    """A figure as PNG, 100 pixels an inch; the same bytes whenever it is drawn."""
    drawn_on = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    drawn_on.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(drawn_on.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    # A plot has no use for transparency, and stronger compression takes twice the time for nothing.
    Image.fromarray(pixels).save(buffer, format="png", compress_level=3)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all."""
    atomic.write_bytes(path, png(figure))
    return path
