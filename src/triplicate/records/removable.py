"""What of the folders of sweeps can be removed, what that costs, and removing it.

The records of a finished run are never removed, nor anything of a sweep that a process is writing to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from triplicate.errors import UserError
from triplicate.records.checkpoints import FOLDER, Checkpoints
from triplicate.records.inspection import is_of_a_run, is_of_a_sweep
from triplicate.records.lock import is_locked, locked
from triplicate.records.run_folder import CHECKPOINT, FAILURE, SUMMARY, Damaged, forget_checkpoint, read_outline
from triplicate.records.sweep_folder import RUNS, SWEEP, read_sweep_record, run_folders


class Kind(Enum):
    """What can be removed. The value is its name on the command line."""

    PARTIAL = "partial"
    STALE = "stale"
    CHECKPOINT = "checkpoint"
    FAILED = "failed"
    EMPTY = "empty"

    @property
    def what(self) -> str:
        """For people."""
        return _WHAT[self][0]

    @property
    def cost(self) -> str:
        """What is lost with it."""
        return _WHAT[self][1]


_WHAT = {
    Kind.PARTIAL: ("half-written files and shared data that killed processes have left", "nothing"),
    Kind.STALE: ("checkpoints below checkpoints/ that no run goes on from", "nothing"),
    Kind.CHECKPOINT: (
        f"{CHECKPOINT} of finished runs",
        "the same run with more epochs starts from the beginning",
    ),
    Kind.FAILED: ("folders of runs that failed", "their logs; the same command trains them again either way"),
    Kind.EMPTY: ("sweeps without a finished run and without a checkpoint", "their logs, and what was asked for"),
}


# Of what is derived; the name of another may be that of a user's file.
_TABLES = ("table.csv", "table.md", "table.tex", "report.html")


@dataclass(frozen=True)
class Removable:
    """One file or folder.

    Attributes:
        sweep: that it is in, or is.
        size: in bytes.
    """

    kind: Kind
    path: Path
    sweep: Path
    size: int


@dataclass(frozen=True)
class Found:
    """What can be removed from some sweeps, and those that are left alone since a process is writing to them."""

    removable: tuple[Removable, ...]
    in_training: tuple[Path, ...]


def find(sweeps: Sequence[Path]) -> Found:
    """What can be removed. Nothing is."""
    readable = [sweep for sweep in sweeps if os.access(sweep, os.R_OK | os.X_OK)]
    busy = [sweep for sweep in readable if is_in_training(sweep)]
    return Found(tuple(one for sweep in readable if sweep not in busy for one in of_sweep(sweep)), tuple(busy))


def remove(found: Sequence[Removable]) -> tuple[list[Removable], list[Path]]:
    """Remove what was found and can still be, sweep by sweep; each is held so that none begins meanwhile.

    Returns:
        What was removed, and the sweeps that were left alone since a process began to write to them.

    Raises:
        OSError: a file or folder that the system does not let us remove.
    """
    removed: list[Removable] = []
    busy: list[Path] = []
    for sweep in dict.fromkeys(one.sweep for one in found):
        try:
            with locked(sweep):
                wanted = {(one.kind, one.path) for one in found if one.sweep == sweep}
                still = [one for one in of_sweep(sweep) if (one.kind, one.path) in wanted]
                removed += [one for one in still if _remove(one)]
        except UserError:
            busy.append(sweep)
    return removed, busy


def is_in_training(sweep: Path) -> bool:
    """Whether a process is writing to a sweep, or to a run of it that was launched by itself."""
    return is_locked(sweep) or any(is_locked(run) for run in run_folders(sweep))


def of_sweep(sweep: Path) -> Iterator[Removable]:
    """What can be removed from one sweep. What lies behind a link is not looked at."""
    runs = [run for run in run_folders(sweep) if not run.is_symlink()]
    if _is_empty(sweep, runs):
        yield _removable(Kind.EMPTY, sweep, sweep)
        return
    for path in _left_by_killed(sweep):
        yield _removable(Kind.PARTIAL, path, sweep)
    for path in _stale(sweep):
        yield _removable(Kind.STALE, path, sweep)
    for run in runs:
        if (run / CHECKPOINT).is_file() and _has_result(run):
            yield _removable(Kind.CHECKPOINT, run / CHECKPOINT, sweep)
        if (run / FAILURE).is_file() and not (run / SUMMARY).exists() and _is_ours(run):
            yield _removable(Kind.FAILED, run, sweep)


def _removable(kind: Kind, path: Path, sweep: Path) -> Removable:
    files = [path] if not path.is_dir() else [Path(at, name) for at, _, names in os.walk(path) for name in names]
    return Removable(kind, path, sweep, sum(file.lstat().st_size for file in files))


def _is_empty(sweep: Path, runs: Sequence[Path]) -> bool:
    """Whether nothing was trained that can be used, and nobody else's file is there."""
    if not (sweep / SWEEP).is_file():
        return False  # nobody knows whether it is one
    if any((run / SUMMARY).exists() for run in runs) or any((sweep / FOLDER).glob("*")):
        return False
    strange = (entry for entry in sweep.iterdir() if not is_of_a_sweep(entry, _TABLES) and not _is_left(entry))
    own_runs = (sweep / RUNS).iterdir() if (sweep / RUNS).is_dir() else ()
    return not any(strange) and all(run.is_dir() and not run.is_symlink() and _is_ours(run) for run in own_runs)


