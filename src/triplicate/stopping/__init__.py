"""Stopping rules: when a run ends before its last epoch. Every file here is one."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.measures.shared.names import parse
from triplicate.parts import Part, key

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@dataclass(frozen=True)
class StoppingRule(Part, kind="stopping"):
    """What a configuration names as `stopping`.

    Attributes:
        ends_early: a run may end before its last epoch.
    """

    ends_early: ClassVar[bool] = True

    keep: str = key(
        "the weights that are kept and tested: of the last epoch, or of the best by the measure of the rule, or by the "
        "validation loss where it has none",
        choices=("last", "best"),
    )

    @property
    def goes_by(self) -> str | None:
        """The column of metrics.csv that the rule goes by and that must be measured; None: it needs none of its own."""
        return None

    @property
    def best_by(self) -> str:
        """The column of metrics.csv whose best number makes the best epoch."""
        return self.goes_by or "validation_loss"

    @abstractmethod
    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        """Why a run ends after the last of these epochs (all it has had, at least one); None if it goes on."""


def best_epoch(epochs: Sequence[EpochMetrics], column: str, min_delta: float = 0.0) -> int:
    """The epoch with the best number in a column of metrics.csv; 0 where none has a finite one.

    Args:
        min_delta: an epoch is only better where it is so by more than this: of equals the first is the best.
    """
    sign = -1.0 if parse(column).less_is_better else 1.0
    best, found = -math.inf, 0
    for epoch in epochs:
        number = epoch.value(column)
        if number is not None and math.isfinite(number) and (found == 0 or sign * number > best + min_delta):
            best, found = sign * number, epoch.epoch
    return found
