"""Stopping rules: when a run ends before its last epoch. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.parts import Part, key

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@dataclass(frozen=True)
class StoppingRule(Part, kind="stopping"):
    """What a configuration names as `stopping`.

    Attributes:
        needs_validation: it goes by the validation images, so that some must be set apart.
    """

    needs_validation: ClassVar[bool] = False

    keep: str = key(
        "the weights that are kept and tested: of the last epoch, or of the one with the least validation loss",
        choices=("last", "best"),
    )

    @abstractmethod
    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        """Why a run ends after the last of these epochs (all it has had, at least one); None if it goes on."""


def best_epoch(epochs: Sequence[EpochMetrics]) -> int:
    """The epoch with the least validation loss, the first of equals; 0 where none has one that is a number."""
    known = [(e.validation_loss, e.epoch) for e in epochs if e.validation_loss is not None]
    finite = [pair for pair in known if pair[0] < float("inf")]
    return min(finite)[1] if finite else 0
