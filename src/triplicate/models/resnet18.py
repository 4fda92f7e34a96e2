"""torchvision's ResNet18."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.models.layers.pretrained import Pretrained
from triplicate.parts import part


@part("resnet18")
@dataclass(frozen=True)
class Resnet18(Pretrained):
    """ResNet18 (arXiv 1512.03385). It pads, so that something is left of any image."""

    last: ClassVar[str] = "fc"
    smallest: ClassVar[int] = 1
