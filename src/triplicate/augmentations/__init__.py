"""Augmentations: how training images are changed, anew in every step. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Augmentation(Part, kind="augmentation"):
    """What a configuration names as `augmentation`. It draws nothing itself: each image is given its random numbers.

    So a run sees the same images alone and in any stack. What is evaluated is not augmented.

    Attributes:
        numbers: how many random numbers an image takes; 0: it is left as it is, and `augment` is not called.
    """

    numbers: ClassVar[int] = 1

    @abstractmethod
    def augment(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The images changed, each by its own numbers and whatever stands beside it.

        On a GPU this is recorded as a CUDA graph: it must not wait for what was computed.

        Args:
            images: [N, channels, height, width], pixels in [0, 1], before mean and std; not to be changed in place.
            drawn: for each image its numbers, uniform in [0, 1): [N, numbers], of the images' dtype.

        Returns:
            As many images of the same shape.
        """
