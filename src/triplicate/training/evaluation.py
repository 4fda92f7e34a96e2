"""The networks of a stack over a set of images: mean loss, counts of classes, and further measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.measures import ConfusionMeasure, ExampleMeasure
from triplicate.training.batches import Selection, spans
from triplicate.training.cuda_graphs import Recorder
from triplicate.training.network import StackNetwork, logits_of
from triplicate.training.objective import Objective

# Larger images are evaluated fewer at a time: so many numbers of input.
_EVALUATION_NUMBERS = 500 * 3 * 32 * 32


@dataclass(frozen=True)
class Evaluation:
    """What a stack of R runs gives for some images, on the CPU.

    Attributes:
        loss: the mean [R].
        confusion: counts [R, classes, classes] (true class, predicted class).
        means: column → the mean [R] of a measure that each example has.
    """

    loss: Tensor
    confusion: Tensor
    means: Mapping[str, Tensor]

    def accuracy(self) -> Tensor:
        """The fraction of images [R] whose predicted class is their label."""
        correct = self.confusion.diagonal(dim1=1, dim2=2).sum(1)
        return correct.double() / self.confusion.sum((1, 2))

    def values(self, measures: Mapping[str, ExampleMeasure | ConfusionMeasure], place: int) -> dict[str, float]:
        """Column → further measures of the run at a place."""
        counts = self.confusion[place]
        return {
            column: part.of_counts(counts) if isinstance(part, ConfusionMeasure) else float(self.means[column][place])
            for column, part in measures.items()
        }


def evaluation_batches(network: StackNetwork, selection: Selection) -> Iterator[Tensor]:
    """The indices [S, B] of the images that are evaluated at once."""
    numbers = selection.preprocess.numbers(selection.images)
    size = max(1, min(network.evaluation_batch, _EVALUATION_NUMBERS // numbers))
    for start, stop in spans(len(selection), size):
        yield selection.indices[:, start:stop]


class Evaluator:
    """Runs a stacked network over all images of a selection. It waits for the device once, at the end."""

    def __init__(
        self,
        network: StackNetwork,
        selection: Selection,
        objective: Objective,
        classes: int,
        measures: Mapping[str, ExampleMeasure],
        autocast: torch.dtype | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Args: `recorder`, of CUDA graphs; None: every batch is computed anew."""
        self._autocast = autocast
        self._network, self._selection, self._objective, self._recorder = network, selection, objective, recorder
        self._classes, self._measures = classes, measures
        runs, device = len(selection.order_of_run), selection.indices.device
        # Sums over the images: the loss, then each measure.
        self._sums = torch.zeros((1 + len(measures), runs), dtype=torch.float64, device=device)
        self._counts = torch.zeros(runs * classes * classes, dtype=torch.long, device=device)
        self._offsets = torch.arange(runs, device=device).unsqueeze(1) * classes * classes
        self._one = torch.ones((), dtype=torch.long, device=device)

    @torch.no_grad()
    def __call__(self) -> Evaluation:
        """The network as it is now."""
        self._sums.zero_()
        self._counts.zero_()
        self._network.eval()
        for chosen in evaluation_batches(self._network, self._selection):
            if self._recorder is None:
                self._add(chosen)
            else:
                self._recorder.run(self, self._add, lambda: [self._sums, self._counts], chosen)
        self._network.train()
        return self._gathered()

    def _add(self, chosen: Tensor) -> None:
        """Add the images with these indices [S, B]."""
        inputs, labels = self._selection.batch(chosen)
        logits = logits_of(self._network, inputs, self._autocast)
        rules = [self._objective.per_example, *(measure.per_example for measure in self._measures.values())]
        for total, rule in zip(self._sums, rules, strict=True):
            total += rule(logits, labels).sum(1)
        cells = self._offsets + labels * self._classes + self._objective.predictions(logits)
        self._counts.scatter_add_(0, cells.flatten(), self._one.expand(cells.numel()))

    def _gathered(self) -> Evaluation:
        """All sums and counts, in one copy from the device. Counts are exact in float64."""
        images, parts = len(self._selection), 1 + len(self._measures)
        numbers = torch.cat([self._sums.flatten(), self._counts.double()]).cpu()
        means = numbers[: self._sums.numel()].view(parts, -1) / images
        confusion = numbers[self._sums.numel() :].long().view(-1, self._classes, self._classes)
        return Evaluation(means[0], confusion, dict(zip(self._measures, means[1:], strict=True)))
