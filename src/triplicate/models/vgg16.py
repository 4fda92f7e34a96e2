"""torchvision's VGG16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.models.layers.pretrained import Pretrained
from triplicate.parts import part


@part("vgg16")
@dataclass(frozen=True)
class Vgg16(Pretrained):
    """VGG16 (arXiv 1409.1556). It halves the image five times."""

    last: ClassVar[str] = "classifier.6"
    smallest: ClassVar[int] = 32
