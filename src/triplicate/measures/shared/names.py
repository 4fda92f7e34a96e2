"""The names of measures in a configuration: `test_accuracy`, `mean_test_accuracy`, `test_accuracy@3`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from triplicate.errors import unknown_name
from triplicate.measures import Better, ConfusionMeasure, EpochMeasure, ExampleMeasure, Measure, RunMeasure
from triplicate.parts import classes

# Over the epochs of a run, of any column of metrics.csv: mean_test_loss.
OVER_EPOCHS: Mapping[str, str] = {"mean": "mean", "std": "std of", "min": "least", "max": "greatest"}

# Names in report.curves that are no columns: a panel for each set of images.
SPLIT_CURVES = ("loss", "accuracy")

_SPLITS: Mapping[str, str] = {
    "train": "training",
    "evaluated_train": "evaluated training",
    "test": "test",
    "validation": "validation",
}
# Taken in every epoch, shown or not, and in this order columns of metrics.csv.
_ALWAYS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Named:
    """A name taken apart.

    Attributes:
        column: of metrics.csv, or the measure of the whole run.
        over: what is taken over the epochs, as in `OVER_EPOCHS`; empty: nothing.
        epoch: the epoch that is shown; None: the tested one.
    """

    column: str
    part: Measure
    over: str = ""
    epoch: int | None = None

    @property
    def less_is_better(self) -> bool:
        """Of a loss, a time, a size or a deviation the smaller number is the better one, of all else the greater."""
        return self.part.better is Better.SMALLER or self.over == "std"

    def heading(self) -> str:
        """As a table for people names it."""
        if isinstance(self.part, _Missing):
            return self.column
        split = self.column.removesuffix(f"_{self.part.name}")
        heading = self.part.heading if split == self.column else f"{_SPLITS[split]} {self.part.heading}"
        over = f"{OVER_EPOCHS[self.over]} " if self.over else ""
        epoch = f", epoch {self.epoch}" if self.epoch is not None else ""
        return f"{over}{heading}{epoch}"


def columns() -> dict[str, Measure]:
    """Every measure by the name that a configuration gives it: a column of metrics.csv, or a measure of a run."""
    found: dict[str, Measure] = {}
    for name, cls in classes("measure").items():
        measure = cast("Measure", cls())
        if isinstance(measure, EpochMeasure):
            found |= {f"{split}_{name}": measure for split in measure.splits}
        else:
            found[name] = measure
    return found


def parse(name: str, subject: str = "report.measures") -> Named:
    """
    Args: `subject`, the key that an error is about.

    Raises:
        UserError: there is no such measure.
    """
    known = columns()
    named = _taken_apart(name, known)
    if named is None:
        raise unknown_name(subject, name, known)
    return named


def _taken_apart(name: str, known: Mapping[str, Measure]) -> Named | None:
    """A name by its parts; None where it is not of a known measure."""
    if name in known:
        return Named(name, known[name])
    column, _, epoch = name.partition("@")
    if column in known and epoch.isdecimal():
        return Named(column, known[column], epoch=int(epoch))
    over, _, column = name.partition("_")
    if over in OVER_EPOCHS and column in known:
        return Named(column, known[column], over)
    return None


def shown(name: str) -> Named:
    """The same for what a run has recorded: a measure whose part is not here is shown by its column."""
    return _taken_apart(name, columns()) or Named(name, _Missing())


@dataclass(frozen=True)
class _Missing(Measure):
    """Stands for a measure from outside that is not here any more."""


def evaluated(names: Iterable[str]) -> dict[str, ExampleMeasure | ConfusionMeasure]:
    """Column → the measures on the test images that a run takes after each epoch: some always, others if named."""
    known = columns()
    always = {f"test_{name}": known[f"test_{name}"] for name in _ALWAYS}
    found = (_taken_apart(name, known) for name in names)  # a plot such as `loss` is no measure
    wanted = {named.column: named.part for named in found if named is not None}
    both = always | wanted
    return {name: part for name, part in both.items() if isinstance(part, ExampleMeasure | ConfusionMeasure)}


def of_runs() -> dict[str, RunMeasure]:
    """The measures of a whole run by name."""
    return {name: part for name, part in columns().items() if isinstance(part, RunMeasure)}
