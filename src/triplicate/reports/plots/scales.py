"""Linear or logarithmic axes, with limits at which one extreme value leaves the others readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from matplotlib.transforms import blended_transform_factory

from triplicate.reports.plots.seeds import Curve, Values
from triplicate.reports.plots.style import Colour

# Most of the values: what the axis is made for. Each line counts the same, however long it is.
_MOST = (0.03, 0.97)
_PARTS = np.linspace(0, 1, 41)

# Where most values span this factor, the axis is logarithmic.
WIDE = 30

# An axis is cut where most values would have less than a third of it.
_FAR = 2.0
_ROOM = 0.5

# From this factor on a logarithmic axis has ticks at powers of ten alone.
_DECADES = 1000

# By this the marks at the edge of a panel are found again; and so many they are at most.
MARKS = "beyond the axis"
_MOST_MARKS = 30


@dataclass(frozen=True)
class Scale:
    """The axis of some lines.

    Attributes:
        low, high: where it ends, if something lies outside; else infinite.
        least, greatest: of all values.
    """

    is_log: bool = False
    low: float = -np.inf
    high: float = np.inf
    least: float = np.nan
    greatest: float = np.nan

    @staticmethod
    def of(curves: Sequence[Curve], may_be_log: bool = True, wide: float = WIDE) -> Scale:
        """Logarithmic where values above 0 span the factor `wide`, and cut where few values are far away."""
        drawn = [curve.y for curve in curves if len(curve.y)]
        if not drawn:
            return Scale()
        pooled = np.concatenate([np.quantile(values, _PARTS) for values in drawn])
        least, greatest = (float(edge) for edge in (pooled.min(), pooled.max()))
        low, high = (float(edge) for edge in np.quantile(pooled, _MOST))
        if may_be_log and least > 0 and high > wide * low:
            logs = [np.log10(values) for values in drawn]
            low, high = _cut(logs, float(np.log10(low)), float(np.log10(high)))
            return Scale(True, 10.0**low if np.isfinite(low) else low, 10.0**high, least, greatest)
        low, high = _cut(drawn, low, high)
        return Scale(False, low, high, least, greatest)

    def apply(self, axes: Axes) -> None:
        """Give a panel this axis."""
        if self.is_log:
            axes.set_yscale("log")
            # The ticks between would be too close to be told apart, and take longer to draw than all else.
            if self.greatest > _DECADES * self.least:
                axes.yaxis.set_minor_locator(NullLocator())
        if np.isfinite(self.high):
            axes.set_ylim(self.low, self.high)

    def mark(self, axes: Axes, curve: Curve, colour: Colour) -> None:
        """Triangles at the edge, where a line leaves the panel."""
        for beyond, edge, marker in ((curve.y > self.high, 1, "^"), (curve.y < self.low, 0, "v")):
            if not beyond.any():
                continue
            places = np.linspace(curve.x[0], curve.x[-1], _MOST_MARKS)
            nearest = np.unique(np.abs(curve.x[beyond][:, None] - places).argmin(axis=1))
            x = np.array([_first(curve.x[beyond], places, number) for number in nearest])
            axes.plot(
                x,
                np.full(len(x), edge),
                marker,
                transform=blended_transform_factory(axes.transData, axes.transAxes),
                color=colour,
                markeredgecolor="white",
                markeredgewidth=0.4,
                markersize=5,
                clip_on=False,
                zorder=5,
                gid=MARKS,
            )

    def words(self) -> list[str]:
        """What lies outside, in a sentence."""
        said = [f"▲ above the axis, up to {self.greatest:.3g}"] if self.greatest > self.high else []
        said += [f"▼ below the axis, down to {self.least:.3g}"] if self.least < self.low else []
        return [f"{'; '.join(said)}."] if said else []


def _first(x: Values, places: Values, number: int) -> float:
    return float(x[np.abs(x - places[number]).argmin()])


def _cut(drawn: Sequence[Values], low: float, high: float) -> tuple[float, float]:
    """Where an axis ends if most values lie between `low` and `high`; infinite where nothing is cut."""
    span = high - low
    least, greatest = min(values.min() for values in drawn), max(values.max() for values in drawn)
    if span <= 0:
        return -np.inf, np.inf
    if least >= low - _FAR * span and greatest <= high + _FAR * span:
        return -np.inf, np.inf
    within = np.concatenate([v[(v >= low - _ROOM * span) & (v <= high + _ROOM * span)] for v in drawn])
    margin = 0.05 * float(np.ptp(within))
    # The end where little would be cut is where all is seen.
    first = float(within.min()) if least < low - _FAR * span else least
    last = float(within.max()) if greatest > high + _FAR * span else greatest
    return first - margin, last + margin
