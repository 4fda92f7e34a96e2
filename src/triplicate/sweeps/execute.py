"""Trains the stacks of a plan, here or in workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from triplicate import verbosity
from triplicate.errors import RunFailed
from triplicate.sweeps.interruption import Interruption
from triplicate.sweeps.plan import Data, Plan
from triplicate.sweeps.planner import Here, Planner
from triplicate.sweeps.progress import Progress, Tally, progress
from triplicate.sweeps.task import Task, in_parts, is_finished
from triplicate.sweeps.workers import train_in_workers

Failures = Mapping[Path, RunFailed]


def execute(
    plan: Plan, planner: Planner, interruption: Interruption, sweep_ids: Mapping[str, str], in_place: bool = False
) -> Failures:
    """Train every stack on its data; one that fails is logged in its folders, and the others go on, or not.

    Args:
        planner: that has made the plan, and has the data.
        sweep_ids: as in `Task`.
        in_place: in this process, whatever the plan says; the planner is in it too.

    Returns:
        The runs that failed: folder → why.

    Raises:
        OSError: a folder that cannot be written.
        Interrupted: it was asked to end, and what was in training is saved.
    """
    count = len(plan.stacks)
    tasks = [Task.of(stack, number, count, sweep_ids) for number, stack in enumerate(plan.stacks, start=1)]
    if not tasks:
        return {}
    is_most = any(run.config.stopping.ends_early for task in tasks for run in task.runs)
    bar = progress(Tally(sum(task.run_epochs for task in tasks), is_most), verbosity.shows_progress())
    # A GPU may be of no use any more to a process in which something has failed there: let it not be this one.
    is_enough = in_place or (plan.workers == 1 and all(task.device == "cpu" for task in tasks))
    try:
        if isinstance(planner, Here) and is_enough:
            causes = _here(tasks, planner.data, bar, interruption)
        else:
            causes = train_in_workers(tasks, planner, plan.workers, bar, interruption)
    finally:
        bar.close()
    interruption.check()
    return {folder: RunFailed(str(folder), cause) for folder, cause in causes.items()}


def _here(tasks: Sequence[Task], data: Data, bar: Progress, interruption: Interruption) -> dict[Path, str]:
    from triplicate.sweeps.train import draw, train  # only here: it needs torch

    causes: dict[Path, str] = {}
    lost: set[str] = set()
    waiting = list(tasks)
    while waiting and not (causes and tasks[0].stops):
        task = waiting.pop(0)
        outcome = train(task, data[task.runs[0].data_key], bar, interruption, lost)
        causes |= outcome.causes
        waiting[:0] = in_parts(task, outcome.parts)
    for run in (run for task in tasks for run in task.missing() if is_finished(run)):
        draw(run)
        interruption.check()
    return causes
