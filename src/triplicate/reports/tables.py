"""The table of a sweep: a row for each setting, mean ± sample standard deviation over its seeds.

Accuracies are fractions in table.csv and percent in table.md, table.tex and on the terminal.
"""

from __future__ import annotations

import dataclasses
import html
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tabulate

from triplicate.files import atomic
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Sweep, read_sweep
from triplicate.reports.rows import Row, heading, mean_and_std, number, rows

# Runs of one fate that are named below a table.
_NAMED = 10
# 1.6e29
_POWER = re.compile(r"(?<![\w.])([+-]?\d+(?:\.\d+)?)e([+-]?\d+)(?![\w.])")
# Python writes 1e+30 and 1e-05 where people write 1e30 and 1e-5.
_EXPONENT = re.compile(r"(?<=\d)e\+?(-?)0*(\d+)\b")
_GO_ON = "same command again trains what is missing"


@dataclass(frozen=True)
class Table:
    """The rows of a sweep in the order of its command.

    Attributes:
        report: the configuration of the tables and plots.
        source: how, when and where it was made.
        notes: what is not in it, and why, a line each.
    """

    title: str
    rows: tuple[Row, ...]
    source: str
    report: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @staticmethod
    def read(folder: Path) -> Table:
        """The table of the sweep in a folder.

        Raises:
            UserError: no run is there, finished or asked for.
        """
        sweep = read_sweep(folder)
        if sweep.report is not None:
            sweep = dataclasses.replace(sweep, runs=tuple(with_report(run, sweep.report) for run in sweep.runs))
        return Table.of(sweep)

    @staticmethod
    def of(sweep: Sweep) -> Table:
        """Group runs by setting; the newest command or run says what is shown."""
        newest = max(sweep.runs, key=lambda run: str(run.summary["finished_at"]), default=None)
        own = newest.config["report"] if newest is not None else {}
        report = {**own, **(sweep.report or {})}  # one of them is there: without any run there is an error instead
        grouped = rows(sweep, report, sweep.order)
        return Table(report["title"], grouped, _source(grouped, newest), report, tuple(_notes(sweep)))

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All that have finished, with those that diverged."""
        return tuple(run for row in self.rows for run in row.runs)

    def frame(self) -> pd.DataFrame:
        """The table for programs: axes, then mean, std, n, published and difference of each measure, then counts."""
        return pd.DataFrame([frame_row(row) for row in self.rows])

    def as_text(self) -> str:
        """The table for a terminal, with its notes."""
        return "\n".join([self._tabulate("simple"), *(["", *self.notes] if self.notes else [])])

    def as_markdown(self) -> str:
        """The table with its heading, its source and its notes."""
        heading = f"**{self.title}**\n\n" if self.title else ""
        notes = "\n" + "".join(f"- {note}\n" for note in self.notes) if self.notes else ""
        return f"{heading}{self._tabulate('github')}\n\n{self.source}\n{notes}"

    def as_latex(self) -> str:
        """A tabular for LaTeX with booktabs; heading, source and notes as comments."""
        lines = "\n".join([self.title, self.source, *self.notes]).splitlines()
        comments = "".join(f"% {line}\n" for line in lines if line)
        table = self._tabulate("latex_booktabs").replace("±", r"$\pm$")
        return comments + _POWER.sub(r"$\1 \\times 10^{\2}$", table) + "\n"

    def as_html(self) -> str:
        """The table for a notebook's cell, with its heading, its source and its notes."""
        heading = f"<p><b>{html.escape(self.title)}</b></p>\n" if self.title else ""
        below = "<br>\n".join(html.escape(line) for line in (*self.source.splitlines(), *self.notes))
        return f"{heading}{self._tabulate('html')}\n<p>{below}</p>"

    def _tabulate(self, layout: str) -> str:
        columns = [column for column in _columns(self.rows) if any(column.cells)]
        return tabulate.tabulate(
            list(zip(*(column.cells for column in columns), strict=True)),
            headers=[column.heading for column in columns],
            tablefmt=layout,
            disable_numparse=True,
            stralign="right",
        )


def fitted(rows: Sequence[Row], before: Mapping[str, Sequence[str]], width: int | None) -> tuple[str, list[str]]:
    """Rows as a narrow table without the last measures, until it is no wider than a terminal; one always stays.

    Args:
        before: columns of text that stand before them, heading → cells.

    Returns:
        The table, and the headings of the measures that are left out.
    """
    left_out: list[str] = []
    while True:
        first = [_Column(heading, tuple(cells)) for heading, cells in before.items()]
        lines = _lines([column for column in (*first, *_columns(rows)) if any(column.cells)])
        measures = list(rows[0].cells)
        if width is None or len(measures) < 2 or len(lines[0]) <= width:
            return "\n".join(lines), left_out
        left_out.insert(0, heading(measures[-1]))
        rows = [dataclasses.replace(row, cells={m: row.cells[m] for m in measures[:-1]}) for row in rows]


