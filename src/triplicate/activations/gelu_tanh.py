"""The tanh approximation of GELU."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part


@part("gelu_tanh")
@dataclass(frozen=True)
class GeluTanh(Activation):
    """GELU without the normal distribution (arXiv 1606.08415)."""

    def module(self) -> nn.Module:
        return nn.GELU(approximate="tanh")

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.gelu_backward(gradient, inputs, approximate="tanh")

    def numpy_layer(self) -> GeluTanhLayer:
        return GeluTanhLayer()


class GeluTanhLayer(WithoutParameters):
    """f(x) = x (1 + t) / 2 with t = tanh(c (x + 0.044715 x³)) and c = √(2/π).

    f′(x) = (1 + t) / 2 + x (1 - t²) c (1 + 3 · 0.044715 x²) / 2.
    """

    _C = math.sqrt(2 / math.pi)
    _CUBIC = 0.044715

    def forward(self, inputs: Array, training: bool) -> Array:
        self._inputs = inputs
        self._tanh: Array = np.tanh(self._C * (inputs + self._CUBIC * inputs**3))
        outputs: Array = inputs * (1 + self._tanh) / 2
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        slope = self._C * (1 + 3 * self._CUBIC * self._inputs**2)
        given: Array = gradient * ((1 + self._tanh) + self._inputs * (1 - self._tanh**2) * slope) / 2
        return given
