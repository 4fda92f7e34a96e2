"""The kernels of convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from triplicate.parts import part
from triplicate.reports.figures import Figures
from triplicate.reports.plots.tiles import Pixels, mosaic_figure, to_unit
from triplicate.reports.plots.trained import Trained

_FIRST_FILTERS = 64
_LAST_FILTERS = 512


@part("filters")
@dataclass(frozen=True)
class Filters(Figures):
    """The kernels of the first and of the last convolution; nothing for a network without."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
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
    return mosaic_figure(kernel_tiles(shown), title)


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
