"""Trains one stack and writes the folders of its runs; draws the plots of one run."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from triplicate.datasets import Dataset
from triplicate.datasets.examples import examples
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Run
from triplicate.sweeps.progress import Progress
from triplicate.sweeps.summary import summarize
from triplicate.training import devices
from triplicate.training.batches import steps_an_epoch
from triplicate.training.engine import EpochEnd, RunEnd, fit
from triplicate.training.engine import Progress as Steps
from triplicate.training.metrics import EpochMetrics


def train(runs: Sequence[Run], dataset: Dataset, progress: Progress, label: str) -> dict[Path, str]:
    """Train a stack.

    Args:
        label: what notes on its progress begin with.

    Returns:
        If it failed, the folders of its runs, each with the reason; it stands in their logs.

    Raises:
        OSError: a folder that cannot be written.
    """
    try:
        _train(runs, dataset, progress, label)
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


def _train(runs: Sequence[Run], dataset: Dataset, progress: Progress, label: str) -> None:
    configs = [run.config for run in runs]
    device = devices.of(configs[0])
    devices.begin(device)
    folders = [RunFolder(run.folder) for run in runs]
    epochs: list[list[EpochMetrics]] = [[] for _ in runs]
    for folder, config in zip(folders, configs, strict=True):
        folder.begin(config)
    samples = examples(dataset.test)
    steps = steps_an_epoch(configs[0], len(dataset.train))
    began = time.perf_counter()
    for event in fit(configs, dataset, device):
        match event:
            case Steps():
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
                folder.write_samples(*samples)
                folder.finish(summarize(run, event, epochs[event.run], dataset, len(runs), device))
                progress.advance(run.config.train.epochs - len(epochs[event.run]))


def _standing(epoch: int, total: int, epochs: Sequence[Sequence[EpochMetrics]], began: float) -> str:
    """One line on an epoch: the range of the test accuracies, and the seconds so far."""
    reached = [e[-1].test_accuracy for e in epochs if e and e[-1].epoch == epoch]
    known = [100 * a for a in reached if not math.isnan(a)]
    accuracies = f"test accuracy {min(known):.1f} to {max(known):.1f} %" if known else "all diverged"
    return f"epoch {epoch}/{total}, {len(reached)} runs, {accuracies}, {time.perf_counter() - began:.0f} s"
