"""Gradient traces: signed mean, mean absolute value and L2 norm of the loss gradient, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from triplicate.config import Trace
from triplicate.records.gradients import GradientRow

ALL = "all"


class GradientTrace:
    """The gradients of a stack at the steps that the configuration asks for.

    Sums are taken for each tensor and run and stay on the device until a run ends.

    Attributes:
        steps: those that were traced so far.
    """

    def __init__(self, config: Trace, names: Sequence[str], sizes: Sequence[int]) -> None:
        """Args: `names` of the parameters ('linear1.weight'); `sizes`, their numbers in one run."""
        self._config = config
        self._chosen = [n for n, name in enumerate(names) if config.only is None or name in config.only]
        self._names = [names[n] for n in self._chosen]
        self._sizes = [sizes[n] for n in self._chosen]
        self.steps: list[int] = []
        self._sums: list[Tensor] = []

    def wants(self, step: int) -> bool:
        """Whether this step (the first is 1) is traced."""
        every = self._config.every
        return step <= self._config.first or (every > 0 and step % every == 0)

    def measure(self, gradients: Sequence[Tensor], runs: int) -> Tensor:
        """What is kept of the gradients of so many runs, in the order of the names: [R, tensors, 3]."""
        return torch.stack([_sums(gradients[n].reshape(runs, -1)) for n in self._chosen], dim=1)

    def add(self, step: int, measured: Tensor) -> None:
        """Add what was measured at a step."""
        self.steps.append(step)
        self._sums.append(measured)

    def rows(self, run: int, last_step: int) -> Iterator[GradientRow]:
        """All rows of one run of the stack up to a step."""
        steps = [s for s in self.steps if s <= last_step]
        if not steps:
            return
        sums = torch.stack([s[run] for s in self._sums[: len(steps)]]).tolist()
        for step, tensors in zip(steps, sums, strict=True):
            yield from self._step_rows(step, tensors)

    def of_run(self, run: int) -> Tensor:
        """What is kept of one run: [traced steps, tensors, 3], a copy."""
        return torch.stack([s[run] for s in self._sums]) if self._sums else torch.zeros(0, len(self._names), 3)

    def restore(self, steps: Sequence[int], runs: Sequence[Tensor]) -> None:
        """Go on with what was kept of each run."""
        self.steps = list(steps)
        self._sums = list(torch.stack(list(runs), 1)) if steps else []

    def keep(self, runs: Sequence[int]) -> None:
        """Drop from the stack all runs but these."""
        self._sums = [s[list(runs)] for s in self._sums]

    def _step_rows(self, step: int, tensors: Sequence[Sequence[float]]) -> Iterator[GradientRow]:
        whole = self._config.only is None
        members = {(ALL, ALL): list(range(len(self._names)))} if whole else {}
        for number, name in enumerate(self._names):
            layer, _, parameter = name.rpartition(".")
            if whole:
                members.setdefault((layer, ALL), []).append(number)
            members[layer, parameter] = [number]
        for (layer, parameter), numbers in members.items():
            size = sum(self._sizes[n] for n in numbers)
            mean = sum(tensors[n][0] for n in numbers) / size
            mean_absolute = sum(tensors[n][1] for n in numbers) / size
            l2 = math.hypot(*(tensors[n][2] for n in numbers))
            yield GradientRow(step, layer, parameter, mean, mean_absolute, l2)


def _sums(gradient: Tensor) -> Tensor:
    """Sum, sum of absolute values and L2 norm of each run's gradient: [R, numbers] → [R, 3].

    In the gradient's own dtype: to convert it first takes longer than the training step itself.
    """
    flat = gradient.detach()
    norms = [torch.linalg.vector_norm(flat, order, dim=1) for order in (1, 2)]
    return torch.stack([flat.sum(1), *norms], dim=1)
