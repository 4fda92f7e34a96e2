"""A sweep in outline: what its small files tell, so that a thousand sweeps can be listed.

sweep.json and every summary.json are read, and compared with the hash that they hold. The other files are counted, not
read: `inspection.py` compares them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from triplicate.records.lock import is_locked
from triplicate.records.run_folder import SUMMARY, Damaged, read_failure, read_outline
from triplicate.records.sweep_folder import RUNS, SWEEP, SweepRecord, Wanted, read_sweep_record, run_folders


class State(Enum):
    """What became of a run."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"
    DAMAGED = "damaged"
    MISSING = "missing"
    """It was asked for and has no result: it has not begun, is in training, or was interrupted."""


@dataclass(frozen=True)
class RunOutline:
    """One run.

    Attributes:
        wanted: what its sweep says of it; None: its sweep does not ask for it.
        setting: equal for the runs of one row of a table; empty where nobody knows.
        overrides: what its command set: key → value as typed.
        measures: of one that has a result.
        finished_at: the same, in ISO 8601; empty.
        cause: why it failed, or how it is damaged.
    """

    folder: Path
    state: State
    wanted: Wanted | None
    setting: str
    overrides: Mapping[str, str]
    measures: Mapping[str, float | None]
    finished_at: str
    cause: str


@dataclass(frozen=True)
class SweepOutline:
    """One sweep.

    Attributes:
        record: what was asked for; None where nobody knows.
        problem: with sweep.json, or with the folder; empty: none.
        size: of all its files, in bytes.
        is_in_training: a process is writing to it.
    """

    folder: Path
    record: SweepRecord | None
    problem: str
    runs: tuple[RunOutline, ...]
    size: int
    is_in_training: bool

    @property
    def name(self) -> str:
        """As its command called it, else as its folder is called."""
        return self.record.experiment or self.record.name if self.record is not None else self.folder.absolute().name

    @property
    def ended(self) -> datetime | None:
        """When its newest run ended; where none has, when it was begun; None where nobody knows."""
        told = [run.finished_at for run in self.runs if run.finished_at]
        try:
            if told:
                return max(map(datetime.fromisoformat, told))
            return datetime.fromtimestamp((self.folder / SWEEP).stat().st_mtime, UTC)
        except (OSError, ValueError, TypeError):
            return None

    def count(self, state: State) -> int:
        """How many of its runs are in a state."""
        return sum(run.state is state for run in self.runs)


def outline(folder: Path) -> SweepOutline:
    """What the small files of a sweep tell. What is damaged is told of, never raised."""
    record, problem = None, ""
    try:
        record = read_sweep_record(folder)
        problem = "" if record is not None else f"{SWEEP} is missing"
    except Damaged as damage:
        problem = f"{damage.path.name}: {damage.problem}"
    except OSError:
        return SweepOutline(folder, None, "it cannot be read", (), 0, False)
    try:
        size, runs = _size(folder), tuple(_runs(folder, record))
    except OSError as error:
        problem = f"{error.filename}: it cannot be read ({error.strerror})"
        size, runs = 0, ()
    return SweepOutline(folder, record, problem, runs, size, is_locked(folder))


def outline_of_run(folder: Path, wanted: Wanted | None = None) -> RunOutline:
    """What the small files of a run tell.

    Args:
        wanted: what its sweep says of it.
    """
    overrides = wanted.overrides if wanted is not None else {}
    setting = wanted.setting if wanted is not None else ""

    def without(state: State, cause: str = "") -> RunOutline:
        return RunOutline(folder, state, wanted, setting, overrides, {}, "", cause)

    try:
        summary = read_outline(folder)
    except Damaged as damage:
        return without(State.DAMAGED, f"{damage.path.name}: {damage.problem}")
    if summary is not None:
        return _with_result(folder, wanted, summary)
    cause = read_failure(folder)
    return without(State.MISSING) if cause is None else without(State.FAILED, cause)


def _with_result(folder: Path, wanted: Wanted | None, summary: Mapping[str, Any]) -> RunOutline:
    overrides = {str(key): str(value) for key, value in summary["overrides"].items()}
    without_seed = {key: value for key, value in overrides.items() if key != "seed"}
    return RunOutline(
        folder=folder,
        state=State.DIVERGED if summary["status"] == "diverged" else State.FINISHED,
        wanted=wanted,
        setting=summary.get("setting", str(sorted(without_seed.items()))),  # older versions wrote none
        overrides=overrides,
        measures=summary["measures"],
        finished_at=summary["finished_at"],
        cause="",
    )


def _runs(folder: Path, record: SweepRecord | None) -> Iterator[RunOutline]:
    """Those that were asked for, in the order of the command, then those that are there besides."""
    wanted = record.wanted if record is not None else ()
    yield from (outline_of_run(folder / RUNS / run.folder, run) for run in wanted)
    asked = {run.folder for run in wanted}
    others = (path for path in run_folders(folder) if path.name not in asked)
    yield from (outline_of_run(path) for path in others if (path / SUMMARY).exists() or record is None)


def _size(folder: Path) -> int:
    def refuse(error: OSError) -> None:
        raise error

    paths = (Path(at, name) for at, _, files in os.walk(folder, onerror=refuse) for name in files)
    return sum(path.lstat().st_size for path in paths)
