"""The networks of a stack over a set of images: mean loss, counts of classes, and further measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.measures import ExampleMeasure
from triplicate.training.batches import Selection, spans
from triplicate.training.network import StackNetwork
from triplicate.training.objective import Objective

# Larger images are evaluated fewer at a time: so many numbers of input.
_EVALUATION_NUMBERS = 500 * 3 * 32 * 32


@dataclass(frozen=True)
class Evaluation:
    """What a stack of R runs gives for some images.

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


@torch.no_grad()
def evaluate(
    network: StackNetwork,
    selection: Selection,
    objective: Objective,
    classes: int,
    measures: Mapping[str, ExampleMeasure],
) -> Evaluation:
    """Run a stacked network over all images of a selection."""
    network.eval()
    runs = len(selection.order_of_run)
    device = selection.order_of_run.device
    total = torch.zeros(runs, dtype=torch.float64, device=device)
    sums = {column: torch.zeros_like(total) for column in measures}
    counts = torch.zeros(runs * classes * classes, dtype=torch.long, device=device)
    offsets = torch.arange(runs, device=device).unsqueeze(1) * classes * classes
    numbers = selection.preprocess.numbers(selection.images)
    size = max(1, min(network.evaluation_batch, _EVALUATION_NUMBERS // numbers))
    for start, stop in spans(len(selection), size):
        inputs, labels = selection.batch(selection.indices[:, start:stop])
        logits = network(inputs)
        total += objective.per_example(logits, labels).sum(1).double()
        for column, measure in measures.items():
            sums[column] += measure.per_example(logits, labels).sum(1).double()
        cells = offsets + labels * classes + objective.predictions(logits)
        counts += torch.bincount(cells.flatten(), minlength=len(counts))
    network.train()
    images = len(selection)
    means = {column: of_all / images for column, of_all in sums.items()}
    return Evaluation(total / images, counts.view(runs, classes, classes), means)
