"""Losses: what is minimised. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from triplicate.errors import UserError
from triplicate.lazy import torch
from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import Tensor

    from triplicate.numpy_backend.loss import NumpyLoss


Weights: TypeAlias = "Tensor | float"
"""How much the loss of an example counts: of each run [R, 1], or of all."""


@dataclass(frozen=True)
class Loss(Part, kind="loss"):
    """What a configuration names as `loss`: a loss of logits [R, B, outputs] and labels [R, B] of a stack of R runs."""

    @abstractmethod
    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of every example [R, B]. The engine takes their mean or sum (`train.reduction`)."""

    def differentiated(self, logits: Tensor, labels: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """The loss of every example [R, B], and the gradient [R, B, outputs] of their weighted sum."""
        return by_torch(self.per_example, logits, labels, weights)

    def outputs(self, classes: int) -> int:
        """How many logits a model must give for each example.

        Raises:
            UserError: the loss is not for so many classes.
        """
        return classes

    def predictions(self, logits: Tensor) -> Tensor:
        """The class [R, B] that logits mean: the one with the greatest."""
        return logits.argmax(-1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The probability of each class [R, B, classes] that logits mean: their softmax."""
        return logits.softmax(-1)

    def numpy_loss(self) -> NumpyLoss | None:
        """The same written out in NumPy, forward and backward; None where it is not."""
        return None


def by_torch(
    per_example: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """What `Loss.differentiated` gives, of any rule."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        losses = per_example(leaf, labels)
    (gradient,) = torch.autograd.grad(losses, leaf, torch.ones_like(losses) * weights)
    return losses.detach(), gradient


@dataclass(frozen=True)
class BinaryLoss(Loss):
    """A loss for two classes: one logit for each example, above 0 for class 1."""

    def outputs(self, classes: int) -> int:
        if classes != 2:
            raise UserError("loss", f"{self.name} is for two classes, and there are {classes}", "choose cross_entropy")
        return 1

    def predictions(self, logits: Tensor) -> Tensor:
        return (logits[..., 0] > 0).long()

    def probabilities(self, logits: Tensor) -> Tensor:
        one = logits.sigmoid()
        return torch.cat([1 - one, one], -1)
