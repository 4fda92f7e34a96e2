"""A measure of the runs as bars, one bar per row of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.reports.numbers import heading, is_fraction, mean_with_std
from triplicate.reports.plots import canvas
from triplicate.reports.rows import Cell, Row
from triplicate.reports.tables import Table


@dataclass(frozen=True)
class _Bar:
    """Mean and deviation over the seeds, and what was published; NaN where there is nothing."""

    mean: float
    std: float
    published: float


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
    margins = canvas.Margins(left=0.3 + canvas.label_width(labels), right=1.35)
    size = (4.6, max(1.2, 0.22 * len(bars) + 0.17 * lines))
    figure, (axes,) = canvas.panels(1, 1, size, title=table.title, margins=margins)
    _draw(axes, bars, measure)
    axes.set_yticks(range(len(bars)), labels, fontsize="small")
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(*_limits(bars, measure))
    canvas.finish_axes(axes, heading(measure), "")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure


def _draw(axes: Axes, bars: Sequence[_Bar], measure: str) -> None:
    places = np.arange(len(bars))
    means = np.array([bar.mean for bar in bars])
    errors = [bar.std for bar in bars]
    axes.barh(places, np.nan_to_num(means), height=0.7, color=canvas.colours(len(bars)))
    axes.errorbar(means, places, xerr=errors, fmt="none", ecolor="0.2", capsize=3, linewidth=1)
    published = np.array([bar.published for bar in bars])
    if np.isfinite(published).any():
        axes.scatter(
            published, places, 28, marker="D", facecolor="white", edgecolor="black", zorder=3, label="published"
        )
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 0), frameon=False)
    for place, bar in zip(places, bars, strict=True):
        across = axes.get_yaxis_transform()
        axes.text(1.03, float(place), _text(bar, measure), transform=across, va="center", fontsize="small")


def _bar(row: Row, measure: str) -> _Bar:
    """From the table's cell, or from the runs where the table does not show the measure; as shown to people."""
    factor = canvas.scale(measure)
    cell = row.cells.get(measure) or Cell.of(measure, row.settled)
    # What is published as '>100' has no place on an axis.
    published = math.nan if isinstance(cell.published, str) else cell.published
    # Nor has what is not finite.
    mean, std = (value if math.isfinite(value) else math.nan for value in (cell.mean, cell.std))
    return _Bar(factor * mean, factor * std, factor * published)


def _limits(bars: Sequence[_Bar], measure: str) -> tuple[float, float]:
    """From 0, or for shares that lie close together from somewhat below the least of them."""
    ends = np.array([[bar.mean - _error(bar), bar.mean + _error(bar), bar.published] for bar in bars])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    if not is_fraction(measure) or low < 0.8 * high:
        return min(0.0, 1.05 * low), max(1.05 * high, 1e-9)
    room = max(high - low, 0.5)
    return max(0.0, low - 0.6 * room), min(high + 0.15 * room, 100.0)


def _error(bar: _Bar) -> float:
    return 0.0 if math.isnan(bar.std) else bar.std


def _text(bar: _Bar, measure: str) -> str:
    if math.isnan(bar.mean):
        return "none"
    factor = canvas.scale(measure)
    return mean_with_std(measure, bar.mean / factor, bar.std / factor)
