"""Measures: what tables and plots show of a run. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import Tensor


class Shown(Enum):
    """How people read a measure: the format of its numbers."""

    NUMBER = ".4f"
    PERCENT = ".2f"
    """A fraction in files, percent for people."""
    TENTHS = ".1f"
    WHOLE = ",.0f"


class Better(Enum):
    """Which of two numbers of a measure is the better one, in the words of those who search."""

    GREATER = "maximize"
    SMALLER = "minimize"


@dataclass(frozen=True)
class Measure(Part, kind="measure", has_group=False):
    """What a configuration names in `report.measures`, `report.bars` and `report.curves`.

    Attributes:
        heading: in a table for people.
        shown: the format of its numbers.
        better: whether a greater number is better, or a smaller one, or nobody can say.
        of_machine: it depends on the machine, so that published numbers of it cannot be compared: a time, memory.
    """

    heading: ClassVar[str]
    shown: ClassVar[Shown] = Shown.NUMBER
    better: ClassVar[Better | None] = None
    of_machine: ClassVar[bool] = False


@dataclass(frozen=True)
class EpochMeasure(Measure):
    """A column of metrics.csv for each set of images that it is measured on: `test_accuracy`, `train_accuracy`.

    Attributes:
        splits: the sets of images, as their column names begin.
    """

    splits: ClassVar[tuple[str, ...]] = ("test",)


@dataclass(frozen=True)
class ExampleMeasure(EpochMeasure):
    """The mean over the test examples of a number that each has. It is taken where a configuration names it."""

    @abstractmethod
    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits [R, B, outputs] and labels [R, B] of a stack of R runs → a number for each example [R, B]."""


@dataclass(frozen=True)
class ConfusionMeasure(EpochMeasure):
    """A number that the counts of true and predicted classes tell."""

    @abstractmethod
    def of_counts(self, counts: Tensor) -> float:
        """Counts [classes, classes] over the test images, true class by predicted class → a number."""


@dataclass(frozen=True)
class History:
    """What a measure of a whole run goes by.

    Attributes:
        epochs: the lines of metrics.csv, each a mapping from column to number; None or NaN where there is none.
        measures: of the tested epoch, and `parameters`, `peak_memory_mib`, `tested_epoch` and `images` (trained on in
            an epoch).
        config: the configuration as plain values.
    """

    epochs: Sequence[Mapping[str, Any]]
    measures: Mapping[str, float | None]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class RunMeasure(Measure):
    """One number of a whole run, from what its folder tells."""

    is_exact: ClassVar[bool] = False
    """The same for all seeds: shown without a deviation."""

    @abstractmethod
    def of_run(self, run: History) -> float | None:
        """The number; None or NaN where the run has none."""
