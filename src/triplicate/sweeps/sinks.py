"""Where the events of a stack go. The folders of its runs come first: what is told elsewhere is written by then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import torch

from triplicate.datasets import Dataset
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Run
from triplicate.sweeps.progress import Progress
from triplicate.sweeps.summary import summarize
from triplicate.training.counts import steps_per_epoch
from triplicate.training.events import EpochEnd, Event, RunEnd, StepsDone
from triplicate.training.state import StackState


class Sink(Protocol):
    """What takes the events of a stack, each as soon as it happens."""

    def take(self, event: Event) -> None: ...


@dataclass(frozen=True)
class Opening:
    """How a stack begins, or goes on.

    Attributes:
        runs: of the stack, by their places in it.
        finished: the fingerprints of those that train along and have ended.
        resumed: where it goes on; None: at the beginning.
    """

    runs: Sequence[Run]
    finished: frozenset[str]
    resumed: StackState | None

    def epochs(self) -> list[list[EpochMetrics]]:
        """What each run has had so far."""
        states = self.resumed.runs if self.resumed is not None else {}
        return [list(states[place].epochs) if place in states else [] for place in range(len(self.runs))]

    def has_left(self, place: int) -> bool:
        """Whether a run had ended before the stack was saved, and is in none of its states."""
        return self.resumed is not None and place not in self.resumed.runs

    def written(self) -> list[int]:
        """The places of the runs that are written: those that have no result."""
        places = range(len(self.runs))
        return [p for p in places if self.runs[p].fingerprint not in self.finished and not self.has_left(p)]


class Shown:
    """How far the stack is, for the person who waits for it."""

    def __init__(self, opening: Opening, progress: Progress, label: str, images: int) -> None:
        """Args: `label`, what notes begin with; `images` of the data set to train on."""
        config = opening.runs[0].config
        self._runs = opening.runs
        self._epochs = opening.epochs()
        self._progress, self._label = progress, label
        self._steps, self._total = steps_per_epoch(config, images), config.train.epochs
        left = [run for place, run in enumerate(opening.runs) if opening.has_left(place)]
        progress.skip(sum(map(len, self._epochs)) + sum(run.config.train.epochs for run in left))

    def take(self, event: Event) -> None:
        match event:
            case StepsDone():
                self._progress.advance(event.run_steps / self._steps)
            case EpochEnd():
                self._epochs[event.run].append(event.metrics)
                if event.is_last_of_stack:
                    self._progress.note(self._label + _standing(event.metrics.epoch, self._total, self._epochs))
            case RunEnd():
                self._progress.skip(self._total - len(self._epochs[event.run]))


class Folders:
    """The folders of the runs that have no result."""

    def __init__(self, opening: Opening, dataset: Dataset, is_stacked: bool, device: torch.device) -> None:
        self._runs = opening.runs
        self._epochs = opening.epochs()
        self._dataset, self._is_stacked, self._device = dataset, is_stacked, device
        self._samples = dataset.test.samples()
        self._folders = _opened(opening)

    def take(self, event: Event) -> None:
        """
        Raises:
            OSError: a folder that cannot be written.
        """
        match event:
            case EpochEnd():
                self._epochs[event.run].append(event.metrics)
                if event.run in self._folders:
                    self._append(self._folders[event.run], event)
            case RunEnd() if event.run in self._folders:
                self._finish(self._folders[event.run], event)

    def _append(self, folder: RunFolder, event: EpochEnd) -> None:
        folder.append(event.metrics)
        if self._runs[event.run].config.trace.steps:
            folder.append_steps(event.step_losses, event.step_accuracies)

    def _finish(self, folder: RunFolder, event: RunEnd) -> None:
        run, epochs = self._runs[event.run], self._epochs[event.run]
        folder.write_gradients(event.gradients)
        folder.write_confusion(event.confusion, self._dataset.classes)
        folder.write_weights(event.weights)
        folder.write_samples(self._samples.pixels, self._samples.labels)
        if event.state is not None:
            with suppress(TypeError):  # as in Saver.save
                folder.write_checkpoint(event.state.moved({event.run: 0}).content())
        size = len(self._runs)
        folder.finish(summarize(run, event, epochs, self._dataset, size, self._is_stacked, self._device))


def _opened(opening: Opening) -> Mapping[int, RunFolder]:
    """The folders to be written, by the place of their run in the stack, begun or going on."""
    folders = {}
    for place in opening.written():
        run = opening.runs[place]
        folders[place] = RunFolder(run.folder)
        if opening.resumed is not None:
            state = opening.resumed.runs[place]
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
