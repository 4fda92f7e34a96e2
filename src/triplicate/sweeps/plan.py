"""Which runs train together, in which stacks, and which have been trained already.

Runs whose configurations differ only in what a stack holds a row of are a group. A group is cut into stacks for the
workers: more stacks keep more of them busy, fewer have more runs to share each step.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from triplicate.config import CnnConfig, MlpConfig, PretrainedConfig, RunConfig, as_plain, fingerprint, setting
from triplicate.datasets import LOADERS
from triplicate.errors import UserError, unknown_name
from triplicate.records.run_folder import finished_fingerprint
from triplicate.reports.names import FIGURES
from triplicate.reports.tables import check_measure
from triplicate.sweeps.machine import Machine
from triplicate.training import devices
from triplicate.training.activations import ACTIVATIONS
from triplicate.training.engine import stands_alone
from triplicate.training.initializers import INITIALIZERS
from triplicate.training.work import Work

_REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "dataset": LOADERS,
    "activation": ACTIVATIONS,
    "init": INITIALIZERS,
}

# What a stack holds a row of; everything else must agree among its runs.
_ROWS: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("lr", "momentum", "nesterov", "weight_decay", "alpha", "beta1", "beta2", "eps"),
    "init": ("name", "std"),
    "model": ("dropout",),
}


# A process takes some 2 s of a core to start: less work than 4 s of it, in multiply-adds, is done sooner without.
_WORTH_A_WORKER = 2e11


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
        job: its number in the sweep, from 0.
        overrides: what the command set for it: key → value as typed.
        choices: what each config group stands at: group → name.
    """

    job: int
    config: RunConfig
    folder: Path
    overrides: Mapping[str, str]
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """Runs that differ only in what a stack holds a row of, and that have the same work to do.

    Attributes:
        alone: why the one run of the group cannot train with others; None where it could.
    """

    runs: tuple[Run, ...]
    alone: str | None

    @property
    def config(self) -> RunConfig:
        """The configuration of the first run, for all that the runs share."""
        return self.runs[0].config


@dataclass(frozen=True)
class Stack:
    """Runs that train together.

    Attributes:
        group: the number of the group that it is a part of, or all.
        share: its part of the cost of the sweep.
    """

    runs: tuple[Run, ...]
    group: int
    share: float


@dataclass(frozen=True)
class Plan:
    """What a sweep trains: its stacks, those that take longest first, on so many workers."""

    stacks: tuple[Stack, ...]
    workers: int


def group(runs: Sequence[Run]) -> tuple[list[Group], list[Run]]:
    """Check the runs of a sweep and group them. Nothing is written.

    Returns:
        The groups to train, in the order of the sweep, and the runs that are finished already.

    Raises:
        UserError: an unknown name, the same run twice, or a folder that holds another finished run.
    """
    for run in runs:
        _check_names(run.config)
    _check_distinct(runs)
    finished = [run for run in runs if _is_finished(run)]
    groups: dict[str, list[Run]] = {}
    reasons: dict[str, str | None] = {}
    for run in runs:
        if run in finished:
            continue
        reason = stands_alone(run.config, devices.kind(run.config))
        key = _stack_key(run.config) if reason is None else f"alone {run.job}"
        groups.setdefault(key, []).append(run)
        reasons[key] = reason
    return [Group(tuple(members), reasons[key]) for key, members in groups.items()], finished


def divide(groups: Sequence[Group], works: Sequence[Work], machine: Machine) -> Plan:
    """Cut the groups into stacks so that the workers end as early, and as nearly together, as they can.

    Args:
        works: for each group what one of its runs asks of the machine.
    """
    if not groups:
        return Plan((), 1)
    wanted = groups[0].config.executor.workers
    total = sum(work.cost(len(g.runs)) for g, work in zip(groups, works, strict=True))
    worth = machine.workers if machine.has_gpus else min(machine.workers, math.ceil(total / _WORTH_A_WORKER))
    workers = min(wanted or worth, sum(len(g.runs) for g in groups))
    fitting = [max(1, int(machine.bytes / workers / work.bytes)) for work in works]
    # Every limit on the cost of a stack that cuts some group differently; of equally good ones the first, the highest.
    limits = {work.cost(len(g.runs)) / parts for g, work in zip(groups, works, strict=True) for parts in _counts(g)}
    cuts = (_cut(groups, works, fitting, limit) for limit in sorted(limits, reverse=True))
    stacks = min(cuts, key=lambda cut: _span([cost for _, _, cost in cut], workers))
    ordered = sorted(stacks, key=lambda stack: -stack[2])
    whole = sum(cost for _, _, cost in ordered)
    made = tuple(Stack(runs, number, cost / whole) for runs, number, cost in ordered)
    return Plan(made, min(workers, len(made)))


