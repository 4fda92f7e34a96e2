"""The table of a sweep: a row for each setting, mean ± sample standard deviation over its seeds.

Accuracies are fractions in table.csv and percent in table.md, table.tex and on the terminal.
"""

from __future__ import annotations

import dataclasses
import html
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from triplicate.config.schema import Report
from triplicate.files import atomic
from triplicate.parts.keys import former
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Sweep, read_sweep
from triplicate.reports import markup
from triplicate.reports.columns import columns, folded
from triplicate.reports.differences import Compare, Differences, main_measure, of_rows
from triplicate.reports.numbers import heading
from triplicate.reports.rows import Row, rows
from triplicate.reports.sentences import basis, departures, reasons, verdict_line

# Runs of one fate that are named below a table.
_NAMED = 10
# Pairs of rows that are told below a table.
_PAIRS = 12
_PACKAGES = "\\usepackage{booktabs, siunitx}"
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
        # One of them is there: without any run there is an error instead. Older ones lack the keys that came later.
        report = {**former(Report), **own, **(sweep.report or {})}
        grouped = rows(sweep, report, sweep.order)
        return Table(report["title"], grouped, _source(grouped, newest), report, tuple(_notes(sweep)))

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All that have finished, with those that diverged."""
        return tuple(run for row in self.rows for run in row.runs)

    @cached_property
    def differences(self) -> Differences | None:
        """The pairs of its rows that `report.compare` asks for, in its main measure; None where there is no such."""
        measure = main_measure(self.report["measures"])
        return None if measure is None else of_rows(self.rows, measure, Compare(self.report["compare"]))

    def frame(self) -> pd.DataFrame:
        """The table for programs: axes, then mean, std, n, published, difference and verdict of each measure, then
        counts.
        """
        return pd.DataFrame([frame_row(row) for row in self.rows])

    def as_text(self, width: int | None = None) -> str:
        """The table for a terminal, with its verdicts in a line, its best pair of rows, and its notes.

        Args:
            width: of the terminal; what does not fit stands below. None: not known.
        """
        table, left_out = folded(self.rows, width)
        wide = [f"no room here for {', '.join(left_out)}; see table.md"] if left_out else []
        below = [*wide, *filter(None, [verdict_line(self.rows)]), *departures(self.rows), *self._best_pair()]
        return "\n".join([table, *([""] if below else []), *below, *([""] if self.notes else []), *self.notes])

    def as_markdown(self) -> str:
        """The table with its heading, its source, what is said of it, and its notes."""
        title = f"**{markup.in_markdown(self.title)}**\n\n" if self.title else ""
        said = [lines for lines in (self._of_published(), self._of_pairs(), self.notes) if lines]
        lists = "".join("\n" + "".join(f"- {markup.in_markdown(line)}\n" for line in lines) for lines in said)
        return f"{title}{markup.markdown(columns(self.rows))}\n\n{self._source_in_markdown()}\n{lists}"

    def as_latex(self) -> str:
        """A tabular for LaTeX with booktabs and siunitx; heading, source and notes as comments."""
        said = [self.title, *self.source.splitlines(), *self._of_published(), *self._of_pairs(), *self.notes]
        lines = [" ".join(line.split()) for line in [*said, _PACKAGES] if line]
        return "".join(f"% {line}\n" for line in lines) + markup.latex(columns(self.rows)) + "\n"

    def as_html(self) -> str:
        """The table for a notebook's cell, with its heading, its source and its notes."""
        heading = f"<p><b>{html.escape(self.title)}</b></p>\n" if self.title else ""
        said = (*self.source.splitlines(), *self._of_published(), *self._of_pairs(), *self.notes)
        below = "<br>\n".join(html.escape(line) for line in said)
        return f"{heading}{markup.html(columns(self.rows))}\n<p>{below}</p>"

    def _of_published(self) -> list[str]:
        """What is said of published numbers."""
        lines = [verdict_line(self.rows), *departures(self.rows), *reasons(self.rows), basis(self.rows, self.report)]
        return [line for line in lines if line]

    def _of_pairs(self) -> list[str]:
        """What is said of pairs of rows."""
        found = self.differences
        if found is None or not found.pairs:
            return []
        named = [f"{heading(found.measure)}: {sentence}" for sentence in found.sentences(_PAIRS)]
        return [*named, *filter(None, [found.limits])]

    def _best_pair(self) -> list[str]:
        """The sentence for a terminal."""
        found = self.differences
        return [] if found is None or found.first is None else [f"{heading(found.measure)}: {found.first.words}"]

    def _source_in_markdown(self) -> str:
        """The command stands in it as code."""
        return "\n".join(
            "`".join(part if place % 2 else markup.in_markdown(part) for place, part in enumerate(line.split("`")))
            if line.count("`") == 2
            else markup.in_markdown(line)
            for line in self.source.splitlines()
        )


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
            f"{measure}_verdict": cell.verdict_in_short,
        }
    return values | {"n": row.n, **row.lost, "wanted": row.wanted}


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