def _is_ours(run: Path) -> bool:
    """Whether a run folder holds nothing but what a run writes."""
    return all(is_of_a_run(entry) or entry.name == ".lock" or _is_left(entry) for entry in run.iterdir())


def _left_by_killed(sweep: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(sweep):
        left = [Path(at, name) for name in (*folders, *files) if _is_left(Path(at, name))]
        folders[:] = [name for name in folders if Path(at, name) not in left]
        yield from left


def _is_left(path: Path) -> bool:
    """Whether a process that was killed has left it: a half-written file, or data that its workers shared."""
    if path.is_symlink():
        return False
    is_partial = path.name.startswith(".") and path.name.endswith(".partial")
    return (is_partial and path.is_file()) or (path.name.startswith(".data-") and path.is_dir())


def _stale(sweep: Path) -> Iterator[Path]:
    """Checkpoints of stacks that have ended. Where nobody knows which have, none."""
    folder = sweep / FOLDER
    try:
        record = read_sweep_record(sweep)
    except Damaged:
        return
    if record is None or folder.is_symlink():
        return
    finished = _finished(sweep)
    begun = (cut for cut in record.cuts if not finished.issuperset(cut.fingerprints))
    kept = {path for cut in begun for path in Checkpoints(sweep, cut.fingerprints).paths()}
    yield from (path for path in sorted(folder.glob("*.safetensors")) if path not in kept and path.is_file())


def _finished(sweep: Path) -> set[str]:
    """The fingerprints of the runs that have a result."""
    found = set()
    for run in run_folders(sweep):
        with suppress(Damaged):
            summary = read_outline(run)
            found.add(str(summary.get("fingerprint")) if summary is not None else "")
    return found


def _has_result(run: Path) -> bool:
    """Whether a run has ended; one whose summary is damaged is trained again, and may need what is there."""
    try:
        return read_outline(run) is not None
    except Damaged:
        return False


def _remove(one: Removable) -> bool:
    """Remove one; whether it was there."""
    if not one.path.exists():
        return False
    if one.kind is Kind.CHECKPOINT:
        forget_checkpoint(one.path.parent)
    if one.path.is_dir():
        shutil.rmtree(one.path)
    else:
        one.path.unlink()
    if one.kind is Kind.STALE:
        with suppress(OSError):
            one.path.parent.rmdir()
    return True
