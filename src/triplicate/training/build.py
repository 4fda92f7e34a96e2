"""The model of a run."""

from __future__ import annotations

from torch import nn

from triplicate.config import RunConfig
from triplicate.training.network import Rules
from triplicate.training.seeding import global_seed


def build(config: RunConfig, shape: tuple[int, ...], classes: int) -> nn.Module:
    """A run's own model, its weights as `torch.manual_seed(seed)` before building it gives them.

    Args:
        shape: of one example as the model sees it.

    Raises:
        UserError: the model or the loss does not fit the data.
    """
    with global_seed(config.seed):
        model = config.model.build(shape, config.loss.outputs(classes), config.activation)
        config.init.initialize(model)
    return model


def stack_rules(config: RunConfig) -> Rules:
    """How the layers that a run's parts bring themselves are stacked."""
    return {**config.model.stack_rules(), **config.activation.stack_rules()}
