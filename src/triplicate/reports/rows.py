"""The rows of a table: the runs of a sweep by setting, and the statistics of their measures."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from triplicate.config import flatten, setting
from triplicate.lazy import pandas as pd
from triplicate.measures import History, RunMeasure, Shown
from triplicate.measures.shared.names import shown
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Absent, Sweep

# Between two pairs of a row's name, and not inside the brackets of a list.
_PAIR = re.compile(r",(?![^\[]*\])")

# What is greater, or so small that nothing of it would be seen, is shown as 1.6e29; counts are written out for longer.
_LARGEST, _LARGEST_COUNT, _SMALLEST = 1e6, 1e12, 5e-5


@dataclass(frozen=True)
class Cell:
    """One measure of one row; NaN where there is nothing.

    Attributes:
        n: runs that have the measure; from two on there is a deviation.
        published: a number, or what is published instead of one ('>100', 'N/A').
        is_least: at least one run was still getting better when it ended, so the true mean is greater.
    """

    mean: float
    std: float
    n: int
    published: float | str
    is_least: bool

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
        return math.nan if isinstance(self.published, str) else self.mean - self.published


@dataclass(frozen=True)
class Row:
    """The runs of one setting.

    Attributes:
        axes: key → value of what varies over the sweep.
        runs: finished, with those that diverged.
        absent: asked for, and without a result.
    """

    axes: Mapping[str, str]
    runs: tuple[RunRecord, ...]
    absent: tuple[Absent, ...]
    cells: Mapping[str, Cell]

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
    return tuple(_row(one, runs, absent, axes, report) for one, (runs, absent) in zip(told, ordered, strict=True))


def _row(
    told: _Told, runs: Sequence[RunRecord], absent: Sequence[Absent], axes: Sequence[str], report: Mapping[str, Any]
) -> Row:
    published = _published(told, report["published"])
    cells = {m: Cell.of(m, _settled(runs), published.get(m, math.nan)) for m in report["measures"]}
    return Row({key: told.value(key) for key in axes}, tuple(runs), tuple(absent), cells)


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


def _published(told: _Told, rows: Mapping[str, Mapping[str, float | str]]) -> Mapping[str, float | str]:
    """The published numbers whose row ('optimizer.lr=0.1, model=mlp_wide') says what a run has."""
    for name, numbers in rows.items():
        pairs = [pair.strip().partition("=") for pair in _PAIR.split(name)]
        if all(_normal(told.value(key)) == _normal(value) for key, _, value in pairs):
            return numbers
    return {}


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


def heading(name: str) -> str:
    """A measure as a table for people names it."""
    return shown(name).heading()


def is_fraction(name: str) -> bool:
    """Whether people read a measure in percent."""
    return shown(name).part.shown is Shown.PERCENT


def is_exact(name: str) -> bool:
    """Whether a measure is the same for all seeds."""
    part = shown(name).part
    return isinstance(part, RunMeasure) and part.is_exact


def number(measure: str, value: float, sign: str = "") -> str:
    """A number as people read it: fractions in percent; empty where there is none."""
    if math.isnan(value):
        return ""
    people_read = _as_read(measure, value)
    return _in_powers(people_read, sign) if _needs_powers(measure, people_read) else _written_out(measure, value, sign)


def mean_with_std(measure: str, mean: float, std: float) -> str:
    """'87.83 ± 0.43', '1.6e29 ± 2.1e28': both in the same form; the mean alone where there is no deviation."""
    values = _as_read(measure, mean), _as_read(measure, std)
    greatest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if _needs_powers(measure, greatest):
        return " ± ".join(filter(None, map(_in_powers, values)))
    return " ± ".join(filter(None, (_written_out(measure, mean), _written_out(measure, std))))


def _as_read(measure: str, value: float) -> float:
    return 100 * value if is_fraction(measure) else value


def _needs_powers(measure: str, value: float) -> bool:
    """Whether a number would be too long, or nothing of it be seen. Small differences of percent are none."""
    form = shown(measure).part.shown
    if form is Shown.NUMBER and 0 < abs(value) < _SMALLEST:
        return True
    return (_LARGEST_COUNT if form is Shown.WHOLE else _LARGEST) <= abs(value) < math.inf


def _written_out(measure: str, value: float, sign: str = "") -> str:
    """As its measure is shown; empty where there is none. Nothing is minus zero."""
    return "" if math.isnan(value) else f"{_as_read(measure, value):{sign}z{shown(measure).part.shown.value}}"


def _in_powers(value: float, sign: str = "") -> str:
    """'1.6e29', '-3e-7', '0': three digits at most; empty where there is none."""
    if math.isnan(value):
        return ""
    digits, _, power = f"{value:{sign}.2e}".partition("e")
    shortest = digits.rstrip("0").rstrip(".")
    return shortest if not power or not int(power) else f"{shortest}e{int(power)}"


def mean_and_std(measure: str, cell: Cell, of: int) -> str:
    """A cell as people read it: '87.83 ± 0.43', '>3.0', '3.0 (1 of 3)'; empty where no run has the measure."""
    if not cell.n:
        return ""
    text = ">" * cell.is_least + mean_with_std(measure, cell.mean, math.nan if is_exact(measure) else cell.std)
    return text if cell.n == of else f"{text} ({cell.n} of {of})"
