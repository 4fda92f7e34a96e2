"""Pictures made of tiles, and the points of a plane.

Tiles are scaled each to its own range of values, so that faint ones can be read; their greys do not compare.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from triplicate.reports.plots import canvas
from triplicate.reports.plots.style import MARKERS, colours
from triplicate.reports.plots.trained import Trained

Pixels = NDArray[np.float64]

# The pixels that a tile is drawn with at least, so that the gap between tiles is thin beside kernels of 3×3.
_TILE = 24

# Between tiles: no grey, so that a white or black corner of a kernel ends where it ends.
_GROUND = np.array([0.62, 0.73, 0.88])


def draw_points(axes: Axes, inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
    """Points [n, 2], one colour and shape for each class; the more there are, the smaller."""
    size = float(np.clip(3000 / max(len(inputs), 1), 7, 36))
    for number, handle in enumerate(class_handles(classes)):
        points = inputs[labels == number].numpy()
        look: dict[str, Any] = {"color": handle.get_color(), "marker": handle.get_marker(), "edgecolor": "white"}
        axes.scatter(points[:, 0], points[:, 1], s=size, label=handle.get_label(), zorder=2, linewidth=0.4, **look)


def class_handles(classes: Sequence[str]) -> list[Line2D]:
    """What a legend shows for points of each class: a colour and a shape."""
    shown = zip(classes, colours(len(classes)), itertools.cycle(MARKERS), strict=False)
    return [Line2D([], [], linestyle="none", color=colour, marker=shape, label=name) for name, colour, shape in shown]


def to_unit(values: Pixels) -> Pixels:
    """Each of `values` [n, …] scaled so that its least is 0 and its greatest 1; a half where all are equal."""
    others = tuple(range(1, values.ndim))
    low, high = values.min(others, keepdims=True), values.max(others, keepdims=True)
    flat = high == low
    return np.where(flat, 0.5, (values - low) / np.where(flat, 1, high - low))


def sample_images(trained: Trained) -> tuple[Tensor, Tensor] | None:
    return trained.samples if trained.samples is not None and trained.samples[0].ndim == 4 else None


def image_pixels(image: Tensor) -> Pixels:
    """An image [channels, height, width] as RGB in [0, 1], [height, width, 3]."""
    values = image.double().numpy() / (255 if image.dtype == torch.uint8 else 1)
    seen = values if len(values) == 3 else values.mean(0, keepdims=True)
    return np.broadcast_to(seen.transpose(1, 2, 0), (*image.shape[1:], 3))


def map_tiles(maps: Tensor) -> Pixels:
    """Maps [n, height, width] → tiles [n, height, width, 3], from dark to light."""
    tiles: Pixels = matplotlib.colormaps["viridis"](to_unit(maps.double().numpy()))[..., :3]
    return tiles


def mosaic(tiles: Pixels, columns: int) -> Pixels:
    """Lay out tiles [n, height, width, 3] line by line, with a gap around each."""
    zoom = max(1, -(-_TILE // tiles.shape[1]))
    large = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = large.shape[1:3]
    gap = max(2, height // 12)
    columns = min(columns, len(tiles))
    lines = -(-len(tiles) // columns)
    whole = np.tile(_GROUND, (lines * (height + gap) + gap, columns * (width + gap) + gap, 1))
    for number, tile in enumerate(large):
        top, left = gap + number // columns * (height + gap), gap + number % columns * (width + gap)
        whole[top : top + height, left : left + width] = tile
    return whole


def mosaic_figure(tiles: Pixels, title: str, columns: int = 0, names: Sequence[str] = ()) -> Figure:
    """Tiles in so many columns (0: by their number), with the names of the lines at the left."""
    abreast = columns or min(len(tiles), 8 if len(tiles) <= 64 else 16 if len(tiles) <= 128 else 32)
    picture = mosaic(tiles, abreast)
    width = max(3.0, min(abreast * 0.45, 6.6))
    height = width * picture.shape[0] / picture.shape[1]
    margins = canvas.Margins(left=0.12 + canvas.label_width(names), bottom=0.1, top=0.14)
    figure, (axes,) = canvas.panels(1, 1, (width, height), title=title, margins=margins)
    axes.imshow(picture)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_yticks((np.arange(len(names)) + 0.5) * picture.shape[0] / max(len(names), 1), names, fontsize=7)
    return figure
