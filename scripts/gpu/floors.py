"""What no step can be faster than: its products at the device's rate, and what it must move at the memory's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from triplicate.config import RunConfig
from triplicate.sweeps.cost import of_a_pass
from triplicate.training.build import build


@dataclass(frozen=True)
class Rates:
    """
    Attributes:
        flops: floating-point operations a second, of a large float32 matrix product without TensorFloat-32.
        bytes: read and written a second, by a large copy.
    """

    flops: float
    bytes: float

    @staticmethod
    def of(device: torch.device, side: int, numbers: int) -> Rates:
        """Args: a product of square matrices of this side, and a copy of so many float32 numbers."""
        one, other = (torch.rand(side, side, device=device) for _ in range(2))
        source = torch.rand(numbers, device=device)
        target = torch.empty_like(source)
        product = seconds(lambda: torch.mm(one, other), device, 10)
        copy = seconds(lambda: target.copy_(source), device, 10)
        return Rates(2 * side**3 / product, 8 * numbers / copy)


@dataclass(frozen=True)
class Floor:
    """Of one step of a stack: the operations of its products, and bytes that go through memory at least.

    Every parameter and what the optimizer remembers is read once and written once, and so is what each layer gives.
    What stays in a cache between two steps can be faster than that.
    """

    flops: float
    bytes: float

    @staticmethod
    def of(config: RunConfig, shape: tuple[int, ...], classes: int, runs: int, remembered: int) -> Floor:
        """Args: `remembered`, how many numbers the optimizer keeps of all runs."""
        model, batch = build(config, shape, classes), config.train.batch_size
        forward, _ = of_a_pass(model, shape)
        parameters = sum(p.numel() for p in model.parameters())
        with FlopCounterMode(display=False) as counted:
            functional.cross_entropy(model(torch.rand(batch, *shape)), torch.zeros(batch, dtype=torch.long)).backward()
        numbers = runs * (parameters + batch * forward.activations) + remembered
        return Floor(float(runs * counted.get_total_flops()), 2.0 * 4 * numbers)


def seconds(call: Callable[[], object], device: torch.device, times: int) -> float:
    """Of one call: the median of three rounds of so many, after a warm-up."""
    call()
    rounds = []
    for _ in range(3):
        wait(device)
        began = time.perf_counter()
        for _ in range(times):
            call()
        wait(device)
        rounds.append((time.perf_counter() - began) / times)
    return sorted(rounds)[1]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
