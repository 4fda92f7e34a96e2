"""The plain loop without a DataLoader: all images lie in memory as float32, and a batch is taken by its indices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from workloads import BATCH_SIZE, Workload

from sides.loop import timed
from sides.measurement import Measurement


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """One run alone, of the middle rate; training steps and nothing else."""
    images = workload.training_images(data)
    return timed(workload, shuffled(images.pixels.float() / 255, images.labels), steps)


def shuffled(pixels: Tensor, labels: Tensor) -> Iterator[list[Tensor]]:
    """Batches, epoch after epoch, each in another order."""
    while True:
        for chosen in torch.randperm(len(labels)).split(BATCH_SIZE):
            yield [pixels[chosen], labels[chosen]]
