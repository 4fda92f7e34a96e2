"""Trackers: other programs that are told of runs while they train. Every file here is one.

What they are told stands in the run folder too. A tracker may fail in any way: the run is finished none the less.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from triplicate.errors import UserError
from triplicate.parts import Part


class Ending(StrEnum):
    """How a run or a sweep has ended, as a tracker is told."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """It may go on later."""


@dataclass(frozen=True)
class TrackedSweep:
    """A sweep, as a tracker is told of it.

    Attributes:
        name: as in the key `name`.
        folder: absolute.
        command: that it was asked for by.
    """

    name: str
    folder: Path
    command: str

    @property
    def label(self) -> str:
        """What tells it from the other sweeps of its name: 'rates/2026-11-22_09-30-00.000000'."""
        return f"{self.name}/{self.folder.name}"


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker is told of it.

    Attributes:
        name: of its folder.
        sweep_id: what `Tracker.begin_sweep` gave.
        parameters: dotted key → value, of all keys that bear on the result, and the seed.
    """

    name: str
    folder: Path
    fingerprint: str
    sweep: TrackedSweep
    sweep_id: str
    parameters: Mapping[str, bool | int | float | str]


@dataclass(frozen=True)
class TrackedEpoch:
    """A row of metrics.csv.

    Attributes:
        number: of the epoch, from 1.
        measures: column → value, which may be NaN; without the columns that were not measured.
        time: when it ended, in seconds since 1970.
    """

    number: int
    measures: Mapping[str, float]
    time: float


class RunLog(ABC):
    """One run at a tracker.

    Attributes:
        id: by which the tracker finds it again; empty where it needs none.
    """

    id: str = ""

    @abstractmethod
    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        """Tell of the next epochs."""

    @abstractmethod
    def end(self, ending: Ending, measures: Mapping[str, float], cause: str = "") -> None:
        """The run has ended.

        Args:
            measures: those of summary.json; none where it has no result.
            cause: why it failed.
        """


@dataclass(frozen=True)
class Tracker(Part, kind="tracker", several=True):
    """A program that runs are logged to. Each process that trains calls it for its own runs, of which many may be open
    at once. Whatever it raises is told in a note, and the runs train without it.

    Attributes:
        package: that must be installed; empty: none.
        extra: of triplicate, which installs it.
    """

    package: ClassVar[str] = ""
    extra: ClassVar[str] = ""

    def check(self) -> None:
        """Refuse a tracker that cannot work, before anything trains. Nothing is imported for that.

        Raises:
            UserError: its package is not installed.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            command = shlex.join([sys.executable, "-m", "pip", "install", f"triplicate[{self.extra}]"])
            raise UserError(f"tracker {self.name}", f"{self.package} is not installed", f"install it by: {command}")

    def place(self) -> str:
        """Where it writes, as far as it is not the folder of the sweep: what it was told in another place it was not
        told here.
        """
        return ""

    def begin_sweep(self, sweep: TrackedSweep, known: str | None) -> str:
        """Begin what the runs of a sweep have in common, such as a parent run, or go on with it.

        Args:
            known: what this gave for the same sweep before; None: nothing.

        Returns:
            By what it is found again.
        """
        return ""

    def end_sweep(self, sweep: TrackedSweep, sweep_id: str, ending: Ending) -> None:
        """All runs of a command have ended."""
        return

    @abstractmethod
    def begin(self, run: TrackedRun, known: str | None, epochs: Sequence[TrackedEpoch]) -> RunLog:
        """Begin a run, or go on with one.

        Args:
            known: the id of the run to go on with; None: it is a new one.
            epochs: that it has had so far. Afterwards the tracker has each of them once, whatever it had before.
        """
