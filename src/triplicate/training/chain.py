"""Layers in a row whose passes are called one after the other, without a graph of torch's between them.

The passes of linear layers, and of activations that know their gradient, are written out; torch differentiates the
other layers, each by itself. A graph over a small network takes as long to build and to walk as its products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from triplicate.activations import Activation, InputGradient
from triplicate.training.stacked_layers import StackedLinear


class Pass(Protocol):
    """A layer, or several, forward and backward."""

    def forward(self, inputs: Tensor) -> Tensor:
        """What it gives for inputs, which it keeps until `backward`."""

    def backward(self, gradient: Tensor, wanted: bool, descends: bool) -> Tensor | None:
        """Leave the gradients of the parameters where they belong.

        Args:
            gradient: of what `forward` gave.
            wanted: the gradient of the inputs is returned.
            descends: a linear layer adds its gradients to its parameters instead.
        """


class Chain:
    """The layers of a network in a row. Without gradients of torch's: whoever calls it is under `no_grad`."""

    def __init__(self, before: nn.Module, passes: Sequence[Pass]) -> None:
        """Args: `before`, the layers before the first that is trained: nothing goes back through them."""
        self._before, self._passes = before, passes

    @staticmethod
    def of(network: nn.Module) -> Chain | None:
        """The passes of a network of layers in a row; None for any other."""
        if not isinstance(network, nn.Sequential):
            return None
        layers = _flat(network)
        first = next(place for place, layer in enumerate(layers) if any(True for _ in layer.parameters()))
        return Chain(nn.Sequential(*layers[:first]), [_pass(layer) for layer in layers[first:]])

    def forward(self, inputs: Tensor) -> Tensor:
        """What the last layer gives."""
        outputs: Tensor = self._before(inputs)
        for each in self._passes:
            outputs = each.forward(outputs)
        return outputs

    def backward(self, gradient: Tensor, descends: bool) -> None:
        """From the gradient of what the last layer gave to those of all parameters."""
        for place in range(len(self._passes) - 1, -1, -1):
            passed_on = self._passes[place].backward(gradient, place > 0, descends)
            if passed_on is not None:
                gradient = passed_on


def _flat(network: nn.Sequential) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for layer in network:
        layers += _flat(layer) if isinstance(layer, nn.Sequential) else [layer]
    return layers


def _pass(layer: nn.Module) -> Pass:
    if isinstance(layer, StackedLinear):
        return _Linear(layer)
    made_by = getattr(layer, "made_by", None)
    rule = made_by.gradient_rule() if isinstance(made_by, Activation) and made_by.stacked == "elementwise" else None
    return _ByTorch(layer) if rule is None else _Elementwise(layer, rule)


class _Linear:
    def __init__(self, layer: StackedLinear) -> None:
        self._layer = layer
        self._rows: Tensor | None = None
        self._shape: tuple[int, ...] = ()

    def forward(self, inputs: Tensor) -> Tensor:
        self._shape = tuple(inputs.shape[1:-1])
        self._rows = (inputs if inputs.ndim == 3 else inputs.flatten(1, -2)).transpose(1, 2)
        outputs = self._layer.multiply(self._rows).transpose(1, 2)
        return outputs if inputs.ndim == 3 else torch.unflatten(outputs, 1, self._shape)

    def backward(self, gradient: Tensor, wanted: bool, descends: bool) -> Tensor | None:
        rows, self._rows = self._rows, None
        assert rows is not None
        by_outputs = (gradient if gradient.ndim == 3 else gradient.flatten(1, -2)).transpose(1, 2)
        passed_on = self._layer.pass_on(by_outputs, len(rows)) if wanted else None  # before the weights may change
        self._layer.take(rows, by_outputs, descends)
        if passed_on is None:
            return None
        passed_on = passed_on.transpose(1, 2)
        return passed_on if gradient.ndim == 3 else torch.unflatten(passed_on, 1, self._shape)


class _Elementwise:
    def __init__(self, layer: nn.Module, rule: InputGradient) -> None:
        self._layer, self._rule = layer, rule
        self._kept: tuple[Tensor, Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._layer(inputs)
        self._kept = inputs, outputs
        return outputs

    def backward(self, gradient: Tensor, wanted: bool, descends: bool) -> Tensor:
        assert self._kept is not None
        (inputs, outputs), self._kept = self._kept, None
        return self._rule(gradient, inputs, outputs)


class _ByTorch:
    """Any layer. The gradients of its parameters are left in `grad`."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._kept: tuple[Tensor, Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            outputs: Tensor = self._layer(leaf)
        self._kept = leaf, outputs
        return outputs.detach()

    def backward(self, gradient: Tensor, wanted: bool, descends: bool) -> Tensor | None:
        assert self._kept is not None
        (leaf, outputs), self._kept = self._kept, None
        torch.autograd.backward(outputs, gradient)
        return leaf.grad
