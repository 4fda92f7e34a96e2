"""SIGKILL at any moment, and the same command again, until it ends: the results are those of a sweep left in peace."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.commands import Command, Starter
from tests.faults.sweeps import SWEEPS, Content, Trial, finished, problems
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import Damaged
from triplicate.records.sweep_folder import finished_runs, read_sweep_record

# What begins when a file appears: a phase of a command, from then on until the next one begins.
PHASES = {
    "start": "",
    "planned": "sweep.json",
    "training": "checkpoints/*.safetensors",
    "ending": "runs/*/summary.json",
    "drawing": "runs/*/plots/*.png",
    "reporting": "table.csv",
}
# Moments at which a file is half written.
WRITES = {"writing a checkpoint": "checkpoints/.*.partial", "writing a record": "runs/*/.*.partial"}


@dataclass(frozen=True)
class Reference:
    """A sweep that was left in peace. `lasts`: phase → seconds."""

    content: Content
    lasts: Mapping[str, float]
    seconds: float


class Kills:
    """Trials of one sweep."""

    def __init__(self, starter: Starter, name: str, folder: Path, draws: Random, most: int = 4) -> None:
        """Args: `most` kills in a trial."""
        self._starter, self._name, self._folder, self._draws = starter, name, folder, draws
        self._most = most
        self._references: dict[int, Reference] = {}
        self._count = 0

    def trial(self, phase: str | None = None, workers: int | None = None) -> Trial:
        """Kill a command in a phase, or while it writes, and start it again, until one ends.

        Args:
            phase: None: any.
            workers: of the first command; None: one or two.
        """
        self._count += 1
        place = self._folder / f"{self._name}-{self._count}"
        sweep = place / "sweep"
        shared = set(_names("/dev/shm"))
        workers = workers or self._draws.choice((1, 2))
        phase = phase or self._draws.choice([*PHASES, *WRITES])
        told, wrong, notes, kept = [], [], [], dict[str, tuple[int, bytes]]()
        cut_by, kills, onward = None, 0, False
        while True:
            command = self._start(place, sweep, workers, len(told))
            if kills < self._most and (not kills or self._draws.random() < 0.3):
                moment = self._kill(command, sweep, workers, phase if not kills else None)
            else:
                moment = None
            code = command.wait()
            if cut_by is None and (sweep / "sweep.json").exists():
                cut_by = workers
            told.append(f"{workers} worker{'s' * (workers > 1)}" + (f", killed {moment}" if code < 0 else ""))
            wrong += [f"{run} was trained twice" for run, was in kept.items() if finished(sweep).get(run) != was]
            if "Traceback" in command.errors():
                wrong.append(f"traceback: {command.errors()}")
            if code >= 0:
                break
            kills += 1
            if self._draws.random() < 0.5:
                wrong += [f"process {pid} has stayed" for pid in command.rest_after()]
                onward = _goes_on(sweep)
            else:
                onward = False
            kept |= finished(sweep)
            if self._draws.random() < 0.5:
                workers = 3 - workers
        if code:
            wrong.append(f"exit code {code}: {command.errors()}")
        else:
            wrong += problems(sweep, self.reference(cut_by or workers).content)
        if onward and "go on in epoch" not in command.errors():
            wrong.append("a checkpoint was there, and the command started anew")
        wrong += [f"process {pid} has stayed" for pid in command.rest_after()]
        left = [name for name in set(_names("/dev/shm")) - shared if name.startswith(("torch_", "psm_", "sem.mp"))]
        wrong += [f"/dev/shm/{name} has stayed" for name in left]
        notes += [f"{place}: left in TMPDIR: {_names(path)}" for path in _temporary(place)]
        return Trial(f"{self._name}: {'; '.join(told)}", wrong, kills, tuple(notes))

    def reference(self, workers: int) -> Reference:
        """The sweep left in peace, with so many workers."""
        if workers not in self._references:
            place = self._folder / f"{self._name}-peace-{workers}"
            began = time.monotonic()
            command = self._start(place, place / "sweep", workers, 0)
            begin: dict[str, float] = {}
            while command.poll() is None:
                for phase, marker in PHASES.items():
                    if phase not in begin and _is_there(place / "sweep", marker):
                        begin[phase] = time.monotonic()
                time.sleep(0.002)
            end = time.monotonic()
            assert command.wait() == 0, command.errors()
            times = [*(begin.get(phase, end) for phase in PHASES), end]
            lasts = {phase: max(0.0, times[i + 1] - times[i]) for i, phase in enumerate(PHASES)}
            self._references[workers] = Reference(Content.of(place / "sweep"), lasts, end - began)
        return self._references[workers]

    def _start(self, place: Path, sweep: Path, workers: int, number: int) -> Command:
        arguments = [*SWEEPS[self._name], f"output_dir={sweep}", f"executor.workers={workers}"]
        return self._starter.start(arguments, place / f"command-{number}")

    def _kill(self, command: Command, sweep: Path, workers: int, phase: str | None) -> str:
        """Kill a command in a phase; None: at any time. In words, when."""
        reference = self.reference(workers)
        if phase is None:
            seconds = self._draws.uniform(0, reference.seconds)
            _pause(command, seconds)
            when = f"after {seconds:.2f} s"
        elif phase in PHASES:
            seconds = self._draws.uniform(0, reference.lasts[phase])
            _until(command, sweep, PHASES[phase])
            _pause(command, seconds)
            when = f"{phase} + {seconds:.2f} s"
        else:
            _until(command, sweep, WRITES[phase])
            when = phase
        command.send(signal.SIGKILL)
        return when


def _names(folder: Path | str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def _temporary(place: Path) -> Iterator[Path]:
    yield from (path for path in place.glob("command-*/tmp") if _names(path))


def _is_there(folder: Path, pattern: str) -> bool:
    return not pattern or next(folder.glob(pattern), None) is not None


def _until(command: Command, folder: Path, pattern: str) -> None:
    while not _is_there(folder, pattern) and command.poll() is None:
        time.sleep(0.0005)


def _pause(command: Command, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and command.poll() is None:
        time.sleep(0.001)


def _goes_on(sweep: Path) -> bool:
    """Whether a stack that has not ended has a checkpoint."""
    try:
        record = read_sweep_record(sweep)
    except Damaged:
        return False
    done = finished_runs(sweep)
    return any(
        Checkpoints(sweep, cut.fingerprints).read() is not None and any(f not in done for f in cut.fingerprints)
        for cut in (record.cuts if record is not None else ())
    )
