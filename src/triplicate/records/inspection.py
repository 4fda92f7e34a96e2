"""What is wrong with the folders of sweeps: damaged, incomplete, foreign, twice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from triplicate.errors import UserError
from triplicate.records.checkpoints import FOLDER, is_whole
from triplicate.records.run_folder import (
    FAILURE,
    LOG,
    RECORDS,
    SUMMARY,
    Damaged,
    check_files,
    read_failure,
    read_summary,
)
from triplicate.records.sweep_folder import ENVIRONMENT, RUNS, SWEEP, SweepRecord, read_sweep_record, run_folders
from triplicate.records.tracked import TRACKED, TRACKERS

_OF_A_RUN = {SUMMARY, FAILURE, LOG, "config.yaml", "plots", ".hydra", TRACKED, *RECORDS}
_OF_A_SWEEP = {SWEEP, ENVIRONMENT, RUNS, FOLDER, ".lock", "multirun.yaml", "plots.json", TRACKED, TRACKERS}
_OF_A_SEARCH = {"optimization_results.yaml"}  # what Optuna's and other sweepers write
_DERIVED = (".html", ".csv", ".md", ".tex", ".png", ".svg")


@dataclass(frozen=True)
class Finding:
    """Something that is not as a sweep leaves it. `kind`: damaged, incomplete, foreign or twice."""

    kind: str
    path: Path
    problem: str


@dataclass(frozen=True)
class Inspected:
    """A sweep.

    Attributes:
        sound: runs that are finished and whole.
        mend: the command that trains what is missing or damaged; empty where nobody knows.
    """

    folder: Path
    sound: int
    findings: tuple[Finding, ...]
    mend: str


def inspect(folder: Path) -> list[Inspected]:
    """Every sweep in a folder and below.

    Raises:
        UserError: there is none.
    """
    if not folder.is_dir():
        problem = "it is no folder" if folder.exists() else "it is not there"
        raise UserError(str(folder), problem, "name the folder of a sweep, or of several")
    sweeps = sorted({path.parent for path in folder.rglob(SWEEP)} | {path.parent for path in folder.rglob(RUNS)})
    inspected = [_sweep(sweep) for sweep in sweeps if (sweep / SWEEP).exists() or run_folders(sweep)]
    if not inspected:
        raise UserError(str(folder), "no sweep is in it", "name the folder of a sweep, or of several")
    return inspected


def _sweep(folder: Path) -> Inspected:
    findings = list(_of_folder(folder))
    record: SweepRecord | None = None
    try:
        record = read_sweep_record(folder)
        if record is None:
            findings.append(Finding("incomplete", folder / SWEEP, "it is missing; what was asked for is not known"))
    except Damaged as damage:
        findings.append(Finding("damaged", damage.path, damage.problem))
    seen: dict[str, Path] = {}
    for path in run_folders(folder):
        findings += _run(path, seen)
    there = set(seen)
    for wanted in record.wanted if record is not None else ():
        path = folder / RUNS / wanted.folder
        if wanted.fingerprint not in there and not (path / SUMMARY).exists():
            cause = read_failure(path)
            findings.append(Finding("incomplete", path, f"it failed: {cause}" if cause else "it has no result"))
    if record is not None:
        asked = {wanted.fingerprint for wanted in record.wanted}
        findings += [
            Finding("foreign", path, "the sweep did not ask for this run") for f, path in seen.items() if f not in asked
        ]
    mend = "" if record is None else _command(record, folder)
    return Inspected(folder, len(seen), tuple(findings), mend)


def _run(path: Path, seen: dict[str, Path]) -> Iterator[Finding]:
    """Of one run; a sound one is added to those seen, by its fingerprint."""
    for entry in sorted(path.iterdir()):
        if not is_of_a_run(entry):
            yield _foreign(entry)
    try:
        summary = read_summary(path)
    except Damaged as damage:
        yield Finding("damaged", damage.path, damage.problem)
        return
    except UserError as error:
        yield Finding("foreign", path, error.problem)
        return
    if summary is None:
        return
    damages = check_files(path)
    yield from (Finding("damaged", damage.path, damage.problem) for damage in damages)
    fingerprint = str(summary["fingerprint"])
    if fingerprint in seen:
        yield Finding("twice", path, f"it is the same run as {seen[fingerprint]}")
    elif not damages:
        seen[fingerprint] = path


def _of_folder(folder: Path) -> Iterator[Finding]:
    for entry in sorted(folder.iterdir()):
        if not is_of_a_sweep(entry):
            yield _foreign(entry)
    for path in sorted((folder / FOLDER).glob("*")):
        if path.suffix == ".safetensors" and not is_whole(path):
            yield Finding("damaged", path, "it is not whole; the earlier checkpoint is used, or the start")


def is_of_a_run(entry: Path) -> bool:
    """Whether a file or folder in the folder of a run is one that a run writes."""
    return entry.name in _OF_A_RUN


def is_of_a_sweep(entry: Path, derived: tuple[str, ...] = _DERIVED) -> bool:
    """The same for the folder of a sweep, or of what is derived from it: how their names end."""
    return entry.name in _OF_A_SWEEP | _OF_A_SEARCH or entry.name.endswith(derived)


def _foreign(path: Path) -> Finding:
    killed = path.name.endswith(".partial") or path.name.startswith(".data-")
    problem = "a process that was killed has left it" if killed else "no sweep writes such a file"
    if (path / SWEEP).exists() or (path / RUNS).is_dir():
        return Finding("twice", path, "another sweep, or a copy of this one, is in the folder")
    return Finding("foreign", path, problem)


def _command(record: SweepRecord, folder: Path) -> str:
    words = [word for word in shlex.split(record.command) if not word.startswith(("output_dir=", "resume=", "rerun="))]
    return shlex.join([*words, f"output_dir={folder}"])
