"""What a run asks of a machine, and what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.lazy import nn, torch
from triplicate.records.environment import cores
from triplicate.training import devices
from triplicate.training.counts import steps_per_epoch, trained_on

if TYPE_CHECKING:
    from torch import Tensor

# A step costs time even where it computes nothing: as long as so many multiply-adds.
_STEP = 2e7
# What a layer gives is written and read, a few times: as long as so many multiply-adds for each number.
_NUMBER = 25
# Values, gradients, two numbers an optimizer keeps, a copy while runs leave, and the plain models.
_COPIES = 6
# Of the memory. The rest is for what a model's shapes do not tell: data, libraries, the allocator, other processes.
_FRACTION = 0.5


@dataclass(frozen=True)
class Cost:
    """What one run computes and holds.

    Attributes:
        steps: training steps, over all epochs.
        multiply_adds: of all training and evaluation, with what takes as long. A training step is three forward
            passes: the backward pass has two products for each of the forward pass.
        bytes: memory for parameters and activations.
    """

    steps: int
    multiply_adds: float
    bytes: int

    @staticmethod
    def of(config: RunConfig, dataset: Dataset, model: nn.Module, forward: Forward) -> Cost:
        """Args: `forward`, of the model for one example."""
        train, epochs = config.train, config.train.epochs
        images = trained_on(len(dataset.train), config.dataset.validation)
        evaluated = len(dataset.test) + len(dataset.train) - images + images * train.evaluate_training
        parameters = sum(p.numel() for p in model.parameters())
        size = getattr(torch, train.dtype).itemsize
        per_image = forward.multiply_adds + _NUMBER * forward.activations
        return Cost(
            steps=epochs * steps_per_epoch(config, len(dataset.train)),
            multiply_adds=float(epochs * (3 * images + evaluated) * per_image),
            bytes=size * (_COPIES * parameters + 3 * train.batch_size * forward.activations),
        )

    def of_stack(self, runs: int) -> float:
        """Of so many such runs as one stack, in multiply-adds."""
        return self.steps * _STEP + runs * self.multiply_adds


@dataclass(frozen=True)
class Forward:
    """A forward pass of one example: multiply-adds, and how many numbers all layers give."""

    multiply_adds: int
    activations: int


def of_products(model: nn.Module) -> Forward:
    """Of linear layers that follow one another, each used once."""
    linear = {m for m in model.modules() if isinstance(m, nn.Linear)}
    return Forward(sum(m.weight.numel() for m in linear), 3 * sum(m.out_features for m in linear))


def of_a_pass(model: nn.Module, shape: tuple[int, ...]) -> tuple[Forward, Tensor]:
    """Of any module on the CPU, counted while it takes one example. And the logits that it gave."""
    counted = {"multiply_adds": 0, "activations": 0}

    def count(layer: nn.Module, _: Any, outputs: Any) -> None:
        if not isinstance(outputs, torch.Tensor):
            return
        counted["activations"] += outputs.numel()
        if isinstance(layer, nn.Conv2d):
            counted["multiply_adds"] += layer.weight[0].numel() * outputs.numel()
        if isinstance(layer, nn.Linear):
            counted["multiply_adds"] += layer.in_features * outputs.numel()

    hooks = [m.register_forward_hook(count) for m in model.eval().modules() if not list(m.children())]
    try:
        with torch.no_grad():
            logits = model(torch.zeros(1, *shape, dtype=next(model.parameters()).dtype))
    finally:
        for hook in hooks:
            hook.remove()
        model.train()
    return Forward(counted["multiply_adds"], counted["activations"]), logits


@dataclass(frozen=True)
class Machine:
    """Where a sweep trains.

    Attributes:
        workers: how many processes can train at once: one for each core, or for each GPU where runs train on GPUs.
        bytes: memory for the stacks on the CPU of all of them together.
        gpus: memory for the stacks on each GPU, in bytes; none where all runs train on the CPU.
    """

    workers: int
    bytes: float
    gpus: tuple[float, ...] = ()

    def room(self, kind: str, workers: int) -> float:
        """Bytes for one stack on such a device, cpu or cuda, where so many workers train at once.

        A worker has one GPU at a time, and more workers than GPUs share them.
        """
        if kind == "cpu":
            return self.bytes / workers
        return min(self.gpus) / math.ceil(workers / len(self.gpus))


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def machine(configs: Sequence[RunConfig]) -> Machine:
    """The machine as these runs may use it, where those on a CPU train in the workers of the GPUs if there are any.

    Raises:
        UserError: CUDA does not start.
    """
    gpus = tuple(_FRACTION * devices.memory(gpu) for gpu in devices.gpus(configs))
    return Machine(len(gpus) or cores(), _FRACTION * memory(), gpus)
