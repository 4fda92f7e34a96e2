"""Which runs train together, in which stacks, and which have been trained already.

Runs are a group where their configurations differ only in keys that each run of a stack has for itself, and their
networks have the same layers. A group is cut into stacks for the workers: more stacks keep more of them busy, fewer
have more runs to share each step. A stack that was begun stays as it was cut: what its runs compute depends on the
others in the last bits.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from triplicate.config import Identity, RunConfig, as_plain, groups, identity, setting
from triplicate.datasets import Dataset, DataSource
from triplicate.errors import UserError, unknown_name
from triplicate.lazy import torch
from triplicate.measures.shared.names import SPLIT_CURVES, evaluated, parse
from triplicate.parts import Part, kinds, names
from triplicate.parts.keys import keys_of
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.environment import cores
from triplicate.records.run_folder import Damaged, read_failure
from triplicate.records.sweep_folder import (
    Cut,
    Finished,
    SweepRecord,
    finished_runs,
    read_sweep_record,
    run_folders,
)
from triplicate.reports.figures import Figures
from triplicate.sweeps.cost import Cost, Machine, machine
from triplicate.sweeps.saving import Start, read_state
from triplicate.training import devices
from triplicate.training.counts import held_out

if TYPE_CHECKING:
    from triplicate.sweeps.trial import Trial

# A process takes time to start: less work than this, in multiply-adds, is done sooner without.
_WORTH_A_WORKER = 2e11

DataKey: TypeAlias = tuple[DataSource, Path | None]
"""A data source, and the folder that it looks in."""

Data: TypeAlias = Mapping[DataKey, Dataset]


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
        job: its number in the sweep, from 0.
        overrides: what the command set for it: key → value as typed.
        choices: what each config group stands at: group → name.
        identity: empty before its data is read.
        data: a hash of what its data set holds; empty before that is read.
    """

    job: int
    config: RunConfig
    folder: Path
    overrides: Mapping[str, str]
    choices: Mapping[str, str]
    identity: Identity = Identity("", "", "")
    data: str = ""

    @property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @property
    def data_key(self) -> DataKey:
        return self.config.dataset, self.config.data_dir


@dataclass(frozen=True)
class Group:
    """Runs that can train together: they differ only in what each run of a stack has for itself.

    Attributes:
        cost: of one of them.
        alone: why the one run of the group cannot train with others; None where it could.
    """

    runs: tuple[Run, ...]
    cost: Cost
    alone: str | None


@dataclass(frozen=True)
class Stack:
    """Runs that train together.

    Attributes:
        group: that it is a part of, or all.
        fraction: its part of the cost of the sweep.
        cut: the stack as it was cut, when it first began: some of its runs may have left since.
        device: that it trains on, as torch names it; a GPU without a number is the one of the worker.
        start: where it goes on; None: at the beginning.
        finished: fingerprints of runs that have ended, and train along so that the others compute what they would have.
    """

    runs: tuple[Run, ...]
    group: Group
    fraction: float
    cut: Cut
    device: str
    start: Start | None = None
    finished: frozenset[str] = frozenset()

    def missing(self) -> list[Run]:
        """The runs that have no result so far."""
        return [run for run in self.runs if run.fingerprint not in self.finished]


@dataclass(frozen=True)
class Plan:
    """What a sweep trains: its stacks, those that take longest first, on so many workers; and what is finished."""

    stacks: tuple[Stack, ...]
    workers: int
    finished: tuple[Run, ...] = ()

    def runs(self) -> list[Run]:
        """Those that are trained, and those that are finished."""
        return [*(run for stack in self.stacks for run in stack.missing()), *self.finished]


