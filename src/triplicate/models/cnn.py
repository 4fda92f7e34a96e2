"""A convolutional network: convolutions with norm, activation, pooling and dropout, then hidden layers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, cast

from triplicate.activations import Activation
from triplicate.errors import UserError
from triplicate.lazy import nn
from triplicate.models import Model
from triplicate.models.layers.checks import need_images
from triplicate.models.layers.hidden import add_hidden
from triplicate.parts import find, key, part
from triplicate.parts.keys import keys_of

_NORMS = ("none", "before", "after")


@part("cnn")
@dataclass(frozen=True)
class Cnn(Model):
    """Convolutions, each with its norm, activation, pooling and dropout, then hidden layers, then logits.

    A key of the convolutions is one value for all of them, or a list with a value for each.
    """

    filters: tuple[int, ...] = key("filters of each convolution", at_least=1)
    kernel: int | tuple[int, ...] = key("side of the kernels; one for all or a list", unit="pixels", at_least=1)
    stride: int | tuple[int, ...] = key("step of the kernels; one for all or a list", unit="pixels", at_least=1)
    padding: int | str | tuple[int, ...] = key(
        "zeros around the image, or same: it keeps its size at stride 1; one for all or a list",
        unit="pixels",
        at_least=0,
        choices=("same",),
    )
    norm: str | tuple[str, ...] = key(
        "batch normalisation before or after the activation of the convolutions; one for all or a list", choices=_NORMS
    )
    activation: str | tuple[str, ...] | None = key(
        "activation of the convolutions, one for all or a list; null: the one that activation=… names",
        parts="activation",
    )
    pool: str | tuple[str, ...] = key(
        "pooling after each convolution, global: the mean of the whole image; one for all or a list",
        choices=("none", "max", "average", "global"),
    )
    pool_size: int = key("side and step of the max and average pooling", unit="pixels", at_least=2)
    conv_dropout: float | tuple[float, ...] = key(
        "fraction of the values behind each convolution that are dropped in training; one for all or a list",
        at_least=0,
        below=1,
    )
    hidden: tuple[int, ...] = key("width of each hidden layer", unit="units", at_least=1)
    hidden_norm: str = key("batch normalisation of each hidden layer, before or after the activation", choices=_NORMS)
    dropout: float = key(
        "fraction of the units of each hidden layer that are dropped in training", at_least=0, below=1, per_run=True
    )
    backend: str = key(
        "what computes the forward and backward passes: torch, or numpy, where they are written out",
        choices=("torch", "numpy"),
    )

    def __post_init__(self) -> None:
        for name in self.activations():
            find("activation", name, "model.activation")

    def uses_activation(self, name: str) -> bool:
        return bool(self.hidden) or self.activation is None or name in self.activations()

    @property
    def uses_numpy(self) -> bool:
        return self.backend == "numpy"

    def activations(self) -> tuple[str, ...]:
        return (self.activation,) if isinstance(self.activation, str) else self.activation or ()

    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Sequential:
        need_images(shape, self.name)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels, height, width = shape
        for number, convolution in enumerate(self._convolutions(activation), start=1):
            _add(layers, number, channels, convolution, self.pool_size)
            channels = convolution.filters
            height, width = (_side(side, number, convolution, self.pool_size) for side in (height, width))
        layers["flatten"] = nn.Flatten()
        widths = [channels * height * width, *self.hidden]
        add_hidden(layers, widths, activation, self.hidden_norm, self.dropout)
        layers["output"] = nn.Linear(widths[-1], outputs)
        return nn.Sequential(layers)

    def _convolutions(self, activation: Activation) -> list[_Convolution]:
        """The lists of the configuration as a list of convolutions."""
        kernels = self._column("kernel", self.kernel)
        paddings = [
            _same(kernel) if padding == "same" else padding
            for kernel, padding in zip(kernels, self._column("padding", self.padding), strict=True)
        ]
        columns = (
            self.filters,
            kernels,
            self._column("stride", self.stride),
            paddings,
            self._column("norm", self.norm),
            [_activation(name, activation) for name in self._column("activation", self.activation)],
            self._column("pool", self.pool),
            self._column("conv_dropout", self.conv_dropout),
        )
        return [_Convolution(*values) for values in zip(*columns, strict=True)]

    def _column(self, name: str, value: Any) -> list[Any]:
        """The value of a key for each convolution."""
        count = len(self.filters)
        if not isinstance(value, tuple):
            return [value] * count
        if len(value) != count:
            problem = f"{len(value)} values for {count} convolutions"
            raise UserError(f"model.{name}", problem, "give one for all, or a list with one for each")
        return list(value)


@dataclass(frozen=True)
class _Convolution:
    """One convolution and what comes behind it; sides in pixels."""

    filters: int
    kernel: int
    stride: int
    padding: int
    norm: str
    activation: Activation
    pool: str
    dropout: float


def _activation(name: str | None, configured: Activation) -> Activation:
    """The activation that a key names; the configured one where it names none, or that."""
    if name is None or name == configured.name:
        return configured
    cls = find("activation", name, "model.activation")
    if keys := ", ".join(keys_of(cls)):
        problem = f"{name} has keys of its own ({keys}), which only the group activation sets"
        raise UserError("model.activation", problem, f"choose activation={name}")
    return cast("Activation", cls())


def _same(kernel: int) -> int:
    """The zeros around an image that keep its size at stride 1."""
    if kernel % 2 == 0:
        raise UserError("model.padding", f"same needs an odd kernel, not {kernel}", "give the padding as a number")
    return kernel // 2


def _add(
    layers: OrderedDict[str, nn.Module], number: int, channels: int, convolution: _Convolution, pool_size: int
) -> None:
    filters = convolution.filters
    layers[f"conv{number}"] = nn.Conv2d(channels, filters, convolution.kernel, convolution.stride, convolution.padding)
    if convolution.norm == "before":
        layers[f"conv_norm{number}"] = nn.BatchNorm2d(filters)
    layers[f"conv_activation{number}"] = convolution.activation()
    if convolution.norm == "after":
        layers[f"conv_norm{number}"] = nn.BatchNorm2d(filters)
    if convolution.pool == "max":
        layers[f"pool{number}"] = nn.MaxPool2d(pool_size)
    if convolution.pool == "average":
        layers[f"pool{number}"] = nn.AvgPool2d(pool_size)
    if convolution.pool == "global":
        layers[f"pool{number}"] = nn.AdaptiveAvgPool2d(1)
    if convolution.dropout > 0:
        layers[f"conv_dropout{number}"] = nn.Dropout(convolution.dropout)


def _side(side: int, number: int, convolution: _Convolution, pool_size: int) -> int:
    """What a convolution and its pooling leave of one side of the image."""
    inside = side + 2 * convolution.padding - convolution.kernel
    if inside < 0:
        problem = (
            f"conv{number} shrinks the image to nothing: its kernel of {convolution.kernel} meets a side of {side}"
        )
        raise UserError("model.kernel", problem, "give a smaller kernel, more padding or less pooling")
    left = inside // convolution.stride + 1
    if convolution.pool == "global":
        return 1
    if convolution.pool == "none":
        return left
    if left < pool_size:
        problem = f"pool{number} shrinks the image to nothing: it is {pool_size} wide and meets a side of {left}"
        raise UserError("model.pool", problem, "pool less often, or give larger images with dataset.upscale")
    return left // pool_size
