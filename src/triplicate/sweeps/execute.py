"""Trains the stacks of a plan and writes the folder of every run."""

from __future__ import annotations

import dataclasses
import math
import shlex
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import Tensor

from triplicate import datasets
from triplicate.config import DatasetConfig, fingerprint
from triplicate.datasets import Dataset
from triplicate.errors import RunFailed, UserError
from triplicate.records import environment
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Plan, Run
from triplicate.sweeps.progress import Progress, progress
from triplicate.training import devices
from triplicate.training.batches import held_out
from triplicate.training.engine import EpochEnd, RunEnd, fit
from triplicate.training.engine import Progress as Steps
from triplicate.training.metrics import EpochMetrics

Failures = Mapping[Path, RunFailed]


def prepare(plan: Plan) -> list[Dataset]:
    """The data of every stack, each set read once. What is wrong with it shows before anything trains.

    Raises:
        UserError: a data set or a device that is not there or not as it must be.
    """
    loaded: dict[tuple[DatasetConfig, Path | None], Dataset] = {}
    for stack in plan.stacks:
        config = stack[0].config
        devices.resolve(config.device)
        wanted = (config.dataset, config.data_dir)
        if wanted not in loaded:
            loaded[wanted] = datasets.load(*wanted)
            _check_split(config.dataset, len(loaded[wanted].train))
    return [loaded[stack[0].config.dataset, stack[0].config.data_dir] for stack in plan.stacks]


def execute(plan: Plan, data: Sequence[Dataset]) -> Failures:
    """Train every stack on its data; one that fails is logged in the folders of its runs, and the others go on.

    Returns:
        The runs that failed: folder → why.

    Raises:
        OSError: a folder that cannot be written.
    """
    failures: dict[Path, RunFailed] = {}
    bar = progress(sum(_steps(stack, loaded) for stack, loaded in zip(plan.stacks, data, strict=True)))
    try:
        for number, (stack, loaded) in enumerate(zip(plan.stacks, data, strict=True), start=1):
            prefix = f"stack {number}/{len(plan.stacks)}, " if len(plan.stacks) > 1 else ""
            try:
                _train(stack, loaded, bar, prefix)
            except OSError:
                raise
            except Exception as error:
                for run in stack:
                    RunFolder(run.folder).log(f"failed\n{traceback.format_exc()}")
                    failures[run.folder] = RunFailed(str(run.folder), error)
    finally:
        bar.close()
    return failures


def _check_split(config: DatasetConfig, images: int) -> None:
    """Both parts of a split must have images."""
    apart = held_out(images, config.validation)
    if config.validation > 0 and not 0 < apart < images:
        problem = f"{config.validation:g} of {images} images leaves a part without any"
        raise UserError("dataset.validation", problem, "give another share or a larger dataset.limit")


def _steps(stack: Sequence[Run], dataset: Dataset) -> int:
    """Steps of all runs of a stack, over all their epochs."""
    config = stack[0].config
    images = len(dataset.train) - held_out(len(dataset.train), config.dataset.validation)
    return len(stack) * config.train.epochs * math.ceil(images / config.train.batch_size)


def _train(stack: Sequence[Run], dataset: Dataset, bar: Progress, prefix: str) -> None:
    configs = [run.config for run in stack]
    device = devices.resolve(configs[0].device)
    folders = [RunFolder(run.folder) for run in stack]
    epochs: list[list[EpochMetrics]] = [[] for _ in stack]
    for folder, config in zip(folders, configs, strict=True):
        folder.begin(config)
    began = time.perf_counter()
    for event in fit(configs, dataset, device):
        match event:
            case Steps():
                bar.advance(event.run_steps)
            case EpochEnd():
                epochs[event.run].append(event.metrics)
                folders[event.run].append(event.metrics)
                if event.is_last_of_stack:
                    bar.note(prefix + _standing(event.metrics.epoch, configs[0].train.epochs, epochs, began))
            case RunEnd():
                _finish(stack[event.run], folders[event.run], event, epochs[event.run], dataset, len(stack))


def _standing(epoch: int, total: int, epochs: Sequence[Sequence[EpochMetrics]], began: float) -> str:
    """One line on an epoch: the range of the test accuracies, and the seconds so far."""
    reached = [e[-1].test_accuracy for e in epochs if e and e[-1].epoch == epoch]
    known = [100 * a for a in reached if not math.isnan(a)]
    accuracies = f"test accuracy {min(known):.1f} to {max(known):.1f} %" if known else "all diverged"
    return f"epoch {epoch}/{total}, {len(reached)} runs, {accuracies}, {time.perf_counter() - began:.0f} s"


def _finish(
    run: Run,
    folder: RunFolder,
    end: RunEnd,
    epochs: Sequence[EpochMetrics],
    dataset: Dataset,
    stack_size: int,
) -> None:
    folder.write_gradients(end.gradients)
    folder.write_confusion(end.confusion, dataset.classes)
    folder.write_weights(end.weights)
    folder.finish(_summary(run, end, epochs, stack_size))


def _summary(run: Run, end: RunEnd, epochs: Sequence[EpochMetrics], stack_size: int) -> dict[str, Any]:
    best = max(epochs, key=lambda e: -1.0 if math.isnan(e.test_accuracy) else e.test_accuracy)
    last = {k: v for k, v in dataclasses.asdict(epochs[-1]).items() if v is not None}
    measures = last | {
        "best_test_accuracy": best.test_accuracy,
        "best_epoch": best.epoch,
        "seconds": sum(e.seconds for e in epochs),
        "parameters": _count(end.weights),
    }
    return {
        "status": end.status,
        "diverged_step": end.diverged_step,
        "job": run.job,
        "seed": run.config.seed,
        "overrides": dict(run.overrides),
        "choices": dict(run.choices),
        "measures": {k: None if math.isnan(v) else v for k, v in measures.items()},
        "runs_in_stack": stack_size,
        "fingerprint": fingerprint(run.config),
        "command": shlex.join(["triplicate", *(a for a in sys.argv[1:] if a != "--multirun")]),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": run.config.device,
        "environment": environment.describe(devices.resolve(run.config.device)),
    }


def _count(weights: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in weights.values())
