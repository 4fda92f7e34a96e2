"""Small rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.augmentations import Augmentation
from triplicate.lazy import functional, torch
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("rotation")
@dataclass(frozen=True)
class Rotation(Augmentation):
    """A turn around the middle by a random angle, bilinear; what comes in from outside is black.

    As torchvision's RandomRotation(degrees, InterpolationMode.BILINEAR).
    """

    numbers: ClassVar[int] = 1

    degrees: float = key("greatest angle in either direction", unit="degrees", above=0, at_most=180)

    def augment(self, images: Tensor, drawn: Tensor) -> Tensor:
        height, width = images.shape[2:]
        angles = (2 * drawn[:, 0] - 1) * math.radians(self.degrees)
        cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
        # Where each pixel comes from. Coordinates go from -1 to 1 over either side, whatever its length.
        across = torch.stack([cosine, sine * (-height / width), zero], 1)
        down = torch.stack([sine * (width / height), cosine, zero], 1)
        grid = functional.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
