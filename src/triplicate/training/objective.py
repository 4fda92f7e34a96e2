"""What a stack minimises: the configured loss, as a mean or a sum, by torch or by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from triplicate.config import RunConfig
from triplicate.losses import Loss


@dataclass(frozen=True)
class Objective:
    """A loss over stacked logits [R, B, outputs] and labels [R, B].

    Attributes:
        per_example: logits and labels → the loss of every example [R, B].
        is_sum: the loss of a batch is the sum over its examples, not the mean.
    """

    loss: Loss
    per_example: Callable[[Tensor, Tensor], Tensor]
    is_sum: bool

    @staticmethod
    def of(config: RunConfig) -> Objective:
        """What a run minimises; where NumPy computes its network, it computes the loss too."""
        per_example: Callable[[Tensor, Tensor], Tensor] = config.loss.per_example
        if config.model.uses_numpy:
            from triplicate.training.numpy_network import loss_of  # only here: scipy takes half a second

            per_example = loss_of(config.loss)
        return Objective(config.loss, per_example, config.train.reduction == "sum")

    def of_batch(self, per_example: Tensor) -> Tensor:
        """What is minimised: the loss of each run's batch [R] of the losses [R, B]."""
        return per_example.sum(1) if self.is_sum else per_example.mean(1)

    def predictions(self, logits: Tensor) -> Tensor:
        """The class [R, B] that logits mean."""
        return self.loss.predictions(logits)
