"""The rows of a table: the runs of a sweep by setting, and the statistics of their measures."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from triplicate.config import flatten, setting
from triplicate.lazy import pandas as pd
from triplicate.measures import History, RunMeasure
from triplicate.measures.shared.names import shown
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Absent, Sweep
from triplicate.reports.numbers import is_exact, mean_with_std
from triplicate.reports.verdicts import Verdict, verdict

# Between two pairs of a row's name, and not inside the brackets of a list.
_PAIR = re.compile(r",(?![^\[]*\])")


_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Cell:
    """One measure of one row; NaN where there is nothing.

    Attributes:
        n: runs that have the measure; from two on there is a deviation.
        published: a number, or what is published instead of one ('>100', 'N/A').
        is_least: at least one run was still getting better when it ended, so the true mean is greater.
        verdict: None where nothing was published, no run has ended, or the recipe is not the published one.
    """

    mean: float
    std: float
    n: int
    published: float | str
    is_least: bool
    verdict: Verdict | None = None

    @staticmethod
    def of(measure: str, runs: Sequence[RunRecord], published: float | str = math.nan) -> Cell:
        """The statistics of a measure over those of some runs that have it."""
        values = pd.Series([measured(run, measure) for run in runs], dtype=float)
        with np.errstate(invalid="ignore", over="ignore"):
            mean, std = float(values.mean()), float(values.std(ddof=1))
        is_least = measure == "best_epoch" and any(map(_ended_best, runs))
        return Cell(mean, std, int(values.count()), published, is_least)

    @property
    def difference(self) -> float:
        """Less what was published; NaN where no number can be compared with a number."""
        return math.nan if self.verdict is None else self.verdict.difference

    @property
    def has_published(self) -> bool:
        return isinstance(self.published, str) or not math.isnan(self.published)

    @property
    def verdict_in_short(self) -> str:
        """'reproduced'; empty where there is none."""
        return "" if self.verdict is None else self.verdict.kind.value


@dataclass(frozen=True)
class Row:
    """The runs of one setting.

    Attributes:
        axes: key → value of what varies over the sweep.
        runs: finished, with those that diverged.
        absent: asked for, and without a result.
        departed: what the command set otherwise than the published recipe: 'train.epochs=3'. Nothing of such a row is
            compared with what was published.
    """

    axes: Mapping[str, str]
    runs: tuple[RunRecord, ...]
    absent: tuple[Absent, ...]
    cells: Mapping[str, Cell]
    departed: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The axes in short: 'optimizer.lr=0.1'."""
        return ", ".join(f"{k}={v}" for k, v in self.axes.items())

    @property
    def settled(self) -> tuple[RunRecord, ...]:
        """The runs that the means are taken over, those that did not diverge."""
        return _settled(self.runs)

    @property
    def n(self) -> int:
        return len(self.settled)

    def values(self, measure: str) -> dict[int, float]:
        """Seed → a measure, of the runs that did not diverge and have a finite number."""
        found = {int(run.summary["seed"]): measured(run, measure) for run in self.settled}
        return {seed: value for seed, value in found.items() if value is not None and math.isfinite(value)}

    @property
    def wanted(self) -> int:
        return len(self.runs) + len(self.absent)

    @property
    def lost(self) -> dict[str, int]:
        """What became of the runs that are not in the means; a damaged one is missing."""
        failed = sum(run.state == "failed" for run in self.absent)
        return {"diverged": len(self.runs) - self.n, "failed": failed, "missing": len(self.absent) - failed}

    @property
    def shortfall(self) -> str:
        """Why there are fewer results than runs were asked for: '2/3 seeds, 1 failed'; empty if there are not."""
        counts = [f"{count} {what}" for what, count in self.lost.items() if count]
        return ", ".join([f"{self.n}/{self.wanted} seeds", *counts]) if counts else ""


