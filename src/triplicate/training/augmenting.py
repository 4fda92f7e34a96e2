"""The augmentation of a stack: what is drawn for its training images, and from which generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triplicate.augmentations import Augmentation
from triplicate.training.draws import Draws
from triplicate.training.seeding import generator


@dataclass(frozen=True)
class Augmenting:
    """Changes the images of every batch by numbers from the generators of their runs.

    Runs with the same seed share an order of images, and their images are augmented alike.

    Attributes:
        generators: one for each order, on the device of the images.
    """

    part: Augmentation
    generators: Sequence[torch.Generator]
    device: torch.device

    @staticmethod
    def of(part: Augmentation, seeds: Sequence[int], device: torch.device) -> Augmenting | None:
        """Of the orders with these seeds; None where images are left as they are."""
        if part.numbers == 0:
            return None
        return Augmenting(part, [generator(seed, "augmentation", device) for seed in seeds], device)

    def __call__(self, images: Tensor) -> Tensor:
        """Images [S · B, …] of S orders, pixels in [0, 1] → the same, augmented."""
        each = len(images) // len(self.generators)
        drawn = Draws(self.generators, self.device).numbers(each * self.part.numbers)
        return self.part.augment(images, drawn.view(len(images), -1).to(images.dtype)).contiguous()

    def keep(self, orders: Sequence[int]) -> Augmenting:
        """The same for these orders alone."""
        return replace(self, generators=[self.generators[order] for order in orders])
