"""The runs of a stack as one network over inputs [R, B, …]; run r computes what its own module computes alone.

What is made of linear layers trains together: every tensor gets a leading axis of runs (`Batched`). Any
other module is a stack of one (`Alone`): on a CPU convolutions of several runs in one call are slower than
one after the other. This file is the only place that knows how.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_ELEMENTWISE = (nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)


class StackedLinear(nn.Module):
    """R Linear layers as one batched matrix product: [R, B, inputs] → [R, B, outputs].

    The weight is kept as [R, inputs, outputs]: on a CPU that order, without a transposition in the
    product, took 1.6 ms a run and step where nn.Linear's order took 2.1 (MLP 784-512-512-10, batch 64).
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        weights = torch.stack([layer.weight.detach().T for layer in layers])
        biases = torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers])
        self.weight = nn.Parameter(weights)
        self.bias = nn.Parameter(biases)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, inputs, self.weight)

    def keep(self, runs: Tensor) -> None:
        """Drop all runs but these. New parameters, since autograd remembers the shapes of the old ones."""
        self.weight = nn.Parameter(self.weight.detach()[runs])
        self.bias = nn.Parameter(self.bias.detach()[runs])

    def state(self, run: int) -> Mapping[str, Tensor]:
        """Weight [outputs, inputs] and bias [outputs] of one run, as nn.Linear has them."""
        weight = self.weight.detach()[run].T.contiguous().clone()
        return {"weight": weight, "bias": self.bias.detach()[run, 0].clone()}


class StackedBatchNorm(nn.Module):
    """R BatchNorm1d layers over [R, B, features], with a row of running statistics a run (arXiv 1502.03167)."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        self._momentum, self._eps = layers[0].momentum, layers[0].eps
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))

    def forward(self, inputs: Tensor) -> Tensor:
        runs, batch, features = inputs.shape
        # The features of all runs stand side by side, as torch's own kernel wants them.
        side_by_side = inputs.transpose(0, 1).reshape(batch, runs * features)
        if self.training:
            self.num_batches_tracked += 1
        normed = functional.batch_norm(
            side_by_side,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training,
            self._momentum if self._momentum is not None else 0.0,
            self._eps,
        )
        return normed.view(batch, runs, features).transpose(0, 1)

    def keep(self, runs: Tensor) -> None:
        """Drop all runs but these."""
        self.weight = nn.Parameter(self.weight.detach()[runs])
        self.bias = nn.Parameter(self.bias.detach()[runs])
        self.running_mean = self.running_mean[runs]
        self.running_var = self.running_var[runs]
        self.num_batches_tracked = self.num_batches_tracked[runs]

    def state(self, run: int) -> Mapping[str, Tensor]:
        """What one run's BatchNorm1d loads, in its order."""
        names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return {name: getattr(self, name).detach()[run].clone() for name in names}


class StackedDropout(nn.Module):
    """R Dropout layers (JMLR 15, 2014), each with its own rate, and masks from its run's own generator."""

    def __init__(self, layers: Sequence[nn.Dropout], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._rates = [layer.p for layer in layers]
        self._generators = list(generators)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        rows = zip(self._rates, self._generators, strict=True)
        return inputs * torch.stack([_mask(inputs[0], rate, generator) for rate, generator in rows])

    def keep(self, runs: Tensor) -> None:
        """Drop all runs but these."""
        self._rates = [self._rates[run] for run in runs.tolist()]
        self._generators = [self._generators[run] for run in runs.tolist()]

    def state(self, run: int) -> Mapping[str, Tensor]:
        return {}


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


_WITH_STATE = (StackedLinear, StackedBatchNorm, StackedDropout)


class Batched(nn.Module):
    """R networks of linear layers as one: every parameter is [R, …]."""

    def __init__(self, models: Sequence[nn.Sequential], generators: Sequence[torch.Generator]) -> None:
        """Args: models that differ in their numbers alone; for each the generator of its dropout masks.

        Raises:
            TypeError: a layer that cannot be stacked.
        """
        super().__init__()
        names = [name for name, _ in models[0].named_children()]
        columns = zip(*(model.children() for model in models), strict=True)
        layers = [_stack_layer(column, generators) for column in columns]
        self._layers = nn.Sequential(OrderedDict(zip(names, layers, strict=True)))

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self._layers(inputs)
        return scores

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters [R, …] by the names that they have in one run's own model."""
        return dict(self._layers.named_parameters())

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of one run's own network: what its plain model loads."""
        state: OrderedDict[str, Tensor] = OrderedDict()
        for name, module in self._layers.named_children():
            if isinstance(module, _WITH_STATE):
                state.update((f"{name}.{part}", tensor) for part, tensor in module.state(run).items())
        return state

    def keep(self, runs: Tensor) -> None:
        """Drop from the stack, in place, all runs but these (indices [K])."""
        for module in self._layers.children():
            if isinstance(module, _WITH_STATE):
                module.keep(runs)


class Alone(nn.Module):
    """Any module as a stack of one: its parameters have no axis of runs."""

    def __init__(self, model: nn.Module, memory_format: torch.memory_format = torch.contiguous_format) -> None:
        """Args: `memory_format` of the images that the model is given."""
        super().__init__()
        self._model = model
        self._format = memory_format

    @staticmethod
    def of_torch(model: nn.Module, generator: torch.Generator, device: torch.device) -> Alone:
        """A module of torch.

        On a CPU images are kept channels_last: a step of the CNN 1→16→32 took 14.9 ms where it took 16.5.

        Args: `generator`, on the device, draws the masks of the model's dropout layers, which are replaced.
        """
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout):
                    setattr(module, name, RunDropout(child.p, generator))
        memory_format = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        return Alone(model.to(memory_format=memory_format), memory_format)

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
        return {name: p for name, p in self._model.named_parameters() if p.requires_grad}

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of the model."""
        parts = self._model.state_dict().items()
        return OrderedDict((name, tensor.detach().contiguous().clone()) for name, tensor in parts)

    def keep(self, runs: Tensor) -> None:
        """Nothing to drop: when its run leaves, the stack ends."""


Network = Batched | Alone


def _stack_layer(layers: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> nn.Module:
    first = layers[0]
    if isinstance(first, nn.Linear):
        return StackedLinear([layer for layer in layers if isinstance(layer, nn.Linear)])
    if isinstance(first, nn.BatchNorm1d):
        return StackedBatchNorm([layer for layer in layers if isinstance(layer, nn.BatchNorm1d)])
    if isinstance(first, nn.Dropout):
        return StackedDropout([layer for layer in layers if isinstance(layer, nn.Dropout)], generators)
    if isinstance(first, nn.Flatten):
        return nn.Flatten(start_dim=2)
    if isinstance(first, _ELEMENTWISE):
        return copy.deepcopy(first)
    raise TypeError(f"no rule to stack {type(first).__name__}")