@dataclass(frozen=True)
class Survey:
    """The runs of a sweep, their data read and their networks tried. Nothing was looked at where runs are kept.

    Attributes:
        runs: each once.
        asked: the fingerprint of each run that was asked for, in order; a search may ask for the same one twice.
        data: that was read.
    """

    runs: tuple[Run, ...]
    groups: tuple[Group, ...]
    asked: tuple[str, ...] = ()
    data: Data = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What the folder of a sweep holds already.

    Attributes:
        finished: fingerprint → the finished runs that are sound.
        record: of earlier commands; None where there was none.
        names: of the folders of runs.
        failed: of those whose last training failed.
    """

    folder: Path
    finished: Mapping[str, Finished]
    record: SweepRecord | None
    names: frozenset[str]
    failed: frozenset[str]

    @staticmethod
    def in_folder(folder: Path, whole: bool = True) -> Kept:
        """
        Args:
            whole: every file of the finished runs is compared with its hash.

        Raises:
            UserError: there are runs of an older version.
        """
        try:
            record = read_sweep_record(folder)
        except Damaged:
            record = None
        paths = run_folders(folder)
        failed = frozenset(path.name for path in paths if read_failure(path) is not None)
        return Kept(folder, finished_runs(folder, whole), record, frozenset(path.name for path in paths), failed)


def survey(runs: Sequence[Run], is_new: bool = False, is_search: bool = False) -> Survey:
    """Check the runs of a sweep, read their data and try their networks. Nothing is written.

    Args:
        is_new: nothing of the sweep is there so far. Then data that is kept decoded is compared with its files byte by
            byte, and every device must be here: else those alone of the runs that are left to train.
        is_search: the same run may be asked for twice.

    Raises:
        UserError: an unknown name, the same run twice, a data set or a device that is not there or not as it must be,
            or a model that does not fit.
    """
    for tracker in runs[0].config.tracker.values():
        tracker.check()
    for run in runs:
        _check_report(run.config)
        devices.kind(run.config)
        if is_new:
            devices.check_here(run.config)
    data = load(runs, whole=is_new)
    asked = [_identified(run, data[run.data_key]) for run in runs]
    if not is_search:
        _check_distinct(asked)
    known = list({run.fingerprint: run for run in reversed(asked)}.values())[::-1]  # of equal ones the first
    return Survey(tuple(known), tuple(group(known, data)), tuple(run.fingerprint for run in asked), data)


def load(runs: Sequence[Run], whole: bool = False) -> Data:
    """The data of all runs, each data set once.

    Raises:
        UserError: it is not there or not as it must be, or its split leaves a part without images.
    """
    data: dict[DataKey, Dataset] = {}
    for run in runs:
        if run.data_key not in data:
            source, folder = run.data_key
            data[run.data_key] = source.load(folder, whole)
            _check_split(source, len(data[run.data_key].train))
    return data


def _identified(run: Run, dataset: Dataset) -> Run:
    data = dataset.content
    return replace(run, data=data, identity=identity(run.config, data, devices.kind(run.config)))


def plan(surveyed: Survey, kept: Kept, threads: int | None = None) -> Plan:
    """Find out what is left to train, where it goes on, and cut it into stacks. Nothing is written.

    Args:
        threads: that compute a stack on a CPU; None: the part of the cores that each run of the sweep would have. So
            they do not depend on the number of workers, and what a run computes does not either, to the last bit.

    Raises:
        UserError: the folder holds another experiment, or runs of an older version, or a device is not here.
    """
    first = surveyed.runs[0].config
    check_before(surveyed, kept)
    done = {run.fingerprint for run in surveyed.runs if _is_done(run, kept, first.rerun)}
    runs = _placed(surveyed.runs, kept)
    again = first.rerun == "all"
    begun = list(_begun(runs, surveyed.groups, done, kept, again))
    taken = done | {run.fingerprint for stack in begun for run in stack.runs}
    left = [_without(g, runs, taken) for g in surveyed.groups]
    fresh = [piece for g in left if g is not None for piece in _by_start(g, kept, again)]
    threads = threads or max(1, min(cores(), torch.get_num_threads()) // len(runs))
    there = machine([run.config for run in runs.values() if run.fingerprint not in done])
    divided = divide([g for g, _ in fresh], there, begun, threads)
    starts = {run.fingerprint: start for g, start in fresh for run in g.runs}
    stacks = tuple(_started(stack, starts) for stack in divided.stacks)
    return Plan(stacks, divided.workers, tuple(run for run in runs.values() if run.fingerprint in done))


def _is_done(run: Run, kept: Kept, rerun: str | None) -> bool:
    """Whether a run needs no training: it is finished, sound, and has measured what the report asks for."""
    found = kept.finished.get(run.fingerprint)
    if found is None or rerun == "all" or (rerun == "failed" and found.diverged):
        return False
    return set(evaluated(run.config.measured)) <= set(found.measured)


def check_before(surveyed: Survey, kept: Kept) -> None:
    """What speaks against training, before anything is written.

    Raises:
        UserError: the folder holds another experiment, or the device of a run that is not finished is not here.
    """
    _check_folder(surveyed.runs[0], kept)
    for run in surveyed.runs:
        if not _is_done(run, kept, run.config.rerun):
            devices.check_here(run.config)


def _check_folder(run: Run, kept: Kept) -> None:
    if kept.record is None:
        return
    experiment = run.choices.get("experiment", "")
    if kept.record.experiment != experiment:
        held = f"experiment={kept.record.experiment}" if kept.record.experiment else "a sweep without a preset"
        raise UserError("output_dir", f"{kept.folder} holds {held}", "give another output_dir")


def _placed(runs: Sequence[Run], kept: Kept) -> dict[str, Run]:
    """Every run by its fingerprint, in the folder that it has, or else in one that is free."""
    held = {wanted.folder: wanted.fingerprint for wanted in (kept.record.wanted if kept.record is not None else ())}
    own = {fingerprint: name for name, fingerprint in held.items()}
    placed = {}
    for run in runs:
        found, name = kept.finished.get(run.fingerprint), run.folder.name
        if found is not None:
            folder = found.folder
        elif run.fingerprint in own:
            folder = run.folder.with_name(own[run.fingerprint])
        elif name in held or name in kept.names:
            folder = run.folder.with_name(f"{name},{run.fingerprint[:8]}")
        else:
            folder = run.folder
        placed[run.fingerprint] = replace(run, folder=folder)
    return placed


def _begun(
    runs: Mapping[str, Run], grouped: Sequence[Group], done: Collection[str], kept: Kept, again: bool
) -> Iterator[Stack]:
    """The stacks of earlier commands that have not ended, as they were cut then; the newest first."""
    group_of = {run.fingerprint: g for g in grouped for run in g.runs}
    taken = set(done)
    for cut in kept.record.cuts if kept.record is not None and not again else ():
        here = [f for f in cut.fingerprints if f in runs]
        failed = any(_has_failed(runs[f], kept) for f in here)
        if all(f in taken for f in here) or (failed and runs[here[0]].config.rerun == "failed"):
            continue
        checkpoints = Checkpoints(kept.folder, cut.fingerprints)
        state = read_state(checkpoints)
        if state is not None:
            here = [f for f in here if cut.fingerprints.index(f) in state.runs]
        missing = [f for f in here if f not in taken]
        if missing:
            whole = all(f in runs or f in kept.finished for f in cut.fingerprints)
            places = tuple(cut.fingerprints.index(f) for f in here)
            yield Stack(
                runs=tuple(runs[f] for f in here),
                group=group_of[missing[0]],
                fraction=0.0,
                cut=cut if whole else Cut(tuple(here), cut.threads),
                device=devices.named(runs[here[0]].config),
                start=None if state is None else Start(state.epoch, None if whole else checkpoints, places),
                finished=frozenset(f for f in here if f in taken),
            )
            taken.update(missing)


def _has_failed(run: Run, kept: Kept) -> bool:
    found = kept.finished.get(run.fingerprint)
    return run.folder.name in kept.failed or (found is not None and found.diverged)


def _without(g: Group, runs: Mapping[str, Run], taken: Collection[str]) -> Group | None:
    """A group without some of its runs, the others where they have their folders; None if that is all."""
    left = tuple(runs[run.fingerprint] for run in g.runs if run.fingerprint not in taken)
    return replace(g, runs=left) if left else None


def _by_start(g: Group, kept: Kept, again: bool) -> Iterator[tuple[Group, Start | None]]:
    """The runs of a group that begin together: at the beginning, or where shorter runs of the same have ended."""
    by_epoch: dict[int, list[tuple[Run, Path | None]]] = {}
    for run in g.runs:
        shorter = None if again else _shorter(run, kept)
        by_epoch.setdefault(shorter.epochs if shorter else 0, []).append((run, shorter.checkpoint if shorter else None))
    for epochs, members in by_epoch.items():
        paths = tuple(path for _, path in members if path is not None)
        yield replace(g, runs=tuple(run for run, _ in members)), Start(epochs + 1, shorter=paths) if epochs else None


def _shorter(run: Run, kept: Kept) -> Finished | None:
    """The longest finished run that was the same for fewer epochs, where its schedule gave the same rates."""
    schedule, epochs = run.config.schedule, run.config.train.epochs

    def leads_on(found: Finished) -> bool:
        return (
            found.lineage == run.identity.lineage
            and found.epochs < epochs
            and found.checkpoint is not None
            and all(schedule.scale(e, found.epochs) == schedule.scale(e, epochs) for e in range(1, found.epochs + 1))
        )

    return max(filter(leads_on, kept.finished.values()), key=lambda found: found.epochs, default=None)


def _started(stack: Stack, starts: Mapping[str, Start | None]) -> Stack:
    """A new stack with the part of its group's start that is its own."""
    start = starts.get(stack.runs[0].fingerprint)
    if start is None or stack.start is not None:
        return stack
    members = [run.fingerprint for run in stack.group.runs]
    own = tuple(start.shorter[members.index(run.fingerprint)] for run in stack.runs)
    return replace(stack, start=replace(start, shorter=own))


