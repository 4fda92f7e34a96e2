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


@dataclass
class Update:
    """Where the linear layers of a network leave their gradients: beside the parameters, or added to them."""

    descends: bool = False


@dataclass(frozen=True)
class Stacked:
    """What a rule of ours needs besides the layers.

    Attributes:
        parameters: by their names in the layer, each [R, …].
        gradients: where the gradient of each is written, in the same way.
        generators: draw the dropout masks of each run.
    """

    parameters: Mapping[str, nn.Parameter]
    gradients: Mapping[str, Tensor]
    update: Update
    generators: Sequence[torch.Generator]


class _Product(torch.autograd.Function):
    """The batched product of a StackedLinear. Its backward pass writes where the layer says, and not into a graph."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, layer: StackedLinear) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.layer = layer
        if layer.bias is None:
            return torch.bmm(inputs, weight.transpose(1, 2))
        return torch.baddbmm(layer.bias.unsqueeze(1), inputs, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (inputs,), layer, gradient = ctx.saved_tensors, ctx.layer, gradients[0]
        passed_on = torch.bmm(gradient, layer.weight) if ctx.needs_input_grad[0] else None
        layer.take(inputs, gradient)
        return passed_on, None, None


class StackedLinear(nn.Module):
    """R Linear layers as one batched matrix product: [R, B, …, inputs] → [R, B, …, outputs]."""

    def __init__(self, stacked: Stacked) -> None:
        """Weight [R, outputs, inputs] and, if there is one, bias [R, outputs]."""
        super().__init__()
        self.weight, self.bias = stacked.parameters["weight"], stacked.parameters.get("bias")
        self._gradients = stacked.gradients
        self._update = stacked.update

    def forward(self, inputs: Tensor) -> Tensor:
        product: Tensor = _Product.apply(inputs.flatten(1, -2), self.weight, self)
        return product if inputs.ndim == 3 else torch.unflatten(product, 1, inputs.shape[1:-1])

    def take(self, inputs: Tensor, gradient: Tensor) -> None:
        """The gradient [R, N, outputs] of what the layer gave for these inputs [R, N, inputs]."""
        transposed = gradient.transpose(1, 2)
        if self._update.descends:
            self.weight.baddbmm_(transposed, inputs)
            if self.bias is not None:
                self.bias.add_(gradient.sum(1))
            return
        torch.bmm(transposed, inputs, out=self._gradients["weight"])
        if self.bias is not None:
            torch.sum(gradient, 1, out=self._gradients["bias"])


class StackedConvolution(nn.Module):
    """R Conv2d layers as one convolution with groups for each run: [R, B, channels, h, w] → [R, B, filters, …].

    For GPUs: on a CPU groups are slower than one convolution after the other.
    """

    def __init__(self, layer: nn.Conv2d, stacked: Stacked) -> None:
        """Weight [R, filters, channels, kernel, kernel] and, if there is one, bias [R, filters]."""
        super().__init__()
        self.weight, self.bias = stacked.parameters["weight"], stacked.parameters.get("bias")
        self._stride, self._padding, self._dilation = layer.stride, layer.padding, layer.dilation
        self._groups = layer.groups

    def forward(self, inputs: Tensor) -> Tensor:
        runs = len(inputs)
        outputs = functional.conv2d(
            side_by_side(inputs),
            self.weight.flatten(0, 1),
            None if self.bias is None else self.bias.flatten(),
            self._stride,
            self._padding,
            self._dilation,
            groups=runs * self._groups,
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
        normed = functional.batch_norm(
            side_by_side(inputs),
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            self.training,
            self._momentum if self._momentum is not None else 0.0,
            self._eps,
        )
        return apart(normed, len(inputs))


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
    """R Dropout layers (JMLR 15, 2014), each with its own rate, and masks from its run's own generator."""

    def __init__(self, layers: Sequence[nn.Dropout], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._rates = [layer.p for layer in layers]
        self._generators = generators

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        runs = zip(self._rates, self._generators, strict=True)
        return inputs * torch.stack([_mask(inputs[0], rate, generator) for rate, generator in runs])


class RunDropout(nn.Module):
    """Dropout with masks from a run's own generator."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self._rate, self._generator = rate, generator

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * _mask(inputs, self._rate, self._generator) if self.training else inputs


def _mask(like: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Zeros with probability `rate`, else 1 / (1 - rate). Drawn in float32, whatever the dtype of the network."""
    drawn = torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float32)
    return (drawn >= rate).to(like.dtype).div_(1 - rate)


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
    nn.Dropout: lambda layers, stacked: StackedDropout(layers, stacked.generators),
    nn.Flatten: lambda layers, _: _flatten(layers[0]),
    nn.LayerNorm: lambda layers, stacked: StackedLayerNorm(layers[0], stacked),
    nn.Linear: lambda layers, stacked: StackedLinear(stacked),
    nn.MaxPool2d: lambda layers, _: Channelwise(layers[0]),
}


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
