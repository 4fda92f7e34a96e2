"""Pictures made of tiles: samples, filters and feature maps.

Tiles are scaled each to its own range of values, so that faint ones can be read; their greys do not compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from triplicate.reports.figures import canvas
from triplicate.reports.figures.trained import Trained

Pixels = NDArray[np.float64]

_FIRST_FILTERS = 64
_LAST_FILTERS = 512
_MAPS = 64
_MAPS_OF_EACH = 8
_IMAGES = 3

# The pixels that a tile is drawn with at least, so that the gap between tiles is thin beside kernels of 3×3.
_TILE = 24

# Between tiles: no grey, so that a white or black corner of a kernel ends where it ends.
_GROUND = np.array([0.62, 0.73, 0.88])


def samples(inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    """Examples of a data set with their labels.

    Args:
        inputs: images, uint8 or in [0, 1], [n, channels, height, width]; or points [n, 2].
        labels: class numbers [n].
        classes: name of each class.
    """
    if inputs.ndim == 2:
        return _points(inputs, labels, classes)
    columns = min(5, len(inputs))
    names = [canvas.wrap(classes[int(label)], 18) for label in labels]
    heading = 0.1 + 0.17 * max(name.count("\n") + 1 for name in names)
    margins = canvas.Margins(left=0.15, bottom=0.4, top=heading)
    rows = -(-len(inputs) // columns)
    figure, panels = canvas.panels(rows, columns, (1.6, 1.6), margins=margins, gaps=(0.15, 0.05 + heading))
    for axes, image, name in zip(panels, inputs, names, strict=False):
        axes.imshow(image_pixels(image))
        axes.set_title(name, fontsize="small")
    for axes in panels:
        axes.set_axis_off()
    channels, height, width = inputs.shape[1:]
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    bottom = 0.08 / figure.get_figheight()
    figure.text(0.5, bottom, f"{height} × {width}, {colour}", ha="center", va="bottom", size="small")
    return figure


def _points(inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    figure, (axes,) = canvas.panels(1, 1, (4.2, 4.0), legend=classes)
    draw_points(axes, inputs, labels, classes)
    canvas.finish_axes(axes, "first coordinate", "second coordinate")
    canvas.outside_legend(axes)
    return figure


def draw_points(axes: Axes, inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
    """Points [n, 2], a colour a class; the more there are, the smaller."""
    size = float(np.clip(6000 / max(len(inputs), 1), 14, 70))
    for number, (name, colour) in enumerate(zip(classes, canvas.colours(len(classes)), strict=True)):
        points = inputs[labels == number].numpy()
        axes.scatter(
            points[:, 0], points[:, 1], s=size, color=colour, edgecolor="white", linewidth=0.4, label=name, zorder=2
        )


def filters(trained: Trained) -> dict[str, Figure]:
    """The kernels of the first and of the last convolution; nothing for a network without."""
    if not trained.convolutions:
        return {}
    first, last = trained.convolutions[0].weight.detach(), trained.convolutions[-1].weight.detach()
    return {
        "filters_first": _filters(first[:_FIRST_FILTERS], first, "first"),
        "filters_last": _filters(last[:_LAST_FILTERS].mean(1, keepdim=True), last, "last"),
    }


def _filters(shown: Tensor, weight: Tensor, place: str) -> Figure:
    number, depth, height, width = weight.shape
    averaged = depth > 1 and kernel_depth(shown) == 1
    many = f"{len(shown)} of {number}" if len(shown) < number else str(number)
    title = f"{place} convolution: {many} kernels of {depth}×{height}×{width}{', averaged over the depth' * averaged}"
    return _mosaic_figure(kernel_tiles(shown), title)


def kernel_depth(kernels: Tensor) -> int:
    """The colours that kernels [n, depth, height, width] are shown in: 3 if they look at RGB, else 1."""
    return 3 if kernels.shape[1] == 3 else 1


def kernel_tiles(kernels: Tensor) -> Pixels:
    """Kernels [n, depth, height, width] → tiles [n, height, width, 3] in [0, 1]; grey unless the depth is 3.

    Kernels of 1×1 have no range of their own and are scaled together.
    """
    seen = kernels if kernel_depth(kernels) == 3 else kernels.mean(1, keepdim=True)
    values = seen.permute(0, 2, 3, 1).double().numpy()
    alone = values[0].size > 1
    scaled = to_unit(values) if alone else to_unit(values[None])[0]
    return np.broadcast_to(scaled, (*scaled.shape[:3], 3))


def to_unit(values: Pixels) -> Pixels:
    """Each of `values` [n, …] scaled so that its least is 0 and its greatest 1; a half where all are equal."""
    others = tuple(range(1, values.ndim))
    low, high = values.min(others, keepdims=True), values.max(others, keepdims=True)
    flat = high == low
    return np.where(flat, 0.5, (values - low) / np.where(flat, 1, high - low))


def activation_maps(trained: Trained) -> dict[str, Figure]:
    """Up to three images, a line each: the image and its maps after the first convolution."""
    images = _sample_images(trained)
    if images is None or not trained.convolutions:
        return {}
    inputs, labels = images[0][:_IMAGES], images[1][:_IMAGES]
    maps = trained.maps(inputs, trained.convolutions[0])[:, :_MAPS_OF_EACH]
    lines = [_line(image, of_image) for image, of_image in zip(inputs, maps, strict=True)]
    of = f" of {trained.convolutions[0].out_channels}"
    title = f"each image and {maps.shape[1]}{of} maps after the first convolution"
    names = [canvas.wrap(trained.classes[int(label)], 16) for label in labels]
    return {"activation_maps": _mosaic_figure(np.concatenate(lines), title, 1 + maps.shape[1], names)}


def _line(image: Tensor, maps: Tensor) -> Pixels:
    """An image [channels, …], brought to the size of its maps [n, height, width], and these: [1 + n, …, 3]."""
    height, width = maps.shape[1:]
    rows = np.arange(height) * image.shape[1] // height
    columns = np.arange(width) * image.shape[2] // width
    return np.concatenate([image_pixels(image)[rows][:, columns][None], map_tiles(maps)])


def feature_maps(trained: Trained) -> dict[str, Figure]:
    """The maps of the first and of the last convolution for one image."""
    images = _sample_images(trained)
    if images is None or not trained.convolutions:
        return {}
    image, name = images[0][:1], trained.classes[int(images[1][0])]
    ends = {"first": trained.convolutions[0], "last": trained.convolutions[-1]}
    return {
        f"feature_maps_{place}": _feature_maps(trained.maps(image, convolution)[0], f"{place} convolution, {name}")
        for place, convolution in ends.items()
    }


def _feature_maps(maps: Tensor, what: str) -> Figure:
    shown = min(_MAPS, len(maps))
    many = f"{shown} of {len(maps)}" if shown < len(maps) else str(shown)
    height, width = maps.shape[1:]
    return _mosaic_figure(map_tiles(maps[:shown]), f"{what}: {many} maps of {height}×{width}")


def _sample_images(trained: Trained) -> tuple[Tensor, Tensor] | None:
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


def _mosaic_figure(tiles: Pixels, title: str, columns: int = 0, names: Sequence[str] = ()) -> Figure:
    """Tiles in so many columns (0: by their number), with the names of the lines at the left."""
    abreast = columns or min(len(tiles), 8 if len(tiles) <= 64 else 16 if len(tiles) <= 128 else 32)
    picture = mosaic(tiles, abreast)
    width = max(4.0, min(abreast * 0.75, 11.0))
    height = width * picture.shape[0] / picture.shape[1]
    margins = canvas.Margins(left=0.2 + canvas.label_width(names), bottom=0.15, top=0.2)
    figure, (axes,) = canvas.panels(1, 1, (width, height), title=title, margins=margins)
    axes.imshow(picture)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_yticks((np.arange(len(names)) + 0.5) * picture.shape[0] / max(len(names), 1), names, fontsize="small")
    return figure