def group(runs: Sequence[Run], data: Data) -> list[Group]:
    """The runs in groups that can train together, in the order of the sweep.

    Raises:
        UserError: a device or a model that is not as it must be.
    """
    from triplicate.sweeps.trial import attempt  # only here: it needs torch

    trials: dict[object, Trial] = {}
    together: dict[object, list[tuple[Run, Dataset, Trial]]] = {}
    for run in runs:
        config = run.config
        wanted = run.data_key
        parts = (config.model, config.activation, config.loss, config.augmentation)
        network = (*wanted, *parts, config.train, config.trace, config.device)
        if network not in trials:
            trials[network] = attempt(config, data[wanted])
        trial = trials[network]
        key = run.job if trial.alone else (_stack_key(config), trial.signature)
        together.setdefault(key, []).append((run, data[wanted], trial))
    return [made for members in together.values() for made in _groups(members)]


def _groups(members: Sequence[tuple[Run, Dataset, Trial]]) -> Iterator[Group]:
    """Runs that could be a stack as one group; each by itself where their forward pass does not bear it."""
    from triplicate.sweeps.trial import agree  # only here: it needs torch

    runs = tuple(run for run, _, _ in members)
    _, dataset, trial = members[0]
    reason = agree([run.config for run in runs], dataset) if trial.must_agree else trial.alone
    if reason is None:
        yield Group(runs, trial.cost, None)
        return
    for run, _, own in members:
        yield Group((run,), own.cost, reason)


