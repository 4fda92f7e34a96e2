"""Layers of R runs as one layer over [R, B, …]; run r computes what its own layer computes alone.

A rule makes one from the layers of all runs, which are alike but for their numbers. It stands here by the type of the
layer; a part from outside brings rules for its own types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from triplicate.training.draws import Draws


@dataclass(frozen=True)
class Stacked:
    """What a rule of ours needs besides the layers.

    Attributes:
        parameters: by their names in the layer, each [R, …].
        gradients: where the gradient of each is written, in the same way.
        draws: for the dropout masks of each run.
    """

    parameters: Mapping[str, nn.Parameter]
    gradients: Mapping[str, Tensor]
    draws: Draws


class StackedLinear(nn.Module):
    """R Linear layers as one batched matrix product: [R, B, …, inputs] → [R, B, …, outputs].

    What it gives lies in memory by outputs, [R, outputs, N] with N = B · …, as matrix products are fastest. Of inputs
    that several runs share, [S, B, …, inputs], each is multiplied by the weights of all of them at once.
    """

    def __init__(self, stacked: Stacked) -> None:
        """Weight [R, outputs, inputs] and, if there is one, bias [R, outputs]."""
        super().__init__()
        self.weight, self.bias = stacked.parameters["weight"], stacked.parameters.get("bias")
        self._gradients = stacked.gradients
        self._views: dict[int, _Views] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """By operations that torch differentiates, and autocast knows."""
        rows = inputs if inputs.ndim == 3 else inputs.flatten(1, -2)
        shared, runs = rows.shape[0], self.weight.shape[0]
        weight, by_inputs = self.weight.reshape(shared, -1, rows.shape[2]), rows.transpose(1, 2)
        if self.bias is None:
            product = torch.bmm(weight, by_inputs)
        else:
            product = torch.baddbmm(self.bias.reshape(shared, -1, 1), weight, by_inputs)
        outputs = product.view(runs, -1, rows.shape[1]).transpose(1, 2)
        return outputs if inputs.ndim == 3 else torch.unflatten(outputs, 1, inputs.shape[1:-1])

    def multiply(self, inputs: Tensor) -> Tensor:
        """[S, inputs, N] → [R, outputs, N]."""
        shared, _, number = inputs.shape
        views = self._viewed(shared)
        outputs = inputs.new_empty((*self.weight.shape[:2], number))
        if views.bias is None:
            torch.bmm(views.weight, inputs, out=outputs.view(shared, -1, number))
        else:
            torch.baddbmm(views.bias, views.weight, inputs, out=outputs.view(shared, -1, number))
        return outputs

    def pass_on(self, gradient: Tensor, shared: int) -> Tensor:
        """The gradient [S, inputs, N] of the inputs, of which several runs may have shared each."""
        return torch.bmm(self._viewed(shared).transposed, _together(gradient, shared))

    def take(self, inputs: Tensor, gradient: Tensor, descends: bool) -> None:
        """Write the gradients of the parameters, by that of what the layer gave [R, outputs, N] for [S, inputs, N].

        Args:
            descends: they are added to the parameters instead, and left nowhere.
        """
        shared = inputs.shape[0]
        together, transposed, views = _together(gradient, shared), inputs.transpose(1, 2), self._viewed(shared)
        if descends:
            views.weight.baddbmm_(together, transposed)
            if self.bias is not None:
                self.bias.add_(gradient.sum(2))
            return
        torch.bmm(together, transposed, out=views.gradient)
        if self.bias is not None:
            torch.sum(gradient, 2, out=self._gradients["bias"])

    def _viewed(self, shared: int) -> _Views:
        if shared not in self._views:
            weight, gradient = self.weight.detach(), self._gradients["weight"]
            bias = None if self.bias is None else self.bias.detach().view(shared, -1, 1)
            together = _together(weight, shared)
            self._views[shared] = _Views(together, together.transpose(1, 2), bias, _together(gradient, shared))
        return self._views[shared]


@dataclass(frozen=True)
class _Views:
    """The parameters of a linear layer as a product takes them, where S inputs are shared by R runs.

    Attributes:
        weight: [S, R/S · outputs, inputs].
        transposed: the same, [S, inputs, R/S · outputs].
        bias: [S, R/S · outputs, 1].
        gradient: of the weight, in the same shape.
    """

    weight: Tensor
    transposed: Tensor
    bias: Tensor | None
    gradient: Tensor


def _together(tensor: Tensor, shared: int) -> Tensor:
    """[R, rows, columns] with the rows of all runs that share their inputs in one matrix: [S, R/S · rows, columns]."""
    return tensor if tensor.shape[0] == shared else tensor.reshape(shared, -1, tensor.shape[2])


class StackedConvolution(nn.Module):
    """R Conv2d layers as one convolution with groups for each run: [R, B, channels, h, w] → [R, B, filters, …].

    Runs that share their inputs, [S, B, channels, h, w], share a group. For GPUs: on a CPU groups are slower than one
    convolution after the other.
    """

    def __init__(self, layer: nn.Conv2d, stacked: Stacked) -> None:
        """Weight [R, filters, channels, kernel, kernel] and, if there is one, bias [R, filters]."""
        super().__init__()
        self.weight, self.bias = stacked.parameters["weight"], stacked.parameters.get("bias")
        self._stride, self._padding, self._dilation = layer.stride, layer.padding, layer.dilation
        self._groups = layer.groups

    def forward(self, inputs: Tensor) -> Tensor:
        runs = len(self.weight)
        if self._groups > 1:  # the groups of each run are its own
            inputs = spread(inputs, runs)
        outputs = functional.conv2d(
            side_by_side(inputs),
            self.weight.flatten(0, 1),
            None if self.bias is None else self.bias.flatten(),
            self._stride,
            self._padding,
            self._dilation,
            groups=len(inputs) * self._groups,
        )
        return apart(outputs, runs)


class StackedBatchNorm(nn.Module):
    """R BatchNorm layers over [R, B, features, …], with running statistics of each run (arXiv 1502.03167)."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], stacked: Stacked) -> None:
        """Weight and bias [R, features]."""
        super().__init__()
        self._momentum, self._eps = layers[0].momentum, layers[0].eps
        self.weight, self.bias = stacked.parameters["weight"], stacked.parameters["bias"]
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.num_batches_tracked += 1
        if inputs.ndim == 3:  # what a product gives lies by features: no need to turn it
            by_features = inputs.transpose(1, 2)
            return self._normed(by_features.reshape(1, -1, inputs.shape[1])).view(by_features.shape).transpose(1, 2)
        return apart(self._normed(side_by_side(inputs)), len(inputs))

    def _normed(self, channels: Tensor) -> Tensor:
        """[N, R · features, …], normed over all axes but the second."""
        return functional.batch_norm(
            channels,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            self.training,
            self._momentum if self._momentum is not None else 0.0,
            self._eps,
        )


