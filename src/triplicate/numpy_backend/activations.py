"""Activations: y = f(x) at each place by itself, so that ∂L/∂x = g · f′(x)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, expit

from triplicate.numpy_backend.layer import Array, WithoutParameters


class Relu(WithoutParameters):
    """f(x) = max(x, 0), f′(x) = 1 where x > 0, else 0 (Nair and Hinton, ICML 2010)."""

    def forward(self, inputs: Array, training: bool) -> Array:
        outputs: Array = np.maximum(inputs, 0)
        self._is_positive = outputs > 0
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        return gradient * self._is_positive


class LeakyRelu(WithoutParameters):
    """f(x) = x where x > 0, else s x; f′(x) = 1 or s, with a small slope s (Maas, Hannun, Ng, ICML 2013)."""

    def __init__(self, slope: float) -> None:
        self._slope = slope

    def forward(self, inputs: Array, training: bool) -> Array:
        self._inputs = inputs
        return np.where(inputs > 0, inputs, self._slope * inputs)

    def input_gradient(self, gradient: Array) -> Array:
        return np.where(self._inputs > 0, gradient, self._slope * gradient)


class Tanh(WithoutParameters):
    """f(x) = tanh x, f′(x) = 1 - tanh² x."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._outputs: Array = np.tanh(inputs)
        return self._outputs

    def input_gradient(self, gradient: Array) -> Array:
        return gradient * (1 - self._outputs**2)


class Sigmoid(WithoutParameters):
    """f(x) = σ(x) = 1 / (1 + e⁻ˣ), f′(x) = σ(x) (1 - σ(x)): never above 1/4, which is why deep stacks of it stall."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._outputs: Array = np.asarray(expit(inputs))
        return self._outputs

    def input_gradient(self, gradient: Array) -> Array:
        given: Array = gradient * self._outputs * (1 - self._outputs)
        return given


class Gelu(WithoutParameters):
    """f(x) = x Φ(x), f′(x) = Φ(x) + x φ(x), with the normal distribution Φ and its density φ (arXiv 1606.08415)."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._inputs = inputs
        self._distribution: Array = (1 + erf(inputs / math.sqrt(2))) / 2
        outputs: Array = inputs * self._distribution
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        density = np.exp(-(self._inputs**2) / 2) / math.sqrt(2 * math.pi)
        given: Array = gradient * (self._distribution + self._inputs * density)
        return given


class GeluTanh(WithoutParameters):
    """f(x) = x (1 + t) / 2 with t = tanh(c (x + 0.044715 x³)) and c = √(2/π): GELU without Φ (arXiv 1606.08415).

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
