"""The runs of a stack as one network over inputs [R, B, …]; run r computes what its own module computes alone.

Networks of layers that have a rule here train together (`Batched`): their parameters lie side by side in one buffer
[R, P], a row a run. Any other module is a stack of one (`Alone`). This file is the only place that knows how.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_ELEMENTWISE = (nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)
_CHANNELWISE = (nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.MaxPool2d)


@dataclass
class _Pass:
    """Where the linear layers of a network leave their gradients: beside the parameters, or added to them."""

    descends: bool = False


class _Product(torch.autograd.Function):
    """The batched product of a StackedLinear. Its backward pass writes where the layer says, and not into a graph."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, layer: StackedLinear) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.layer = layer
        return torch.baddbmm(layer.bias.unsqueeze(1), inputs, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (inputs,), layer, gradient = ctx.saved_tensors, ctx.layer, gradients[0]
        passed_on = torch.bmm(gradient, layer.weight) if ctx.needs_input_grad[0] else None
        layer.take(inputs, gradient)
        return passed_on, None, None


class StackedLinear(nn.Module):
    """R Linear layers as one batched matrix product: [R, B, inputs] → [R, B, outputs]."""

    def __init__(
        self, weight: nn.Parameter, bias: nn.Parameter, gradients: tuple[Tensor, Tensor], current: _Pass
    ) -> None:
        """Args: weight [R, outputs, inputs] and bias [R, outputs], and where the gradients of both are written."""
        super().__init__()
        self.weight, self.bias = weight, bias
        self._weight_gradient, self._bias_gradient = gradients
        self._current = current

    def forward(self, inputs: Tensor) -> Tensor:
        product: Tensor = _Product.apply(inputs, self.weight, self)
        return product

    def take(self, inputs: Tensor, gradient: Tensor) -> None:
        """The gradient [R, B, outputs] of what the layer gave for these inputs [R, B, inputs]."""
        transposed = gradient.transpose(1, 2)
        if self._current.descends:
            self.weight.baddbmm_(transposed, inputs)
            self.bias.add_(gradient.sum(1))
            return
        torch.bmm(transposed, inputs, out=self._weight_gradient)
        torch.sum(gradient, 1, out=self._bias_gradient)


class StackedConvolution(nn.Module):
    """R Conv2d layers as one convolution whose groups are the runs: [R, B, channels, h, w] → [R, B, filters, …].

    For GPUs: on a CPU groups are slower than one convolution after the other.
    """

    def __init__(self, layer: nn.Conv2d, weight: nn.Parameter, bias: nn.Parameter) -> None:
        """Args: weight [R, filters, channels, kernel, kernel], bias [R, filters]; `layer` has what they share."""
        super().__init__()
        self.weight, self.bias = weight, bias
        self._stride, self._padding = layer.stride, layer.padding

    def forward(self, inputs: Tensor) -> Tensor:
        weight, bias, runs = self.weight.flatten(0, 1), self.bias.flatten(), len(inputs)
        images = _side_by_side(inputs)
        return _apart(functional.conv2d(images, weight, bias, self._stride, self._padding, groups=runs), runs)


class StackedChannelwise(nn.Module):
    """A layer without parameters that takes each channel by itself, such as pooling, over those of all runs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        return _apart(self._layer(_side_by_side(inputs)), len(inputs))


class StackedBatchNorm(nn.Module):
    """R BatchNorm layers over [R, B, features, …], with a row of running statistics a run (arXiv 1502.03167)."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], weight: nn.Parameter, bias: nn.Parameter):
        """Args: weight and bias [R, features]."""
        super().__init__()
        self._momentum, self._eps = layers[0].momentum, layers[0].eps
        self.weight, self.bias = weight, bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.num_batches_tracked += 1
        normed = functional.batch_norm(
            _side_by_side(inputs),
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            self.training,
            self._momentum if self._momentum is not None else 0.0,
            self._eps,
        )
        return _apart(normed, len(inputs))


class StackedDropout(nn.Module):
    """R Dropout layers (JMLR 15, 2014), each with its own rate, and masks from its run's own generator."""

    def __init__(self, layers: Sequence[nn.Dropout], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._rates = [layer.p for layer in layers]
        self._generators = generators

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        rows = zip(self._rates, self._generators, strict=True)
        return inputs * torch.stack([_mask(inputs[0], rate, generator) for rate, generator in rows])


class RunDropout(nn.Module):
    """Dropout with masks from a run's own generator."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self._rate, self._generator = rate, generator

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * _mask(inputs, self._rate, self._generator) if self.training else inputs


def _mask(like: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Zeros with probability `rate`, else 1 / (1 - rate). Drawn in float32, whatever the format of the network."""
    drawn = torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float32)
    return (drawn >= rate).to(like.dtype).div_(1 - rate)


def _side_by_side(inputs: Tensor) -> Tensor:
    """[R, B, channels, …] → [B, R · channels, …]; behind `_apart`, a view of the same memory."""
    return inputs.transpose(0, 1).flatten(1, 2)


def _apart(outputs: Tensor, runs: int) -> Tensor:
    """[B, R · channels, …] → [R, B, channels, …]."""
    return torch.unflatten(outputs, 1, (runs, -1)).transpose(0, 1)


class Batched(nn.Module):
    """R networks as one. Every parameter is [R, …], a view into one buffer [R, P], and its gradient into another.

    Attributes:
        evaluation_batch: images at once where no gradient is wanted: enough for fast products.
    """

    evaluation_batch = 500

    def __init__(self, models: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        """Args: layers in a row, alike but for their numbers; for each model the generator of its dropout masks.

        Raises:
            TypeError: a layer that cannot be stacked.
        """
        super().__init__()
        self._models, self.generators = list(models), list(generators)
        self._pass = _Pass()
        rows = [nn.utils.parameters_to_vector(model.parameters()) for model in models]
        self._values = torch.stack(rows).detach()
        self._gradients = torch.zeros_like(self._values)
        self._trainable = {name: nn.Parameter(view) for name, view in self._views(self._values).items()}
        self._gradient_of = self._views(self._gradients)
        columns = zip(*(model.named_children() for model in models), strict=True)
        layers = ((column[0][0], [layer for _, layer in column]) for column in columns)
        self._layers = nn.Sequential(OrderedDict((name, self._stacked(name, alike)) for name, alike in layers))
        of_linear = {id(p) for m in self._layers if isinstance(m, StackedLinear) for p in (m.weight, m.bias)}
        self._others = [(p, self._gradient_of[name]) for name, p in self._trainable.items() if id(p) not in of_linear]

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self._layers(inputs)
        return scores

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters [R, …] by the names that they have in one run's own model."""
        return self._trainable

    def gradients(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return list(self._gradient_of.values())

    def blocks(self) -> list[Tensor]:
        """All parameters in tensors with a row a run."""
        return [self._values]

    def gradient_blocks(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return [self._gradients]

    def backward(self, losses: Tensor) -> None:
        """Write the gradient of each run's loss [R]."""
        torch.autograd.backward(losses, torch.ones_like(losses))
        for parameter, gradient in self._others:
            assert parameter.grad is not None
            gradient.copy_(parameter.grad)
            parameter.grad = None

    def can_descend(self) -> bool:
        """Whether every parameter is of a linear layer, so that `descend` can be used."""
        return not self._others

    def descend(self, losses: Tensor, rates: Tensor) -> None:
        """Take from each run's parameters its rate [R] times the gradient of its loss [R], which is left nowhere.

        The product that gives the gradient of a weight adds to the weight at once: the gradient is neither written
        nor read. The rates enter at the loss, from where everything is linear.
        """
        self._pass.descends = True
        torch.autograd.backward(losses, -rates)
        self._pass.descends = False

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of one run's own network: what its plain model loads."""
        stacked = self._layers.state_dict()
        return OrderedDict((name, stacked[name][run].clone()) for name in self._models[0].state_dict())

    def keep(self, runs: Sequence[int]) -> Batched:
        """The stack without all runs but these."""
        for run in runs:
            self._models[run].load_state_dict(self.state(run))
        return Batched([self._models[run] for run in runs], [self.generators[run] for run in runs])

    def _views(self, buffer: Tensor) -> dict[str, Tensor]:
        """The columns of a buffer [R, P] that belong to each parameter, as [R, …]."""
        views, start = {}, 0
        for name, parameter in self._models[0].named_parameters():
            columns = slice(start, start + parameter.numel())
            views[name] = torch.unflatten(buffer[:, columns], 1, parameter.shape)
            start = columns.stop
        return views

    def _stacked(self, name: str, layers: Sequence[Any]) -> nn.Module:
        first, own = layers[0], self._trainable
        match first:
            case nn.Linear():
                gradients = self._gradient_of[f"{name}.weight"], self._gradient_of[f"{name}.bias"]
                return StackedLinear(own[f"{name}.weight"], own[f"{name}.bias"], gradients, self._pass)
            case nn.Conv2d():
                return StackedConvolution(first, own[f"{name}.weight"], own[f"{name}.bias"])
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return StackedBatchNorm(layers, own[f"{name}.weight"], own[f"{name}.bias"])
            case nn.Dropout():
                return StackedDropout(layers, self.generators)
            case nn.Flatten():
                return nn.Flatten(start_dim=2)
        if isinstance(first, _CHANNELWISE):
            return StackedChannelwise(first)
        if isinstance(first, _ELEMENTWISE):
            return copy.deepcopy(first)
        raise TypeError(f"no rule to stack {type(first).__name__}")


class Alone(nn.Module):
    """Any module as a stack of one: its parameters have no axis of runs.

    Attributes:
        evaluation_batch: images at once where no gradient is wanted: so few that what convolutions give stays in the
            cache (CNN 1→16→32: 0.39 ms a step with 100, 0.49 with 500).
    """

    evaluation_batch = 100

    def __init__(
        self,
        model: nn.Module,
        generator: torch.Generator,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Args: `generator` draws the masks of dropout; `memory_format` is that of the images the model is given."""
        super().__init__()
        self._model = model
        self._format = memory_format
        self._trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.generators = [generator]

    @staticmethod
    def of_torch(model: nn.Module, generator: torch.Generator, device: torch.device) -> Alone:
        """A module of torch.

        On a CPU images are kept channels_last: a step of the CNN 1→16→32 took 8.6 ms in one thread where it took 14.5.

        Args: `generator`, on the device, draws the masks of the model's dropout layers, which are replaced.
        """
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout):
                    setattr(module, name, RunDropout(child.p, generator))
        memory_format = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        if isinstance(model, nn.Sequential):
            model = _pooled_first(model)
        return Alone(model.to(memory_format=memory_format), generator, memory_format)

    def forward(self, inputs: Tensor) -> Tensor:
        images = inputs[0].contiguous(memory_format=self._format) if inputs.ndim == 5 else inputs[0]
        scores: Tensor = self._model(images)
        return scores.unsqueeze(0)

    def train(self, mode: bool = True) -> Alone:
        """Frozen batch normalisation keeps its running statistics."""
        super().train(mode)
        for module in self._model.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are not frozen, by name."""
        return self._trainable

    def gradients(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return [p.grad for p in self._trainable.values() if p.grad is not None]

    def blocks(self) -> list[Tensor]:
        """The parameters that are not frozen, each with an axis of one run."""
        return [p.detach().unsqueeze(0) for p in self._trainable.values()]

    def gradient_blocks(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return [gradient.unsqueeze(0) for gradient in self.gradients()]

    def backward(self, losses: Tensor) -> None:
        """Write the gradient of the loss [1]."""
        self.zero_grad()
        torch.autograd.backward(losses)

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of the model."""
        parts = self._model.state_dict().items()
        return OrderedDict((name, tensor.detach().contiguous().clone()) for name, tensor in parts)

    def keep(self, runs: Sequence[int]) -> Alone:
        """The same: when its run leaves, the stack ends."""
        return self


def _pooled_first(model: nn.Sequential) -> nn.Sequential:
    """The same layers, with max pooling before the activation that precedes it.

    An activation that never falls keeps the greatest number the greatest, so that it gives the same from a quarter of
    the numbers: a step of the CNN 1→16→32 took 5.8 ms so, and 6.3 without.
    """
    layers = list(model.named_children())
    for place, ((_, layer), (_, following)) in enumerate(pairwise(layers)):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU) and isinstance(following, nn.MaxPool2d):
            layers[place : place + 2] = layers[place + 1], layers[place]
    return nn.Sequential(OrderedDict(layers))


Network = Batched | Alone
