"""Which runs train together, and which have been trained already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.config import CnnConfig, MlpConfig, PretrainedConfig, RunConfig, as_plain, fingerprint, setting
from triplicate.datasets import LOADERS
from triplicate.errors import UserError, unknown_name
from triplicate.records.run_folder import finished_fingerprint
from triplicate.reports.names import FIGURES
from triplicate.reports.tables import check_measure
from triplicate.training.activations import ACTIVATIONS
from triplicate.training.engine import trains_together
from triplicate.training.initializers import INITIALIZERS

_REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "dataset": LOADERS,
    "activation": ACTIVATIONS,
    "init": INITIALIZERS,
}

# What a stack holds a row of; everything else must agree among its runs.
_ROWS: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("lr", "momentum", "weight_decay"),
    "init": ("name", "std"),
    "model": ("dropout",),
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
            key = _stack_key(run.config) if trains_together(run.config) else f"alone {run.job}"
            stacks.setdefault(key, []).append(run)
    return Plan(tuple(tuple(stack) for stack in stacks.values()), finished)


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
    shared["drops"] = isinstance(config.model, MlpConfig) and config.model.dropout > 0
    return json.dumps([shared, str(config.data_dir)], sort_keys=True)
