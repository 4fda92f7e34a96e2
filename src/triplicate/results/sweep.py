"""A sweep: its table, its runs, the best of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from triplicate.errors import UserError
from triplicate.lazy import pandas as pd
from triplicate.measures.shared.names import parse
from triplicate.reports.rows import Row
from triplicate.reports.tables import Table
from triplicate.results.run import Run


def open(folder: str | os.PathLike[str], parts: Sequence[str | os.PathLike[str]] = ()) -> Sweep:
    """What a sweep has left, from its folder alone; nothing is trained or written.

    Args:
        folder: of the sweep, such as outputs/sweep/2026-11-21_10-00-00.000000, or one that holds some of its runs.
        parts: Python files with the parts from outside that its runs are made of, as `--parts` names them. Only
            `Run.model`, `Run.predict` and `Run.evaluate` need them.

    Raises:
        UserError: there is no such folder, or no run is in it.

    >>> again = triplicate.open(sweep.folder)
    >>> again.frame.equals(sweep.frame)
    True
    """
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        problem = "it is no folder" if path.exists() else "there is no such folder"
        raise UserError(str(folder), problem, "name the folder that a sweep has written")
    return Sweep(path, Table.read(path), tuple(Path(file).expanduser() for file in parts))


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The runs of a sweep and their table, as they were when it was opened or trained.

    In a notebook it shows its table. Made by `triplicate.open` and `triplicate.sweep`.

    Attributes:
        folder: of the sweep, absolute.
        table: as the command prints it; `print(sweep)` shows it.
        parts: files with parts from outside, as `open` was given them.
    """

    folder: Path
    table: Table
    parts: tuple[Path, ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table, a row for each setting, with the columns of table.csv.

        First the keys that tell the rows apart, as typed; then for each measure of the report `<measure>_mean`, `_std`
        (over the seeds, ddof=1), `_n` (runs that have it), `_published`, `_difference` and `_verdict` (reproduced,
        close, differs, not comparable); then `n` (runs in the means), `diverged`, `failed`, `missing` and `wanted`.
        Accuracies are fractions.
        """
        return self.table.frame()

    @cached_property
    def runs(self) -> list[Run]:
        """Every run that was asked for, row by row, finished or not: `run.status` tells."""
        return [run for row in self.table.rows for run in self._of_row(row)]

    def best(self, measure: str = "test_accuracy") -> Run:
        """The run that is best by a measure; of equal ones the first. Runs that failed or diverged are left out.

        Args:
            measure: as in `report.measures`: test_accuracy, test_loss, seconds, min_test_loss, test_f1@3 … For a loss,
                a time, a size or a deviation less is better, for all else more.

        Raises:
            UserError: there is no such measure, or no finished run has it.

        >>> sweep.best("test_loss").status
        'finished'
        """
        named = parse(measure, "best")
        less_is_better = named.less_is_better
        known = [(run, value) for run in self.runs if (value := run.measure(measure)) is not None]
        if not known:
            raise UserError("best", f"no finished run has {measure}", "choose one of the columns of its table")
        return (min if less_is_better else max)(known, key=lambda pair: pair[1])[0]

    def _of_row(self, row: Row) -> Iterator[Run]:
        """Finished or not, by seed."""
        runs = [
            *(Run(record.path, row.axes, record, None, self.parts) for record in row.runs),
            *(Run(absent.path, row.axes, None, absent, self.parts) for absent in row.absent),
        ]
        yield from sorted(runs, key=lambda run: run.seed)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self._counts().items())
        return f"Sweep({str(self.folder)!r}: {len(self.table.rows)} rows, {counts})"

    def __str__(self) -> str:
        return self.table.as_text()

    def _repr_html_(self) -> str:
        return self.table.as_html()

    def _counts(self) -> dict[str, int]:
        statuses = [run.status for run in self.runs]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}
