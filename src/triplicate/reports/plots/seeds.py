"""The seeds of a row over the epochs or the steps: their mean, a band, and single seeds where some are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots.looks import Look

Values = NDArray[np.float64]

# Places across a panel. A longer line is drawn by its first, least, greatest and last value in each of them, since more
# cannot be seen.
_COLUMNS = 800

# Markers along a line of many points.
_MARKERS = 9

# Up to so many points each has its marker.
MARKED = 25


@dataclass(frozen=True)
class Curve:
    """A line: places (epochs or steps, rising) and values, all finite."""

    x: Values
    y: Values

    @staticmethod
    def of(series: pd.Series) -> Curve:
        """From values by epoch or step; what is not finite is left out."""
        x, y = series.index.to_numpy(dtype=np.float64), series.to_numpy(dtype=np.float64)
        finite = np.isfinite(y)
        return Curve(x[finite], y[finite])

    def thinned(self) -> Curve:
        """The same to the eye, with few points: no extreme value is lost."""
        if len(self.x) <= 4 * _COLUMNS:
            return self
        starts = _columns(self.x)
        ends = np.append(starts[1:], len(self.x))
        kept = set(starts) | set(ends - 1)
        for start, end in zip(starts, ends, strict=True):
            part = self.y[start:end]
            kept |= {start + int(part.argmin()), start + int(part.argmax())}
        chosen = np.array(sorted(kept))
        return Curve(self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class Spread:
    """What is drawn of the seeds of a row.

    Attributes:
        mean: over all seeds that did not diverge, where each of them has a value; the line itself for one seed.
        low, high: a standard deviation below and above the mean, at its places; empty for one seed.
        alone: single seeds where others have ended, from the last place of the mean on.
        diverged: seeds that diverged; they count in no mean.
        n: seeds in the mean.
    """

    mean: Curve
    low: Values
    high: Values
    alone: tuple[Curve, ...] = ()
    diverged: tuple[Curve, ...] = ()
    n: int = field(default=1)

    @staticmethod
    def of(settled: Sequence[pd.Series], diverged: Sequence[pd.Series] = (), at_most: float = np.inf) -> Spread:
        """From values by epoch or step of each seed.

        Args:
            at_most: what no value can exceed, such as 100 %.
        """
        lost = tuple(curve for series in diverged if len((curve := Curve.of(series)).x))
        if not settled:
            return Spread(Curve.of(pd.Series(dtype=float)), np.empty(0), np.empty(0), (), lost, 0)
        table = pd.concat(list(settled), axis=1).sort_index().replace([np.inf, -np.inf], np.nan)
        whole = table.notna().all(axis=1)
        mean = Curve.of(table[whole].mean(axis=1))
        if len(settled) == 1:
            return Spread(mean, np.empty(0), np.empty(0), (), lost, 1)
        low, high = _band(table[whole].to_numpy(dtype=np.float64), at_most)
        return Spread(mean, low, high, _alone(table, whole), lost, len(settled))

    @property
    def lines(self) -> tuple[Curve, ...]:
        return tuple(curve for curve in (self.mean, *self.alone, *self.diverged) if len(curve.x))

    def draw(self, axes: Axes, look: Look, label: str, marked: bool = True) -> None:
        """Lines, and the band; one place alone is a dot with whiskers."""
        if len(self.mean.x):
            self._draw_mean(axes, look, label, marked)
        thin: dict[str, Any] = {"linewidth": 0.6, "color": look.colour, "linestyle": look.dash}
        for curve in map(Curve.thinned, self.alone):
            axes.plot(curve.x, curve.y, **thin)
        for number, curve in enumerate(map(Curve.thinned, self.diverged)):
            axes.plot(curve.x, curve.y, label=label if not len(self.mean.x) and not number else "", **thin)
            axes.plot(curve.x[-1:], curve.y[-1:], "x", color=look.colour, markersize=5)

    def _draw_mean(self, axes: Axes, look: Look, label: str, marked: bool) -> None:
        shown = self.mean.thinned()
        every = 1 if len(shown.x) <= MARKED else max(1, len(shown.x) // _MARKERS)
        axes.plot(
            shown.x,
            shown.y,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.2 if len(shown.x) <= 4 * MARKED else 0.8,
            marker=look.marker if marked or len(shown.x) == 1 else "",
            markevery=every,
            label=label,
        )
        if not len(self.low):
            return
        if len(self.mean.x) == 1:
            errors = [[self.mean.y[0] - self.low[0]], [self.high[0] - self.mean.y[0]]]
            axes.errorbar(self.mean.x, self.mean.y, yerr=errors, fmt="none", ecolor=look.colour, capsize=2, linewidth=1)
            return
        x, low, high = _thin_band(self.mean.x, self.low, self.high)
        axes.fill_between(x, low, high, color=look.colour, alpha=0.2, linewidth=0)

    def moved(self, by: float) -> Spread:
        """The same at other places, so that dots of several rows stand side by side."""
        return Spread(Curve(self.mean.x + by, self.mean.y), self.low, self.high, self.alone, self.diverged, self.n)


def of_row(runs: Sequence[RunRecord], curves: Sequence[pd.Series | None], at_most: float = np.inf) -> Spread:
    """The spread of the runs of a row, of which some may have no curve."""
    pairs = [(run, curve) for run, curve in zip(runs, curves, strict=True) if curve is not None]
    finished = [curve for run, curve in pairs if run.summary["status"] == "finished"]
    return Spread.of(finished, [curve for run, curve in pairs if run.summary["status"] != "finished"], at_most)


def words(spreads: Sequence[Spread]) -> list[str]:
    """What lines, bands and marks mean, in sentences."""
    drawn = [spread for spread in spreads if spread.lines]
    if not drawn:
        return ["No finite values."]
    counts = sorted({spread.n for spread in drawn if len(spread.mean.x)})
    several = [n for n in counts if n > 1]
    point = all(len(spread.mean.x) < 2 for spread in drawn)
    line, band = ("Dot", "Whisker") if point else ("Line", "Band")
    said = []
    if several:
        seeds = f"{several[0]} seeds" if len(several) == 1 else f"{several[0]} to {several[-1]} seeds"
        said.append(f"{line}: mean over {seeds}. {band}: ± 1 standard deviation.")
    if counts and counts[0] == 1:
        said.append("Without a band: one seed." if several else f"{line}: one seed each.")
    if any(spread.alone for spread in drawn):
        said.append("Thin lines: single seeds, after the first seed of their row has ended.")
    if any(spread.diverged for spread in drawn):
        said.append("×: a seed that diverged; no mean counts it.")
    return said


def _band(values: Values, at_most: float) -> tuple[Values, Values]:
    """A standard deviation about the mean of values [places, seeds], and nowhere where no value can be.

    Where all values are above 0 and the band would not be, its lower edge is nowhere below the least seed.
    """
    mean, std = values.mean(axis=1), values.std(axis=1, ddof=1)
    low, high = mean - std, np.minimum(mean + std, at_most)
    if values.size and values.min() >= 0 and low.min() <= 0:
        low = np.maximum(low, values.min(axis=1))
    return low, high


def _alone(table: pd.DataFrame, whole: pd.Series) -> tuple[Curve, ...]:
    """The seeds at the places where another has no value, each joined to the place before."""
    if whole.all():
        return ()
    shown = ~whole | ~whole.shift(-1, fill_value=True)
    return tuple(curve for name in range(table.shape[1]) if len((curve := Curve.of(table.iloc[:, name][shown])).x) > 1)


def _columns(x: Values) -> NDArray[np.intp]:
    """Where each of the places across a panel begins among values of x."""
    places = ((x - x[0]) / (x[-1] - x[0]) * _COLUMNS).astype(int)
    return np.flatnonzero(np.diff(places, prepend=-1))


def _thin_band(x: Values, low: Values, high: Values) -> tuple[Values, Values, Values]:
    if len(x) <= 4 * _COLUMNS:
        return x, low, high
    starts = _columns(x)
    return x[starts], np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
