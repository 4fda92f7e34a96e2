"""What trackers are told of a sweep: by each process that trains of its own runs, and by the command of the rest.

A tracker may fail at any time. A process then leaves it alone and goes on; when the runs have ended, the command logs
what is missing from the run folders, and says in a note what could not be. So the same command logs it another time,
as it logs runs that were finished before anybody asked for a tracker.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triplicate import verbosity
from triplicate.config import RunConfig, as_plain, flatten, setting
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.run_folder import Damaged, RunFolder, read_epochs, read_failure, read_outline
from triplicate.records.tracked import Told, read_told, write_told
from triplicate.sweeps.command import command
from triplicate.sweeps.plan import Run
from triplicate.sweeps.task import is_finished
from triplicate.trackers import Ending, RunLog, TrackedEpoch, TrackedRun, TrackedSweep, Tracker
from triplicate.training.events import EpochEnd, Event, RunEnd

if TYPE_CHECKING:
    from triplicate.sweeps.sinks import Opening

# What is logged is collected for a second, and for longer where logging would take more than one part in so many of
# the time.
_SECONDS = 1.0
_PART = 20
_LONGEST_CAUSE = 200


@dataclass
class _Open:
    """A run at one tracker, and the epochs that it was not told so far."""

    name: str
    place: str
    run: TrackedRun
    log: RunLog
    waiting: list[TrackedEpoch] = field(default_factory=list)

    @staticmethod
    def begun(tracker: Tracker, name: str, run: TrackedRun, known: str | None, epochs: Sequence[TrackedEpoch]) -> _Open:
        """Begin a run, or go on with the one of an id, and write down that it is open."""
        opened = _Open(name, _place(tracker), run, tracker.begin(run, known, epochs))
        write_told(run.folder, name, Told(opened.log.id, opened.place))
        return opened

    def tell(self) -> None:
        """Log what was not told so far."""
        waiting, self.waiting = self.waiting, []
        if waiting:
            self.log.log(waiting)

    def end(self, ending: Ending, cause: str = "") -> None:
        """The run has ended without a result."""
        self.tell()
        self.log.end(ending, {}, cause)
        write_told(self.run.folder, self.name, Told(self.log.id, self.place, ending))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The run has ended with a result."""
        self.tell()
        measures = {name: value for name, value in summary["measures"].items() if value is not None}
        ending = Ending(summary["status"])
        self.log.end(ending, measures)
        write_told(self.run.folder, self.name, Told(self.log.id, self.place, ending, summary["finished_at"]))


class Tracking:
    """Tells the trackers of the runs of one stack."""

    def __init__(self, sweep_ids: Mapping[str, str], lost: set[str]) -> None:
        """
        Args:
            sweep_ids: the id of the sweep at each tracker that is told, by the tracker's name.
            lost: the names of those that have failed in this process and are left alone; others may be added.
        """
        self._sweep_ids, self._lost = sweep_ids, lost
        self._open: dict[int, list[_Open]] = {}
        self._logged, self._took = time.monotonic(), 0.0

    def begin(self, opening: Opening) -> None:
        """The stack begins, or goes on."""
        epochs = opening.epochs()
        for place in opening.written() if self._sweep_ids else ():
            run = opening.runs[place]
            so_far = [_epoch(metrics) for metrics in epochs[place]]
            for name in self._sweep_ids:
                if name not in self._lost:
                    with self._guarded(name, run.folder):
                        opened = self._begun(run, name, so_far, goes_on=opening.resumed is not None)
                        self._open.setdefault(place, []).append(opened)

    def _begun(self, run: Run, name: str, epochs: Sequence[TrackedEpoch], goes_on: bool) -> _Open:
        tracker, tracked = run.config.tracker[name], _tracked(run, self._sweep_ids[name])
        told = read_told(run.folder, name, _place(tracker))
        if told is not None and told.id and not told.ending and not goes_on:
            # A process that is gone has left it open; what begins anew is another run.
            tracker.begin(tracked, told.id, ()).end(Ending.INTERRUPTED, {})
        known = told.id or None if told is not None and goes_on else None
        return _Open.begun(tracker, name, tracked, known, epochs)

    def take(self, event: Event) -> None:
        """Tell of what has happened, epochs together with others. The record of a run that ends is there already."""
        match event:
            case EpochEnd():
                for opened in self._open.get(event.run, ()):
                    opened.waiting.append(_epoch(event.metrics))
                if event.is_last_of_stack and time.monotonic() - self._logged >= max(_SECONDS, _PART * self._took):
                    self._tell()
            case RunEnd():
                for opened in self._left(self._open.pop(event.run, ())):
                    with self._guarded(opened.name, opened.run.folder):
                        opened.finish(_summary(opened.run.folder))

    def end(self, ending: Ending, cause: str = "") -> None:
        """The runs that are left end without a result."""
        for opened in self._left(self._all()):
            with self._guarded(opened.name, opened.run.folder):
                opened.end(ending, cause)
        self._open.clear()

    def leave(self) -> None:
        """The runs that are left go on in other stacks."""
        self._tell()
        self._open.clear()

    def _tell(self) -> None:
        began = time.monotonic()
        for opened in self._left(self._all()):
            with self._guarded(opened.name, opened.run.folder):
                opened.tell()
        self._logged = time.monotonic()
        self._took = self._logged - began

    def _all(self) -> list[_Open]:
        return [opened for of_run in self._open.values() for opened in of_run]

    def _left(self, among: Iterable[_Open]) -> Iterator[_Open]:
        """Those whose tracker has not failed by the time that they are reached."""
        return (opened for opened in among if opened.name not in self._lost)

    @contextmanager
    def _guarded(self, name: str, folder: Path) -> Iterator[None]:
        """Inside, whatever a tracker raises makes this process leave it alone; the log of the run tells why."""
        try:
            yield
        except Exception as error:  # trackers are other people's programs, and may raise anything
            self._lost.add(name)
            RunFolder(folder).log(f"tracker {name}: {_in_short(error)}; what is missing there is logged at the end")


