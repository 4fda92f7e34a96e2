"""A residual network (arXiv 1512.03385) of depthwise-separable convolutions (arXiv 1704.04861)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from triplicate.lazy import nn
from triplicate.models import Model
from triplicate.models.layers.checks import POOL, need_images, need_room
from triplicate.parts import key, part

if TYPE_CHECKING:
    from triplicate.activations import Activation


@part("separable_residual")
@dataclass(frozen=True)
class SeparableResidual(Model):
    """A stem, residual blocks with pooling behind every two, and a classifier of two layers.

    A stage is two blocks, with a skip around both with `pair_skips`; an odd last block is a stage of its own, without
    that skip and without pooling.
    """

    stem: int = key("filters of the first convolution", at_least=1)
    channels: tuple[int, ...] = key("output channels of each block", at_least=1)
    convolutions: int = key("separable convolutions in a block", at_least=1)
    pair_skips: bool = key("skip connections around pairs of blocks too")
    hidden: int = key("width of the hidden layer", unit="units", at_least=1)
    dropout: float = key(
        "fraction of the units of the hidden layer that are dropped in training", at_least=0, below=1, per_run=True
    )

    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Sequential:
        from triplicate.models.layers.residual import stem  # it needs torch

        need_images(shape, self.name)
        need_room(shape, len(self.channels) // 2, "model.channels", "blocks")
        widths = [self.stem, *self.channels]
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=stem(shape[0], self.stem, activation))
        for number, start in enumerate(range(0, len(self.channels), 2), start=1):
            around = widths[start : start + 3]
            layers[f"stage{number}"] = self._stage(around, activation)
            if len(around) == 3:
                layers[f"pool{number}"] = nn.MaxPool2d(POOL)
        layers["mean"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["hidden"] = nn.Linear(widths[-1], self.hidden)
        layers["activation"] = activation()
        layers["dropout"] = nn.Dropout(self.dropout)
        layers["output"] = nn.Linear(self.hidden, outputs)
        return nn.Sequential(layers)

    def _stage(self, widths: Sequence[int], activation: Activation) -> nn.Module:
        """One or two blocks; `widths` are the channels before the first and behind each."""
        from triplicate.models.layers.residual import Residual, block

        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (channels, outputs) in enumerate(pairwise(widths), start=1):
            blocks[f"block{number}"] = block(channels, outputs, self.convolutions, activation)
        stage = nn.Sequential(blocks)
        if self.pair_skips and len(blocks) == 2:
            return Residual(widths[0], widths[-1], stage)
        return stage
