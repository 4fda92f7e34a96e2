"""Trains the stacks of a plan, in this process or in workers, and writes the folder of every run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triplicate import datasets
from triplicate.config import DatasetConfig, FolderConfig, RunConfig
from triplicate.datasets import Dataset, shared
from triplicate.errors import RunFailed, UserError, unknown_name
from triplicate.sweeps.plan import Group, Plan
from triplicate.sweeps.progress import Progress, progress
from triplicate.sweeps.train import draw, train
from triplicate.sweeps.workers import Training, train_in_workers
from triplicate.training import devices
from triplicate.training.batches import held_out
from triplicate.training.engine import rehearse
from triplicate.training.work import Work

Failures = Mapping[Path, RunFailed]


def prepare(groups: Sequence[Group]) -> tuple[list[Dataset], list[Work]]:
    """The data of every group, each set read once, and what one of its runs asks of a machine.

    What is wrong with data, device or model shows before anything trains.

    Raises:
        UserError: a data set or a device that is not there or not as it must be, or a model that does not fit.
    """
    loaded: dict[tuple[DatasetConfig | FolderConfig, Path | None], Dataset] = {}
    rehearsed: dict[Any, Work] = {}
    works = []
    for group in groups:
        config = group.config
        devices.of(config)
        wanted = (config.dataset, config.data_dir)
        if wanted not in loaded:
            loaded[wanted] = datasets.load(*wanted)
            _check_split(config.dataset, len(loaded[wanted].train))
        network = (*wanted, config.model, config.activation, config.train, config.trace)
        if network not in rehearsed:
            rehearsed[network] = _rehearsed(config, loaded[wanted])
        works.append(rehearsed[network])
    return [loaded[g.config.dataset, g.config.data_dir] for g in groups], works


def execute(plan: Plan, data: Sequence[Dataset]) -> Failures:
    """Train every stack on the data of its group; one that fails is logged in its folders, and the others go on.

    Returns:
        The runs that failed: folder → why.

    Raises:
        OSError: a folder that cannot be written.
    """
    bar = progress(sum(len(stack.runs) * stack.runs[0].config.train.epochs for stack in plan.stacks))
    causes: dict[Path, str] = {}
    try:
        if plan.workers == 1:
            for number, stack in enumerate(plan.stacks, start=1):
                causes |= train(stack.runs, data[stack.group], bar, _label(number, plan))
            for run in (run for stack in plan.stacks for run in stack.runs if run.folder not in causes):
                causes |= draw(run)
        else:
            causes = _in_workers(plan, data, bar)
    finally:
        bar.close()
    return {folder: RunFailed(str(folder), cause) for folder, cause in causes.items()}


def _in_workers(plan: Plan, data: Sequence[Dataset], bar: Progress) -> dict[Path, str]:
    """Put each data set into a file that all workers map, for as long as they train."""
    with tempfile.TemporaryDirectory(prefix=".data-", dir=plan.stacks[0].runs[0].config.output_dir) as folder:
        files: dict[int, Path] = {}
        for dataset in data:
            if id(dataset) not in files:
                files[id(dataset)] = Path(folder, f"{len(files)}.safetensors")
                shared.write(dataset, files[id(dataset)])
        tasks = [
            Training(stack.runs, files[id(data[stack.group])], _label(number, plan))
            for number, stack in enumerate(plan.stacks, start=1)
        ]
        return train_in_workers(tasks, plan.workers, bar)


def _label(number: int, plan: Plan) -> str:
    return f"stack {number}/{len(plan.stacks)}, " if len(plan.stacks) > 1 else ""


def _check_split(config: DatasetConfig | FolderConfig, images: int) -> None:
    """Both parts of a split must have images."""
    apart = held_out(images, config.validation)
    if config.validation > 0 and not 0 < apart < images:
        problem = f"{config.validation:g} of {images} images leaves a part without any"
        raise UserError("dataset.validation", problem, "give another share or a larger dataset.limit")


def _rehearsed(config: RunConfig, dataset: Dataset) -> Work:
    """What a run asks of a machine; its model can be built for the data and has what is traced."""
    names, work = rehearse(config, dataset)
    for name in config.trace.only or ():
        if name not in names:
            raise unknown_name("trace.only", name, names)
    return work
