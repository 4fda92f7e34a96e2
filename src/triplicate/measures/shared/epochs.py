"""An epoch of a run: what it measured, as a line of metrics.csv, and which of several is the best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from triplicate.measures import History


@dataclass(frozen=True)
class EpochMetrics:
    """One line of metrics.csv. Losses are means over images; the others, but seconds, are fractions.

    Training loss and accuracy are as seen in training: each image when its batch was trained on;
    `evaluated_train_…` are those of the network after the epoch. `seconds` is the wall time of the epoch for the stack,
    evaluation included, divided by the runs in it.

    Attributes:
        test: column → value of further measures on the test images.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    test: Mapping[str, float] = field(default_factory=dict)
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    evaluated_train_loss: float | None = None
    evaluated_train_accuracy: float | None = None

    def columns(self) -> dict[str, float | None]:
        """The line by column, in the order of the file; None where nothing was measured."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        seconds, test = values.pop("seconds"), values.pop("test")
        first = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
        return {name: values.pop(name) for name in first} | dict(test) | values | {"seconds": seconds}

    def value(self, column: str) -> float | None:
        """One column of the line."""
        found: float | None = self.test[column] if column in self.test else getattr(self, column)
        return found


def best_tested(run: History) -> Mapping[str, Any]:
    """The epoch with the greatest test accuracy, the first of equals."""

    def accuracy(epoch: Mapping[str, Any]) -> float:
        return -1.0 if math.isnan(epoch["test_accuracy"]) else epoch["test_accuracy"]

    return max(run.epochs, key=accuracy)


def training_accuracy(columns: Container[str]) -> str:
    """The training accuracy to compare the test's with: as evaluated, else as seen, when the weights still moved."""
    return "evaluated_train_accuracy" if "evaluated_train_accuracy" in columns else "train_accuracy"