class StackedLayerNorm(nn.Module):
    """R LayerNorm layers over [R, B, …] (arXiv 1607.06450)."""

    def __init__(self, layer: nn.LayerNorm, stacked: Stacked) -> None:
        """Weight and bias [R, *normalized shape], either of which may not be there."""
        super().__init__()
        self._shape, self._eps = layer.normalized_shape, layer.eps
        self.weight, self.bias = stacked.parameters.get("weight"), stacked.parameters.get("bias")

    def forward(self, inputs: Tensor) -> Tensor:
        normed = functional.layer_norm(inputs, self._shape, eps=self._eps)
        if self.weight is not None:
            normed = normed * self._beside(self.weight, inputs.ndim)
        return normed if self.bias is None else normed + self._beside(self.bias, inputs.ndim)

    def _beside(self, parameter: Tensor, ndim: int) -> Tensor:
        """[R, *shape] → [R, 1, …, 1, *shape], to meet inputs of so many axes."""
        return parameter.view(len(parameter), *[1] * (ndim - parameter.ndim), *self._shape)


class StackedDropout(nn.Module):
    """R Dropout layers (JMLR 15, 2014), each with its own rate."""

    def __init__(self, layers: Sequence[nn.Dropout], draws: Draws) -> None:
        super().__init__()
        self._draws, self._kept = draws, [1 - layer.p for layer in layers]
        self._rates = torch.tensor([layer.p for layer in layers], dtype=torch.float32, device=draws.device)
        self._scales: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        if self._draws.is_learning:
            self._draws.learn(inputs)
        if not self.training:
            return inputs
        scale, zero = self._scaled(inputs.dtype)
        beside = (-1, *[1] * (inputs.ndim - 1))
        is_kept = self._draws.like(inputs) >= self._rates.view(beside)
        return inputs * torch.where(is_kept, scale.view(beside), zero)

    def _scaled(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """What is kept is multiplied by [R], and zero."""
        if dtype not in self._scales:
            kept = torch.tensor(self._kept, dtype=dtype, device=self._rates.device)
            self._scales[dtype] = (1 / kept, kept.new_zeros(()))
        return self._scales[dtype]


class RunDropout(nn.Module):
    """Dropout with masks from a run's own generator."""

    def __init__(self, layer: nn.Dropout, generator: torch.Generator, device: torch.device) -> None:
        super().__init__()
        self._one = StackedDropout([layer], Draws([generator], device))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._one(inputs.unsqueeze(0))
        return outputs[0]


class Channelwise(nn.Module):
    """A layer without parameters that takes each channel by itself, such as pooling, over those of all runs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        return apart(self._layer(side_by_side(inputs)), len(inputs))


class Examplewise(nn.Module):
    """A module that takes each example by itself, over the examples of all runs: [R, B, …] as [R · B, …]."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = module

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._module(inputs.flatten(0, 1))
        return torch.unflatten(outputs, 0, (len(inputs), -1))


class Inside(nn.Module):
    """A stacked layer inside a module that sees [R · B, …]."""

    def __init__(self, layer: nn.Module, runs: int) -> None:
        super().__init__()
        self._layer, self._runs = layer, runs

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._layer(torch.unflatten(inputs, 0, (self._runs, -1)))
        return outputs.flatten(0, 1)


class Spread(nn.Module):
    """A stacked layer that takes the inputs of each run by themselves, where several runs may share them."""

    def __init__(self, layer: nn.Module, runs: int) -> None:
        super().__init__()
        self._layer, self._runs = layer, runs

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._layer(spread(inputs, self._runs))
        return outputs


def spread(inputs: Tensor, runs: int) -> Tensor:
    """[S, …] → [R, …], each for the runs that share it, which stand side by side."""
    shared = len(inputs)
    if shared == runs:
        return inputs
    return inputs.unsqueeze(1).expand(shared, runs // shared, *inputs.shape[1:]).flatten(0, 1)


def side_by_side(inputs: Tensor) -> Tensor:
    """[R, B, channels, …] → [B, R · channels, …]; behind `apart`, a view of the same memory."""
    return inputs.transpose(0, 1).flatten(1, 2)


def apart(outputs: Tensor, runs: int) -> Tensor:
    """[B, R · channels, …] → [R, B, channels, …]."""
    return torch.unflatten(outputs, 1, (runs, -1)).transpose(0, 1)


def _flatten(layer: nn.Flatten) -> nn.Flatten:
    """The same one axis further on: a view, also of images that all runs see in the same order and in one memory."""
    return nn.Flatten(*(axis + 1 if axis >= 0 else axis for axis in (layer.start_dim, layer.end_dim)))


Rule: TypeAlias = Callable[[Sequence[Any], Stacked], nn.Module]
"""The layers of all runs → one layer over [R, B, …]."""

RULES: Mapping[type[nn.Module], Rule] = {
    nn.AdaptiveAvgPool2d: lambda layers, _: Channelwise(layers[0]),
    nn.AvgPool2d: lambda layers, _: Channelwise(layers[0]),
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.Conv2d: lambda layers, stacked: StackedConvolution(layers[0], stacked),
    nn.Dropout: lambda layers, stacked: StackedDropout(layers, stacked.draws),
    nn.Flatten: lambda layers, _: _flatten(layers[0]),
    nn.LayerNorm: lambda layers, stacked: StackedLayerNorm(layers[0], stacked),
    nn.Linear: lambda layers, stacked: StackedLinear(stacked),
    nn.MaxPool2d: lambda layers, _: Channelwise(layers[0]),
}


SHARING = (Channelwise, StackedConvolution, StackedLinear, nn.Flatten)
"""The layers of the rules that take inputs which several runs share."""


def unfit(layer: nn.Module) -> str | None:
    """Why a layer that has a rule of ours does not fit it; None if it does."""
    if isinstance(layer, nn.Conv2d) and (layer.padding_mode != "zeros" or isinstance(layer.padding, str)):
        return "its padding is not given as a number of zeros"
    if isinstance(layer, nn.Flatten) and layer.start_dim == 0:
        return "it flattens the examples of a batch"
    if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return None
    is_usual = layer.affine and layer.track_running_stats and layer.momentum is not None
    return None if is_usual else "it is not affine, or keeps no running statistics with a momentum"
