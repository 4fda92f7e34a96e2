"""Signals: the first one ends the command, with what was trained kept, and it says how to go on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.faults.commands import Command, Starter
from tests.faults.sweeps import Content, Trial, files, finished, problems

SWEEP = (
    "dataset.limit=128",
    "model=mlp",
    "model.hidden=[8]",
    "optimizer=adam",
    "seed=0,1",
    "report.curves=[loss]",
)
# So many that it cannot end before a signal comes, and a few more where it goes on to the end.
_ENDLESS, _ENDS = 100_000, 20
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Signals:
    """Trials with so many workers."""

    def __init__(self, starter: Starter, folder: Path, workers: int) -> None:
        self._starter, self._folder, self._workers = starter, folder, workers
        self._peace: Content | None = None
        self._count = 0

    def trial(self, number: signal.Signals, wait: float = 0.0, twice: bool = False) -> Trial:
        """Send a signal to a sweep that has been in training for so many seconds, and let it go on to its end.

        Args:
            twice: send it twice in quick succession.
        """
        place = self._place()
        command = self._start(place, _ENDS, 0)
        _until_trained(command, place / "sweep")
        time.sleep(wait)
        began = time.monotonic()
        command.send(number)
        if twice:
            time.sleep(0.01)
            command.send(number)
        code = command.wait()
        seconds = time.monotonic() - began
        told = f"{self._workers} workers, {number.name}{' twice' * twice} after {wait:.2f} s: ended in {seconds:.2f} s"
        wrong = []
        if code != 0:  # else it has ended before the signal came
            wrong += self._of_the_end(command, place, number, code)
        kept = finished(place / "sweep")
        again = self._start(place, _ENDS, 1)
        if again.wait():
            wrong.append(f"going on: exit code {again.code}: {again.errors()}")
        else:
            wrong += problems(place / "sweep", self._in_peace())
        wrong += [f"{run} was trained twice" for run, was in kept.items() if finished(place / "sweep").get(run) != was]
        return Trial(f"{told}, code {code}", wrong)

    def at_the_start(self, number: signal.Signals, wait: float) -> Trial:
        """Send a signal so many seconds after the start, perhaps before anything is written."""
        place = self._place()
        command = self._start(place, _ENDLESS, 0)
        end = time.monotonic() + wait
        while time.monotonic() < end and not (place / "sweep" / "sweep.json").exists():
            time.sleep(0.001)
        began = (place / "sweep" / "sweep.json").exists()
        command.send(number)
        code = command.wait()
        there = sorted(files(place / "sweep"))
        told = f"{self._workers} workers, {number.name} {wait:.2f} s after the start: {len(there)} files, code {code}"
        wrong = []
        # Before Python listens, the system ends it.
        if code not in (CODES[number], -number):
            wrong.append(f"exit code {code}")
        if not began and not there and (place / "sweep").exists():
            wrong.append("a folder has stayed with nothing in it")
        if not there and command.out():
            wrong.append(f"it says: {command.out()}")
        if not there and code == CODES[number] and command.errors():
            wrong.append(f"it says: {command.errors()}")
        wrong += _of_any_end(command, place)
        return Trial(told, wrong)

    def ignored(self, starter: Starter | None = None) -> Trial:
        """As under `nohup`: SIGHUP is ignored, and the sweep trains on to its end."""
        place = self._place()
        command = self._start(place, _ENDS, 0, ignored=signal.SIGHUP)
        _until_trained(command, place / "sweep")
        for _ in range(3):
            command.send(signal.SIGHUP)
            time.sleep(0.05)
        code = command.wait()
        wrong = problems(place / "sweep", self._in_peace()) if code == 0 else [f"code {code}: {command.errors()}"]
        return Trial(f"{self._workers} workers, SIGHUP ignored: code {code}", wrong)

    def _of_the_end(self, command: Command, place: Path, number: signal.Signals, code: int) -> list[str]:
        wrong = []
        if code != CODES[number]:
            wrong.append(f"exit code {code}")
        last = command.errors().splitlines()[-1:]
        if not last or not last[0].startswith("interrupted: ") or f"output_dir={place / 'sweep'}" not in last[0]:
            wrong.append(f"the last line does not say how to go on: {command.errors()}")
        if command.errors().count("interrupted: ") > 1:
            wrong.append(f"more than a line: {command.errors()}")
        return wrong + _of_any_end(command, place)

    def _in_peace(self) -> Content:
        if self._peace is None:
            place = self._folder / f"peace-{self._workers}"
            command = self._start(place, _ENDS, 0)
            assert command.wait() == 0, command.errors()
            self._peace = Content.of(place / "sweep")
        return self._peace

    def _place(self) -> Path:
        self._count += 1
        return self._folder / f"{self._workers}-{self._count}"

    def _start(self, place: Path, epochs: int, number: int, ignored: int = 0) -> Command:
        options = (f"train.epochs={epochs}", f"output_dir={place / 'sweep'}", f"executor.workers={self._workers}")
        variables = {"FAULTS_IGNORED": str(int(ignored))} if ignored else {}
        return self._starter.start([*SWEEP, *options], place / f"command-{number}", variables)


def _until_trained(command: Command, sweep: Path) -> None:
    """Until an epoch is trained."""
    while not list(sweep.glob("runs/*/metrics.csv")) and command.poll() is None:
        time.sleep(0.002)


def _of_any_end(command: Command, place: Path) -> list[str]:
    wrong = [f"process {pid} has stayed" for pid in command.rest_after()]
    if "Traceback" in command.errors():
        wrong.append(f"traceback: {command.errors()}")
    left = [name for name in files(place / "sweep") if name.endswith(".partial") or ".data-" in name]
    left += [f"{path.name}/" for path in (place / "sweep").glob(".data-*")]
    return wrong + [f"{name} has stayed" for name in left] + [f"{name} has stayed" for name in command.left_in_tmp()]
