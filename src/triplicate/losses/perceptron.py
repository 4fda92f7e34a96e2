"""The loss of Rosenblatt's perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triplicate.lazy import torch
from triplicate.losses import BinaryLoss
from triplicate.numpy_backend.layer import Array
from triplicate.numpy_backend.loss import Labels
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("perceptron")
@dataclass(frozen=True)
class Perceptron(BinaryLoss):
    """The distance of a mistake; its gradient is the perceptron rule (Rosenblatt, 1958). A logit of 0 is a mistake."""

    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        margins = (2 * labels - 1).to(logits.dtype) * logits[..., 0]
        return torch.where(margins <= 0, -margins, torch.zeros_like(margins))

    def numpy_loss(self) -> PerceptronLoss:
        return PerceptronLoss()


class PerceptronLoss:
    """l = max(0, -t s) with t = ±1, and a logit of 0 is a mistake;  ∂l/∂s = -t if t s ≤ 0, else 0.

    Behind a linear layer that is the rule w ← w + η t x at each mistake. Source: Rosenblatt, Psychological
    Review 65 (1958). Logits are [B, 1].
    """

    def forward(self, logits: Array, labels: Labels) -> Array:
        self._signs = (2 * labels - 1).astype(logits.dtype)
        margins = self._signs * logits[:, 0]
        self._is_mistake = margins <= 0
        return np.where(self._is_mistake, -margins, 0)

    def backward(self, gradient: Array) -> Array:
        given: Array = (-self._signs * self._is_mistake * gradient)[:, np.newaxis]
        return given
