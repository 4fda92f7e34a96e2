"""All epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.parts import part
from triplicate.stopping import StoppingRule

if TYPE_CHECKING:
    from triplicate.measures.shared.epochs import EpochMetrics


@part("none")
@dataclass(frozen=True)
class AllEpochs(StoppingRule):
    """A run trains for all its epochs."""

    ends_early: ClassVar[bool] = False

    def reason(self, epochs: Sequence[EpochMetrics]) -> str | None:
        return None
