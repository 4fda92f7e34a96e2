"""Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triplicate.datasets import Dataset, DataSource
from triplicate.datasets.files import idx
from triplicate.parts import part

SOURCE = idx.Source(
    folder="FashionMNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)


@part("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(DataSource):
    """Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747): 60,000 + 10,000 grey images of 28×28."""

    def read(self, data_dir: Path | None) -> Dataset:
        return idx.load(SOURCE, data_dir)