def divide(grouped: Sequence[Group], machine: Machine, begun: Sequence[Stack] = (), threads: int = 1) -> Plan:
    """Cut groups into stacks so that the workers end as early, and as nearly together, as they can.

    Args:
        begun: stacks that are cut already.
        threads: of each new stack.
    """
    old = [_Piece(stack.runs, stack.group, stack.group.cost.of_stack(len(stack.runs))) for stack in begun]
    if not grouped and not old:
        return Plan((), 1)
    wanted = (old[0] if old else grouped[0]).runs[0].config.executor.workers
    total = sum(g.cost.of_stack(len(g.runs)) for g in grouped) + sum(piece.cost for piece in old)
    worth = machine.workers if machine.gpus else min(machine.workers, math.ceil(total / _WORTH_A_WORKER))
    workers = min(wanted or worth, sum(len(g.runs) for g in grouped) + len(old))
    fits = [_fits(g, machine, workers) for g in grouped]
    # Every limit on the cost of a stack that cuts some group differently; of equally good ones the first, the highest.
    limits = {g.cost.of_stack(len(g.runs)) / parts for g in grouped for parts in _counts(g)} or {math.inf}
    cuts = ([*old, *_cut(grouped, fits, limit)] for limit in sorted(limits, reverse=True))
    pieces = _soonest(cuts, workers)
    whole = sum(piece.cost for piece in pieces)
    stacks = {id(piece): replace(stack, fraction=piece.cost / whole) for piece, stack in zip(old, begun, strict=True)}
    made = tuple(
        stacks.get(id(piece)) or _fresh(piece, piece.cost / whole, threads)
        for piece in sorted(pieces, key=lambda piece: -piece.cost)
    )
    return Plan(made, min(workers, len(made)))


