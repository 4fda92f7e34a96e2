"""The cross entropy of the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triplicate.lazy import functional, torch
from triplicate.losses import Loss, Weights
from triplicate.numpy_backend.layer import Array
from triplicate.numpy_backend.loss import Labels
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The negative log likelihood of the label under the softmax of the logits."""

    label_smoothing: float = key(
        "fraction of the target that is spread over all classes, as in torch's CrossEntropyLoss; test losses too",
        at_least=0,
        below=1,
        formerly=0.0,
    )

    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        given, targets = logits.flatten(0, 1), labels.flatten()
        losses = functional.cross_entropy(given, targets, reduction="none", label_smoothing=self.label_smoothing)
        return losses.view(labels.shape)

    def differentiated(self, logits: Tensor, labels: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        if self.label_smoothing > 0:
            return super().differentiated(logits, labels, weights)
        # By the kernels that torch calls for the same, without a graph of them.
        logs, places = torch.log_softmax(logits, -1), labels.unsqueeze(-1)
        by_logs = torch.zeros_like(logs)
        if isinstance(weights, float):
            by_logs.scatter_(-1, places, -weights)
        else:
            by_logs.scatter_(-1, places, -weights.unsqueeze(-1).expand_as(places))
        gradient = torch.ops.aten._log_softmax_backward_data(by_logs, logs, -1, logs.dtype)
        return -logs.gather(-1, places).squeeze(-1), gradient

    def numpy_loss(self) -> SoftmaxCrossEntropy:
        return SoftmaxCrossEntropy(self.label_smoothing)


class SoftmaxCrossEntropy:
    """l = -Σ_k t_k log p_k with p = softmax(s), p_k = e^{s_k} / Σ_j e^{s_j};  ∂l/∂s_k = p_k - t_k.

    The target is t_k = (1 - ε) [k = y] + ε / K for K classes, with ε = 0 where labels are not smoothed.
    Sources: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4; arXiv 1512.00567, section 7.
    """

    def __init__(self, label_smoothing: float) -> None:
        self._smoothing = label_smoothing

    def forward(self, logits: Array, labels: Labels) -> Array:
        # The same for any constant added to all logits of an example; with this one no exponential overflows.
        shifted = logits - logits.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        self._probabilities: Array = np.exp(logs)
        self._places = np.arange(len(labels)), labels
        losses: Array = -logs[self._places]
        if self._smoothing > 0:
            losses = (1 - self._smoothing) * losses - self._smoothing * logs.mean(1)
        return losses

    def backward(self, gradient: Array) -> Array:
        given: Array = self._probabilities - self._smoothing / self._probabilities.shape[1]
        given[self._places] -= 1 - self._smoothing
        given *= gradient[:, np.newaxis]
        return given
