"""The folder of a sweep: what was asked for, and what is there of it.

runs/         a folder for each run
sweep.json    the command, its report, every run that was asked for, and the stacks they were cut into
environment.json  every installed package, and once more where a sweep went on with others
checkpoints/  of stacks in training; gone when they have ended
report.html, table.*, *.png, *.svg, multirun.yaml
trackers/, trackers.json  what trackers write here, and what they were told; where there are any
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.errors import UserError
from triplicate.records.layout import LAYOUT
from triplicate.records.run_folder import (
    CHECKPOINT,
    SUMMARY,
    Damaged,
    RunRecord,
    check_files,
    read_config,
    read_failure,
    read_json,
    read_run,
    read_summary,
    write_json,
)

SWEEP = "sweep.json"
ENVIRONMENT = "environment.json"
RUNS = "runs"


@dataclass(frozen=True)
class Wanted:
    """A run that was asked for.

    Attributes:
        job: its number in its command.
        folder: its name below runs/.
        overrides: what the command set for it: key → value as typed.
        choices: what each config group stood at: group → name.
        departed: what the command set otherwise than the experiment that it names: 'train.epochs=3'.
    """

    job: int
    fingerprint: str
    setting: str
    seed: int
    folder: str
    overrides: Mapping[str, str]
    choices: Mapping[str, str]
    departed: tuple[str, ...] = ()  # older sweeps do not say


@dataclass(frozen=True)
class Cut:
    """Runs that train as one stack, by their fingerprints, with so many threads: both bear on the last bits."""

    fingerprints: tuple[str, ...]
    threads: int


@dataclass(frozen=True)
class SweepRecord:
    """What was asked of a sweep, by all its commands together; the newest has the first word.

    Attributes:
        experiment: the preset; empty: none.
        report: the configuration of the tables and plots.
        asked: how many of the runs, at the front, are of the newest command.
    """

    name: str
    experiment: str
    command: str
    report: Mapping[str, Any]
    wanted: tuple[Wanted, ...]
    cuts: tuple[Cut, ...]
    asked: int

    def with_earlier(self, earlier: SweepRecord) -> SweepRecord:
        """The same, and behind it the runs that earlier commands have asked for.

        A command that is launched job by job, or in batches, is one.
        """
        known = {run.fingerprint for run in self.wanted}
        others = [run for run in earlier.wanted if run.fingerprint not in known]
        own = list(self.wanted)
        if earlier.command == self.command:
            same = {run.fingerprint for run in earlier.wanted[: earlier.asked]}
            own = sorted([*own, *(run for run in others if run.fingerprint in same)], key=lambda run: run.job)
            others = [run for run in others if run.fingerprint not in same]
        return dataclasses.replace(self, wanted=(*own, *others), asked=len(own))


@dataclass(frozen=True)
class Absent:
    """A run that was asked for and has no result.

    Attributes:
        state: failed, damaged or missing.
        cause: why; empty where nobody knows.
        config: that it was begun with; empty where there is none.
    """

    wanted: Wanted
    path: Path
    state: str
    cause: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """All that a folder tells of a sweep.

    Attributes:
        runs: finished and sound, each fingerprint once, in the order of the command.
        absent: asked for, but not among them.
        report: the newest command's; None where nobody knows, and then that of the newest run.
        notes: what is left out, and why, a line each.
        order: the settings of what was asked for, in the order of the command.
        departed: setting → what its command set otherwise than the published recipe.
    """

    runs: tuple[RunRecord, ...]
    absent: tuple[Absent, ...]
    report: Mapping[str, Any] | None
    notes: tuple[str, ...]
    order: tuple[str, ...] = ()
    departed: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def write_sweep(folder: Path, record: SweepRecord) -> None:
    """Write sweep.json."""
    write_json(folder / SWEEP, {"layout": LAYOUT} | dataclasses.asdict(record))


def read_sweep_record(folder: Path) -> SweepRecord | None:
    """What sweep.json says; None where there is none.

    Raises:
        Damaged: it is not as it was written.
    """
    if not (folder / SWEEP).is_file():
        return None
    values = read_json(folder / SWEEP)
    try:
        return SweepRecord(
            name=values["name"],
            experiment=values["experiment"],
            command=values["command"],
            report=values["report"],
            wanted=tuple(map(_wanted, values["wanted"])),
            cuts=tuple(Cut(tuple(cut["fingerprints"]), cut["threads"]) for cut in values["cuts"]),
            asked=values["asked"],
        )
    except (KeyError, TypeError) as error:
        raise Damaged(folder / SWEEP, f"it is not of this version ({error})") from error


def _wanted(values: Mapping[str, Any]) -> Wanted:
    departed = values.get("departed", ())
    return Wanted(**{**values, "departed": tuple(departed)})


def replace_cut(folder: Path, old: Cut, new: Sequence[Cut]) -> None:
    """Write down in sweep.json that a stack trains as others from now on. Where there is none, nothing is written."""
    with suppress(Damaged):
        record = read_sweep_record(folder)
        if record is not None:
            cuts = [cut for one in record.cuts for cut in (new if one == old else (one,))]
            write_sweep(folder, dataclasses.replace(record, cuts=tuple(cuts)))


@dataclass(frozen=True)
class Finished:
    """A finished run, as far as its summary tells.

    Attributes:
        lineage: as in `Identity`.
        epochs: that it was trained for.
        measured: the columns of further measures.
        checkpoint: from which a longer run can go on; None: it left none.
    """

    folder: Path
    lineage: str
    epochs: int
    diverged: bool
    measured: tuple[str, ...]
    checkpoint: Path | None


def finished_runs(folder: Path, whole: bool = True) -> dict[str, Finished]:
    """Fingerprint → the finished runs of a sweep that are sound.

    Args:
        whole: every file is compared with its hash, not the summary alone.

    Raises:
        UserError: there are runs of an older version.
    """
    found: dict[str, Finished] = {}
    for path in run_folders(folder):
        try:
            summary = read_summary(path)
        except Damaged:
            continue
        if summary is not None and not (whole and check_files(path)):
            found.setdefault(str(summary["fingerprint"]), _finished(path, summary))
    return found


def _finished(path: Path, summary: Mapping[str, Any]) -> Finished:
    return Finished(
        folder=path,
        lineage=summary["lineage"],
        epochs=summary["epochs"],
        diverged=summary["status"] == "diverged",
        measured=tuple(summary["measured"]),
        checkpoint=path / CHECKPOINT if CHECKPOINT in summary["files"] else None,
    )


def run_folders(folder: Path) -> list[Path]:
    """The folders of the runs of a sweep, finished or not."""
    return sorted(path for path in (folder / RUNS).glob("*") if path.is_dir())


def read_sweep(folder: Path) -> Sweep:
    """The runs below a folder, and what is not there of those that were asked for.

    Raises:
        UserError: nothing is there.
    """
    notes: list[str] = []
    record = _record(folder, notes)
    damaged: dict[Path, str] = {}
    runs = list(_sound_runs(folder, damaged, notes))
    absent = _absent(folder, record, runs, damaged)
    told = {run.path for run in absent}
    notes += [f"damaged, left out: {path}: {problem}" for path, problem in damaged.items() if path not in told]
    if not runs and not absent:
        problem = notes[0] if notes else "no finished run is in it"
        raise UserError(str(folder), problem, "name the folder that a sweep has written")
    wanted = record.wanted if record is not None else ()
    order = {run.fingerprint: place for place, run in enumerate(wanted)}
    runs.sort(key=lambda run: (order.get(run.fingerprint, len(order)), run.summary["job"]))
    report = record.report if record is not None else None
    return Sweep(
        runs=tuple(runs),
        absent=tuple(absent),
        report=report,
        notes=tuple(notes),
        order=tuple(run.setting for run in wanted),
        departed={run.setting: run.departed for run in wanted if run.departed},
    )


def _record(folder: Path, notes: list[str]) -> SweepRecord | None:
    try:
        return read_sweep_record(folder)
    except Damaged as damage:
        notes.append(f"{damage.path}: {damage.problem}; which runs are missing is not known")
        return None


def _sound_runs(folder: Path, damaged: dict[Path, str], notes: list[str]) -> Iterator[RunRecord]:
    """Each fingerprint once: of copies that which lies highest."""
    seen: dict[str, Path] = {}
    paths = [path.parent for path in folder.rglob(SUMMARY) if not _is_hidden(path.relative_to(folder))]
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        try:
            run = read_run(path)
        except Damaged as damage:
            damaged[path] = f"{damage.path.name}: {damage.problem}"
            continue
        if run.fingerprint in seen:
            notes.append(f"given twice, counted once: {path} is {seen[run.fingerprint]}")
            continue
        seen[run.fingerprint] = path
        yield run


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _absent(
    folder: Path, record: SweepRecord | None, runs: Sequence[RunRecord], damaged: Mapping[Path, str]
) -> list[Absent]:
    there = {run.fingerprint for run in runs}
    return [
        _absent_run(folder / RUNS / wanted.folder, wanted, damaged)
        for wanted in (record.wanted if record is not None else ())
        if wanted.fingerprint not in there
    ]


def _absent_run(path: Path, wanted: Wanted, damaged: Mapping[Path, str]) -> Absent:
    try:
        config: Mapping[str, Any] = read_config(path)
    except Damaged:
        config = {}
    if path in damaged:
        return Absent(wanted, path, "damaged", damaged[path], config)
    failure = read_failure(path)
    return Absent(wanted, path, "missing" if failure is None else "failed", failure or "", config)
