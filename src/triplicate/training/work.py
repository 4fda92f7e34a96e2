"""What a run asks of a machine, told by its model before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training.batches import steps_an_epoch, trained_on

# A step costs time even where it computes nothing: about 0.3 ms on a core that does 60 G multiply-adds a second.
_STEP = 2e7
# What a layer gives is written and read, a few times: as long as so many multiply-adds for each number.
_NUMBER = 25
# Values, gradients, two numbers an optimizer keeps, a copy while runs leave, and the plain models.
_COPIES = 6


@dataclass(frozen=True)
class Work:
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
    def of(config: RunConfig, dataset: Dataset, model: nn.Module, shape: tuple[int, ...]) -> Work:
        """Args: `model` on the meta device, whose storage this makes real; `shape` of one example as it sees it."""
        train, epochs = config.train, config.train.epochs
        images = trained_on(len(dataset.train), config.dataset.validation)
        evaluated = len(dataset.test) + len(dataset.train) - images + images * train.evaluate_training
        parameters = sum(p.numel() for p in model.parameters())
        multiply_adds, activations = _forward(model, shape)
        size = getattr(torch, train.dtype).itemsize
        return Work(
            steps=epochs * steps_an_epoch(config, len(dataset.train)),
            multiply_adds=float(epochs * (3 * images + evaluated) * (multiply_adds + _NUMBER * activations)),
            bytes=size * (_COPIES * parameters + 3 * train.batch_size * activations),
        )

    def cost(self, runs: int) -> float:
        """Of so many such runs as one stack, in multiply-adds."""
        return self.steps * _STEP + runs * self.multiply_adds


def _forward(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-adds of one example, and how many numbers all layers give for it."""
    linear = {m for m in model.modules() if isinstance(m, nn.Linear)}
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return sum(m.weight.numel() for m in linear), 3 * sum(m.out_features for m in linear)
    counted = {"multiply_adds": 0, "activations": 0}

    def count(layer: nn.Module, _: Any, outputs: Tensor) -> None:
        counted["activations"] += outputs.numel()
        if isinstance(layer, nn.Conv2d | nn.Linear):
            a_number = layer.weight[0].numel()
            counted["multiply_adds"] += a_number * outputs.numel()

    # One example on memory that nobody has written: the numbers mean nothing, their count does. (A pass on the meta
    # device would tell the same, but imports torch's compiler for seconds.)
    real = model.to_empty(device="cpu").eval()
    for layer in real.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        real(torch.zeros(1, *shape))
    return counted["multiply_adds"], counted["activations"]
