"""The exclusive or."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triplicate.datasets import Dataset, DataSource, Images
from triplicate.lazy import torch
from triplicate.parts import part


@part("xor")
@dataclass(frozen=True)
class Xor(DataSource):
    """The four cases of the exclusive or: points float32 [4, 2] of 0 and 1; the test set is the training set."""

    def read(self, data_dir: Path | None) -> Dataset:
        cases = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        images = Images(cases, torch.tensor([0, 1, 1, 0]))
        return Dataset(images, images, ("0", "1"))
