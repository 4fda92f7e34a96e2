"""The best run and the best row of a sweep, by a measure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from triplicate.errors import UserError
from triplicate.measures.shared.names import parse
from triplicate.records.run_folder import RunRecord
from triplicate.reports.rows import Cell, Row, measured
from triplicate.reports.tables import Table


@dataclass(frozen=True)
class Best:
    """The best run by itself, and the row with the best mean. They need not lie together.

    Attributes:
        is_lower: less is better.
        run_row: the row of the best run.
        row: with the best mean, and `cell` its statistics.
    """

    measure: str
    is_lower: bool
    run: RunRecord
    value: float
    run_row: Row
    row: Row
    cell: Cell


def best(table: Table, measure: str) -> Best:
    """The best of a sweep. Of equals the first in the order of the command; runs that diverged are never the best.

    Raises:
        UserError: there is no such measure, or no finished run has it.
    """
    is_lower = parse(measure, "--by").less_is_better
    sign = -1 if is_lower else 1
    settled = [(run, row) for row in table.rows for run in row.settled]
    runs = [(value, run, row) for run, row in settled if (value := known(run, measure)) is not None]
    if not settled:
        raise UserError("best", "no run has finished without diverging", "train some first")
    if not runs:
        raise UserError("--by", f"no finished run has {measure}", "give another measure, such as test_accuracy")
    value, run, run_row = max(runs, key=lambda one: sign * one[0])
    cells = [(Cell.of(measure, row.settled), row) for row in table.rows]
    cell, row = max((one for one in cells if one[0].n), key=lambda one: sign * one[0].mean)
    return Best(measure, is_lower, run, value, run_row, row, cell)


def known(run: RunRecord, measure: str) -> float | None:
    """A measure of a run; None where it has none, or none that is a number."""
    value = measured(run, measure)
    return None if value is None or math.isnan(value) else value