def _counts(group: Group) -> range:
    return range(1, len(group.runs) + 1)


def _cut(
    groups: Sequence[Group], works: Sequence[Work], fitting: Sequence[int], limit: float
) -> list[tuple[tuple[Run, ...], int, float]]:
    """Stacks of about equal size from each group, none above the limit or what fits: runs, group and cost of each."""
    stacks = []
    for number, (members, work, fits) in enumerate(zip(groups, works, fitting, strict=True)):
        runs = members.runs
        parts = max(math.ceil(work.cost(len(runs)) / limit - 1e-9), math.ceil(len(runs) / fits))
        parts = min(parts, len(runs))
        bounds = [len(runs) * part // parts for part in range(parts + 1)]
        stacks += [(runs[a:b], number, work.cost(b - a)) for a, b in pairwise(bounds)]
    return stacks


def _span(costs: Sequence[float], workers: int) -> float:
    """When the last worker ends, if each takes the heaviest stack that is left as soon as it is free."""
    busy = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(busy, busy[0] + cost)
    return max(busy)


def describe(plan: Plan, groups: Sequence[Group], finished: Sequence[Run]) -> str:
    """The plan as text for a terminal."""
    count = sum(len(g.runs) for g in groups)
    ready = f", {len(finished)} finished already" if finished else ""
    lines = [f"{count} runs to train{ready}: {len(plan.stacks)} stacks, {plan.workers} worker(s), in this order", ""]
    for number, stack in enumerate(plan.stacks, start=1):
        whole = groups[stack.group]
        reason = whole.alone or ("no other run is of its kind" if len(whole.runs) == 1 else "")
        told = f"; alone: {reason}" if reason and len(stack.runs) == 1 else ""
        part = f" of {len(whole.runs)} that could train together" if len(stack.runs) < len(whole.runs) else ""
        lines.append(f"stack {number}: {len(stack.runs)} run(s){part}, {stack.share:.0%} of the work{told}")
        lines += [f"  {run.folder.name}" for run in stack.runs]
    lines += [f"finished: {run.folder.name}" for run in finished]
    return "\n".join(lines)


def _check_names(config: RunConfig) -> None:
    for group, registry in _REGISTRIES.items():
        name = getattr(config, group).name
        if name not in registry:
            raise unknown_name(f"{group}.name", name, registry)
    if isinstance(config.model, CnnConfig) and config.model.activation is not None:
        chosen = config.model.activation
        for name in (chosen,) if isinstance(chosen, str) else chosen:
            if name not in ACTIVATIONS:
                raise unknown_name("model.activation", name, ACTIVATIONS)
    for measure in (*config.report.measures, *config.report.bars):
        check_measure(measure)
    for figure in config.report.figures:
        if figure not in FIGURES:
            raise unknown_name("report.figures", figure, FIGURES)
    if isinstance(config.model, PretrainedConfig) and config.model.weights != "none" and config.init.name != "default":
        raise UserError("init", "it would overwrite the weights of the file", "choose init=default")


def _check_distinct(runs: Sequence[Run]) -> None:
    seen: set[str] = set()
    for run in runs:
        mark = fingerprint(run.config)
        if mark in seen:
            shown = {k: v for k, v in run.overrides.items() if k != "experiment"}
            subject = ", ".join(f"{k}={v}" for k, v in shown.items())
            raise UserError(subject, "this run is given twice", "give each value of a sweep once")
        seen.add(mark)


def _is_finished(run: Run) -> bool:
    found = finished_fingerprint(run.folder)
    if found is not None and found != fingerprint(run.config):
        raise UserError(str(run.folder), "a finished run of another configuration is here", "give another output_dir")
    return found is not None


def _stack_key(config: RunConfig) -> str:
    shared = setting(as_plain(config))
    for group, names in _ROWS.items():
        shared[group] = {k: v for k, v in shared[group].items() if k not in names}
    # A network that drops nothing has no layers for it.
    shared["drops"] = isinstance(config.model, MlpConfig | CnnConfig) and config.model.dropout > 0
    return json.dumps([shared, str(config.data_dir)], sort_keys=True)