@dataclass(frozen=True)
class _Piece:
    """A part of a group, as a stack may be."""

    runs: tuple[Run, ...]
    group: Group
    cost: float


def _fresh(piece: _Piece, fraction: float, threads: int) -> Stack:
    cut = Cut(tuple(run.fingerprint for run in piece.runs), threads)
    return Stack(piece.runs, piece.group, fraction, cut, devices.named(piece.runs[0].config))


def _counts(group: Group) -> range:
    return range(1, len(group.runs) + 1)


def _fits(group: Group, machine: Machine, workers: int) -> int:
    """How many runs of a group the memory holds as one stack."""
    room = machine.room(devices.kind(group.runs[0].config), workers)
    return max(1, int(room / group.cost.bytes))


def _cut(grouped: Sequence[Group], fits: Sequence[int], limit: float) -> list[_Piece]:
    """Stacks of about equal size from each group, none above a limit on the cost or on its number of runs."""
    pieces = []
    for g, most in zip(grouped, fits, strict=True):
        parts = max(math.ceil(g.cost.of_stack(len(g.runs)) / limit - 1e-9), math.ceil(len(g.runs) / most))
        parts = min(parts, len(g.runs))
        bounds = [len(g.runs) * part // parts for part in range(parts + 1)]
        pieces += [_Piece(g.runs[a:b], g, g.cost.of_stack(b - a)) for a, b in pairwise(bounds)]
    return pieces


def _soonest(cuts: Iterable[list[_Piece]], workers: int) -> list[_Piece]:
    """The cut that ends first; of equally good ones the first.

    Args:
        cuts: one after the other they have more stacks, which cost more together.
    """
    best, least = list[_Piece](), math.inf
    for cut in cuts:
        costs = [piece.cost for piece in cut]
        if best and sum(costs) / workers >= least:
            break  # not even if all workers ended together
        span = _span(costs, workers)
        if not best or span < least:
            best, least = cut, span
    return best


def _span(costs: Sequence[float], workers: int) -> float:
    """When the last worker ends, if each takes the heaviest stack that is left as soon as it is free."""
    busy = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(busy, busy[0] + cost)
    return max(busy)


def describe(planned: Plan) -> str:
    """The plan as text for a terminal."""
    count = sum(len(stack.missing()) for stack in planned.stacks)
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
        onward = f"; goes on in epoch {stack.start.epoch}" if stack.start is not None else ""
        lines.append(f"stack {number}: {len(stack.runs)} run(s){part}, {stack.fraction:.0%} of the work{told}{onward}")
        lines += [f"  {run.folder.name}" for run in stack.missing()]
    lines += [f"finished: {run.folder.name}" for run in planned.finished]
    return "\n".join(lines)


def _check_report(config: RunConfig) -> None:
    """The names that a report is asked for."""
    for measure in (*config.report.measures, *config.report.bars):
        parse(measure)
    for entry in config.report.curves:
        if entry not in SPLIT_CURVES:
            parse(entry, "report.curves")
    for measure in config.objectives:
        parse(measure, "objective")
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
        if run.fingerprint in seen:
            shown = {k: v for k, v in run.overrides.items() if k != "experiment"}
            subject = ", ".join(f"{k}={v}" for k, v in shown.items())
            raise UserError(subject, "this run is given twice", "give each value of a sweep once")
        seen.add(run.fingerprint)


def _stack_key(config: RunConfig) -> str:
    """What the runs of a stack must have in common, besides the layers of their networks."""
    shared = setting(as_plain(config))
    for name, cls in groups().items():
        if issubclass(cls, Part):
            shared[name] = None if kinds()[cls.kind].per_run else _shared(shared[name], getattr(config, name))
    return json.dumps([shared, str(config.data_dir), sorted(evaluated(config.measured))], sort_keys=True)


def _shared(plain: Mapping[str, object], part: Part) -> dict[str, object]:
    """A part's values without those that each run of a stack has for itself."""
    own = {name for name, key in keys_of(type(part)).items() if key.per_run}
    return {name: value for name, value in plain.items() if name not in own}
