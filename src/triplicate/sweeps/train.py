"""Trains a stack and writes the folder of each of its runs; draws the plots of one run."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from triplicate import verbosity
from triplicate.config import as_plain
from triplicate.datasets import Dataset
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import RunFolder
from triplicate.records.sweep_folder import Cut
from triplicate.sweeps.interruption import Interrupted, Interruption
from triplicate.sweeps.plan import Run
from triplicate.sweeps.progress import Progress
from triplicate.sweeps.saving import Saver, read_state
from triplicate.sweeps.sinks import Folders, Opening, Shown, Sink
from triplicate.sweeps.task import Outcome, Task, is_finished
from triplicate.sweeps.tracking import Tracking
from triplicate.trackers import Ending
from triplicate.training import devices
from triplicate.training.engine import fit
from triplicate.training.state import StackState


def train(
    task: Task,
    dataset: Dataset,
    progress: Progress,
    interruption: Interruption,
    lost: set[str],
    worker: int = 0,
) -> Outcome:
    """Train a stack. After an error on a GPU this process is of no use any more.

    Args:
        lost: the trackers that have failed in this process; others may be added.
        worker: the number of this process among those that train side by side.

    Raises:
        OSError: a folder that cannot be written.
        Interrupted: it was asked to end, and the stack is saved.
    """
    counted, began = _Counted(progress), time.perf_counter()
    tracking = Tracking(task.sweep_ids, lost)
    try:
        with _threads(task.cut.threads):
            _train(task, dataset, counted, interruption, tracking, worker)
        counted.settle(task.run_epochs)
        taken = f"{time.perf_counter() - began:.1f} s"
        verbosity.detail(f"{task.label}{len(task.runs)} run(s) on {task.device}, trained and written in {taken}")
        return Outcome()
    except (OSError, Interrupted):
        tracking.end(Ending.INTERRUPTED)
        raise
    except Exception as error:
        if len(task.runs) == 1 or not devices.is_short_of_memory(error):
            counted.settle(task.run_epochs)
            tracking.end(Ending.FAILED, _in_short(error))
            return Outcome(_failed(task.missing(), error))
    tracking.leave()
    # Only here, where the error and its traceback are gone, does nothing hold the tensors of the stack any more.
    gc.collect()
    left = task.retried().missing()
    counted.settle(task.run_epochs - sum(run.config.train.epochs for run in left))
    return Outcome(parts=_halves(task, left))


class _Counted:
    """Progress that is told, and added up."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.run_epochs = 0.0

    def advance(self, run_epochs: float) -> None:
        self.run_epochs += run_epochs
        self._progress.advance(run_epochs)

    def skip(self, run_epochs: float) -> None:
        self.run_epochs += run_epochs
        self._progress.skip(run_epochs)

    def settle(self, run_epochs: float) -> None:
        """So many are done in all: what steps add up to differs where runs end early, fail or begin again."""
        self.skip(run_epochs - self.run_epochs)

    def note(self, text: str) -> None:
        self._progress.note(text)

    def close(self) -> None:
        self._progress.close()


def _halves(task: Task, left: Sequence[Run]) -> tuple[Cut, ...]:
    """The runs that are left of a stack as two stacks, or one; with checkpoints, where the stack was saved."""
    middle = (len(left) + 1) // 2
    halves = [half for half in (left[:middle], left[middle:]) if half]
    cuts = tuple(Cut(tuple(run.fingerprint for run in half), task.cut.threads) for half in halves)
    sweep = task.runs[0].config.output_dir
    state = read_state(Checkpoints(sweep, task.cut.fingerprints))
    if state is not None:
        for cut in cuts:
            places = {task.cut.fingerprints.index(f): place for place, f in enumerate(cut.fingerprints)}
            Checkpoints(sweep, cut.fingerprints).write(state.moved(places).content())
    return cuts


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside, torch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw(run: Run) -> None:
    """Draw the plots of a finished run. What cannot be drawn is told of, and the run is finished none the less.

    Raises:
        OSError: a folder that cannot be written.
    """
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    report.write_run(run.folder, as_plain(run.config)["report"])


def _failed(runs: Sequence[Run], error: Exception) -> dict[Path, str]:
    """Record the error that is being handled for the runs that have no result, and tell it in a line."""
    lost = [run for run in runs if not is_finished(run)]
    for run in lost:
        RunFolder(run.folder).fail(_in_short(error), traceback.format_exc())
    return {run.folder: _in_short(error) for run in lost}


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _train(
    task: Task,
    dataset: Dataset,
    progress: Progress,
    interruption: Interruption,
    tracking: Tracking,
    worker: int,
) -> None:
    configs = [run.config for run in task.runs]
    first = configs[0].train
    device = devices.begin(torch.device(task.device), worker, first.tf32, first.deterministic)
    checkpoints = Checkpoints(configs[0].output_dir, task.cut.fingerprints)
    places = [task.cut.fingerprints.index(run.fingerprint) for run in task.runs]
    saver = Saver(checkpoints, places, interruption)
    opening = Opening(task.runs, task.finished, _resumed(task, checkpoints, places, saver))
    folders = Folders(opening, dataset, task.stacked, device)
    tracking.begin(opening)
    sinks: Sequence[Sink] = (folders, tracking, Shown(opening, progress, task.label, len(dataset.train)), saver)
    for event in fit(configs, dataset, device, task.stacked, opening.resumed):
        for sink in sinks:
            sink.take(event)
    checkpoints.remove()


def _resumed(task: Task, checkpoints: Checkpoints, places: Sequence[int], saver: Saver) -> StackState | None:
    """Where the stack goes on; None: at the beginning."""
    own = read_state(checkpoints)
    if own is not None:
        return own.moved({old: new for new, old in enumerate(places)})
    resumed = None if task.start is None else task.start.read()
    if resumed is not None:
        saver.save(resumed)
    return resumed
