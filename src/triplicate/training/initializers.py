"""Initialisations by name; each sets the Linear weights of a model that PyTorch has just built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn


def _he_uniform(weight: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


# Xavier: Glorot and Bengio, AISTATS 2010. He: arXiv 1502.01852. Both draw uniformly here, with biases zero.
INITIALIZERS: Mapping[str, Callable[[Tensor], object] | None] = {
    "default": None,
    "he": _he_uniform,
    "xavier": nn.init.xavier_uniform_,
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
