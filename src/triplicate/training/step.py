"""One training step of a stack: a function from indices of images to what is seen of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.training.batches import Selection
from triplicate.training.losses import Loss
from triplicate.training.optimizers import Optimizer
from triplicate.training.stack import Batched, Network
from triplicate.training.traces import GradientTrace


@dataclass(frozen=True)
class Seen:
    """A batch as seen in training.

    Attributes:
        losses: [R], means over the batch.
        hits: [R], images whose class was right.
        gradients: [R, tensors, 3], what the trace keeps of a step; None at other steps.
    """

    losses: Tensor
    hits: Tensor
    gradients: Tensor | None


@dataclass(frozen=True)
class Step:
    """The step, and all that it changes. It waits for no result, so that a GPU can record it."""

    network: Network
    optimizer: Optimizer
    loss: Loss
    images: Selection
    trace: GradientTrace

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """Train on the images with these indices [S, B], a row for each order of images."""
        inputs, labels = self.images.batch(chosen)
        scores = self.network(inputs)
        each = self.loss.each(scores, labels)
        gradients = self._update(self.loss.objective(each), traced)
        with torch.no_grad():
            return Seen(each.mean(1), (self.loss.predictions(scores) == labels).sum(1), gradients)

    def _update(self, objective: Tensor, traced: bool) -> Tensor | None:
        """Update the parameters; what the trace keeps of the gradients, if this step is traced."""
        network, rates = self.network, None if traced else self.optimizer.plain_rates()
        if rates is not None and isinstance(network, Batched) and network.can_descend():
            network.descend(objective, rates)
            return None
        network.backward(objective)
        measured = self.trace.measure(network.gradients(), len(objective)) if traced else None
        self.optimizer.step(network.blocks(), network.gradient_blocks())
        return measured

    def tensors(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        return [*self.network.blocks(), *self.network.buffers(), *self.optimizer.state()]