@dataclass(frozen=True)
class _Told:
    """What is known of a run, finished or not, that says which row it is of."""

    overrides: Mapping[str, str]
    choices: Mapping[str, str]
    config: Mapping[str, Any]
    setting: str
    summary: Mapping[str, Any]

    @staticmethod
    def of(run: RunRecord | Absent) -> _Told:
        if isinstance(run, Absent):
            return _Told(run.wanted.overrides, run.wanted.choices, run.config, run.wanted.setting, {})
        summary = run.summary
        return _Told(summary["overrides"], summary["choices"], run.config, run.setting, summary)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Key → value, as configured."""
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in flatten(self.config)}

    @cached_property
    def facts(self) -> dict[str, str]:
        """What else tells settings apart, the plainest first: their data, and who computed it."""
        environment = self.summary.get("environment", {})
        outside = self.summary.get("parts_from_outside", {})
        return {
            "data": str(self.summary.get("data", ""))[:8],
            "version": ", ".join(str(origin["version"]) for origin in outside.values()),
            "trained on": str(environment.get("device", "")),
            "triplicate": str(environment.get("triplicate", "")),
            "setting": self.setting[:8],
        }

    def value(self, key: str) -> str:
        """What a key stands at: as typed, else as its group was chosen, else as configured; of a group its part."""
        known = (self.overrides, self.choices, self.keys, self.facts)
        return next((str(values[key]) for values in known if key in values), self.keys.get(f"{key}.name", ""))


def rows(
    sweep: Sweep, report: Mapping[str, Any], order: Sequence[str] = (), all_differences: bool = False
) -> tuple[Row, ...]:
    """A row for each setting.

    Args:
        report: the configuration of the table.
        order: settings, as the command has them; others come behind.
        all_differences: the axes are all keys that differ, not only those that were typed or are needed to tell rows
            apart.
    """
    groups: dict[str, tuple[list[RunRecord], list[Absent]]] = defaultdict(lambda: ([], []))
    for run in sweep.runs:
        groups[run.setting][0].append(run)
    for absent in sweep.absent:
        groups[absent.wanted.setting][1].append(absent)
    places = {setting: place for place, setting in reversed(list(enumerate(order)))}
    ordered = [groups[setting] for setting in sorted(groups, key=lambda setting: places.get(setting, len(places)))]
    told = [_Told.of(runs[0] if runs else absent[0]) for runs, absent in ordered]
    axes = _axes(told, _differences(told) if all_differences else _typed(told))
    claims = [_Claims.of(one, report, sweep.departed) for one in told]
    return tuple(
        Row(
            axes={key: one.value(key) for key in axes},
            runs=tuple(runs),
            absent=tuple(absent),
            cells={measure: claimed.cell(measure, runs) for measure in report["measures"]},
            departed=claimed.departed,
        )
        for one, claimed, (runs, absent) in zip(told, claims, ordered, strict=True)
    )


@dataclass(frozen=True)
class _Claims:
    """What was published of a row, by measure, and what its report says of that.

    Attributes:
        runs: that a published number is the mean of.
        explained: why measured numbers differ.
        not_comparable: measure → why it has no verdict; '' for all measures of the row.
        departed: as in `Row`.
    """

    published: Mapping[str, float | str]
    runs: int
    explained: Mapping[str, str]
    not_comparable: Mapping[str, str]
    departed: tuple[str, ...]

    @staticmethod
    def of(told: _Told, report: Mapping[str, Any], departed: Mapping[str, tuple[str, ...]]) -> _Claims:
        reasons: Mapping[str, str] = report["not_comparable"]
        of_rows = {name: {"": reason} for name, reason in reasons.items() if "=" in name}
        of_measures = {name: reason for name, reason in reasons.items() if "=" not in name}
        return _Claims(
            published=_of_row(told, report["published"]),
            runs=report["published_runs"],
            explained=_of_row(told, report["explained"]),
            not_comparable={**of_measures, **_of_row(told, of_rows)},
            departed=departed.get(told.setting, ()),
        )

    def cell(self, measure: str, runs: Sequence[RunRecord]) -> Cell:
        """A measure of the row beside what was published of it."""
        cell = Cell.of(measure, _settled(runs), self.published.get(measure, math.nan))
        if self.departed:
            return cell
        found = [value for run in _settled(runs) if (value := measured(run, measure)) is not None]
        values = [value for value in found if math.isfinite(value)]
        reached = verdict(
            measure,
            values,
            cell.published,
            published_runs=self.runs,
            without=len(runs) - len(values),
            is_least=cell.is_least,
            explained=self.explained.get(measure, ""),
            not_comparable=self.not_comparable.get(measure, self.not_comparable.get("", "")),
        )
        return dataclasses.replace(cell, verdict=reached)


def _settled(runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    return tuple(run for run in runs if run.summary["status"] == "finished")


def _typed(told: Sequence[_Told]) -> list[str]:
    """The keys that the command set to more than one value, in its order."""
    typed = dict.fromkeys(key for one in told for key in one.overrides if _names_a_setting(key))
    return [key for key in typed if _differ([one.value(key) for one in told])]


def _differences(told: Sequence[_Told]) -> list[str]:
    """The groups that stand at different choices, and the keys that differ where the choice is the same."""
    chosen = [group for group in dict.fromkeys(g for one in told for g in one.choices) if _is_axis(group, told)]
    keys = (key for key in dict.fromkeys(k for one in told for k in one.keys) if _names_a_setting(key))
    return chosen + [key for key in keys if key.partition(".")[2] != "name" and _differs_by_itself(key, told)]


def _is_axis(group: str, told: Sequence[_Told]) -> bool:
    """Whether a group stands at more than one choice; those that only set the keys of others do not count."""
    is_part = any(group in one.config for one in told)
    return is_part and _names_a_setting(group) and _differ([one.value(group) for one in told])


def _differs_by_itself(key: str, told: Sequence[_Told]) -> bool:
    """Whether a key has more than one value among rows with the same choice of its group."""
    by_choice: dict[str, list[str]] = defaultdict(list)
    for one in told:
        if key in one.keys or key in one.overrides:  # a run that has not begun has left no configuration
            by_choice[one.choices.get(key.partition(".")[0], "")].append(one.value(key))
    return any(map(_differ, by_choice.values()))


def _axes(told: Sequence[_Told], first: Sequence[str]) -> list[str]:
    """These keys, and what else tells two rows apart."""
    axes = list(first)
    others = [key for one in told for key in one.keys if _names_a_setting(key)]
    for key in dict.fromkeys([*others, *(fact for one in told for fact in one.facts)]):
        groups: dict[tuple[str, ...], list[_Told]] = defaultdict(list)
        for one in told:
            groups[tuple(_normal(one.value(axis)) for axis in axes)].append(one)
        if len(groups) == len(told):
            break
        # A run that left nothing has no value, which is no difference.
        if any(_differ([value for one in group if (value := one.value(key))]) for group in groups.values()):
            axes.append(key)
    return axes


def _names_a_setting(key: str) -> bool:
    return key != "experiment" and bool(setting({key.partition(".")[0]: None}))


def _differ(values: Sequence[str]) -> bool:
    return len(set(map(_normal, values))) > 1


def _normal(value: str) -> str:
    """Equal for values that are equal as numbers, or else as words: '0.10' is '0.1'."""
    try:
        return str(float(value))
    except ValueError:
        return re.sub(r"[\s\"']", "", value)


def _of_row(told: _Told, rows: Mapping[str, Mapping[str, _Value]]) -> Mapping[str, _Value]:
    """What is said by measure of the row ('optimizer.lr=0.1, model=mlp_wide') that has what a run has."""
    for name, by_measure in rows.items():
        if all(same_value(told.value(key), value) for key, value in named_row(name)):
            return by_measure
    return {}


def same_value(one: str, other: str) -> bool:
    """Whether two values as typed are the same: '0.10' is '0.1', and '[1, 2]' is '[1,2]'."""
    return _normal(one) == _normal(other)


def named_row(name: str) -> list[tuple[str, str]]:
    """The keys and values that a row of a report is named by: 'optimizer.lr=0.1, model=mlp_wide'."""
    pairs = (pair.strip().partition("=") for pair in _PAIR.split(name))
    return [(key, value) for key, _, value in pairs]


def _ended_best(run: RunRecord) -> bool:
    best: float | None = run.summary["measures"].get("best_epoch")
    return best is not None and best == run.config["train"]["epochs"]


def measured(run: RunRecord, name: str) -> float | None:
    """A measure of a run; None where it has none."""
    measure = shown(name)
    if not measure.over and measure.epoch is None:
        recorded: float | None = run.summary["measures"].get(name)
        if recorded is None and isinstance(measure.part, RunMeasure):
            return measure.part.of_run(_history(run))
        return recorded
    if measure.column not in run.metrics:
        return None
    column = run.metrics.set_index("epoch")[measure.column]
    if measure.epoch is None:
        return float(column.agg(measure.over))
    return float(column[measure.epoch]) if measure.epoch in column.index else None


def _history(run: RunRecord) -> History:
    epochs = [{str(name): value for name, value in line.items()} for line in run.metrics.to_dict("records")]
    known = {"tested_epoch": run.summary["tested_epoch"], "images": None} | dict(run.summary["measures"])
    return History(epochs, known, run.config)


def mean_and_std(measure: str, cell: Cell, of: int) -> str:
    """A cell as people read it: '87.83 ± 0.43', '>3.0', '3.0 (1 of 3)'; empty where no run has the measure."""
    if not cell.n:
        return ""
    text = ">" * cell.is_least + mean_with_std(measure, cell.mean, math.nan if is_exact(measure) else cell.std)
    return text if cell.n == of else f"{text} ({cell.n} of {of})"
