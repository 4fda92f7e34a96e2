"""A small network of inception modules (arXiv 1409.4842)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.lazy import nn
from triplicate.models import Model
from triplicate.models.layers.checks import POOL, need_images, need_room
from triplicate.parts import key, part

if TYPE_CHECKING:
    from triplicate.activations import Activation


@part("inception_small")
@dataclass(frozen=True)
class InceptionSmall(Model):
    """A stem with pooling, modules of parallel branches (1×1, 3×3, 5×5, pooling), and one layer over the global mean.

    Between the modules is pooling; the channels of their branches are concatenated.
    """

    stem: int = key("filters of the first convolution", at_least=1)
    branches: tuple[int, ...] = key("channels of each branch, one value per module", at_least=1)
    dropout: float = key(
        "fraction of the values before the last layer that are dropped in training", at_least=0, below=1, per_run=True
    )

    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Sequential:
        from triplicate.models.layers.inception import BRANCHES, Inception, convolution  # they need torch

        need_images(shape, self.name)
        need_room(shape, max(1, len(self.branches)), "model.branches", "modules")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = convolution(shape[0], self.stem, 3, activation)
        layers["pool1"] = nn.MaxPool2d(POOL)
        channels = self.stem
        for number, filters in enumerate(self.branches, start=1):
            if number > 1:
                layers[f"pool{number}"] = nn.MaxPool2d(POOL)
            layers[f"inception{number}"] = Inception(channels, filters, activation)
            channels = BRANCHES * filters
        layers["mean"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["dropout"] = nn.Dropout(self.dropout)
        layers["output"] = nn.Linear(channels, outputs)
        return nn.Sequential(layers)
