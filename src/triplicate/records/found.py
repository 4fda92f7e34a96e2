"""Where sweeps and runs are: what a folder that a user names is, or why it is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from triplicate.errors import UserError
from triplicate.files.regular import unreadable
from triplicate.records.run_folder import FAILURE, SUMMARY, Damaged
from triplicate.records.sweep_folder import RUNS, SWEEP, read_sweep_record, run_folders


def sweeps_below(folder: Path) -> list[Path]:
    """Every sweep in a folder and below, by path. Links to folders are not followed, and sweeps not searched.

    Folders below that cannot be looked at are among them: nobody knows what they are.

    Raises:
        UserError: it is not there, is no folder, or cannot be looked at.
    """
    _need_folder(folder, "name another folder, or train a sweep first")
    return sorted(_sweeps(folder))


def sweep_folder(folder: Path) -> Path:
    """The folder of one sweep, as it is named.

    Raises:
        UserError: it is something else.
    """
    _need_folder(folder)
    if is_sweep(folder):
        return folder
    if is_run(folder):
        remedy = f"name its sweep: {sweep_of(folder) or 'the folder that it is in'}"
        raise UserError(str(folder), "it is a run, not a sweep", remedy)
    if next(_sweeps(folder), None) is not None:
        raise UserError(str(folder), "it is no sweep, but several are below it", f"see triplicate list {folder}")
    raise UserError(str(folder), "it is no sweep", "name the folder that a sweep has written; see triplicate list")


def run_folder(folder: Path) -> Path:
    """The folder of one run. A sweep of one run stands for it.

    Raises:
        UserError: it is something else, or a sweep of several runs.
    """
    if _was_asked_for(folder):
        return folder
    _need_folder(folder)
    if is_run(folder):
        return folder
    if not is_sweep(folder):
        raise UserError(str(folder), "it is no run", "name the folder of one: DIR/runs/…; see triplicate list")
    runs = run_folders(folder)
    if len(runs) == 1:
        return runs[0]
    how = f"name one of them; triplicate best {folder} --path prints the best" if runs else "train it first"
    raise UserError(str(folder), f"it is a sweep of {len(runs)} runs", how)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep, perhaps a damaged one."""
    return (folder / SWEEP).is_file() or (folder / RUNS).is_dir()


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, finished or not."""
    in_sweep = folder.absolute().parent.name == RUNS
    return any((folder / name).is_file() for name in (SUMMARY, FAILURE)) or (in_sweep and folder.is_dir())


def sweep_of(run: Path) -> Path | None:
    """The folder of the sweep that a run is in; None where it was moved out of one."""
    path = run.absolute()
    if path.parent.name != RUNS:
        return None
    return run.parent.parent if len(run.parts) > 2 else path.parent.parent


def _was_asked_for(folder: Path) -> bool:
    """Whether a sweep asked for a run that has left no folder so far."""
    sweep = sweep_of(folder)
    if sweep is None or folder.exists() or not (sweep / SWEEP).is_file():
        return False
    try:
        record = read_sweep_record(sweep)
    except Damaged:
        return False
    return record is not None and any(wanted.folder == folder.name for wanted in record.wanted)


def _need_folder(folder: Path, remedy: str = "name the folder of a sweep, or see triplicate list") -> None:
    try:
        if not folder.is_dir():
            raise UserError(str(folder), "it is a file, no folder" if folder.exists() else "it is not there", remedy)
        os.scandir(folder).close()
    except OSError as error:
        raise unreadable(folder, error) from error


def _sweeps(folder: Path) -> Iterator[Path]:
    closed: list[Path] = []
    for path, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        if SWEEP in files or (RUNS in folders and _has_runs(Path(path, RUNS))):
            folders.clear()
            yield Path(path)
        folders[:] = [name for name in folders if not name.startswith(".")]
    yield from closed


def _has_runs(folder: Path) -> bool:
    """Whether the folders in it are runs; other programs have a folder of the same name."""
    try:
        return any((run / name).is_file() for run in folder.iterdir() for name in (SUMMARY, FAILURE, "config.yaml"))
    except OSError:
        return False
