"""Optimizers. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from triplicate.lazy import torch
from triplicate.parts import Part, key

if TYPE_CHECKING:
    from torch import Tensor


class Rule(Protocol):
    """How a run is updated, or several with the same settings, and what is remembered between two steps."""

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: Any) -> None:
        """Update the parameters in place.

        Args:
            rate: a number; where the step of a GPU is recorded, which only `is_capturable` rules are, a tensor of no
                axes on the device.
        """

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""


@dataclass(frozen=True)
class Optimizer(Part, kind="optimizer", needs=("lr",)):
    """What a configuration names as `optimizer`. In a stack each run is updated with its own numbers.

    Attributes:
        is_shared: runs with the same settings have one rule, over the tensors of all of them: it does to each tensor
            what it would do to that one alone, and its state is so many tensors for each, in the same order: the first
            of each tensor, then the second. Else each run has a rule of its own.
        is_capturable: a step waits for no result and allocates nothing that stays, so that it can be a CUDA graph.
    """

    is_shared: ClassVar[bool] = False
    is_capturable: ClassVar[bool] = False

    clip_norm: float | None = key(
        "greatest L2 norm of all gradients of a run; larger ones are scaled down to it, traces show them unscaled; "
        "null: never",
        above=0,
        per_run=True,
        formerly=None,
    )

    if TYPE_CHECKING:

        @property
        def lr(self) -> float:
            """The learning rate before the schedule."""

    @abstractmethod
    def rule(self, parameters: Sequence[Tensor]) -> Rule:
        """The rule for a run, or for several with these settings.

        Args:
            parameters: for their shapes: each step is given them again, and they may have moved.
        """

    @property
    def is_plain_descent(self) -> bool:
        """Whether an update is the rate times the gradient and nothing else, which a product can do in passing."""
        return False


@dataclass(frozen=True)
class TorchOptimizer(Optimizer):
    """An optimizer that torch.optim, or another package in its way, has as a class."""

    @abstractmethod
    def torch_optimizer(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """The optimizer of one run; its rate is set before each step."""

    def rule(self, parameters: Sequence[Tensor]) -> Rule:
        return _TorchRule(self, parameters)


class _TorchRule:
    """A torch.optim.Optimizer over tensors of its own, which stand for the run's parameters during a step."""

    def __init__(self, part: TorchOptimizer, parameters: Sequence[Tensor]) -> None:
        self._own = [torch.empty_like(p).requires_grad_() for p in parameters]
        self._optimizer = part.torch_optimizer(self._own)

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        for own, parameter, gradient in zip(self._own, parameters, gradients, strict=True):
            own.data, own.grad = parameter, gradient
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()

    def state(self) -> list[Tensor]:
        kept = self._optimizer.state.values()
        return [value for state in kept for value in state.values() if isinstance(value, torch.Tensor)]
