"""Images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.augmentations import Augmentation
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("none")
@dataclass(frozen=True)
class NoAugmentation(Augmentation):
    """Images as they are."""

    numbers: ClassVar[int] = 0

    def augment(self, images: Tensor, drawn: Tensor) -> Tensor:
        return images
