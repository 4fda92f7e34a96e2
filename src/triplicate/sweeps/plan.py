"""Which runs train together, in which stacks, and which have been trained already.

Runs are a group where their configurations differ only in keys that each run of a stack has for itself, and their
networks have the same layers. A group is cut into stacks for the workers: more stacks keep more of them busy, fewer
have more runs to share each step.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from triplicate.config import RunConfig, as_plain, fingerprint, groups, setting
from triplicate.datasets import Dataset, DataSource
from triplicate.errors import UserError, unknown_name
from triplicate.measures.shared.names import SPLIT_CURVES, evaluated, parse
from triplicate.parts import Part, kinds, names
from triplicate.parts.keys import keys_of
from triplicate.records.run_folder import finished_fingerprint
from triplicate.reports.figures import Figures
from triplicate.sweeps.cost import Cost, Machine, machine
from triplicate.sweeps.trial import Trial, agree, attempt
from triplicate.training import devices
from triplicate.training.batches import held_out

# A process takes time to start: less work than this, in multiply-adds, is done sooner without.
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
    """Runs that can train together: they differ only in what each run of a stack has for itself.

    Attributes:
        cost: of one of them.
        alone: why the one run of the group cannot train with others; None where it could.
    """

    runs: tuple[Run, ...]
    dataset: Dataset
    cost: Cost
    alone: str | None


@dataclass(frozen=True)
class Stack:
    """Runs that train together.

    Attributes:
        group: that it is a part of, or all.
        fraction: its part of the cost of the sweep.
    """

    runs: tuple[Run, ...]
    group: Group
    fraction: float


@dataclass(frozen=True)
class Plan:
    """What a sweep trains: its stacks, those that take longest first, on so many workers; and what is finished."""

    stacks: tuple[Stack, ...]
    workers: int
    finished: tuple[Run, ...] = ()


def plan(runs: Sequence[Run]) -> Plan:
    """Check the runs of a sweep, read their data, try their networks, and cut them into stacks. Nothing is written.

    Raises:
        UserError: an unknown name, the same run twice, a folder that holds another finished run, a data set or a device
            that is not there or not as it must be, or a model that does not fit.
    """
    for run in runs:
        _check_report(run.config)
        devices.of(run.config)
    _check_distinct(runs)
    finished = tuple(run for run in runs if _is_finished(run))
    grouped = group([run for run in runs if run not in finished])
    return dataclasses.replace(divide(grouped, machine([run.config for run in runs])), finished=finished)


def group(runs: Sequence[Run]) -> list[Group]:
    """The runs in groups that can train together, in the order of the sweep.

    Raises:
        UserError: data, a device or a model that is not as it must be.
    """
    data: dict[tuple[DataSource, Path | None], Dataset] = {}
    trials: dict[object, Trial] = {}
    together: dict[object, list[tuple[Run, Dataset, Trial]]] = {}
    for run in runs:
        config = run.config
        wanted = (config.dataset, config.data_dir)
        if wanted not in data:
            data[wanted] = config.dataset.load(config.data_dir)
            _check_split(config.dataset, len(data[wanted].train))
        network = (*wanted, config.model, config.activation, config.loss, config.train, config.trace, config.device)
        if network not in trials:
            trials[network] = attempt(config, data[wanted])
        trial = trials[network]
        key = run.job if trial.alone else (_stack_key(config), trial.signature)
        together.setdefault(key, []).append((run, data[wanted], trial))
    return [made for members in together.values() for made in _groups(members)]


def _groups(members: Sequence[tuple[Run, Dataset, Trial]]) -> Iterator[Group]:
    """Runs that could be a stack as one group; each by itself where their forward pass does not bear it."""
    runs = tuple(run for run, _, _ in members)
    _, dataset, trial = members[0]
    reason = agree([run.config for run in runs], dataset) if trial.must_agree else trial.alone
    if reason is None:
        yield Group(runs, dataset, trial.cost, None)
        return
    for run, _, own in members:
        yield Group((run,), dataset, own.cost, reason)


def divide(grouped: Sequence[Group], machine: Machine) -> Plan:
    """Cut groups into stacks so that the workers end as early, and as nearly together, as they can."""
    if not grouped:
        return Plan((), 1)
    wanted = grouped[0].runs[0].config.executor.workers
    total = sum(g.cost.of_stack(len(g.runs)) for g in grouped)
    worth = machine.workers if machine.has_gpus else min(machine.workers, math.ceil(total / _WORTH_A_WORKER))
    workers = min(wanted or worth, sum(len(g.runs) for g in grouped))
    room = machine.bytes / workers
    # Every limit on the cost of a stack that cuts some group differently; of equally good ones the first, the highest.
    limits = {g.cost.of_stack(len(g.runs)) / parts for g in grouped for parts in _counts(g)}
    cuts = (_cut(grouped, room, limit) for limit in sorted(limits, reverse=True))
    stacks = min(cuts, key=lambda cut: _span([piece.cost for piece in cut], workers))
    ordered = sorted(stacks, key=lambda piece: -piece.cost)
    whole = sum(piece.cost for piece in ordered)
    made = tuple(Stack(piece.runs, piece.group, piece.cost / whole) for piece in ordered)
    return Plan(made, min(workers, len(made)))


@dataclass(frozen=True)
class _Piece:
    """A part of a group, as a stack may be."""

    runs: tuple[Run, ...]
    group: Group
    cost: float


def _counts(group: Group) -> range:
    return range(1, len(group.runs) + 1)


def _cut(grouped: Sequence[Group], room: float, limit: float) -> list[_Piece]:
    """Stacks of about equal size from each group, none above a limit on the cost or what fits into so many bytes."""
    pieces = []
    for g in grouped:
        fits = max(1, int(room / g.cost.bytes))
        parts = max(math.ceil(g.cost.of_stack(len(g.runs)) / limit - 1e-9), math.ceil(len(g.runs) / fits))
        parts = min(parts, len(g.runs))
        bounds = [len(g.runs) * part // parts for part in range(parts + 1)]
        pieces += [_Piece(g.runs[a:b], g, g.cost.of_stack(b - a)) for a, b in pairwise(bounds)]
    return pieces


def _span(costs: Sequence[float], workers: int) -> float:
    """When the last worker ends, if each takes the heaviest stack that is left as soon as it is free."""
    busy = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(busy, busy[0] + cost)
    return max(busy)


def describe(planned: Plan) -> str:
    """The plan as text for a terminal."""
    count = sum(len(stack.runs) for stack in planned.stacks)
    ready = f", {len(planned.finished)} finished already" if planned.finished else ""
    lines = [
        f"{count} runs to train{ready}: {len(planned.stacks)} stacks, {planned.workers} worker(s), in this order",
        "",
    ]
    for number, stack in enumerate(planned.stacks, start=1):
        whole = stack.group
        reason = whole.alone or ("no other run is of its kind" if len(whole.runs) == 1 else "")
        told = f"; alone: {reason}" if reason and len(stack.runs) == 1 else ""
        part = f" of {len(whole.runs)} that could train together" if len(stack.runs) < len(whole.runs) else ""
        lines.append(f"stack {number}: {len(stack.runs)} run(s){part}, {stack.fraction:.0%} of the work{told}")
        lines += [f"  {run.folder.name}" for run in stack.runs]
    lines += [f"finished: {run.folder.name}" for run in planned.finished]
    return "\n".join(lines)


def _check_report(config: RunConfig) -> None:
    """The names that a report is asked for."""
    for measure in (*config.report.measures, *config.report.bars):
        parse(measure)
    for entry in config.report.curves:
        if entry not in SPLIT_CURVES:
            parse(entry, "report.curves")
    for figure in config.report.figures:
        if figure not in names(Figures.kind):
            raise unknown_name("report.figures", figure, names(Figures.kind))


def _check_split(config: DataSource, images: int) -> None:
    """Both parts of a split must have images."""
    apart = held_out(images, config.validation)
    if config.validation > 0 and not 0 < apart < images:
        problem = f"{config.validation:g} of {images} images leaves a part without any"
        raise UserError("dataset.validation", problem, "give another fraction or a larger dataset.limit")


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
    """What the runs of a stack must have in common, besides the layers of their networks."""
    shared = setting(as_plain(config))
    for name, cls in groups().items():
        if issubclass(cls, Part):
            shared[name] = None if kinds()[cls.kind].per_run else _shared(shared[name], getattr(config, name))
    return json.dumps([shared, str(config.data_dir), sorted(evaluated(config.report.measured))], sort_keys=True)


def _shared(plain: Mapping[str, object], part: Part) -> dict[str, object]:
    """A part's values without those that each run of a stack has for itself."""
    own = {name for name, key in keys_of(type(part)).items() if key.per_run}
    return {name: value for name, value in plain.items() if name not in own}
