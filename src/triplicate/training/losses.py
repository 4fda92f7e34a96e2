"""Losses by name: what is minimised, how many scores it needs, and which class the scores mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from triplicate.config import TrainConfig
from triplicate.errors import UserError


@dataclass(frozen=True)
class Loss:
    """A loss over stacked scores [R, B, outputs] and labels [R, B].

    Attributes:
        each: scores and labels → the loss of every image [R, B].
        sums: a batch's loss is the sum over its images, not the mean.
        is_binary: one score an image, positive for class 1.
    """

    each: Callable[[Tensor, Tensor], Tensor]
    sums: bool
    is_binary: bool

    @staticmethod
    def of(config: TrainConfig, by_hand: bool = False) -> Loss:
        """Args: `by_hand`, whether NumPy computes the loss, as it does the network."""
        return Loss(_each(config.loss, by_hand), config.reduction == "sum", config.loss != "cross_entropy")

    def outputs(self, classes: int) -> int:
        """The scores that a model must give.

        Raises:
            UserError: a loss for two classes, and there are more.
        """
        if not self.is_binary:
            return classes
        if classes != 2:
            raise UserError("train.loss", f"it is for two classes, and there are {classes}", "choose cross_entropy")
        return 1

    def objective(self, each: Tensor) -> Tensor:
        """What is minimised: the loss of each run's batch [R] of the losses [R, B]."""
        return each.sum(1) if self.sums else each.mean(1)

    def predictions(self, scores: Tensor) -> Tensor:
        """The class [R, B] that the scores mean."""
        return (scores[..., 0] > 0).long() if self.is_binary else scores.argmax(-1)


def _each(name: str, by_hand: bool) -> Callable[[Tensor, Tensor], Tensor]:
    if not by_hand:
        return _LOSSES[name]
    from triplicate.numpy_backend import bridge  # only here: scipy takes half a second

    return bridge.loss(name)


def _cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    losses = functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape)


def _binary_cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(scores[..., 0], labels.to(scores.dtype), reduction="none")


def _perceptron(scores: Tensor, labels: Tensor) -> Tensor:
    """What a mistake costs; its gradient is the perceptron rule (Rosenblatt, 1958). A score of zero is a mistake."""
    margins = scores[..., 0] * (2 * labels - 1)
    return torch.where(margins <= 0, -margins, torch.zeros_like(margins))


_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
    "perceptron": _perceptron,
}
