"""Random numbers for the runs of a stack: dropout masks, augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Draws:
    """Numbers from [0, 1) for R runs, those of each run from its own generator.

    Where it is known how many the layers of a network take in a pass, all of them are drawn at once, into one buffer.

    Attributes:
        is_learning: this pass only tells how many numbers each layer takes; nothing is drawn.
    """

    def __init__(self, generators: Sequence[torch.Generator], device: torch.device) -> None:
        """Args: `device` of the generators, where the numbers are wanted."""
        self._generators, self.device = generators, device
        self.is_learning = False
        self._sizes: list[int] = []
        self._buffer: Tensor | None = None
        self._taken = 0

    @property
    def is_ready(self) -> bool:
        """Whether it is known what a pass takes."""
        return bool(self._sizes)

    def learn(self, inputs: Tensor) -> None:
        """A layer takes a number for each of these inputs [R, B, …]."""
        self._sizes.append(math.prod(inputs.shape[2:]))

    def begin(self) -> None:
        """A pass begins."""
        self._buffer, self._taken = None, 0

    def like(self, inputs: Tensor) -> Tensor:
        """A number for each of these inputs [R, B, …]; in float32, whatever the dtype of the network."""
        own = math.prod(inputs.shape[1:])
        if not self._sizes:
            return self.numbers(own).view(inputs.shape)
        if self._buffer is None:
            self._buffer = self.numbers(inputs.shape[1] * sum(self._sizes))
        piece = self._buffer[:, self._taken : self._taken + own]
        self._taken += own
        return torch.unflatten(piece, 1, inputs.shape[1:])

    def numbers(self, count: int) -> Tensor:
        """So many for each run: [R, count]."""
        drawn = torch.empty((len(self._generators), count), dtype=torch.float32, device=self.device)
        for own, generator in zip(drawn.unbind(), self._generators, strict=True):
            own.uniform_(generator=generator)
        return drawn
