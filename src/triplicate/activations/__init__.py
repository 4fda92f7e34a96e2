"""Activations: the non-linearity behind each layer. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import Tensor, nn

    from triplicate.numpy_backend.layer import Layer

StackRules: TypeAlias = Mapping[Any, Callable[[Sequence[Any], Any], Any]]
Stacked = Literal["elementwise", "channelwise", "examplewise"]
InputGradient: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Tensor]"
"""The gradient of what an activation gave, its inputs and what it gave → the gradient of its inputs."""


@dataclass(frozen=True)
class Activation(Part, kind="activation"):
    """What a configuration names as `activation`.

    Attributes:
        stacked: how the runs of a stack share it. `elementwise`: each number by itself, so that all runs go through at
            once; `channelwise`: each channel by itself, as with pooling; `examplewise`: each example by itself, as a
            softmax is.
        alone: why a run with it trains by itself; empty where it does not.
    """

    stacked: ClassVar[Stacked] = "elementwise"
    alone: ClassVar[str] = ""

    @abstractmethod
    def module(self) -> nn.Module:
        """A new module: any shape → the same shape."""

    def stack_rules(self) -> StackRules:
        """How layers with parameters of their own are stacked: type → a rule, as in `training/stacked_layers.py`."""
        return {}

    def gradient_rule(self) -> InputGradient | None:
        """How a gradient passes back through it, for one that is elementwise; None: torch finds out, which is slower.

        torch's own kernel for it, so that the numbers are the same to the last bit.
        """
        return None

    def numpy_layer(self) -> Layer | None:
        """The same written out in NumPy, forward and backward; None where it is not."""
        return None

    def __call__(self) -> nn.Module:
        """A new module that knows which part made it."""
        made = self.module()
        made.made_by = self  # type: ignore[assignment]
        return made
