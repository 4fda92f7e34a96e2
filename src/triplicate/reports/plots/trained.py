"""What a run has learned, read from its folder when a figure first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import safetensors.torch
import torch
from torch import Tensor, nn

from triplicate.config import run_config
from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots.recorded import recorded
from triplicate.training.batches import Preprocess, seen_shape
from triplicate.training.build import build

# Points of a plane that a network sees at once.
_BATCH = 8192

_WEIGHTS = "weights.safetensors"


class Trained:
    """The network of a finished run and the test examples that were kept beside it.

    Raises, when asked for one of them:
        Damaged: the file is not as it was written.
        UserError: a part that the run was made of is not here.
    """

    def __init__(self, run: RunRecord) -> None:
        self.run = run

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return [str(name) for name in self.run.summary["classes"]]

    @cached_property
    def samples(self) -> tuple[Tensor, Tensor] | None:
        """Inputs, uint8 [n, channels, height, width] or points [n, 2], and labels [n]; None where none were kept."""
        path = recorded(self.run, "samples.safetensors")
        if path is None:
            return None
        kept = safetensors.torch.load_file(path)
        return kept["inputs"], kept["labels"]

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The state dict of the network: name → tensor; empty where none was kept."""
        path = recorded(self.run, _WEIGHTS)
        return safetensors.torch.load_file(path) if path is not None else {}

    @cached_property
    def _restored(self) -> tuple[nn.Module, Callable[[Tensor], Tensor]] | None:
        if recorded(self.run, _WEIGHTS) is None:
            return None
        network, preprocess = restore(self.run)
        # A run that diverged has nothing to show.
        sound = all(bool(torch.isfinite(weights).all()) for weights in network.state_dict().values())
        return (network, preprocess) if sound else None

    @cached_property
    def convolutions(self) -> list[nn.Conv2d]:
        """The convolutions in the order in which the network defines them; empty without weights."""
        if self._restored is None:
            return []
        return [module for module in self._restored[0].modules() if isinstance(module, nn.Conv2d)]

    def logits(self, inputs: Tensor) -> Tensor | None:
        """Raw inputs [n, …] → logits [n, outputs]; None without weights."""
        if self._restored is None:
            return None
        network, preprocess = self._restored
        with torch.inference_mode():
            parts = [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
            return torch.cat([network(preprocess(part)).reshape(len(part), -1) for part in parts])

    def maps(self, inputs: Tensor, convolution: nn.Conv2d) -> Tensor:
        """What one of the `convolutions` gives for raw inputs [n, …]: maps [n, channels, height, width]."""
        taken: list[Tensor] = []

        def take(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            taken.append(output.clone())  # an activation may write over it

        handle = convolution.register_forward_hook(take)
        try:
            self.logits(inputs)
        finally:
            handle.remove()
        return taken[0]


def restore(run: RunRecord) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The model of a finished run, in evaluation mode and float32, and what preprocesses its inputs.

    Returns:
        The module from preprocessed inputs [B, …] to logits [B, outputs], and the function from examples as the data
        set holds them [B, …] to what the module sees.

    Raises:
        UserError: a part that the run was made of is not here.
    """
    config = run_config(run.config)
    config = replace(config, model=config.model.restorable)
    shape = seen_shape(tuple(run.summary["image_shape"]), config.dataset.upscale)
    model = build(config, shape, len(run.summary["classes"]))
    model.load_state_dict(safetensors.torch.load_file(run.path / _WEIGHTS))
    return model.float().eval(), Preprocess.of(config.dataset, torch.float32, torch.device("cpu"))
