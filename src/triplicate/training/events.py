"""What the engine tells while a stack trains. Who listens need not have loaded torch."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.gradients import GradientRow

if TYPE_CHECKING:
    from torch import Tensor

    from triplicate.training.state import StackState


class Status(enum.StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class StepsDone:
    """So many steps more were trained, counted over all runs of the stack; none at the end of an epoch.

    Attributes:
        state: what `fit` goes on from: all that the stack needs, copied. Only to be called before the next event.
    """

    run_steps: int
    state: Callable[[], StackState]


@dataclass(frozen=True)
class EpochEnd:
    """One run has finished an epoch.

    Attributes:
        step_losses: [steps], its loss (mean over the batch) at each step of the epoch.
        step_accuracies: [steps], the fraction of each batch that it had right.
        is_last_of_stack: all runs of the stack have now finished this epoch.
    """

    run: int
    metrics: EpochMetrics
    step_losses: Tensor
    step_accuracies: Tensor
    is_last_of_stack: bool


@dataclass(frozen=True)
class RunEnd:
    """One run has left the stack.

    Attributes:
        diverged_step: the step (the first is 1) whose loss was not finite, if any was; the last one of the epoch where
            only a loss of its evaluation was not.
        stopped: why a stopping rule ended it, if one did.
        tested_epoch: the epoch that weights and confusion are of: the last one, or the best.
        confusion: [classes, classes] counts over the test images: true class, predicted class.
        weights: the state dict of the run's own model.
        parameters: how many numbers were trained.
        gradients: the gradient trace, up to the step of divergence.
        state: of this run alone, for a longer one to go on from; None where it has not had all of its epochs.
    """

    run: int
    status: Status
    diverged_step: int | None
    stopped: str | None
    tested_epoch: int
    confusion: Tensor
    weights: Mapping[str, Tensor]
    parameters: int
    gradients: Sequence[GradientRow]
    state: StackState | None


Event = StepsDone | EpochEnd | RunEnd
