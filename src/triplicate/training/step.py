"""One training step of a stack: a function from indices of images to what is seen of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triplicate.training.augmenting import Augmenting
from triplicate.training.batches import Selection
from triplicate.training.cuda_graphs import Recorder
from triplicate.training.network import StackNetwork, logits_of
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
    autocast: torch.dtype | None = None
    augmenting: Augmenting | None = None

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """Train on the images with these indices [S, B], one line for each order of images."""
        inputs, labels = self.images.batch(chosen, self.augmenting)
        logits = logits_of(self.network, inputs, self.autocast)
        network, rates = self.network, None if traced else self.optimizer.plain_rates()
        descends = rates is not None and network.can_descend()
        weight = self.objective.weight(labels.shape[1])
        weights = -weight * rates.unsqueeze(1) if rates is not None and descends else weight
        with torch.no_grad():
            losses, gradient = self.objective.differentiated(logits, labels, weights)
            correct = (self.objective.predictions(logits) == labels).sum(1)
            seen = Seen(losses.mean(1), correct, None)
        if descends:
            network.descend(logits, gradient)
            return seen
        return replace(seen, gradients=self._update(logits, gradient, traced))

    def _update(self, logits: Tensor, gradient: Tensor, traced: bool) -> Tensor | None:
        """Update the parameters; what the trace keeps of the gradients, if this step is traced."""
        self.network.backward(logits, gradient)
        measured = self.trace.measure(self.network.gradients(), len(logits)) if traced else None
        self.optimizer.step(self.network)
        return measured

    def tensors(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        parameters = [p.detach() for p in self.network.trainable().values()]
        return [*parameters, *self.network.buffers(), *self.optimizer.state()]


class RecordedStep:
    """A step as CUDA graphs: one for each size of batch, traced or not."""

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step, self._recorder = step, recorder

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """What the step does. The tensors are overwritten by the next call, but for the gradients."""
        step = functools.partial(self._step, traced=traced)
        # What a graph holds of the rates is a part of its name.
        name = ("step", traced, self._step.optimizer.fixed_rates())
        seen = self._recorder.run(name, step, self._step.tensors, chosen)
        return replace(seen, gradients=None if seen.gradients is None else seen.gradients.clone())
