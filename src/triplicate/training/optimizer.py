"""The optimizers of a stack: each run is updated by its own rule, with its own numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from triplicate.optimizers import Optimizer
from triplicate.training.network import StackNetwork


class StackOptimizer:
    """The rules of all runs of a stack, and their learning rates.

    Attributes:
        rates: of each run, as the schedule has it now.
    """

    def __init__(self, parts: Sequence[Optimizer], network: StackNetwork) -> None:
        """Args: `parts`, one for each run of the network."""
        self._parts = list(parts)
        self._whole = parts[0].stacked == "elementwise"
        blocks = self._blocks(network)
        self._rules = [part.rule([block[run] for block in blocks]) for run, part in enumerate(parts)]
        self.rates = [part.lr for part in parts]
        self._on_device = blocks[0].new_tensor(self.rates)

    @property
    def is_capturable(self) -> bool:
        """Whether a step can be a CUDA graph."""
        return self._parts[0].is_capturable

    @torch.no_grad()
    def step(self, network: StackNetwork) -> None:
        """Update every parameter of the network in place by its gradient."""
        blocks = self._blocks(network)
        gradients = network.gradient_blocks() if self._whole else network.gradient_tensors()
        for run, (rule, rate) in enumerate(zip(self._rules, self.rates, strict=True)):
            rule.step([block[run] for block in blocks], [gradient[run] for gradient in gradients], rate)

    def plain_rates(self) -> Tensor | None:
        """The rates [R], if every run's update takes its rate times the gradient and nothing else; else None."""
        return self._on_device if all(part.is_plain_descent for part in self._parts) else None

    def scale_rates(self, factor: float) -> None:
        """From now on every rate is the configured one times `factor`."""
        self.rates = [part.lr * factor for part in self._parts]
        self._on_device.copy_(self._on_device.new_tensor(self.rates))

    def keep(self, runs: Sequence[int]) -> None:
        """Drop from the stack all runs but these."""
        self._parts = [self._parts[run] for run in runs]
        self._rules = [self._rules[run] for run in runs]
        self.rates = [self.rates[run] for run in runs]
        self._on_device = self._on_device[list(runs)]

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        return [tensor for rule in self._rules for tensor in rule.state()]

    def state_of(self, run: int) -> list[Tensor]:
        """The same of one run."""
        return self._rules[run].state()

    @torch.no_grad()
    def restore(self, network: StackNetwork, states: Sequence[Sequence[Tensor]]) -> None:
        """Let every rule remember what it did when `state_of` was called.

        Raises:
            ValueError: a rule that remembers something else.
        """
        blocks = self._blocks(network)
        for run, (rule, saved) in enumerate(zip(self._rules, states, strict=True)):
            if len(rule.state()) < len(saved):
                # It makes its tensors at its first step: one that leads nowhere.
                copies = [block[run].clone() for block in blocks]
                rule.step(copies, [torch.zeros_like(copy) for copy in copies], self.rates[run])
            tensors = rule.state()
            if [t.shape for t in tensors] != [s.shape for s in saved]:
                raise ValueError("the optimizer remembers other tensors than when it was saved")
            for tensor, value in zip(tensors, saved, strict=True):
                tensor.copy_(value)

    def _blocks(self, network: StackNetwork) -> Sequence[Tensor]:
        """The parameters as the rules take them, with an axis of runs in front."""
        return network.blocks() if self._whole else network.tensors()
