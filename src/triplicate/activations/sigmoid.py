"""The logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part


@part("sigmoid")
@dataclass(frozen=True)
class Sigmoid(Activation):
    """f(x) = 1 / (1 + e⁻ˣ)."""

    def module(self) -> nn.Module:
        return nn.Sigmoid()

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.sigmoid_backward(gradient, outputs)

    def numpy_layer(self) -> SigmoidLayer:
        return SigmoidLayer()


class SigmoidLayer(WithoutParameters):
    """f(x) = σ(x) = 1 / (1 + e⁻ˣ), f′(x) = σ(x) (1 - σ(x)): never above 1/4, which is why deep stacks of it stall."""

    def forward(self, inputs: Array, training: bool) -> Array:
        from scipy.special import expit  # only here: scipy takes half a second to load

        self._outputs: Array = np.asarray(expit(inputs))
        return self._outputs

    def input_gradient(self, gradient: Array) -> Array:
        given: Array = gradient * self._outputs * (1 - self._outputs)
        return given
