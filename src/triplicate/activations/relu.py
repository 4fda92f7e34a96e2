"""ReLU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part


@part("relu")
@dataclass(frozen=True)
class Relu(Activation):
    """f(x) = max(x, 0) (Nair and Hinton, ICML 2010)."""

    def module(self) -> nn.Module:
        return nn.ReLU()

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.threshold_backward(gradient, outputs, 0)

    def numpy_layer(self) -> ReluLayer:
        return ReluLayer()


class ReluLayer(WithoutParameters):
    """f(x) = max(x, 0), f′(x) = 1 where x > 0, else 0."""

    def forward(self, inputs: Array, training: bool) -> Array:
        outputs: Array = np.maximum(inputs, 0)
        self._is_positive = outputs > 0
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        return gradient * self._is_positive
