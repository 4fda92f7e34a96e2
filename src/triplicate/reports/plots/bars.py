"""A measure of the runs as bars, one bar per row of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.reports.numbers import heading, is_fraction, mean_with_std
from triplicate.reports.plots import canvas
from triplicate.reports.plots.looks import Looks
from triplicate.reports.plots.style import Colour
from triplicate.reports.rows import Cell, Row
from triplicate.reports.tables import Table

# A bar this many times as long as the middle one would leave nothing of the others; it is cut.
_FAR = 20


@dataclass(frozen=True)
class _Bar:
    """Mean and deviation over n seeds, and what was published; NaN where there is nothing."""

    mean: float
    std: float
    published: float
    n: int


def of_sweep(table: Table, measure: str) -> Figure | None:
    """Means as bars, sample standard deviations as error bars, published numbers as diamonds.

    Shares are in percent, and their axis may begin above 0: else rows that differ by a point look alike.
    None where no run has the measure.
    """
    bars = [_bar(row, measure) for row in table.rows]
    if all(math.isnan(bar.mean) for bar in bars):
        return None
    labels = [canvas.wrap(row.label) for row in table.rows]
    lines = sum(label.count("\n") + 1 for label in labels)
    texts = [_text(bar, measure) for bar in bars]
    margins = canvas.Margins(left=0.2 + canvas.label_width(labels), right=0.25 + canvas.label_width(texts))
    size = (3.2, max(0.9, 0.09 * len(bars) + 0.14 * lines))
    limits = _limits(bars, measure)
    caption = " ".join(_words(bars, limits))
    figure, (axes,) = canvas.panels(1, 1, size, title=table.title, caption=caption, margins=margins)
    _draw(axes, bars, texts, [look.colour for look in Looks.of(table.rows).rows], limits)
    axes.set_yticks(range(len(bars)), labels, fontsize=7)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(*limits)
    canvas.finish_axes(axes, heading(measure), "")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure


def _draw(
    axes: Axes, bars: Sequence[_Bar], texts: Sequence[str], colours: Sequence[Colour], limits: tuple[float, float]
) -> None:
    places = np.arange(len(bars))
    means = np.array([bar.mean for bar in bars])
    axes.barh(places, np.nan_to_num(means), height=0.7, color=colours)
    # Dark on light bars and on white, with a light edge on dark bars.
    for ecolor, width in (("white", 2.4), ("black", 0.9)):
        axes.errorbar(means, places, xerr=[bar.std for bar in bars], fmt="none", ecolor=ecolor, elinewidth=width)
    published = [bar.published for bar in bars]
    axes.scatter(published, places, 16, marker="D", facecolor="white", edgecolor="black", linewidth=0.8, zorder=3)
    beyond = places[means > limits[1]]
    right = axes.get_yaxis_transform()
    axes.plot(np.ones(len(beyond)), beyond, ">", color="black", markersize=4, transform=right, clip_on=False, zorder=4)
    for place, text in zip(places, texts, strict=True):
        axes.text(1.04, float(place), text, transform=right, va="center", fontsize=7)


def _words(bars: Sequence[_Bar], limits: tuple[float, float]) -> Iterator[str]:
    """What bars, whiskers and diamonds mean."""
    counts = [bar.n for bar in bars if bar.n]
    if any(math.isfinite(bar.std) for bar in bars):
        seeds = f"{max(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        yield f"Bar: mean over {seeds} seeds. Whisker: ± 1 standard deviation."
    else:
        yield "Bar: one seed each."
    if any(math.isfinite(bar.published) for bar in bars):
        yield "Diamond: published."
    if limits[0] > 0:
        yield f"The axis begins at {limits[0]:.3g}, not at 0."
    if any(bar.mean > limits[1] for bar in bars):
        yield "▶: the bar is longer than the axis."


def _bar(row: Row, measure: str) -> _Bar:
    """From the table's cell, or from the runs where the table does not show the measure; as shown to people."""
    factor = canvas.scale(measure)
    cell = row.cells.get(measure) or Cell.of(measure, row.settled)
    # What is published as '>100' has no place on an axis.
    published = math.nan if isinstance(cell.published, str) else cell.published
    # Nor has what is not finite.
    mean, std = (value if math.isfinite(value) else math.nan for value in (cell.mean, cell.std))
    return _Bar(factor * mean, factor * std, factor * published, cell.n)


def _limits(bars: Sequence[_Bar], measure: str) -> tuple[float, float]:
    """From 0, or for shares that lie close together from somewhat below the least of them."""
    ends = np.array([[bar.mean - _error(bar), bar.mean + _error(bar), bar.published] for bar in bars])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    if not is_fraction(measure) or low < 0.8 * high:
        values = ends[np.isfinite(ends)]
        near = values[values <= _FAR * np.median(values)] if low > 0 else values
        return min(0.0, 1.05 * low), max(1.05 * float(near.max()), 1e-9)
    room = max(high - low, 0.5)
    return max(0.0, low - 0.6 * room), min(high + 0.15 * room, 100.0)


def _error(bar: _Bar) -> float:
    return 0.0 if math.isnan(bar.std) else bar.std


def _text(bar: _Bar, measure: str) -> str:
    if math.isnan(bar.mean):
        return "none"
    factor = canvas.scale(measure)
    return mean_with_std(measure, bar.mean / factor, bar.std / factor)
