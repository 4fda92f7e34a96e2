"""What the first convolution gives for a few images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from triplicate.parts import part
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.tiles import Pixels, image_pixels, map_tiles, mosaic_figure, sample_images
from triplicate.reports.plots.trained import Trained

_IMAGES = 3
_MAPS_OF_EACH = 8


@part("activation_maps")
@dataclass(frozen=True)
class ActivationMaps(Figures):
    """Up to three images, a line each: the image and its maps after the first convolution."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        images = sample_images(trained)
        if images is None or not trained.convolutions:
            return {}
        inputs, labels = images[0][:_IMAGES], images[1][:_IMAGES]
        maps = trained.maps(inputs, trained.convolutions[0])[:, :_MAPS_OF_EACH]
        lines = [_line(image, of_image) for image, of_image in zip(inputs, maps, strict=True)]
        of = f" of {trained.convolutions[0].out_channels}"
        title = f"each image and {maps.shape[1]}{of} maps after the first convolution"
        names = [canvas.wrap(trained.classes[int(label)], 16) for label in labels]
        return {"activation_maps": mosaic_figure(np.concatenate(lines), title, 1 + maps.shape[1], names)}


def _line(image: Tensor, maps: Tensor) -> Pixels:
    """An image [channels, …], brought to the size of its maps [n, height, width], and these: [1 + n, …, 3]."""
    height, width = maps.shape[1:]
    rows = np.arange(height) * image.shape[1] // height
    columns = np.arange(width) * image.shape[2] // width
    return np.concatenate([image_pixels(image)[rows][:, columns][None], map_tiles(maps)])