@dataclass(frozen=True)
class SweepTracking:
    """Tells the trackers of a sweep of the sweep itself.

    Attributes:
        ids: of the sweep at each tracker that works, by the tracker's name.
    """

    config: RunConfig
    ids: Mapping[str, str]

    @staticmethod
    def begun(config: RunConfig) -> SweepTracking:
        """Begin a sweep at its trackers, or go on with it. Nobody else may be writing to its folder.

        Args:
            config: of one of its runs.
        """
        ids = {}
        for name, tracker in config.tracker.items():
            told = read_told(config.output_dir, name, _place(tracker))
            try:
                ids[name] = tracker.begin_sweep(_sweep(config), told.id if told is not None else None)
                write_told(config.output_dir, name, Told(ids[name], _place(tracker)))
            except Exception as error:
                ids.pop(name, None)
                _note(config, name, f"the runs train without it ({_in_short(error)})")
        return SweepTracking(config, ids)

    @contextmanager
    def ended(self, runs: Sequence[Run]) -> Iterator[None]:
        """Behind it, all that trackers were not told of these runs is logged, and the sweep has ended there."""
        try:
            yield
        except BaseException:
            # Those whose process is gone are open still. The others can wait for the next command.
            self._end([run for run in runs if not is_finished(run)], Ending.INTERRUPTED)
            raise
        self._end(runs, Ending.FINISHED if all(map(is_finished, runs)) else Ending.FAILED)

    def _end(self, runs: Sequence[Run], ending: Ending) -> None:
        for name, sweep_id in self.ids.items():
            tracker = self.config.tracker[name]
            left = [run for run in runs if _is_missing(run, name)]
            try:
                while left:
                    _replay(left[0], name, sweep_id)
                    left.pop(0)
                tracker.end_sweep(_sweep(self.config), sweep_id, ending)
                write_told(self.config.output_dir, name, Told(sweep_id, _place(tracker), ending))
            except Exception as error:
                runs_left = f"{len(left)} run{'s' * (len(left) != 1)}" if left else "the end of the sweep"
                said = f"{runs_left} could not be logged ({_in_short(error)})"
                _note(self.config, name, said)


def _is_missing(run: Run, name: str) -> bool:
    """Whether a tracker was not told how a run has ended."""
    told = read_told(run.folder, name, _place(run.config.tracker[name]))
    if is_finished(run):
        return told is None or told.finished_at != _summary(run.folder).get("finished_at")
    return told is not None and not told.ending


def _replay(run: Run, name: str, sweep_id: str) -> None:
    """Log a run from its folder, or what is missing of it, when no process trains it any more."""
    summary = _summary(run.folder)
    ended = datetime.fromisoformat(summary["finished_at"]).timestamp() if summary else time.time()
    epochs = [_row(row, ended) for row in read_epochs(run.folder)]
    tracker = run.config.tracker[name]
    told = read_told(run.folder, name, _place(tracker))
    is_open = told is not None and told.ending in ("", Ending.INTERRUPTED)
    known = told.id or None if told is not None and is_open else None
    opened = _Open.begun(tracker, name, _tracked(run, sweep_id), known, epochs)
    if summary:
        opened.finish(summary)
    elif (cause := read_failure(run.folder)) is not None:
        opened.end(Ending.FAILED, cause)
    else:
        opened.end(Ending.INTERRUPTED)


def _sweep(config: RunConfig) -> TrackedSweep:
    return TrackedSweep(config.name, config.output_dir.absolute(), command())


def _tracked(run: Run, sweep_id: str) -> TrackedRun:
    plain = as_plain(run.config)
    values = dict(flatten({"seed": plain["seed"]} | setting(plain)))
    parameters = {name: v if isinstance(v, bool | int | float | str) else json.dumps(v) for name, v in values.items()}
    folder = run.folder.absolute()
    return TrackedRun(folder.name, folder, run.fingerprint, _sweep(run.config), sweep_id, parameters)


def _epoch(metrics: EpochMetrics) -> TrackedEpoch:
    return _row(metrics.columns(), time.time())


def _row(row: Mapping[str, float | None], at: float) -> TrackedEpoch:
    """Args: `row`, of metrics.csv; `at`, when it was measured, in seconds since 1970."""
    measures = {name: float(value) for name, value in row.items() if name != "epoch" and value is not None}
    return TrackedEpoch(int(row["epoch"] or 0), measures, at)


def _summary(folder: Path) -> Mapping[str, Any]:
    """What a run has left as its result; nothing where it has none, or where that is damaged."""
    try:
        return read_outline(folder) or {}
    except Damaged:
        return {}


def _place(tracker: Tracker) -> str:
    """A hash of where a tracker writes, whose address may hold a password."""
    return hashlib.sha256(f"{tracker.name} {tracker.place()}".encode()).hexdigest()[:16]


def _note(config: RunConfig, name: str, text: str) -> None:
    how = f"the same command with output_dir={config.output_dir} logs what is missing there"
    verbosity.note(f"note: tracker {name}: {text}; {how}")


def _in_short(error: BaseException) -> str:
    """What went wrong, in a line: where the system refused something, such as a connection, in its words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_CAUSE else f"{text[: _LONGEST_CAUSE - 1]}…"
