"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part


@part("tanh")
@dataclass(frozen=True)
class Tanh(Activation):
    """f(x) = tanh x."""

    def module(self) -> nn.Module:
        return nn.Tanh()

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.tanh_backward(gradient, outputs)

    def numpy_layer(self) -> TanhLayer:
        return TanhLayer()


class TanhLayer(WithoutParameters):
    """f(x) = tanh x, f′(x) = 1 - tanh² x."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._outputs: Array = np.tanh(inputs)
        return self._outputs

    def input_gradient(self, gradient: Array) -> Array:
        return gradient * (1 - self._outputs**2)
