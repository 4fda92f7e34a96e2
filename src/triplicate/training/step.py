"""One training step of a stack: a function from indices of images to what is seen of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.training.batches import Selection
from triplicate.training.network import Batched, StackNetwork
from triplicate.training.objective import Objective
from triplicate.training.optimizer import StackOptimizer
from triplicate.training.traces import GradientTrace


@dataclass(frozen=True)
class Seen:
    """A batch as seen in training.

    Attributes:
        losses: [R], means over the batch.
        correct: [R], images whose predicted class was their label.
        gradients: [R, tensors, 3], what the trace keeps of a step; None at other steps.
    """

    losses: Tensor
    correct: Tensor
    gradients: Tensor | None


@dataclass(frozen=True)
class Step:
    """The step, and all that it changes. It waits for no result, so that it can be a CUDA graph."""

    network: StackNetwork
    optimizer: StackOptimizer
    objective: Objective
    images: Selection
    trace: GradientTrace

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """Train on the images with these indices [S, B], one line for each order of images."""
        inputs, labels = self.images.batch(chosen)
        logits = self.network(inputs)
        per_example = self.objective.per_example(logits, labels)
        gradients = self._update(self.objective.of_batch(per_example), traced)
        with torch.no_grad():
            correct = (self.objective.predictions(logits) == labels).sum(1)
            return Seen(per_example.mean(1), correct, gradients)

    def _update(self, losses: Tensor, traced: bool) -> Tensor | None:
        """Update the parameters; what the trace keeps of the gradients, if this step is traced."""
        network, rates = self.network, None if traced else self.optimizer.plain_rates()
        if rates is not None and isinstance(network, Batched) and network.can_descend():
            network.descend(losses, rates)
            return None
        network.backward(losses)
        measured = self.trace.measure(network.gradients(), len(losses)) if traced else None
        self.optimizer.step(network)
        return measured

    def tensors(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        return [*self.network.blocks(), *self.network.buffers(), *self.optimizer.state()]
