"""The loop of PyTorch's tutorials: one network, a DataLoader over torchvision's data, an optimizer of torch.optim."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from workloads import BATCH_SIZE, Workload

from sides.measurement import WARM_UP_STEPS, Measurement
from sides.networks import network, optimizer_class
from sides.pictures import pictures


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """One run alone, of the middle rate; training steps and nothing else."""
    loader = DataLoader(pictures(workload, data), batch_size=BATCH_SIZE, shuffle=True)
    return timed(workload, endless(loader), steps)


def timed(workload: Workload, batches: Iterator[list[Tensor]], steps: int) -> Measurement:
    """Training of the network of the workload on these batches, after a warm-up."""
    model = network(workload)
    optimizer = optimizer_class(workload)(model.parameters(), lr=workload.middle_rate)
    train(model, optimizer, batches, WARM_UP_STEPS)
    began = time.perf_counter()
    train(model, optimizer, batches, steps)
    return Measurement.of(time.perf_counter() - began, steps)


def train(model: nn.Module, optimizer: Optimizer, batches: Iterator[list[Tensor]], steps: int) -> None:
    loss_of = nn.CrossEntropyLoss()
    model.train()
    for _ in range(steps):
        images, labels = next(batches)
        loss = loss_of(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def endless(loader: DataLoader[Tensor]) -> Iterator[list[Tensor]]:
    """Batches, epoch after epoch, each in another order."""
    while True:
        yield from loader
