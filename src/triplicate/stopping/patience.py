"""Early stopping on the validation loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.parts import key, part
from triplicate.stopping import StoppingRule, best_epoch

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@part("patience")
@dataclass(frozen=True)
class Patience(StoppingRule):
    """A run ends when its validation loss has not fallen for some epochs (Prechelt, 1998)."""

    needs_validation: ClassVar[bool] = True

    patience: int = key(
        "end when the validation loss has not fallen below its least for so many epochs", unit="epochs", at_least=1
    )

    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        waited = epochs[-1].epoch - best_epoch(epochs)
        return "out of patience" if waited >= self.patience else None
