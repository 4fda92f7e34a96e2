"""Random crops and flips, as for CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.augmentations import Augmentation
from triplicate.errors import UserError
from triplicate.lazy import functional, torch
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("crop_flip")
@dataclass(frozen=True)
class CropFlip(Augmentation):
    """A random crop of the black-padded image, and a mirror image of every second one (arXiv 1512.03385, section 4.2).

    As torchvision's RandomCrop(side, padding) and RandomHorizontalFlip() before Normalize.
    """

    numbers: ClassVar[int] = 3

    padding: int = key(
        "black pixels on every side, from which a crop of the old size is cut", unit="pixels", at_least=0
    )
    flip: bool = key("mirror left and right with probability 0.5")

    def __post_init__(self) -> None:
        if self.padding == 0 and not self.flip:
            raise UserError(
                "augmentation.padding", "without padding or flip nothing changes", "choose augmentation=none"
            )

    def augment(self, images: Tensor, drawn: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = functional.pad(images, (self.padding,) * 4)
        top, left = (drawn[:, :2] * (2 * self.padding + 1)).long().unbind(1)
        rows = top.unsqueeze(1) + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device)
        if self.flip:
            columns = torch.where(drawn[:, 2:] < 0.5, width - 1 - columns, columns)
        columns = left.unsqueeze(1) + columns
        # One gather does both: which number of its padded channel each pixel is.
        places = rows.unsqueeze(2) * padded.shape[3] + columns.unsqueeze(1)
        chosen = places.view(len(images), 1, -1).expand(-1, images.shape[1], -1)
        return padded.flatten(2).gather(2, chosen).view(images.shape)
