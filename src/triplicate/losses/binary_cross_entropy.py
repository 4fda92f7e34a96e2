"""The cross entropy of two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triplicate.lazy import functional
from triplicate.losses import BinaryLoss
from triplicate.numpy_backend.layer import Array
from triplicate.numpy_backend.loss import Labels
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("binary_cross_entropy")
@dataclass(frozen=True)
class BinaryCrossEntropy(BinaryLoss):
    """The negative log likelihood of the label under the sigmoid of one logit."""

    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        targets = labels.to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits[..., 0], targets, reduction="none")

    def numpy_loss(self) -> SigmoidCrossEntropy:
        return SigmoidCrossEntropy()


class SigmoidCrossEntropy:
    """l = -y log σ(s) - (1 - y) log(1 - σ(s)) = max(s, 0) - s y + log(1 + e^{-|s|});  ∂l/∂s = σ(s) - y.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2. Logits are [B, 1].
    """

    def forward(self, logits: Array, labels: Labels) -> Array:
        self._logits, self._labels = logits[:, 0], labels.astype(logits.dtype)
        tail = np.log1p(np.exp(-np.abs(self._logits)))
        losses: Array = np.maximum(self._logits, 0) - self._logits * self._labels + tail
        return losses

    def backward(self, gradient: Array) -> Array:
        from scipy.special import expit  # only here: scipy takes half a second to load

        given: Array = ((expit(self._logits) - self._labels) * gradient)[:, np.newaxis]
        return given
