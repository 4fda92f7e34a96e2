"""Between torch and NumPy: how the one engine trains a network whose passes are written out here.

Parameters, running statistics and the network's NumPy layers share their memory: what the optimizer writes, the
layers read. Nothing is copied but what a layer computes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triplicate.errors import UserError
from triplicate.numpy_backend import activations, losses
from triplicate.numpy_backend.convolution import Convolution
from triplicate.numpy_backend.layer import Layer
from triplicate.numpy_backend.linear import Flatten, Linear
from triplicate.numpy_backend.network import Network
from triplicate.numpy_backend.pooling import AveragePool, GlobalAverage, MaxPool
from triplicate.numpy_backend.regularization import BatchNorm, Dropout

_WRITTEN_OUT = (
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.Conv2d,
    nn.Dropout,
    nn.Flatten,
    nn.GELU,
    nn.LeakyReLU,
    nn.Linear,
    nn.MaxPool2d,
    nn.ReLU,
    nn.Sigmoid,
    nn.Tanh,
)


class NumpyNetwork(nn.Sequential):
    """A model of torch, whose parameters it has under the same names, that NumPy computes. CPU only."""

    def __init__(self, model: nn.Module, generator: torch.Generator) -> None:
        """Args: layers in a row, all of them written out; `generator` draws the masks of dropout, as in torch."""
        super().__init__(OrderedDict(model.named_children()))
        self._network = Network([_translated(layer, generator) for layer in model.children()])

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = _Pass.apply(inputs, self._network, self.training, *self.parameters())
        return scores


def check_layers(model: nn.Module) -> None:
    """
    Raises:
        UserError: a layer that is not written out.
    """
    for layer in model.children():
        if not isinstance(layer, _WRITTEN_OUT):
            problem = f"numpy has no {type(layer).__name__}"
            raise UserError("model.backend", problem, "choose another layer, or model.backend=torch")


def loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss by name: scores [1, B, outputs] and labels [1, B] → the loss of every example [1, B]."""

    def each(scores: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = _LossPass.apply(scores[0], labels[0], losses.LOSSES[name]())
        return found.unsqueeze(0)

    return each


class _Pass(torch.autograd.Function):
    """The network as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, network: Network, training: bool, *parameters: Tensor) -> Tensor:
        ctx.network = network
        return torch.from_numpy(np.ascontiguousarray(network.forward(inputs.numpy(), training)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.network.backward(gradient.numpy())
        return None, None, None, *(torch.from_numpy(np.ascontiguousarray(array)) for array in found)


class _LossPass(torch.autograd.Function):
    """A loss as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, by_hand: losses.Loss) -> Tensor:
        ctx.by_hand = by_hand
        return torch.from_numpy(by_hand.forward(scores.detach().numpy(), labels.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.from_numpy(ctx.by_hand.backward(gradient.numpy())), None, None


def _translated(layer: nn.Module, generator: torch.Generator) -> Layer:
    """The layer written out, over the same memory."""

    def uniform(shape: tuple[int, ...]) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = torch.rand(shape, generator=generator, dtype=torch.float32).numpy()
        return drawn

    match layer:
        case nn.Linear():
            return Linear(_array(layer.weight), _array(layer.bias))
        case nn.Conv2d():
            arrays = _array(layer.weight), _array(layer.bias)
            return Convolution(*arrays, _side(layer.stride), _side(layer.padding))
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return BatchNorm(
                _array(layer.weight),
                _array(layer.bias),
                _array(layer.running_mean),
                _array(layer.running_var),
                _array(layer.num_batches_tracked),
                momentum=float(layer.momentum or 0),
                eps=layer.eps,
            )
        case nn.Dropout():
            return Dropout(layer.p, uniform)
        case nn.Flatten():
            return Flatten()
        case nn.MaxPool2d():
            return MaxPool(_side(layer.kernel_size), _side(layer.stride))
        case nn.AvgPool2d():
            return AveragePool(_side(layer.kernel_size), _side(layer.stride))
        case nn.AdaptiveAvgPool2d():
            return GlobalAverage()
        case nn.ReLU():
            return activations.Relu()
        case nn.LeakyReLU():
            return activations.LeakyRelu(layer.negative_slope)
        case nn.Tanh():
            return activations.Tanh()
        case nn.Sigmoid():
            return activations.Sigmoid()
        case nn.GELU():
            return activations.GeluTanh() if layer.approximate == "tanh" else activations.Gelu()
        case _:
            raise TypeError(f"numpy has no {type(layer).__name__}")


def _array(tensor: Any) -> Any:
    """A parameter or buffer as an array over the same memory."""
    return tensor.detach().numpy()


def _side(pixels: Any) -> int:
    """What torch may keep once for both sides of a square, or for each."""
    return int(pixels[0]) if isinstance(pixels, tuple) else int(pixels)
