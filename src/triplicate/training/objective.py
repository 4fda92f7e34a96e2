"""What a stack minimises: the configured loss, as a mean or a sum, by torch or by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from triplicate.config import RunConfig
from triplicate.losses import Loss, Weights, by_torch


@dataclass(frozen=True)
class Objective:
    """A loss over stacked logits [R, B, outputs] and labels [R, B].

    Attributes:
        per_example: logits and labels → the loss of every example [R, B].
        differentiated: the same and weights → these losses, and the gradient of their weighted sum by the logits.
        is_sum: the loss of a batch is the sum over its examples, not the mean.
    """

    loss: Loss
    per_example: Callable[[Tensor, Tensor], Tensor]
    differentiated: Callable[[Tensor, Tensor, Weights], tuple[Tensor, Tensor]]
    is_sum: bool

    @staticmethod
    def of(config: RunConfig) -> Objective:
        """What a run minimises; where NumPy computes its network, it computes the loss too."""
        is_sum = config.train.reduction == "sum"
        if not config.model.uses_numpy:
            return Objective(config.loss, config.loss.per_example, config.loss.differentiated, is_sum)
        from triplicate.training.numpy_network import loss_of  # only here: scipy takes half a second

        per_example = loss_of(config.loss)
        return Objective(config.loss, per_example, partial(by_torch, per_example), is_sum)

    def weight(self, examples: int) -> float:
        """How much the loss of an example counts in what is minimised of a batch of so many."""
        return 1.0 if self.is_sum else 1 / examples

    def predictions(self, logits: Tensor) -> Tensor:
        """The class [R, B] that logits mean."""
        return self.loss.predictions(logits)
