"""Losses of scores and labels: the loss of every example, and its gradient with respect to the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from triplicate.numpy_backend.layer import Array

Labels = NDArray[np.int64]


class Loss(Protocol):
    """A loss; it remembers of its last forward pass what its backward pass needs."""

    def forward(self, scores: Array, labels: Labels) -> Array:
        """Scores [B, outputs] and labels [B] → losses [B]."""

    def backward(self, gradient: Array) -> Array:
        """∂L/∂losses [B] → ∂L/∂scores [B, outputs]."""


class SoftmaxCrossEntropy:
    """l = -log p_y with p = softmax(s), p_k = e^{s_k} / Σ_j e^{s_j};  ∂l/∂s_k = p_k - [k = y].

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4.
    """

    def forward(self, scores: Array, labels: Labels) -> Array:
        # The same for any constant added to all scores of an example; with this one no exponential overflows.
        shifted = scores - scores.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        self._probabilities: Array = np.exp(logs)
        self._places = np.arange(len(labels)), labels
        losses: Array = -logs[self._places]
        return losses

    def backward(self, gradient: Array) -> Array:
        given = self._probabilities.copy()
        given[self._places] -= 1
        return given * gradient[:, np.newaxis]


class BinaryCrossEntropy:
    """l = -y log σ(s) - (1 - y) log(1 - σ(s)) = max(s, 0) - s y + log(1 + e^{-|s|});  ∂l/∂s = σ(s) - y.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2. Scores are [B, 1].
    """

    def forward(self, scores: Array, labels: Labels) -> Array:
        self._scores, self._labels = scores[:, 0], labels.astype(scores.dtype)
        tail = np.log1p(np.exp(-np.abs(self._scores)))
        losses: Array = np.maximum(self._scores, 0) - self._scores * self._labels + tail
        return losses

    def backward(self, gradient: Array) -> Array:
        given: Array = ((expit(self._scores) - self._labels) * gradient)[:, np.newaxis]
        return given


class Perceptron:
    """l = max(0, -t s) with t = ±1, and a score of 0 is a mistake;  ∂l/∂s = -t if t s ≤ 0, else 0.

    Behind a linear layer that is the rule w ← w + η t x at each mistake. Source: Rosenblatt, Psychological
    Review 65 (1958). Scores are [B, 1].
    """

    def forward(self, scores: Array, labels: Labels) -> Array:
        self._signs = (2 * labels - 1).astype(scores.dtype)
        margins = self._signs * scores[:, 0]
        self._is_mistake = margins <= 0
        return np.where(self._is_mistake, -margins, 0)

    def backward(self, gradient: Array) -> Array:
        given: Array = (-self._signs * self._is_mistake * gradient)[:, np.newaxis]
        return given


LOSSES: Mapping[str, type[Loss]] = {
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": SoftmaxCrossEntropy,
    "perceptron": Perceptron,
}
