"""Early stopping on a measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.parts import key, part
from triplicate.stopping import StoppingRule, best_epoch

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@part("patience")
@dataclass(frozen=True)
class Patience(StoppingRule):
    """A run ends when a measure has not become better for some epochs (Prechelt, 1998)."""

    measure: str = key(
        "the measure that must become better: a loss by falling, any other measure by rising",
        parts="measure",
        formerly="validation_loss",
    )
    patience: int = key(
        "end when the measure has not been better than its best so far for this many epochs", unit="epochs", at_least=1
    )
    min_delta: float = key(
        "an improvement counts only if it is greater than this; accuracies are fractions", at_least=0, formerly=0.0
    )

    @property
    def goes_by(self) -> str:
        return self.measure

    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        waited = epochs[-1].epoch - best_epoch(epochs, self.measure, self.min_delta)
        return "out of patience" if waited >= self.patience else None
