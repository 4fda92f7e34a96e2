"""GELU."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.numpy_backend.layer import Array, WithoutParameters
from triplicate.parts import part


@part("gelu")
@dataclass(frozen=True)
class Gelu(Activation):
    """f(x) = x Φ(x), exact, with the error function (arXiv 1606.08415)."""

    def module(self) -> nn.Module:
        return nn.GELU()

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.gelu_backward(gradient, inputs)

    def numpy_layer(self) -> GeluLayer:
        return GeluLayer()


class GeluLayer(WithoutParameters):
    """f(x) = x Φ(x), f′(x) = Φ(x) + x φ(x), with the normal distribution Φ and its density φ."""

    def forward(self, inputs: Array, training: bool) -> Array:
        from scipy.special import erf  # only here: scipy takes half a second to load

        self._inputs = inputs
        self._distribution: Array = (1 + erf(inputs / math.sqrt(2))) / 2
        outputs: Array = inputs * self._distribution
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        density = np.exp(-(self._inputs**2) / 2) / math.sqrt(2 * math.pi)
        given: Array = gradient * (self._distribution + self._inputs * density)
        return given
