"""What was measured of an experiment, number by number, beside what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triplicate.config import flatten
from triplicate.errors import UserError
from triplicate.records.run_folder import RunRecord
from triplicate.reports.numbers import heading, number
from triplicate.reports.rows import Cell, Row, mean_and_std, named_row, same_value
from triplicate.reports.tables import Table
from triplicate.reports.verdicts import Kind

NOT_RUN = "not run"


@dataclass(frozen=True)
class Preset:
    """An experiment as its file has it.

    Attributes:
        about: paragraphs of the head of its file, without the command.
        published: row → measure → number or text.
        needs_gpu: it is not run whole on a CPU.
        is_shown: it shows a data set, and trains nothing.
    """

    name: str
    title: str
    about: tuple[str, ...]
    published: Mapping[str, Mapping[str, float | str]]
    needs_gpu: bool
    is_shown: bool

    @property
    def study(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Claim:
    """A published number, and what was measured of it.

    Attributes:
        row: as the preset names it.
        kind: of its verdict, as a word; 'not run' where no run has ended, 'not compared' with another recipe.
        verdict: in full.
        reason: the numbers that it rests on.
    """

    row: str
    measure: str
    published: str
    measured: str
    n: int
    kind: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """An experiment, and what is in its folder; without a table where it was not run."""

    preset: Preset
    folder: Path
    table: Table | None
    claims: tuple[Claim, ...]

    @staticmethod
    def of(preset: Preset, folder: Path) -> Measured:
        try:
            table = Table.read(folder)
        except UserError:
            table = None
        rows = table.rows if table is not None else ()
        claims = [
            _claim(name, measure, published, next((row for row in rows if is_called(row, name)), None), preset)
            for name, by_measure in preset.published.items()
            for measure, published in by_measure.items()
        ]
        return Measured(preset, folder, table, tuple(claims))

    @property
    def runs(self) -> Sequence[RunRecord]:
        return self.table.runs if self.table is not None else ()

    @property
    def status(self) -> str:
        """In a few words."""
        if self.preset.is_shown:
            return "shown" if (self.folder / "samples.png").is_file() else NOT_RUN
        if self.table is None or not self.runs:
            return "waits for a GPU" if self.preset.needs_gpu else NOT_RUN
        if any(row.departed for row in self.table.rows):
            return "run with another recipe"
        return "partly run" if any(row.absent for row in self.table.rows) else "run whole"


def is_called(row: Row, name: str) -> bool:
    """Whether a row is the one that a preset names: 'optimizer.lr=0.1, model=mlp_wide'."""
    values = dict(row.axes)
    for run in row.runs[:1]:
        keys = {key: str(value) for key, value in flatten(run.config)}
        values = {**keys, **run.summary["choices"], **run.summary["overrides"], **values}
    for absent in row.absent[:1]:
        values = {**absent.wanted.choices, **absent.wanted.overrides, **values}
    return all(key in values and same_value(values[key], value) for key, value in named_row(name))


def _claim(name: str, measure: str, published: float | str, row: Row | None, preset: Preset) -> Claim:
    told = published if isinstance(published, str) else number(measure, published)
    cell = row.cells.get(measure) if row is not None else None
    if row is None or cell is None or not row.runs:
        waits = "waits for a GPU" if preset.needs_gpu else NOT_RUN
        return Claim(name, heading(measure), told, "", 0, NOT_RUN, waits, "")
    measured = mean_and_std(measure, cell, row.n) or ("diverged" if not row.n else "none")
    kind, verdict, reason = _verdict(row, cell)
    return Claim(name, heading(measure), told, measured, cell.n, kind, verdict, reason)


def _verdict(row: Row, cell: Cell) -> tuple[str, str, str]:
    if row.departed:
        return "not compared", f"not compared: run with {', '.join(row.departed)}", ""
    if cell.verdict is None:
        return "not compared", "not compared", ""
    return cell.verdict.kind.value, cell.verdict.words, cell.verdict.reason


KINDS = (*(kind.value for kind in Kind), "not compared", NOT_RUN)
