"""Two clouds of points in the plane that a line separates.

They are the same bytes on every machine: chance comes from numpy's `RandomState`, whose stream is frozen
(torch's generators make no such promise), and every coordinate is a whole number of 512ths, which float32 holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triplicate.datasets import Dataset, DataSource, Images
from triplicate.lazy import torch
from triplicate.parts import part

TRAIN_COUNT = 1_000
TEST_COUNT = 200

_SEED = 1
_UNITS = 512  # a coordinate of 1, in whole numbers
_CENTRE = 768  # of the right cloud on both axes: 1.5; the left one mirrors it
_DRAWS = 4  # summed, so that a cloud is dense in its middle and yet bounded
_STEPS = 256  # values of a draw: the sum reaches 510 to either side of its middle, just under 1


@part("points")
@dataclass(frozen=True)
class Points(DataSource):
    """Two clouds around (-1.5, -1.5) and (1.5, 1.5), points float32 [N, 2], as many left as right, in random order.

    No coordinate is further than 1 from its centre, so x + y = 0 separates the clouds, and every point is at least
    1/√2 away from that line. All coordinates lie within ±2.5.
    """

    def read(self, data_dir: Path | None) -> Dataset:
        draws = np.random.RandomState(_SEED)
        return Dataset(_clouds(TRAIN_COUNT, draws), _clouds(TEST_COUNT, draws), ("left", "right"))


def _clouds(count: int, draws: np.random.RandomState) -> Images:
    labels = draws.permutation(np.arange(count, dtype=np.int64) % 2)
    offsets = draws.randint(0, _STEPS, (count, 2, _DRAWS), dtype=np.int64).sum(axis=2) - _DRAWS * (_STEPS - 1) // 2
    centres = np.where(labels == 1, _CENTRE, -_CENTRE)[:, None]
    coordinates = ((centres + offsets) / _UNITS).astype(np.float32)
    return Images(torch.from_numpy(coordinates), torch.from_numpy(labels))
