"""Between torch and NumPy: how the one engine trains a network whose passes are written out here.

Parameters, running statistics and the network's NumPy layers share their memory: what the optimizer writes, the
layers read. Nothing is copied but what a layer computes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triplicate.activations import Activation
from triplicate.errors import UserError
from triplicate.losses import Loss
from triplicate.numpy_backend.convolution import Convolution
from triplicate.numpy_backend.layer import Layer
from triplicate.numpy_backend.linear import Flatten, Linear
from triplicate.numpy_backend.loss import NumpyLoss
from triplicate.numpy_backend.pooling import AveragePool, GlobalAverage, MaxPool
from triplicate.numpy_backend.regularization import BatchNorm, Dropout
from triplicate.numpy_backend.sequential import Sequential

Uniform: TypeAlias = Callable[[tuple[int, ...]], NDArray[np.float32]]
"""Draws numbers of a shape from [0, 1)."""


class NumpyNetwork(nn.Sequential):
    """A model of torch, whose parameters it has under the same names, that NumPy computes. CPU only."""

    def __init__(self, model: nn.Module, generator: torch.Generator) -> None:
        """Args: layers in a row, all of them written out; `generator` draws the masks of dropout, as in torch."""
        super().__init__(OrderedDict(model.named_children()))
        self._network = Sequential([_translated(layer, generator) for layer in model.children()])

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = _Pass.apply(inputs, self._network, self.training, *self.parameters())
        return logits


def check(model: nn.Module, loss: Loss) -> None:
    """
    Raises:
        UserError: a layer or the loss is not written out in NumPy.
    """
    for layer in model.children():
        if not _is_written_out(layer):
            made_by = getattr(layer, "made_by", None)
            problem = f"numpy has no {made_by.name if isinstance(made_by, Activation) else type(layer).__name__}"
            raise UserError("model.backend", problem, "choose another layer, or model.backend=torch")
    if loss.numpy_loss() is None:
        raise UserError("model.backend", f"numpy has no {loss.name}", "choose another loss, or model.backend=torch")


def loss_of(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss as NumPy computes it: logits [1, B, outputs] and labels [1, B] → the loss of every example [1, B]."""

    def per_example(logits: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = _LossPass.apply(logits[0], labels[0], loss.numpy_loss())
        return found.unsqueeze(0)

    return per_example


class _Pass(torch.autograd.Function):
    """The network as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, network: Sequential, training: bool, *parameters: Tensor) -> Tensor:
        ctx.network = network
        return torch.from_numpy(np.ascontiguousarray(network.forward(inputs.numpy(), training)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.network.backward(gradient.numpy())
        return None, None, None, *(torch.from_numpy(np.ascontiguousarray(array)) for array in found)


class _LossPass(torch.autograd.Function):
    """A loss as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, numpy_loss: NumpyLoss) -> Tensor:
        ctx.numpy_loss = numpy_loss
        return torch.from_numpy(numpy_loss.forward(logits.detach().numpy(), labels.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.from_numpy(ctx.numpy_loss.backward(gradient.numpy())), None, None


def _is_written_out(layer: nn.Module) -> bool:
    made_by = getattr(layer, "made_by", None)
    if isinstance(made_by, Activation):
        return made_by.numpy_layer() is not None
    return type(layer) in _RULES


def _translated(layer: nn.Module, generator: torch.Generator) -> Layer:
    """The layer written out, over the same memory."""

    def uniform(shape: tuple[int, ...]) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = torch.rand(shape, generator=generator, dtype=torch.float32).numpy()
        return drawn

    made_by = getattr(layer, "made_by", None)
    if isinstance(made_by, Activation):
        written_out = made_by.numpy_layer()
        assert written_out is not None
        return written_out
    return _RULES[type(layer)](layer, uniform)


def _array(tensor: Any) -> Any:
    """A parameter or buffer as an array over the same memory."""
    return tensor.detach().numpy()


def _side(pixels: Any) -> int:
    """What torch may keep once for both sides of a square, or for each."""
    return int(pixels[0]) if isinstance(pixels, tuple) else int(pixels)


def _batch_norm(layer: Any, uniform: Uniform) -> Layer:
    return BatchNorm(
        _array(layer.weight),
        _array(layer.bias),
        _array(layer.running_mean),
        _array(layer.running_var),
        _array(layer.num_batches_tracked),
        momentum=float(layer.momentum or 0),
        eps=layer.eps,
    )


def _convolution(layer: Any, uniform: Uniform) -> Layer:
    return Convolution(_array(layer.weight), _array(layer.bias), _side(layer.stride), _side(layer.padding))


# Layer of torch → the layer written out; activations bring theirs. What is not here NumPy does not have.
_RULES: Mapping[type[nn.Module], Callable[[Any, Uniform], Layer]] = {
    nn.AdaptiveAvgPool2d: lambda layer, uniform: GlobalAverage(),
    nn.AvgPool2d: lambda layer, uniform: AveragePool(_side(layer.kernel_size), _side(layer.stride)),
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Conv2d: _convolution,
    nn.Dropout: lambda layer, uniform: Dropout(layer.p, uniform),
    nn.Flatten: lambda layer, uniform: Flatten(),
    nn.Linear: lambda layer, uniform: Linear(_array(layer.weight), _array(layer.bias)),
    nn.MaxPool2d: lambda layer, uniform: MaxPool(_side(layer.kernel_size), _side(layer.stride)),
}
