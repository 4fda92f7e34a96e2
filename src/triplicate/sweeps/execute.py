"""Trains the stacks of a plan and writes the folder of every run."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from triplicate import datasets
from triplicate.config import DatasetConfig, FolderConfig, RunConfig
from triplicate.datasets import Dataset
from triplicate.datasets.examples import examples
from triplicate.errors import RunFailed, UserError, unknown_name
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Plan, Run
from triplicate.sweeps.progress import Progress, progress
from triplicate.sweeps.summary import summarize
from triplicate.training import devices
from triplicate.training.batches import held_out, trained_on
from triplicate.training.engine import EpochEnd, RunEnd, fit, rehearse
from triplicate.training.engine import Progress as Steps
from triplicate.training.metrics import EpochMetrics

Failures = Mapping[Path, RunFailed]


def prepare(plan: Plan) -> list[Dataset]:
    """The data of every stack, each set read once. What is wrong with it shows before anything trains.

    Raises:
        UserError: a data set or a device that is not there or not as it must be, or a model that does not fit.
    """
    loaded: dict[tuple[DatasetConfig | FolderConfig, Path | None], Dataset] = {}
    rehearsed = set()
    for stack in plan.stacks:
        config = stack[0].config
        devices.of(config)
        wanted = (config.dataset, config.data_dir)
        if wanted not in loaded:
            loaded[wanted] = datasets.load(*wanted)
            _check_split(config.dataset, len(loaded[wanted].train))
        network = (*wanted, config.model, config.activation, config.train, config.trace)
        if network not in rehearsed:
            _check_model(config, loaded[wanted])
            rehearsed.add(network)
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


def _check_split(config: DatasetConfig | FolderConfig, images: int) -> None:
    """Both parts of a split must have images."""
    apart = held_out(images, config.validation)
    if config.validation > 0 and not 0 < apart < images:
        problem = f"{config.validation:g} of {images} images leaves a part without any"
        raise UserError("dataset.validation", problem, "give another share or a larger dataset.limit")


def _check_model(config: RunConfig, dataset: Dataset) -> None:
    """The model can be built for the data and has what is traced."""
    names = rehearse(config, dataset)
    for name in config.trace.only or ():
        if name not in names:
            raise unknown_name("trace.only", name, names)


def _steps(stack: Sequence[Run], dataset: Dataset) -> int:
    """Steps of all runs of a stack, over all their epochs."""
    config = stack[0].config
    images = trained_on(len(dataset.train), config.dataset.validation)
    return len(stack) * config.train.epochs * math.ceil(images / config.train.batch_size)


def _train(stack: Sequence[Run], dataset: Dataset, bar: Progress, prefix: str) -> None:
    configs = [run.config for run in stack]
    device = devices.of(configs[0])
    devices.forget_peak_memory(device)
    folders = [RunFolder(run.folder) for run in stack]
    epochs: list[list[EpochMetrics]] = [[] for _ in stack]
    for folder, config in zip(folders, configs, strict=True):
        folder.begin(config)
    samples = examples(dataset.test)
    began = time.perf_counter()
    for event in fit(configs, dataset, device):
        match event:
            case Steps():
                bar.advance(event.run_steps)
            case EpochEnd():
                epochs[event.run].append(event.metrics)
                folders[event.run].append(event.metrics)
                if configs[event.run].trace.steps:
                    folders[event.run].append_steps(event.step_losses, event.step_accuracies)
                if event.is_last_of_stack:
                    bar.note(prefix + _standing(event.metrics.epoch, configs[0].train.epochs, epochs, began))
            case RunEnd():
                run, folder = stack[event.run], folders[event.run]
                folder.write_gradients(event.gradients)
                folder.write_confusion(event.confusion, dataset.classes)
                folder.write_weights(event.weights)
                folder.write_samples(*samples)
                folder.finish(summarize(run, event, epochs[event.run], dataset, len(stack), device))


def _standing(epoch: int, total: int, epochs: Sequence[Sequence[EpochMetrics]], began: float) -> str:
    """One line on an epoch: the range of the test accuracies, and the seconds so far."""
    reached = [e[-1].test_accuracy for e in epochs if e and e[-1].epoch == epoch]
    known = [100 * a for a in reached if not math.isnan(a)]
    accuracies = f"test accuracy {min(known):.1f} to {max(known):.1f} %" if known else "all diverged"
    return f"epoch {epoch}/{total}, {len(reached)} runs, {accuracies}, {time.perf_counter() - began:.0f} s"
