"""The convolution as one matrix product over the patches of the images (im2col), and its way back (col2im)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triplicate.numpy_backend.layer import Array


class Convolution:
    """y[b, f, i, j] = Σ_{c,u,v} W[f, c, u, v] x[b, c, s i + u, s j + v] + b[f], with zeros around x.

    Laid out as rows, the patches X [B · height · width, channels · k · k] make it Y = X Wᵀ + b, a linear layer:
    ∂L/∂W = gᵀ X,  ∂L/∂b = Σ g,  ∂L/∂X = g W, and each pixel's gradient is the sum over the patches that it is in.
    Source: Chellapilla, Puri, Simard, IWFHR 2006.
    """

    def __init__(self, weight: Array, bias: Array, stride: int, padding: int) -> None:
        """Args: weight [filters, channels, k, k], bias [filters]; `stride` and `padding` in pixels."""
        self.weight, self.bias = weight, bias
        self._stride, self._padding = stride, padding

    def forward(self, inputs: Array, training: bool) -> Array:
        self._shape = inputs.shape
        patches = windows(padded(inputs, self._padding), self.weight.shape[2], self._stride)
        batch, channels, height, width, side, _ = patches.shape
        self._rows = patches.transpose(0, 2, 3, 1, 4, 5).reshape(batch * height * width, channels * side * side)
        outputs = self._rows @ self.weight.reshape(len(self.weight), -1).T
        outputs += self.bias
        return outputs.reshape(batch, height, width, -1).transpose(0, 3, 1, 2)

    def parameter_gradients(self, gradient: Array) -> Sequence[Array]:
        rows = self._as_rows(gradient)
        return (rows.T @ self._rows).reshape(self.weight.shape), rows.sum(0)

    def input_gradient(self, gradient: Array) -> Array:
        batch, _, height, width = gradient.shape
        _, channels, side, _ = self.weight.shape
        rows = self._as_rows(gradient) @ self.weight.reshape(len(self.weight), -1)
        patches = rows.reshape(batch, height, width, channels, side, side).transpose(0, 3, 1, 2, 4, 5)
        return sum_windows(patches, self._shape, self._stride, self._padding)

    @staticmethod
    def _as_rows(gradient: Array) -> Array:
        """[B, filters, height, width] → [B · height · width, filters]."""
        return gradient.transpose(0, 2, 3, 1).reshape(-1, gradient.shape[1])


def padded(images: Array, padding: int) -> Array:
    """Images [B, channels, height, width] with zeros around them."""
    if padding == 0:
        return images
    around = (padding, padding)
    return np.pad(images, ((0, 0), (0, 0), around, around))


def windows(images: Array, side: int, stride: int) -> Array:
    """Every square of an image, as a view: [B, channels, height, width] → [B, channels, rows, columns, side, side]."""
    every = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(2, 3))
    return every[:, :, ::stride, ::stride]


def sum_windows(patches: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """The way back from `windows`: add up what lies over each pixel (col2im).

    Args:
        patches: [B, channels, rows, columns, side, side].
        shape: of the images [B, channels, height, width] without the zeros around them.
    """
    batch, channels, height, width = shape
    _, _, rows, columns, side, _ = patches.shape
    total = np.zeros((batch, channels, height + 2 * padding, width + 2 * padding), patches.dtype)
    for u in range(side):
        for v in range(side):
            total[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride] += patches[..., u, v]
    return total[:, :, padding : padding + height, padding : padding + width]
