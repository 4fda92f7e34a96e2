"""Models by name: each is an ordinary torch.nn module that takes images and returns class scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from triplicate.config import RunConfig
from triplicate.models.mlp import mlp
from triplicate.training.activations import ACTIVATIONS

MODELS: Mapping[str, Callable[[RunConfig, tuple[int, int, int], int], nn.Sequential]] = {
    "mlp": lambda config, shape, classes: mlp(shape, config.model.hidden, classes, ACTIVATIONS[config.activation.name]),
}


def build(config: RunConfig, image_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """The model that `config` names, with weights drawn from torch's global generator.

    Args:
        image_shape: channels, height and width of an image.
        classes: number of classes, the width of the last layer.
    """
    return MODELS[config.model.name](config, image_shape, classes)


def count_parameters(model: nn.Module) -> int:
    """The number of trainable numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
