"""Backpropagation (Rumelhart, Hinton, Williams, Nature 323, 1986) through layers that follow one another."""

from __future__ import annotations

from collections.abc import Sequence

from triplicate.numpy_backend.layer import Array, Layer, WithoutParameters


class Sequential:
    """Layers from the first to the last."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        learning = [number for number, layer in enumerate(layers) if not isinstance(layer, WithoutParameters)]
        self._first = learning[0]

    def forward(self, inputs: Array, training: bool) -> Array:
        """Inputs [B, …] → logits [B, outputs]."""
        for layer in self._layers:
            inputs = layer.forward(inputs, training)
        return inputs

    def backward(self, gradient: Array) -> list[Array]:
        """∂L/∂logits [B, outputs] → ∂L/∂parameter of every parameter, in the order of the layers.

        The chain rule from the last layer to the first that learns; no one asks for the gradient of the images.
        """
        found: list[Array] = []
        for number in range(len(self._layers) - 1, self._first - 1, -1):
            layer = self._layers[number]
            found = [*layer.parameter_gradients(gradient), *found]
            if number > self._first:
                gradient = layer.input_gradient(gradient)
        return found
