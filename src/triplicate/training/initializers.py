"""Initialisations by name; each sets the weights of a model that PyTorch has just built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from triplicate.config import InitConfig, RandomInitConfig


def _he(weight: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def _he_normal(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def _glorot(weight: Tensor) -> None:
    """Normal with variance 1 / fan_in, as some courses write Glorot's rule; 'xavier' is the rule of the paper."""
    nn.init.kaiming_normal_(weight, nonlinearity="linear")


# Xavier: Glorot and Bengio, AISTATS 2010. He: arXiv 1502.01852. Without 'normal' they draw uniformly; biases are zero.
INITIALIZERS: Mapping[str, Callable[[Tensor], object] | None] = {
    "default": None,
    "glorot": _glorot,
    "he": _he,
    "he_normal": _he_normal,
    "random": nn.init.normal_,
    "xavier": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
}


def initialize(model: nn.Module, config: InitConfig | RandomInitConfig) -> None:
    """Set the weights of every linear and convolutional layer in place, from torch's global generator.

    'default' leaves what PyTorch drew when the model was built.
    """
    draw = INITIALIZERS[config.name]
    if draw is None:
        return
    for module in model.modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        if isinstance(config, RandomInitConfig):
            nn.init.normal_(module.weight, std=config.std)
        else:
            draw(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
