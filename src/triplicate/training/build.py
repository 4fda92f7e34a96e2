"""The model of a run, and those of a stack as one network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from triplicate.config import RunConfig
from triplicate.training.network import Alone, Batched, Rules, StackNetwork
from triplicate.training.seeding import generator, global_seed


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


def network_of(
    models: Sequence[nn.Module], configs: Sequence[RunConfig], device: torch.device, stacked: bool
) -> StackNetwork:
    """The models of a stack as one network.

    Args:
        stacked: whether it is one of stacked layers; else there is one model, as it is.
    """
    generators = [generator(c.seed, "dropout", device) for c in configs]
    if configs[0].model.uses_numpy:
        from triplicate.training.numpy_network import NumpyNetwork  # only here: scipy takes half a second

        return Alone(NumpyNetwork(models[0], generators[0]), generators[0])
    if not stacked:
        return Alone.of_torch(models[0], generators[0], device)
    return Batched(models, generators, stack_rules(configs[0]), by_hand=autocast(configs[0]) is None)


def autocast(config: RunConfig) -> torch.dtype | None:
    """The dtype of products and convolutions, where it is not that of the weights."""
    return None if config.train.autocast == "none" else getattr(torch, config.train.autocast)
