"""The one style of all pictures: sizes, colours, markers and line styles.

The colours are told apart by the colour-blind and in grey: neighbours differ by at least 20 in lightness (CIE L*), and
any two by at least 20 (CIE Lab) as people without red or green cones see them. A test measures both.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.rcsetup import cycler

Colour = tuple[float, float, float]
# matplotlib's types know no list of all that it takes.
Dash = Any

# Pixels an inch.
DPI = 200

# Of what stands in an order without a scale. Blue, orange, green and light blue are Okabe and Ito's
# (https://jfly.uni-koeln.de/color/) or near them; the others were chosen for their lightness.
PALETTE: tuple[Colour, ...] = tuple(
    map(to_rgb, ("#0072B2", "#E69F00", "#7A1E2B", "#000000", "#009E73", "#332288", "#88CCEE", "#8A7A00"))
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[Dash, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))

# The ramp ends before its yellow, which is too light for a line on white.
_LIGHTEST = 0.86

_STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "ytick.minor.size": 1.5,
    # The same bytes each time an SVG is written.
    "svg.hashsalt": "triplicate",
}

# matplotlib's settings are those of the process, and the figures of runs are used again for the next run.
_one_at_a_time = threading.RLock()


@contextmanager
def applied() -> Iterator[None]:
    """Inside, figures are made and written in this style, whatever the user's matplotlibrc says, by one thread only."""
    with _one_at_a_time, matplotlib.rc_context():
        settings: dict[Any, Any] = {**_defaults(), **_STYLE}
        matplotlib.rcParams.update(settings)
        yield


def _defaults() -> dict[str, Any]:
    """matplotlib's own settings, but for where windows are shown."""
    return {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}


def colours(count: int) -> list[Colour]:
    """Distinct colours for things without an order; a ramp where there are more than the palette has."""
    return list(PALETTE[:count]) if count <= len(PALETTE) else ramp(np.linspace(0, 1, count))


def ramp(places: Any) -> list[Colour]:
    """Colours from dark to light for places in [0, 1] on a scale."""
    shades = matplotlib.colormaps["viridis"](_LIGHTEST * np.asarray(places, dtype=float))
    return [(float(red), float(green), float(blue)) for red, green, blue, _ in shades]
