"""Trains the stacks of a plan, here or in workers, and writes the folder of every run; draws the plots of one run."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from triplicate.datasets import Dataset
from triplicate.errors import RunFailed
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Plan, Run, Stack
from triplicate.sweeps.progress import Progress, progress
from triplicate.sweeps.summary import summarize
from triplicate.training import devices
from triplicate.training.batches import steps_per_epoch
from triplicate.training.engine import EpochEnd, RunEnd, StepsDone, fit

Failures = Mapping[Path, RunFailed]


def execute(plan: Plan) -> Failures:
    """Train every stack on its data; one that fails is logged in its folders, and the others go on.

    Returns:
        The runs that failed: folder → why.

    Raises:
        OSError: a folder that cannot be written.
    """
    bar = progress(sum(len(stack.runs) * stack.runs[0].config.train.epochs for stack in plan.stacks))
    try:
        causes = _here(plan.stacks, bar) if plan.workers == 1 else _in_workers(plan, bar)
    finally:
        bar.close()
    return {folder: RunFailed(str(folder), cause) for folder, cause in causes.items()}


def _here(stacks: Sequence[Stack], bar: Progress) -> dict[Path, str]:
    causes: dict[Path, str] = {}
    for number, stack in enumerate(stacks, start=1):
        group = stack.group
        causes |= train(stack.runs, group.dataset, group.alone is None, bar, label(number, len(stacks)))
    for run in (run for stack in stacks for run in stack.runs if run.folder not in causes):
        causes |= draw(run)
    return causes


def _in_workers(plan: Plan, bar: Progress) -> dict[Path, str]:
    from triplicate.sweeps.workers import train_in_workers  # it imports this file

    return train_in_workers(plan.stacks, plan.workers, bar)


def label(number: int, stacks: int) -> str:
    """What notes on the progress of a stack begin with."""
    return f"stack {number}/{stacks}, " if stacks > 1 else ""


def train(runs: Sequence[Run], dataset: Dataset, stacked: bool, progress: Progress, label: str) -> dict[Path, str]:
    """Train a stack.

    Args:
        stacked: whether the runs could train with others; else there is one run.
        label: what notes on its progress begin with.

    Returns:
        If it failed, the folders of its runs, each with the reason; it stands in their logs.

    Raises:
        OSError: a folder that cannot be written.
    """
    try:
        _train(runs, dataset, stacked, progress, label)
    except OSError:
        raise
    except Exception as error:
        return _failed(runs, error)
    return {}


def draw(run: Run) -> dict[Path, str]:
    """Draw the plots of a finished run.

    Returns:
        If it failed, the folder of the run with the reason.

    Raises:
        OSError: a folder that cannot be written.
    """
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    try:
        report.write_run(run.folder)
    except OSError:
        raise
    except Exception as error:
        return _failed([run], error)
    return {}


def _failed(runs: Sequence[Run], error: Exception) -> dict[Path, str]:
    """Log the error that is being handled, and tell it in a line."""
    for run in runs:
        RunFolder(run.folder).log(f"failed\n{traceback.format_exc()}")
    return {run.folder: " ".join(str(error).split()) or type(error).__name__ for run in runs}


def _train(runs: Sequence[Run], dataset: Dataset, stacked: bool, progress: Progress, label: str) -> None:
    configs = [run.config for run in runs]
    device = devices.of(configs[0])
    devices.begin(device)
    folders = [RunFolder(run.folder) for run in runs]
    epochs: list[list[EpochMetrics]] = [[] for _ in runs]
    for folder, config in zip(folders, configs, strict=True):
        folder.begin(config)
    samples = dataset.test.samples()
    steps = steps_per_epoch(configs[0], len(dataset.train))
    began = time.perf_counter()
    for event in fit(configs, dataset, device, stacked):
        match event:
            case StepsDone():
                progress.advance(event.run_steps / steps)
            case EpochEnd():
                epochs[event.run].append(event.metrics)
                folders[event.run].append(event.metrics)
                if configs[event.run].trace.steps:
                    folders[event.run].append_steps(event.step_losses, event.step_accuracies)
                if event.is_last_of_stack:
                    progress.note(label + _standing(event.metrics.epoch, configs[0].train.epochs, epochs, began))
            case RunEnd():
                run, folder = runs[event.run], folders[event.run]
                folder.write_gradients(event.gradients)
                folder.write_confusion(event.confusion, dataset.classes)
                folder.write_weights(event.weights)
                folder.write_samples(samples.pixels, samples.labels)
                folder.finish(summarize(run, event, epochs[event.run], dataset, len(runs), device))
                progress.advance(run.config.train.epochs - len(epochs[event.run]))


def _standing(epoch: int, total: int, epochs: Sequence[Sequence[EpochMetrics]], began: float) -> str:
    """One line on an epoch: the range of the test accuracies, and the seconds so far."""
    reached = [e[-1].test_accuracy for e in epochs if e and e[-1].epoch == epoch]
    known = [100 * a for a in reached if not math.isnan(a)]
    accuracies = f"test accuracy {min(known):.1f} to {max(known):.1f} %" if known else "all diverged"
    return f"epoch {epoch}/{total}, {len(reached)} runs, {accuracies}, {time.perf_counter() - began:.0f} s"
