"""A stack that is to be trained, by whatever process, and how that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from triplicate import verbosity
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import SUMMARY
from triplicate.records.sweep_folder import Cut, replace_cut
from triplicate.sweeps.plan import Run, Stack
from triplicate.sweeps.saving import Start


@dataclass(frozen=True)
class Task:
    """A stack to train: all but its data, so that it can be sent to another process.

    Attributes:
        stacked: whether the runs could train with others; else there is one run.
        device: that it trains on, as torch names it; a GPU without a number is the one of the worker.
        label: what notes on its progress begin with.
        sweep_ids: the id of the sweep at each tracker that is told of the runs, by the tracker's name.
        again: it was begun by a process that is gone.
    """

    runs: tuple[Run, ...]
    stacked: bool
    cut: Cut
    device: str
    start: Start | None = None
    finished: frozenset[str] = frozenset()
    label: str = ""
    sweep_ids: Mapping[str, str] = field(default_factory=dict)
    again: bool = False

    @staticmethod
    def of(stack: Stack, number: int, stacks: int, sweep_ids: Mapping[str, str]) -> Task:
        """Args: `number` of so many stacks, from 1."""
        label = f"stack {number}/{stacks}, " if stacks > 1 else ""
        stacked = stack.group.alone is None
        return Task(stack.runs, stacked, stack.cut, stack.device, stack.start, stack.finished, label, sweep_ids)

    def retried(self) -> Task:
        """The same for another process: what has ended by now is finished."""
        ended = {run.fingerprint for run in self.runs if is_finished(run)}
        return replace(self, finished=self.finished | ended, again=True)

    @property
    def run_epochs(self) -> int:
        """All epochs of all its runs."""
        return sum(run.config.train.epochs for run in self.runs)

    @property
    def stops(self) -> bool:
        """Whether its sweep ends when a run has failed."""
        return self.runs[0].config.on_error == "stop"

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


def is_finished(run: Run) -> bool:
    return (run.folder / SUMMARY).is_file()
