"""The report of a sweep: all its tables and plots, and the table as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triplicate.records.run_folder import RunRecord, read_runs
from triplicate.reports import draw, tables


@dataclass(frozen=True)
class Report:
    """What was written, and the table with these paths as text for a terminal."""

    written: tuple[Path, ...]
    text: str


def write(sweep: Path) -> Report:
    """Write the plots of every finished run below a folder, and the tables and plots of the sweep.

    Raises:
        UserError: there is no finished run, or the folder cannot be written.
    """
    runs = read_runs(sweep)
    for run in runs:
        draw.write_run(run)
    return _write_sweep(runs, sweep)


def write_run(folder: Path) -> None:
    """Write the plots of one finished run."""
    for run in read_runs(folder):
        draw.write_run(run)


def write_sweep(sweep: Path) -> Report:
    """Write the tables and plots of a sweep, from the finished runs below its folder.

    Raises:
        UserError: there is no finished run, or the folder cannot be written.
    """
    return _write_sweep(read_runs(sweep), sweep)


def _write_sweep(runs: Sequence[RunRecord], sweep: Path) -> Report:
    table = tables.Table.of(runs)
    written = (*tables.write(table, sweep), *draw.write_sweep(table, sweep))
    shown = "\n".join(f"  {path}" for path in (*written, sweep / "runs"))
    return Report(written, f"{table.as_text()}\n\n{shown}")
