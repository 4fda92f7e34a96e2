"""Leaky ReLU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part

_SLOPE = 0.01


@part("leaky_relu")
@dataclass(frozen=True)
class LeakyRelu(Activation):
    """f(x) = x where x > 0, else 0.01 x (Maas, Hannun, Ng, ICML 2013)."""

    def module(self) -> nn.Module:
        return nn.LeakyReLU(_SLOPE)

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.leaky_relu_backward(gradient, inputs, _SLOPE, False)

    def numpy_layer(self) -> LeakyReluLayer:
        return LeakyReluLayer(_SLOPE)


class LeakyReluLayer(WithoutParameters):
    """f(x) = x where x > 0, else s x; f′(x) = 1 or s, with a small slope s."""

    def __init__(self, slope: float) -> None:
        self._slope = slope

    def forward(self, inputs: Array, training: bool) -> Array:
        self._inputs = inputs
        return np.where(inputs > 0, inputs, self._slope * inputs)

    def input_gradient(self, gradient: Array) -> Array:
        return np.where(self._inputs > 0, gradient, self._slope * gradient)
