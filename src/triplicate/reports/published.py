"""What was published and what was measured, over several experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tabulate

from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.reports.numbers import as_published, heading, number
from triplicate.reports.rows import Cell, Row
from triplicate.reports.tables import Table


@dataclass(frozen=True)
class Attempt:
    """One experiment.

    Attributes:
        folder: where it wrote.
        seconds: that its command took; None where nobody knows.
        error: what went wrong, if anything did.
        note: why nothing was tried; empty where something was.
        table: of the folder, where it was read already.
    """

    experiment: str
    folder: Path
    seconds: float | None = None
    error: str | None = None
    note: str = ""
    table: Table | None = None


def write(attempts: Sequence[Attempt], folder: Path) -> str:
    """Write summary.csv and summary.md: a row for every published number, or for an experiment that has none.

    Returns:
        The table and the paths as text for a terminal.
    """
    rows = [row for attempt in attempts for row in _rows(attempt)]
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    atomic.write_text(folder / "summary.csv", frame.drop(columns="shown").to_csv(index=False, lineterminator="\n"))
    shown = [row["shown"] for row in rows]
    if not any(row["status"] for row in shown):
        shown = [{name: text for name, text in row.items() if name != "status"} for row in shown]
    atomic.write_text(folder / "summary.md", _tabulate(shown, "github") + "\n")
    return f"{_tabulate(shown, 'simple')}\n\n  {folder / 'summary.csv'}\n  {folder / 'summary.md'}"


def _tabulate(rows: Sequence[dict[str, str]], layout: str) -> str:
    return tabulate.tabulate(list(rows), headers="keys", tablefmt=layout, disable_numparse=True)


def _rows(attempt: Attempt) -> Iterator[dict[str, Any]]:
    """What went wrong as a whole, then what is there none the less."""
    if attempt.error is not None:
        yield _row(attempt, status=attempt.error)
    if attempt.note:
        yield _row(attempt, status=attempt.note)
        return
    try:
        table = attempt.table or Table.read(attempt.folder)
    except UserError as error:
        if attempt.error is None:
            there = (attempt.folder / "runs").is_dir()
            yield _row(attempt, status=f"{error.subject}: {error.problem}" if there else "shown")
        return
    found = list(_of_table(attempt, table))
    yield from found
    if not found and attempt.error is None:
        yield _row(attempt, status="nothing published to compare with")


def _of_table(attempt: Attempt, table: Table) -> Iterator[dict[str, Any]]:
    """A row for each published number, and for a setting that lacks runs and has none."""
    for row in table.rows:
        compared = {m: cell for m, cell in row.cells.items() if cell.has_published}
        for measure, cell in compared.items():
            verdict = _verdict(row, cell)
            yield _row(attempt, row.label, measure, cell.published, cell.mean, cell.difference, row.shortfall, verdict)
        if row.shortfall and not compared:
            yield _row(attempt, row.label, status=row.shortfall)


def _verdict(row: Row, cell: Cell) -> str:
    """In short; the table of the experiment has what it rests on."""
    if row.departed:
        return "not compared"
    return cell.verdict_in_short


def _row(
    attempt: Attempt,
    label: str = "",
    measure: str = "",
    published: float | str = "",
    measured: float = float("nan"),
    difference: float = float("nan"),
    status: str = "",
    verdict: str = "",
) -> dict[str, Any]:
    return {
        "experiment": attempt.experiment,
        "row": label,
        "measure": measure,
        "published": published,
        "measured": measured,
        "difference": difference,
        "verdict": verdict,
        "seconds": attempt.seconds,
        "status": status,
        "shown": {
            "experiment": attempt.experiment,
            "row": label,
            "measure": heading(measure) if measure else "",
            "published": as_published(measure, published),
            "measured": number(measure, measured),
            "difference": number(measure, difference, sign="+"),
            "verdict": verdict,
            "seconds": "" if attempt.seconds is None else f"{attempt.seconds:.0f}",
            "status": status,
        },
    }
