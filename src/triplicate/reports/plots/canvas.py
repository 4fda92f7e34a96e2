"""What all figures share: a layout in inches, a legend, labels that fit, a caption, and files.

The margins are computed here: matplotlib's own "constrained" layout doubled the time of a sweep's plots, and labels
that it places itself cost a tenth of it.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from triplicate.files import atomic
from triplicate.records.run_folder import RunRecord
from triplicate.reports.numbers import is_fraction
from triplicate.reports.plots.scales import MARKS
from triplicate.reports.plots.seeds import MARKED, Curve
from triplicate.reports.plots.style import DPI

# Characters a line of a label, and inches a character and a line of small print: measured, generously.
_WRAP = 38
_CHARACTER = 0.066
_LINE = 0.142

# The same of the title and of the caption.
_TITLE_CHARACTER, _TITLE_LINE = 0.075, 0.16
_CAPTION_CHARACTER, _CAPTION_LINE = 0.059, 0.125

# Intervals between the ticks of an axis, at most: each costs a millisecond.
_TICKS = 5

# Cells of a confusion matrix, at most; a picture with more of them has shades that must stay.
_SHADES = 10_000

# Inches between the left edge and the title.
_EDGE = 0.1

# Between the settings of a row's label, and not inside the brackets of a list.
_SETTINGS = re.compile(r"(?<=,) (?![^\[]*\])")


@dataclass(frozen=True)
class Margins:
    """Inches around the panels, without title, legend and caption."""

    left: float = 0.62
    right: float = 0.12
    bottom: float = 0.42
    top: float = 0.12


def panels(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    title: str = "",
    caption: str = "",
    y: str = "",
    legend: Sequence[Line2D] = (),
    margins: Margins = Margins(),
    gaps: tuple[float, float] = (0.2, 0.28),
    share: Literal["none", "x", "y", "both"] = "none",
) -> tuple[Figure, list[Axes]]:
    """Make a figure of equal panels.

    Args:
        size: width and height of a panel in inches; the height grows where the legend needs it.
        caption: what stands below the panels in small print.
        y: a label of the vertical axes of all panels.
        legend: the entries of a legend to the right of all panels.
        gaps: inches between columns and between rows.

    Returns:
        The figure and its axes, row by row.
    """
    entries = _wrapped(legend)
    right = margins.right + _legend_width(entries)
    width = margins.left + columns * size[0] + (columns - 1) * gaps[0] + right
    heading, below = title_lines(title, width), caption_lines(caption, width)
    top = margins.top + _TITLE_LINE * len(heading)
    bottom = margins.bottom + _CAPTION_LINE * len(below)
    inside = max(rows * size[1] + (rows - 1) * gaps[1], _legend_height(entries))
    height = bottom + inside + top
    panel = (inside - (rows - 1) * gaps[1]) / rows
    figure = Figure(figsize=(width, height), dpi=DPI)
    grid = {
        "left": margins.left / width,
        "right": 1 - right / width,
        "bottom": bottom / height,
        "top": 1 - top / height,
        "wspace": gaps[0] / size[0],
        "hspace": gaps[1] / panel,
    }
    share_x, share_y = share in ("x", "both"), share in ("y", "both")
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=grid, sharex=share_x, sharey=share_y)
    for one in axes.flat:
        one.yaxis.set_label_coords(-(margins.left - 0.2) / size[0], 0.5)
        one.xaxis.set_label_coords(0.5, -0.2 / panel)
    left = _EDGE / width
    figure.suptitle("\n".join(heading), x=left, y=1 - 0.06 / height, ha="left", va="top", size=9)
    figure.text(left, 0.05 / height, "\n".join(below), ha="left", va="bottom", size=6.5, color="0.35", linespacing=1.2)
    if y:
        middle = (bottom + inside / 2) / height
        figure.text(0.14 / width, middle, y, rotation="vertical", ha="center", va="center", size=8)
    if entries:
        _draw_legend(axes[0, -1], entries)
    return figure, list(axes.flat)


def title_lines(title: str, width: float) -> list[str]:
    """A title in the lines that it takes on a figure of this width."""
    return _lines(title, int((width - 2 * _EDGE) / _TITLE_CHARACTER))


def multiples(
    headings: Sequence[str],
    columns: int,
    size: tuple[float, float],
    *,
    x: str,
    y: str,
    title: str,
    caption: str,
    legend: Sequence[Line2D] = (),
    own_scales: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A panel with a heading for each of several rows, all with the same labels and, but for `own_scales`, axes."""
    wrapped = [wrap(heading, int(size[0] / _CHARACTER)) for heading in headings]
    room = label_height(wrapped)
    figure, axes = panels(
        -(-len(headings) // columns),
        columns,
        size,
        title=title,
        caption=caption,
        y=y,
        legend=legend,
        margins=Margins(top=0.1 + room),
        gaps=(0.5 if own_scales else 0.15, 0.12 + room),
        share="x" if own_scales else "both",
    )
    for number, one in enumerate(axes):
        one.set_visible(number < len(headings))
        below = number + columns >= len(headings)
        finish_axes(one, x if below else "", "")
        one.tick_params(labelbottom=below)
    for one, heading in zip(axes, wrapped, strict=False):
        one.set_title(heading, fontsize=7, pad=3)
    return figure, axes[: len(headings)]


def run_title(run: RunRecord, width: float) -> str:
    """The name of a run and the title of its experiment, in the lines that they take above a panel of this width."""
    both = f"{run.path.name}\n{run.config['report']['title']}"
    return "\n".join(title_lines(both, width + Margins().left + Margins().right))


def caption_lines(caption: str, width: float) -> list[str]:
    return _lines(caption, int((width - 2 * _EDGE) / _CAPTION_CHARACTER))


def _lines(text: str, characters: int) -> list[str]:
    width = max(20, characters)
    return [line for part in plain(text).splitlines() for line in textwrap.wrap(part, width, break_on_hyphens=False)]


def tell(figure: Figure, title: str, caption: str) -> None:
    """Give a figure that is used for several runs another title and caption, of no more lines than it has room for."""
    figure.texts[0].set_text(title)
    figure.texts[1].set_text(caption)


def legend_above(axes: Axes, handles: Sequence[Line2D]) -> None:
    """A legend in one line above a panel, whose margin has room for it."""
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=len(handles),
        borderaxespad=0.1,
        borderpad=0.1,
        columnspacing=1.2,
    )


