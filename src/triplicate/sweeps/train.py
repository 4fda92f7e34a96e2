"""Trains a stack and writes the folder of each of its runs; draws the plots of one run."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from triplicate import verbosity
from triplicate.config import as_plain
from triplicate.datasets import Dataset
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import RunFolder
from triplicate.records.sweep_folder import Cut
from triplicate.sweeps.interruption import Interruption
from triplicate.sweeps.plan import Run
from triplicate.sweeps.progress import Progress
from triplicate.sweeps.saving import Saver, read_state
from triplicate.sweeps.summary import summarize
from triplicate.sweeps.task import Outcome, Task, is_finished
from triplicate.training import devices
from triplicate.training.counts import steps_per_epoch
from triplicate.training.engine import fit
from triplicate.training.events import EpochEnd, RunEnd, StepsDone
from triplicate.training.state import StackState


def train(task: Task, dataset: Dataset, progress: Progress, interruption: Interruption, worker: int = 0) -> Outcome:
    """Train a stack. After an error on a GPU this process is of no use any more.

    Args:
        worker: the number of this process among those that train side by side.

    Raises:
        OSError: a folder that cannot be written.
        Interrupted: it was asked to end, and the stack is saved.
    """
    counted, began = _Counted(progress), time.perf_counter()
    try:
        with _threads(task.cut.threads):
            _train(task, dataset, counted, interruption, worker)
        counted.settle(task.run_epochs)
        taken = f"{time.perf_counter() - began:.1f} s"
        verbosity.detail(f"{task.label}{len(task.runs)} run(s) on {task.device}, trained and written in {taken}")
        return Outcome()
    except OSError:
        raise
    except Exception as error:
        if len(task.runs) == 1 or not devices.is_short_of_memory(error):
            counted.settle(task.run_epochs)
            return Outcome(_failed(task.missing(), error))
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


def _train(task: Task, dataset: Dataset, progress: Progress, interruption: Interruption, worker: int) -> None:
    runs, configs = task.runs, [run.config for run in task.runs]
    first = configs[0].train
    device = devices.begin(torch.device(task.device), worker, first.tf32, first.deterministic)
    checkpoints = Checkpoints(configs[0].output_dir, task.cut.fingerprints)
    places = [task.cut.fingerprints.index(run.fingerprint) for run in runs]
    saver = Saver(checkpoints, places)
    resumed = _resumed(task, checkpoints, places, saver)
    folders = _folders(task, resumed)
    states = resumed.runs if resumed is not None else {}
    epochs = [list(states[place].epochs) if place in states else [] for place in range(len(runs))]
    # Runs that ended before the stack was saved are in none of its states.
    ended = [run for place, run in enumerate(runs) if resumed is not None and place not in states]
    progress.skip(sum(map(len, epochs)) + sum(run.config.train.epochs for run in ended))
    samples = dataset.test.samples()
    steps = steps_per_epoch(configs[0], len(dataset.train))
    for event in fit(configs, dataset, device, task.stacked, resumed):
        match event:
            case StepsDone():
                progress.advance(event.run_steps / steps)
                if interruption.number is not None:
                    saver.save(event.state())
                    interruption.check()
                saver.offer(event)
            case EpochEnd():
                epochs[event.run].append(event.metrics)
                if event.run in folders:
                    folders[event.run].append(event.metrics)
                    if configs[event.run].trace.steps:
                        folders[event.run].append_steps(event.step_losses, event.step_accuracies)
                if event.is_last_of_stack:
                    progress.note(task.label + _standing(event.metrics.epoch, configs[0].train.epochs, epochs))
            case RunEnd():
                progress.skip(configs[event.run].train.epochs - len(epochs[event.run]))
                if event.run not in folders:
                    continue
                run, folder = runs[event.run], folders[event.run]
                folder.write_gradients(event.gradients)
                folder.write_confusion(event.confusion, dataset.classes)
                folder.write_weights(event.weights)
                folder.write_samples(samples.pixels, samples.labels)
                if event.state is not None:
                    with suppress(TypeError):  # as in Saver.save
                        folder.write_checkpoint(event.state.moved({event.run: 0}).content())
                folder.finish(summarize(run, event, epochs[event.run], dataset, len(runs), task.stacked, device))
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


def _folders(task: Task, resumed: StackState | None) -> dict[int, RunFolder]:
    """The folders to be written, by the place of their run in the stack, begun or going on."""
    folders = {}
    for place, run in enumerate(task.runs):
        if run.fingerprint in task.finished or (resumed is not None and place not in resumed.runs):
            continue
        folders[place] = RunFolder(run.folder)
        if resumed is not None:
            state = resumed.runs[place]
            folders[place].go_on(run.config, state.epochs, state.step_losses, state.step_accuracies)
        else:
            folders[place].begin(run.config)
    return folders


def _standing(epoch: int, total: int, epochs: Sequence[Sequence[EpochMetrics]]) -> str:
    """One line on an epoch: the range of the test accuracies."""
    reached = [e[-1].test_accuracy for e in epochs if e and e[-1].epoch == epoch]
    known = [100 * a for a in reached if not math.isnan(a)]
    ends = dict.fromkeys(f"{accuracy:.1f}" for accuracy in (min(known), max(known))) if known else {}
    accuracies = f"test accuracy {' to '.join(ends)} %" if known else "all diverged"
    return f"epoch {epoch}/{total}, {len(reached)} run{'s' * (len(reached) != 1)}, {accuracies}"