def _lines(columns: Sequence[_Column]) -> list[str]:
    """Two spaces between columns: tabulate leaves more beside a long heading."""
    wide = [max(map(len, (column.heading, *column.cells))) for column in columns]
    cells = [(column.heading, "-" * w, *column.cells) for column, w in zip(columns, wide, strict=True)]
    return ["  ".join(cell.rjust(w) for cell, w in zip(line, wide, strict=True)) for line in zip(*cells, strict=True)]


def with_report(run: RunRecord, report: Mapping[str, Any]) -> RunRecord:
    """A run that is shown as a report says, in place of that of its own configuration."""
    return dataclasses.replace(run, config={**run.config, "report": {**run.config["report"], **report}})


def write(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write table.csv, table.md and table.tex."""
    texts = {
        "table.csv": table.frame().to_csv(index=False, lineterminator="\n"),
        "table.md": table.as_markdown(),
        "table.tex": table.as_latex(),
    }
    for name, text in texts.items():
        atomic.write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def frame_row(row: Row) -> dict[str, Any]:
    """A row for programs, as `Table.frame` has it."""
    values: dict[str, Any] = dict(row.axes)
    for measure, cell in row.cells.items():
        values |= {
            f"{measure}_mean": cell.mean,
            f"{measure}_std": cell.std,
            f"{measure}_n": cell.n,
            f"{measure}_published": cell.published,
            f"{measure}_difference": cell.difference,
        }
    return values | {"n": row.n, **row.lost, "wanted": row.wanted}


@dataclass(frozen=True)
class _Column:
    """A column of the table for people."""

    heading: str
    cells: tuple[str, ...]


def _columns(rows: Sequence[Row]) -> Iterator[_Column]:
    """Axes, then each measure with its published number and the difference, then the counts."""
    for axis in rows[0].axes:
        yield _Column(axis, tuple(_EXPONENT.sub(r"e\1\2", row.axes[axis]) for row in rows))
    for place, measure in enumerate(rows[0].cells):
        cells = [row.cells[measure] for row in rows]
        published = tuple(
            cell.published if isinstance(cell.published, str) else number(measure, cell.published) for cell in cells
        )
        means = [mean_and_std(measure, cell, row.n) for row, cell in zip(rows, cells, strict=True)]
        if any((*means, *published)):
            means = [text or ("none" if row.n else "") for row, text in zip(rows, means, strict=True)]
        if place == 0:
            means = [text if row.n else _outcome(row) for row, text in zip(rows, means, strict=True)]
        yield _Column(heading(measure), tuple(means))
        yield _Column("published", published)
        yield _Column("difference", tuple(number(measure, cell.difference, sign="+") for cell in cells))
    yield _Column("n", tuple(row.shortfall or str(row.n) for row in rows))


def _outcome(row: Row) -> str:
    """What became of a row without results."""
    return next(what for what, count in row.lost.items() if count)


def _notes(sweep: Sweep) -> Iterator[str]:
    for state in ("failed", "damaged"):
        runs = [run for run in sweep.absent if run.state == state]
        yield from (f"{state}: {run.path}: {_in_short(run.cause)}" for run in runs[:_NAMED])
        if len(runs) > _NAMED:
            yield f"and {len(runs) - _NAMED} more"
    yield from map(_in_short, sweep.notes)
    if sweep.absent:
        yield _GO_ON


def _in_short(text: str) -> str:
    return textwrap.shorten(text, 400, placeholder=" …")


def _source(rows: Sequence[Row], newest: RunRecord | None) -> str:
    """How, when and where the table was made."""
    if newest is None:
        return "no run has finished"
    environment = newest.summary["environment"]
    where = environment["machine"]
    if environment["device"] != "cpu":
        where = f"{environment['device']} ({where})"
    return (
        f"{_over_seeds(rows)}\n"
        f"made by `{newest.summary['command']}` on {str(newest.summary['finished_at'])[:10]}, {where}, "
        f"triplicate {environment['triplicate']}, torch {environment['torch']}{_precision(rows)}"
    )


def _precision(rows: Sequence[Row]) -> str:
    """What some runs computed in fewer bits than their dtype has. Older runs know of none."""
    trained = [run.config["train"] for row in rows for run in row.runs]
    dtypes = sorted({train["autocast"] for train in trained if "autocast" in train} - {"none"})
    tf32 = ["TensorFloat-32"] if any("tf32" in train and train["tf32"] for train in trained) else []
    return "".join(f", {name}" for name in [*tf32, *(f"autocast {dtype}" for dtype in dtypes)])


def _over_seeds(rows: Sequence[Row]) -> str:
    seeds = sorted({int(run.summary["seed"]) for row in rows for run in row.runs})
    named = ", ".join(map(str, seeds))
    if all(row.n < 2 for row in rows):
        return f"one run each (seed{'s' * (len(seeds) > 1)} {named})"
    return f"mean ± sample standard deviation over seeds {named}"
