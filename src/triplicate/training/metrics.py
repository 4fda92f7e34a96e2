"""What is measured: losses, accuracies, confusion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from triplicate.training.batches import Selection, spans

# Large enough for fast products, small enough that the activations of a dozen runs stay in the cache.
_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class EpochMetrics:
    """One row of metrics.csv. Losses are means over images, accuracies are fractions.

    Training loss and accuracy are as seen in training: each image when its batch was trained on.
    `seconds` is the run's share of the wall time of the epoch, evaluation included: the time of the
    stack divided by the runs in it.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Mean loss [R] and confusion counts [R, classes, classes] (true class, predicted class) of a stack."""

    loss: Tensor
    confusion: Tensor

    def accuracy(self) -> Tensor:
        """The fraction of images [R] whose highest score is their label's."""
        hits = self.confusion.diagonal(dim1=1, dim2=2).sum(1)
        return hits.double() / self.confusion.sum((1, 2))


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each run, mean over its batch: scores [R, B, classes], labels [R, B] → [R]."""
    losses = functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(1)


@torch.no_grad()
def evaluate(network: nn.Module, selection: Selection, classes: int) -> Evaluation:
    """Run a stacked network over all images of a selection."""
    network.eval()
    runs = len(selection.order_of_run)
    device = selection.order_of_run.device
    loss = torch.zeros(runs, dtype=torch.float64, device=device)
    counts = torch.zeros(runs * classes * classes, dtype=torch.long, device=device)
    offsets = torch.arange(runs, device=device).unsqueeze(1) * classes * classes
    for start, stop in spans(len(selection), _EVALUATION_BATCH):
        pixels, labels = selection.batch(start, stop)
        scores = network(pixels)
        loss += cross_entropy(scores, labels).double() * (stop - start)
        cells = offsets + labels * classes + scores.argmax(-1)
        counts += torch.bincount(cells.flatten(), minlength=len(counts))
    network.train()
    return Evaluation(loss / len(selection), counts.view(runs, classes, classes))
