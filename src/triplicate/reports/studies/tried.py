"""What was tried where a recipe is not stated: sweeps of a preset with other values of some keys."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triplicate.config import flatten
from triplicate.errors import UserError
from triplicate.records.sweep_folder import SWEEP, SweepRecord, read_sweep_record
from triplicate.reports.numbers import heading, number
from triplicate.reports.rows import mean_and_std
from triplicate.reports.studies.measured import Measured, Preset, is_called
from triplicate.reports.tables import Table
from triplicate.reports.verdicts import stated

# What a command sets for every sweep, whatever is tried.
_NOT_TRIED = ("experiment", "output_dir", "seed", "data_dir", "device", "on_error", "executor", "rerun", "name")


@dataclass(frozen=True)
class Trial:
    """A sweep of a preset with other values.

    Attributes:
        given: what its command set for all of its runs.
    """

    experiment: str
    table: Table
    given: Mapping[str, str]


def trials(folder: Path) -> list[Trial]:
    """All sweeps of presets right below a folder, by name."""
    found = []
    for path in sorted(file.parent for file in folder.glob(f"*/{SWEEP}")):
        record = read_sweep_record(path)
        try:
            table = Table.read(path)
        except UserError:
            continue
        if record is not None and record.experiment and table.runs:
            found.append(Trial(record.experiment, table, _given(record)))
    return found


def _given(record: SweepRecord) -> dict[str, str]:
    """What all runs of a sweep were given alike."""
    first = record.wanted[0].overrides
    alike = {k: v for k, v in first.items() if all(run.overrides.get(k) == v for run in record.wanted)}
    return {key: value for key, value in alike.items() if key.split(".")[0].split("/")[0] not in _NOT_TRIED}


def compared(measured: Measured, tried: Sequence[Trial]) -> list[dict[str, str]]:
    """A line for each published number, a column for each choice, and last the mean of the differences, as they are
    and without their signs. Empty where nothing was tried.
    """
    own = [trial for trial in tried if trial.experiment == measured.preset.name]
    if not own:
        return []
    keys = [key for key in dict.fromkeys(k for trial in own for k in trial.given) if _is_tried(key, measured, own)]
    tables = {_label(trial.given, keys): trial.table for trial in own}
    if measured.table is not None and measured.runs:
        values = {key: str(value) for key, value in flatten(measured.runs[0].config)}
        tables = {_label(values, keys): measured.table} | tables
    ordered = dict(sorted(tables.items(), key=lambda pair: _as_number(pair[0])))
    return list(_lines(measured.preset, ordered))


def _is_tried(key: str, measured: Measured, own: Sequence[Trial]) -> bool:
    """Whether a key does not stand at the same value in all of the sweeps."""
    values = {trial.given.get(key, "") for trial in own}
    values |= {str(dict(flatten(run.config)).get(key, "")) for run in measured.runs[:1]}
    return len(values) > 1


def _label(values: Mapping[str, str], keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={values[key]}" for key in keys if key in values)


def _as_number(label: str) -> tuple[float, str]:
    """Labels by their last number."""
    try:
        return float(label.rpartition("=")[2]), label
    except ValueError:
        return math.inf, label


def _lines(preset: Preset, tables: Mapping[str, Table]) -> Iterator[dict[str, str]]:
    """Of the measure that was published first: the others of a row tell the same of a choice."""
    measure = next(iter(next(iter(preset.published.values()), {})), "")
    apart: dict[str, list[float]] = {label: [] for label in tables}
    for name, published in ((name, of[measure]) for name, of in preset.published.items() if measure in of):
        line = {"row": name, f"published {heading(measure)}": _told(measure, published)}
        for label, table in tables.items():
            row = next((row for row in table.rows if is_called(row, name)), None)
            line[label] = mean_and_std(measure, row.cells[measure], row.n) if row is not None else ""
            said = stated(measure, published)
            if row is not None and said is not None and row.cells[measure].n:
                apart[label].append(row.cells[measure].mean - said.number)
        yield line
    yield {"row": "mean difference"} | {label: number(measure, _mean(found), "+") for label, found in apart.items()}
    sizes = {label: [abs(value) for value in found] for label, found in apart.items()}
    yield {"row": "mean size of it"} | {label: number(measure, _mean(found)) for label, found in sizes.items()}


def _told(measure: str, published: float | str) -> str:
    return published if isinstance(published, str) else number(measure, published)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
