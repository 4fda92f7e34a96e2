"""A trained model back from its run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import safetensors.torch
import torch
from torch import Tensor, nn

from triplicate.config import PretrainedConfig, run_config
from triplicate.models.build import build
from triplicate.records.run_folder import RunRecord
from triplicate.training.batches import Scaling, seen_shape
from triplicate.training.losses import Loss


def restore(run: RunRecord) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The model of a finished run, in evaluation mode and float32, and what prepares its inputs.

    Returns:
        The module from prepared inputs [B, …] to scores [B, outputs], and the function from examples as the
        data set holds them [B, …] to what the module sees.
    """
    config = run_config(run.config)
    if isinstance(config.model, PretrainedConfig):
        config = replace(config, model=replace(config.model, weights="none"))
    shape = seen_shape(tuple(run.summary["image_shape"]), config.dataset.upscale)
    model = build(config, shape, Loss.of(config.train).outputs(len(run.summary["classes"])))
    model.load_state_dict(safetensors.torch.load_file(run.path / "weights.safetensors"))
    return model.float().eval(), Scaling.of(config.dataset, torch.float32, torch.device("cpu"))
