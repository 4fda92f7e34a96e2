"""Which runs train together, and which have been trained already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.config import RunConfig, as_plain, fingerprint, setting
from triplicate.datasets import LOADERS
from triplicate.errors import UserError, unknown_name
from triplicate.models import MODELS
from triplicate.records.run_folder import finished_fingerprint
from triplicate.reports.tables import MEASURES
from triplicate.training.activations import ACTIVATIONS
from triplicate.training.initializers import INITIALIZERS
from triplicate.training.optimizers import OPTIMIZERS

_REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "dataset": LOADERS,
    "model": MODELS,
    "optimizer": OPTIMIZERS,
    "activation": ACTIVATIONS,
    "init": INITIALIZERS,
}

# What a stack holds a row of; everything else must agree among its runs.
_ROWS: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("lr", "momentum", "weight_decay"),
    "init": ("name",),
}


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
class Plan:
    """The stacks to train, in order, and the runs that are finished already."""

    stacks: tuple[tuple[Run, ...], ...]
    finished: tuple[Run, ...]


def plan(runs: Sequence[Run]) -> Plan:
    """Check the runs of a sweep and group them into stacks. Nothing is written.

    Raises:
        UserError: an unknown name, the same run twice, or a folder that holds another finished run.
    """
    for run in runs:
        _check_names(run.config)
    _check_distinct(runs)
    finished = tuple(run for run in runs if _is_finished(run))
    stacks: dict[str, list[Run]] = {}
    for run in runs:
        if run not in finished:
            stacks.setdefault(_stack_key(run.config), []).append(run)
    return Plan(tuple(tuple(stack) for stack in stacks.values()), finished)


def _check_names(config: RunConfig) -> None:
    for group, registry in _REGISTRIES.items():
        name = getattr(config, group).name
        if name not in registry:
            raise unknown_name(f"{group}.name", name, registry)
    for measure in config.report.measures:
        if measure not in MEASURES:
            raise unknown_name("report.measures", measure, MEASURES)


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
    return json.dumps([shared, str(config.data_dir)], sort_keys=True)
