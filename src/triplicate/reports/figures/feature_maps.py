"""What the convolutions at both ends give for an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import Tensor

from triplicate.parts import part
from triplicate.reports.figures import Figures
from triplicate.reports.plots.tiles import map_tiles, mosaic_figure, sample_images
from triplicate.reports.plots.trained import Trained

_MAPS = 64


@part("feature_maps")
@dataclass(frozen=True)
class FeatureMaps(Figures):
    """The maps of the first and of the last convolution for one image."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        images = sample_images(trained)
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
    return mosaic_figure(map_tiles(maps[:shown]), f"{what}: {many} maps of {height}×{width}")
