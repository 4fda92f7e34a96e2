"""Trains the stacks of a plan, here or in workers, and writes the folder of every run; draws the plots of one run."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from triplicate import verbosity
from triplicate.config import as_plain
from triplicate.datasets import Dataset
from triplicate.errors import RunFailed
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import SUMMARY, RunFolder
from triplicate.records.sweep_folder import Cut, replace_cut
from triplicate.sweeps.interruption import Interruption
from triplicate.sweeps.plan import Plan, Run, Stack
from triplicate.sweeps.progress import Progress, Tally, progress
from triplicate.sweeps.saving import Saver, Start, read_state
from triplicate.sweeps.summary import summarize
from triplicate.training import devices
from triplicate.training.batches import steps_per_epoch
from triplicate.training.engine import EpochEnd, RunEnd, StepsDone, fit
from triplicate.training.state import StackState

Failures = Mapping[Path, RunFailed]


@dataclass(frozen=True)
class Task:
    """A stack to train: all but its data, so that it can be sent to another process.

    Attributes:
        stacked: whether the runs could train with others; else there is one run.
        device: that it trains on; a GPU without a number is the one of the worker.
        label: what notes on its progress begin with.
        again: it was begun by a process that is gone.
    """

    runs: tuple[Run, ...]
    stacked: bool
    cut: Cut
    device: torch.device
    start: Start | None = None
    finished: frozenset[str] = frozenset()
    label: str = ""
    again: bool = False

    @staticmethod
    def of(stack: Stack, number: int, stacks: int) -> Task:
        """Args: `number` of so many stacks, from 1."""
        label = f"stack {number}/{stacks}, " if stacks > 1 else ""
        device = devices.of(stack.runs[0].config)
        return Task(stack.runs, stack.group.alone is None, stack.cut, device, stack.start, stack.finished, label)

    def retried(self) -> Task:
        """The same for another process: what has ended by now is finished."""
        ended = {run.fingerprint for run in self.runs if is_finished(run)}
        return replace(self, finished=self.finished | ended, again=True)

    @property
    def run_epochs(self) -> int:
        """All epochs of all its runs."""
        return sum(run.config.train.epochs for run in self.runs)

    def missing(self) -> list[Run]:
        """The runs that have no result so far."""
        return [run for run in self.runs if run.fingerprint not in self.finished]

    def part(self, cut: Cut) -> Task:
        """Some of its runs as a stack of their own, which goes on from its own checkpoint."""
        runs = tuple(run for run in self.runs if run.fingerprint in cut.fingerprints)
        return replace(self, runs=runs, cut=cut, start=None, finished=frozenset(), again=False)


@dataclass(frozen=True)
class Outcome:
    """How the training of a stack has ended.

    Attributes:
        causes: the folders of the runs that failed, each with the reason; it stands in their logs.
        parts: the stacks that are to be trained in its place, since memory was short; none where it was not.
    """

    causes: Mapping[Path, str] = field(default_factory=dict)
    parts: tuple[Cut, ...] = ()


def execute(plan: Plan, interruption: Interruption, in_place: bool = False) -> Failures:
    """Train every stack on its data; one that fails is logged in its folders, and the others go on, or not.

    Args:
        in_place: in this process, whatever the plan says.

    Returns:
        The runs that failed: folder → why.

    Raises:
        OSError: a folder that cannot be written.
        Interrupted: it was asked to end, and what was in training is saved.
    """
    tasks = [Task.of(stack, number, len(plan.stacks)) for number, stack in enumerate(plan.stacks, start=1)]
    if not tasks:
        return {}
    is_most = any(run.config.stopping.ends_early for task in tasks for run in task.runs)
    bar = progress(Tally(sum(task.run_epochs for task in tasks), is_most), verbosity.shows_progress())
    # A GPU may be of no use any more to a process in which something has failed there: let it not be this one.
    here = in_place or (plan.workers == 1 and all(task.device.type == "cpu" for task in tasks))
    try:
        causes = _here(plan, tasks, bar, interruption) if here else _in_workers(plan, tasks, bar, interruption)
    finally:
        bar.close()
    interruption.check()
    return {folder: RunFailed(str(folder), cause) for folder, cause in causes.items()}


def _here(plan: Plan, tasks: Sequence[Task], bar: Progress, interruption: Interruption) -> dict[Path, str]:
    causes: dict[Path, str] = {}
    waiting = [(task, stack.group.dataset) for task, stack in zip(tasks, plan.stacks, strict=True)]
    while waiting and not (causes and stops(tasks[0])):
        task, dataset = waiting.pop(0)
        outcome = train(task, dataset, bar, interruption)
        causes |= outcome.causes
        waiting[:0] = [(part, dataset) for part in in_parts(task, outcome.parts)]
    for run in (run for task in tasks for run in task.missing() if is_finished(run)):
        draw(run)
        interruption.check()
    return causes


def _in_workers(plan: Plan, tasks: Sequence[Task], bar: Progress, interruption: Interruption) -> dict[Path, str]:
    from triplicate.sweeps.workers import train_in_workers  # it imports this file

    datasets = [stack.group.dataset for stack in plan.stacks]
    return train_in_workers(tasks, datasets, plan.workers, bar, interruption)


def stops(task: Task) -> bool:
    """Whether a sweep ends when a run has failed."""
    return task.runs[0].config.on_error == "stop"


def is_finished(run: Run) -> bool:
    return (run.folder / SUMMARY).is_file()


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


def in_parts(task: Task, parts: Sequence[Cut]) -> list[Task]:
    """The stacks that train in the place of one, if there are any: they are written down, so that they go on as such
    after an interruption, and told of.
    """
    if not parts:
        return []
    sweep = task.runs[0].config.output_dir
    replace_cut(sweep, task.cut, parts)
    Checkpoints(sweep, task.cut.fingerprints).remove()
    sizes = " and ".join(str(len(part.fingerprints)) for part in parts)
    told = f"note: memory is too short for {len(task.runs)} runs in one stack; they go on in stacks of {sizes}"
    verbosity.note(told)
    return [task.part(part) for part in parts]


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
    device = devices.begin(task.device, worker, first.tf32, first.deterministic)
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
