"""What every data set is read into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """One split: its examples and labels int64 [N].

    `pixels` is uint8 [N, channels, height, width] from 0 to 255, or for sets of points float32 [N, features].
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A data set with the names of its classes; a label is an index into them."""

    train: Images
    test: Images
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one example: channels, height and width of an image, or the number of a point's features."""
        return tuple(self.train.pixels.shape[1:])

    def to(self, device: torch.device) -> Dataset:
        return replace(self, train=self.train.to(device), test=self.test.to(device))
