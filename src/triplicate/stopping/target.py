"""A test accuracy that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.parts import key, part
from triplicate.stopping import StoppingRule

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@part("target")
@dataclass(frozen=True)
class Target(StoppingRule):
    """A run ends when its test accuracy reaches a target, or no longer moves."""

    target_accuracy: float | None = key(
        "end when the test accuracy reaches this fraction; null: no target", above=0, at_most=1
    )
    unchanged: int | None = key(
        "end when the test accuracy was exactly the same for this many epochs in a row; null: never",
        unit="epochs",
        at_least=2,
    )

    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        accuracies = [e.test_accuracy for e in epochs]
        if self.target_accuracy is not None and accuracies[-1] >= self.target_accuracy:
            return "target reached"
        if self.unchanged is None or len(epochs) < self.unchanged:
            return None
        is_same = all(accuracy == accuracies[-1] for accuracy in accuracies[-self.unchanged :])
        return "accuracy unchanged" if is_same else None
