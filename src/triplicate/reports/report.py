"""The report of a sweep: all its tables and plots, and the table as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate import verbosity
from triplicate.records.run_folder import Damaged, read_run
from triplicate.reports import draw, tables
from triplicate.reports.page import write as page
from triplicate.reports.tables import Table


@dataclass(frozen=True)
class Report:
    """What was written, and the table with these paths as text for a terminal."""

    written: tuple[Path, ...]
    text: str


def write(sweep: Path, width: int | None = None) -> Report:
    """Write the tables, plots and page of a sweep, and the plots of every finished run below its folder.

    Args:
        width: of the terminal that the text is for; None: not known.

    Raises:
        UserError: no run is there, finished or asked for.
    """
    table = Table.read(sweep)
    report = _write_sweep(table, sweep, width)
    for run in table.runs:
        draw.write_run(run)
    return _with_page(report, table, sweep)


def write_sweep(sweep: Path, width: int | None = None) -> Report:
    """The same, but of the plots of its runs only those that are missing or not of their records and report."""
    table = Table.read(sweep)
    report = _write_sweep(table, sweep, width)
    for run in table.runs:
        if not draw.is_current(run):
            draw.write_run(run)
    return _with_page(report, table, sweep)


def write_run(folder: Path, report: Mapping[str, Any] | None = None) -> None:
    """Write the plots of one finished run. What cannot be drawn is told of, and the run is finished none the less.

    Args:
        report: in place of that of its own configuration.
    """
    try:
        run = read_run(folder)
    except Damaged as damage:
        verbosity.note(f"note: {folder}: no plots ({damage.path.name}: {damage.problem})")
        return
    draw.write_run(run if report is None else tables.with_report(run, report))


def _write_sweep(table: Table, sweep: Path, width: int | None) -> Report:
    plots = draw.write_sweep(table, sweep)
    written = (*tables.write(table, sweep), *plots)
    drawn = f", {len(plots)} plot{'s' * (len(plots) > 1)}" if plots else ""
    return Report(written, f"{table.as_text(width)}\n\n  {sweep}: table.csv, table.md, table.tex{drawn}, runs/")


def _with_page(report: Report, table: Table, sweep: Path) -> Report:
    """The page comes last, on disk and on the terminal: it shows the plots. Where it cannot be made, the rest is there.

    Raises:
        OSError: a folder that cannot be written.
    """
    try:
        path = page.write(table, sweep)
    except OSError:
        raise
    except Exception as error:
        (sweep / page.REPORT).unlink(missing_ok=True)  # it would be of earlier records
        verbosity.note(f"note: {sweep}: no page ({type(error).__name__}: {' '.join(str(error).split())})")
        return report
    return Report((*report.written, path), f"{report.text}\n  {path}")
