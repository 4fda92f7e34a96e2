"""Initialisations by name; each sets the Linear weights of a model that PyTorch has just built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn


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
    "xavier": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
}


def initialize(model: nn.Module, name: str) -> None:
    """Set the weights of every Linear layer in place, from torch's global generator.

    'default' leaves what PyTorch drew when the model was built.
    """
    draw = INITIALIZERS[name]
    if draw is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Linear):
            draw(module.weight)
            nn.init.zeros_(module.bias)
