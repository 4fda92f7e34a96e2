"""MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triplicate.datasets import Dataset, DataSource
from triplicate.datasets.files import idx
from triplicate.parts import part

SOURCE = idx.Source(
    folder="MNIST",
    classes=tuple("0123456789"),
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)


@part("mnist")
@dataclass(frozen=True)
class Mnist(DataSource):
    """MNIST (LeCun, Cortes, Burges): 60,000 + 10,000 grey images of 28×28."""

    def read(self, data_dir: Path | None) -> Dataset:
        return idx.load(SOURCE, data_dir)
