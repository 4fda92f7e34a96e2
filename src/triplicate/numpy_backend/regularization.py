"""Batch normalisation and dropout: layers that do one thing in training and another in evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triplicate.numpy_backend.layer import Array, WithoutParameters


class BatchNorm:
    """y = γ x̂ + β with x̂ = (x - μ) / √(σ² + ε), over the batch and, in images, over the pixels too.

    In training μ and σ² are those of the batch, and so depend on x:
    ∂L/∂γ = Σ g x̂,  ∂L/∂β = Σ g,  ∂L/∂x = γ / √(σ² + ε) · (g - mean(g) - x̂ mean(g x̂)).
    In evaluation they are running means. Source: Ioffe and Szegedy, arXiv 1502.03167.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array,
        running_mean: Array,
        running_var: Array,
        batches: NDArray[np.int64],
        momentum: float,
        eps: float,
    ) -> None:
        """Args: γ, β and the running statistics [features], which are written to; `batches` counts those seen."""
        self.weight, self.bias = weight, bias
        self._mean, self._var, self._batches = running_mean, running_var, batches
        self._momentum, self._eps = momentum, eps

    def forward(self, inputs: Array, training: bool) -> Array:
        self._axes = (0, *range(2, inputs.ndim))
        mean, var = self._mean, self._var
        if training:
            mean, var = inputs.mean(self._axes), inputs.var(self._axes)
            self._remember(mean, var, inputs.size // len(mean))
        self._deviation = np.sqrt(var + self._eps)
        self._normed = (inputs - self._wide(mean, inputs.ndim)) / self._wide(self._deviation, inputs.ndim)
        return self._wide(self.weight, inputs.ndim) * self._normed + self._wide(self.bias, inputs.ndim)

    def parameter_gradients(self, gradient: Array) -> Sequence[Array]:
        return (gradient * self._normed).sum(self._axes), gradient.sum(self._axes)

    def input_gradient(self, gradient: Array) -> Array:
        centred = gradient - gradient.mean(self._axes, keepdims=True)
        along = (gradient * self._normed).mean(self._axes, keepdims=True)
        given: Array = self._wide(self.weight / self._deviation, gradient.ndim) * (centred - self._normed * along)
        return given

    def _remember(self, mean: Array, var: Array, count: int) -> None:
        """Move the running statistics a little towards those of a batch; the variance without its bias."""
        self._mean += self._momentum * (mean - self._mean)
        self._var += self._momentum * (var * (count / (count - 1)) - self._var)
        self._batches += 1

    @staticmethod
    def _wide(row: Array, ndim: int) -> Array:
        """[features] → [1, features, 1, …], to meet inputs [B, features, …]."""
        return row.reshape(1, -1, *[1] * (ndim - 2))


class Dropout(WithoutParameters):
    """y = m x, with m = 0 with probability p, else 1 / (1 - p); ∂L/∂x = m g. In evaluation y = x.

    Source: Srivastava et al., JMLR 15 (2014); scaled in training, so that evaluation needs nothing.
    """

    def __init__(self, rate: float, uniform: Callable[[tuple[int, ...]], NDArray[Any]]) -> None:
        """Args: `uniform` draws numbers of a shape from [0, 1)."""
        self._rate, self._uniform = rate, uniform

    def forward(self, inputs: Array, training: bool) -> Array:
        if not training:
            return inputs
        kept = self._uniform(inputs.shape) >= self._rate
        self._mask: Array = kept.astype(inputs.dtype) / (1 - self._rate)
        return inputs * self._mask

    def input_gradient(self, gradient: Array) -> Array:
        return gradient * self._mask
