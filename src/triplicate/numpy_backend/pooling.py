"""Pooling: the largest or the mean value of each window of an image."""

from __future__ import annotations

import numpy as np

from triplicate.numpy_backend.convolution import sum_windows, windows
from triplicate.numpy_backend.layer import Array, WithoutParameters


class MaxPool(WithoutParameters):
    """y = max of each window; the gradient goes to the pixel that was the largest, the first of equals.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.3.
    """

    def __init__(self, side: int, stride: int) -> None:
        self._side, self._stride = side, stride

    def forward(self, inputs: Array, training: bool) -> Array:
        self._shape = inputs.shape
        squares = windows(inputs, self._side, self._stride)
        flat = squares.reshape(*squares.shape[:4], -1)
        self._largest = flat.argmax(-1)[..., np.newaxis]
        return np.take_along_axis(flat, self._largest, -1)[..., 0]

    def input_gradient(self, gradient: Array) -> Array:
        flat = np.zeros((*gradient.shape, self._side**2), gradient.dtype)
        np.put_along_axis(flat, self._largest, gradient[..., np.newaxis], -1)
        return sum_windows(flat.reshape(*gradient.shape, self._side, self._side), self._shape, self._stride, 0)


class AveragePool(WithoutParameters):
    """y = mean of each window of k×k; every pixel of it gets g / k²."""

    def __init__(self, side: int, stride: int) -> None:
        self._side, self._stride = side, stride

    def forward(self, inputs: Array, training: bool) -> Array:
        self._shape = inputs.shape
        outputs: Array = windows(inputs, self._side, self._stride).mean((4, 5))
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        each = (gradient / self._side**2)[..., np.newaxis, np.newaxis]
        shape = (*gradient.shape, self._side, self._side)
        return sum_windows(np.broadcast_to(each, shape), self._shape, self._stride, 0)


class GlobalAverage(WithoutParameters):
    """y = mean of each channel, [B, channels, 1, 1]; every pixel gets g / (height · width) (arXiv 1312.4400)."""

    def forward(self, inputs: Array, training: bool) -> Array:
        self._shape = inputs.shape
        outputs: Array = inputs.mean((2, 3), keepdims=True)
        return outputs

    def input_gradient(self, gradient: Array) -> Array:
        return np.broadcast_to(gradient / (self._shape[2] * self._shape[3]), self._shape)
