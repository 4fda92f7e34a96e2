"""A convolutional network: convolutions with norm, activation, pooling and dropout, then hidden layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from triplicate.config import CnnConfig
from triplicate.errors import UserError
from triplicate.models.images import need_images
from triplicate.models.mlp import add_hidden


@dataclass(frozen=True)
class _Convolution:
    """One convolution and what comes behind it; sides in pixels."""

    filters: int
    kernel: int
    stride: int
    padding: int
    norm: str
    activation: str
    pool: str
    dropout: float


def cnn(
    shape: tuple[int, ...],
    config: CnnConfig,
    outputs: int,
    activations: Mapping[str, Callable[[], nn.Module]],
    activation: str,
) -> nn.Sequential:
    """A convolutional network as its configuration lists it.

    Args:
        shape: channels, height and width of an image.
        outputs: width of the last layer.
        activations: by name, what makes the module.
        activation: of the hidden layers, and of the convolutions where the configuration does not name theirs.

    Returns:
        A module from images [B, *shape] to scores [B, outputs].

    Raises:
        UserError: the data are no images, a list of another length than `filters`, or a layer that leaves
            nothing of the image.
    """
    need_images(shape, "cnn")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, height, width = shape
    for number, convolution in enumerate(_convolutions(config, activation), start=1):
        _add(layers, number, channels, convolution, config.pool_size, activations)
        channels = convolution.filters
        height, width = (_side(side, number, convolution, config.pool_size) for side in (height, width))
    layers["flatten"] = nn.Flatten()
    widths = [channels * height * width, *config.hidden]
    add_hidden(layers, widths, activations[activation], config.hidden_norm, config.dropout)
    layers["output"] = nn.Linear(widths[-1], outputs)
    return nn.Sequential(layers)


def _convolutions(config: CnnConfig, activation: str) -> list[_Convolution]:
    """The columns of the configuration as a list of convolutions."""
    count = len(config.filters)

    def column(name: str, value: Any) -> list[Any]:
        if not isinstance(value, tuple):
            return [value] * count
        if len(value) != count:
            problem = f"{len(value)} values for {count} convolutions"
            raise UserError(f"model.{name}", problem, "give one for all, or a list with one for each")
        return list(value)

    kernels = column("kernel", config.kernel)
    paddings = [
        _same(kernel) if padding == "same" else padding
        for kernel, padding in zip(kernels, column("padding", config.padding), strict=True)
    ]
    columns = (
        config.filters,
        kernels,
        column("stride", config.stride),
        paddings,
        column("norm", config.norm),
        column("activation", config.activation or activation),
        column("pool", config.pool),
        column("conv_dropout", config.conv_dropout),
    )
    return [_Convolution(*row) for row in zip(*columns, strict=True)]


def _same(kernel: int) -> int:
    """The zeros around an image that keep its size at stride 1."""
    if kernel % 2 == 0:
        raise UserError("model.padding", f"same needs an odd kernel, not {kernel}", "give the padding as a number")
    return kernel // 2


def _add(
    layers: OrderedDict[str, nn.Module],
    number: int,
    channels: int,
    convolution: _Convolution,
    pool_size: int,
    activations: Mapping[str, Callable[[], nn.Module]],
) -> None:
    filters = convolution.filters
    layers[f"conv{number}"] = nn.Conv2d(channels, filters, convolution.kernel, convolution.stride, convolution.padding)
    if convolution.norm == "before":
        layers[f"conv_norm{number}"] = nn.BatchNorm2d(filters)
    layers[f"conv_activation{number}"] = activations[convolution.activation]()
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
