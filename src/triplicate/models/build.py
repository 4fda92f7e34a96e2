"""The model that a configuration names."""

from __future__ import annotations

from typing import assert_never

from torch import nn

from triplicate.config import (
    CnnConfig,
    InceptionConfig,
    MlpConfig,
    PretrainedConfig,
    RunConfig,
    SeparableResidualConfig,
)
from triplicate.models.cnn import cnn
from triplicate.models.inception import inception_small
from triplicate.models.mlp import mlp
from triplicate.models.pretrained import pretrained
from triplicate.models.separable_residual import separable_residual
from triplicate.training.activations import ACTIVATIONS


def build(config: RunConfig, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The model that `config` names, with weights drawn from torch's global generator.

    Args:
        shape: of one example as the model sees it: channels, height and width, or the numbers of a point.
        outputs: width of the last layer.

    Raises:
        UserError: the model does not fit the data.
    """
    model, activation = config.model, ACTIVATIONS[config.activation.name]
    match model:
        case MlpConfig():
            return mlp(shape, model.hidden, outputs, activation, model.norm, model.dropout)
        case CnnConfig():
            return cnn(shape, model, outputs, ACTIVATIONS, config.activation.name)
        case SeparableResidualConfig():
            return separable_residual(shape, model, outputs, activation)
        case InceptionConfig():
            return inception_small(shape, model, outputs, activation)
        case PretrainedConfig():
            return pretrained(shape, model, outputs)
        case _:
            assert_never(model)
