"""What is measured: losses, accuracies, confusion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.training.batches import Selection, spans
from triplicate.training.losses import Loss
from triplicate.training.stack import Network

# Larger images are evaluated fewer at a time: so many numbers of input.
_EVALUATION_NUMBERS = 500 * 3 * 32 * 32


@dataclass(frozen=True)
class EpochMetrics:
    """One row of metrics.csv. Losses are means over images; the others, but seconds, are fractions.

    Training loss and accuracy are as seen in training: each image when its batch was trained on;
    `evaluated_train_…` are those of the network after the epoch. Precision, recall and F1 are means over
    the classes. `seconds` is the run's share of the wall time of the epoch, evaluation included: the time
    of the stack divided by the runs in it.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    test_precision: float
    test_recall: float
    test_f1: float
    validation_loss: float | None
    validation_accuracy: float | None
    evaluated_train_loss: float | None
    evaluated_train_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of every class [classes], each a fraction."""

    precision: Tensor
    recall: Tensor
    f1: Tensor


def by_class(confusion: Tensor) -> ClassScores:
    """From counts [classes, classes] (true class, predicted class).

    A class that was never predicted has precision 0, one without images recall 0, as in scikit-learn.
    """
    counts = confusion.double()
    hits, predicted, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    return ClassScores(
        precision=hits / predicted.clamp(min=1),
        recall=hits / true.clamp(min=1),
        f1=2 * hits / (predicted + true).clamp(min=1),
    )


@dataclass(frozen=True)
class Evaluation:
    """Mean loss [R] and confusion counts [R, classes, classes] (true class, predicted class) of a stack."""

    loss: Tensor
    confusion: Tensor

    def accuracy(self) -> Tensor:
        """The fraction of images [R] whose predicted class is their label."""
        hits = self.confusion.diagonal(dim1=1, dim2=2).sum(1)
        return hits.double() / self.confusion.sum((1, 2))


@torch.no_grad()
def evaluate(network: Network, selection: Selection, loss: Loss, classes: int) -> Evaluation:
    """Run a stacked network over all images of a selection."""
    network.eval()
    runs = len(selection.order_of_run)
    device = selection.order_of_run.device
    total = torch.zeros(runs, dtype=torch.float64, device=device)
    counts = torch.zeros(runs * classes * classes, dtype=torch.long, device=device)
    offsets = torch.arange(runs, device=device).unsqueeze(1) * classes * classes
    size = max(1, min(network.evaluation_batch, _EVALUATION_NUMBERS // selection.scaling.numbers(selection.images)))
    for start, stop in spans(len(selection), size):
        inputs, labels = selection.batch(selection.indices[:, start:stop])
        scores = network(inputs)
        total += loss.each(scores, labels).sum(1).double()
        cells = offsets + labels * classes + loss.predictions(scores)
        counts += torch.bincount(cells.flatten(), minlength=len(counts))
    network.train()
    return Evaluation(total / len(selection), counts.view(runs, classes, classes))
