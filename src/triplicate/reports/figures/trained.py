"""What a run has learned, read from its folder when a figure first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import safetensors.torch
import torch
from torch import Tensor, nn

from triplicate.records.run_folder import RunRecord

# Points of a plane that a network sees at once.
_BATCH = 8192


class Trained:
    """The network of a finished run and the test examples that were kept beside it."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return [str(name) for name in self.run.summary["classes"]]

    @cached_property
    def samples(self) -> tuple[Tensor, Tensor] | None:
        """Inputs, uint8 [n, channels, height, width] or points [n, 2], and labels [n]; None where none were kept."""
        path = self.run.path / "samples.safetensors"
        if not path.is_file():
            return None
        kept = safetensors.torch.load_file(path)
        return kept["inputs"], kept["labels"]

    @cached_property
    def _restored(self) -> tuple[nn.Module, Callable[[Tensor], Tensor]] | None:
        if not (self.run.path / "weights.safetensors").is_file():
            return None
        from triplicate.models.restore import restore  # here: only few figures need a network

        network, prepare = restore(self.run)
        # A run that diverged has nothing to show.
        sound = all(bool(torch.isfinite(weights).all()) for weights in network.state_dict().values())
        return (network, prepare) if sound else None

    @cached_property
    def convolutions(self) -> list[nn.Conv2d]:
        """The convolutions in the order in which the network defines them; empty without weights."""
        if self._restored is None:
            return []
        return [module for module in self._restored[0].modules() if isinstance(module, nn.Conv2d)]

    def scores(self, inputs: Tensor) -> Tensor | None:
        """Raw inputs [n, …] → scores [n, outputs]; None without weights."""
        if self._restored is None:
            return None
        network, prepare = self._restored
        with torch.inference_mode():
            parts = [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
            return torch.cat([network(prepare(part)).reshape(len(part), -1) for part in parts])

    def maps(self, inputs: Tensor, convolution: nn.Conv2d) -> Tensor:
        """What one of the `convolutions` gives for raw inputs [n, …]: maps [n, channels, height, width]."""
        taken: list[Tensor] = []

        def take(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            taken.append(output.clone())  # an activation may write over it

        handle = convolution.register_forward_hook(take)
        try:
            self.scores(inputs)
        finally:
            handle.remove()
        return taken[0]