def _wrapped(handles: Sequence[Line2D]) -> list[tuple[Line2D, str]]:
    return [(handle, wrap(str(handle.get_label()))) for handle in handles]


def _draw_legend(corner: Axes, entries: Sequence[tuple[Line2D, str]]) -> None:
    """A legend to the right of the panel in the upper right corner."""
    corner.legend(
        [handle for handle, _ in entries],
        [label for _, label in entries],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderpad=0.2,
        borderaxespad=0,
        labelspacing=0.3,
    )


def _legend_width(entries: Sequence[tuple[Line2D, str]]) -> float:
    return 0.5 + label_width([label for _, label in entries]) if entries else 0.0


def _legend_height(entries: Sequence[tuple[Line2D, str]]) -> float:
    lines = sum(label.count("\n") + 1 for _, label in entries)
    return _LINE * lines + 0.02 * len(entries) + 0.1 if lines else 0.0


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


def label_height(labels: Sequence[str]) -> float:
    """Inches that the label with most lines takes in small print."""
    return _LINE * max((label.count("\n") + 1 for label in labels), default=0)


def scale(measure: str) -> float:
    """The factor from a measure as recorded to the measure as shown."""
    return 100 if is_fraction(measure) else 1


def finish_axes(axes: Axes, x: str, y: str) -> None:
    """Labels, ticks as short numbers, a light grid behind the lines."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True)
    if axes.get_yscale() == "linear" and not axes.yaxis_inverted():
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(MaxNLocator(_TICKS))


def whole_numbers(axes: Axes) -> None:
    """Ticks at whole epochs or steps alone; one epoch stands in the middle of its panel."""
    low, high = axes.dataLim.intervalx
    if 0 <= high - low < 1:
        axes.set_xlim(round(low) - 1, round(high) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(_TICKS, integer=True, min_n_ticks=1))


def set_lines(axes: Axes, curves: Sequence[Curve]) -> None:
    """Give the first lines of a panel other values, and the panel the limits that follow from them.

    Most of the time of a plot goes into making its panels and ticks, which the next run can have too.
    """
    for marks in [line for line in axes.get_lines() if line.get_gid() == MARKS]:
        marks.remove()
    for line, curve in zip(axes.get_lines(), curves, strict=False):
        line.set_data(curve.x, curve.y)
        line.set_markevery(max(1, len(curve.x) // MARKED))
    axes.set_yscale("linear")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(MaxNLocator(_TICKS))
    axes.set_xlim(auto=True)
    axes.set_ylim(auto=True)
    axes.relim()
    axes.autoscale_view()


def png(figure: Figure) -> bytes:
    """A figure as PNG; the same bytes whenever it is drawn."""
    drawn_on = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    drawn_on.draw()  # type: ignore[no-untyped-call]
    pixels = np.ascontiguousarray(np.asarray(drawn_on.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    # Stronger compression takes twice the time for nothing.
    image = Image.fromarray(pixels)
    (image if _has_pictures(figure) else _in_few_colours(image)).save(
        buffer, format="png", compress_level=1, dpi=(DPI, DPI)
    )
    return buffer.getvalue()


def _has_pictures(figure: Figure) -> bool:
    """Whether a panel shows more shades than 256 colours have."""
    return any(np.asarray(picture.get_array()).size > _SHADES for axes in figure.axes for picture in axes.images)


def _in_few_colours(image: Image.Image) -> Image.Image:
    """Lines, areas and letters in 256 colours, which takes half the time and half the bytes."""
    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # The ground is white, and not nearly so.
    palette = few.getpalette() or []
    ground = 3 * int(few.getpixel((0, 0)))  # type: ignore[arg-type]
    palette[ground : ground + 3] = [255, 255, 255]
    few.putpalette(palette)
    return few


def svg(figure: Figure) -> bytes:
    """A figure as SVG, with its letters as outlines; the same bytes whenever it is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all."""
    atomic.write_bytes(path, png(figure))
    return path
