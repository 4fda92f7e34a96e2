"""Layers of matrix products and of shapes."""

from __future__ import annotations

from collections.abc import Sequence

from triplicate.numpy_backend.layer import Array, WithoutParameters


class Linear:
    """y = x Wᵀ + b, with x [B, inputs], W [outputs, inputs], b [outputs].

    With g = ∂L/∂y:  ∂L/∂W = gᵀ x,  ∂L/∂b = Σ_batch g,  ∂L/∂x = g W.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.
    """

    def __init__(self, weight: Array, bias: Array) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, inputs: Array, training: bool) -> Array:
        self._inputs = inputs
        outputs: Array = inputs @ self.weight.T
        outputs += self.bias
        return outputs

    def parameter_gradients(self, gradient: Array) -> Sequence[Array]:
        return gradient.T @ self._inputs, gradient.sum(0)

    def input_gradient(self, gradient: Array) -> Array:
        given: Array = gradient @ self.weight
        return given


class Flatten(WithoutParameters):
    """[B, channels, height, width] → [B, channels · height · width]; the gradient goes back into the old shape."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._shape = inputs.shape
        return inputs.reshape(len(inputs), -1)

    def input_gradient(self, gradient: Array) -> Array:
        return gradient.reshape(self._shape)
