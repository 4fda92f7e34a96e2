"""The table of a sweep: a row for each setting, mean ± sample standard deviation over its seeds.

Accuracies are fractions in table.csv and percent in table.md, table.tex and on the terminal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tabulate

from triplicate.config import flatten, setting
from triplicate.files import atomic
from triplicate.measures import History, RunMeasure, Shown
from triplicate.measures.shared.names import shown
from triplicate.records.run_folder import RunRecord

# Between two pairs of a row's name, and not inside the brackets of a list.
_PAIR = re.compile(r",(?![^\[]*\])")

# Overrides that name no setting of a row.
_NO_AXIS = ("seed", "experiment", "name", "data_dir", "output_dir")


@dataclass(frozen=True)
class Cell:
    """One measure of one row; NaN where there is nothing.

    Attributes:
        published: a number, or what is published instead of one ('>100', 'N/A').
        is_least: at least one run was still getting better when it ended, so the true mean is greater.
    """

    mean: float
    std: float
    published: float | str
    is_least: bool

    @property
    def difference(self) -> float:
        return math.nan if isinstance(self.published, str) else self.mean - self.published


@dataclass(frozen=True)
class Row:
    """The runs of one setting.

    Attributes:
        axes: key → value of what varies over the sweep.
        n: runs that the means are taken over, those that did not diverge.
    """

    axes: Mapping[str, str]
    runs: tuple[RunRecord, ...]
    cells: Mapping[str, Cell]
    n: int
    diverged: int

    @property
    def label(self) -> str:
        """The axes in short: 'optimizer.lr=0.1'."""
        return ", ".join(f"{k}={v}" for k, v in self.axes.items())


@dataclass(frozen=True)
class Table:
    """The rows of a sweep in the order of its command."""

    title: str
    rows: tuple[Row, ...]
    source: str

    @staticmethod
    def of(runs: Sequence[RunRecord]) -> Table:
        """Group runs by setting; the newest run says which measures are shown."""
        newest = max(runs, key=lambda run: str(run.summary["finished_at"]))
        report = newest.config["report"]
        axes = _axes(runs)
        groups: dict[str, list[RunRecord]] = {}
        for run in runs:
            groups.setdefault(json.dumps(setting(run.config), sort_keys=True), []).append(run)
        rows = tuple(_row(group, axes, report) for group in groups.values())
        return Table(report["title"], rows, _source(runs, newest))

    def frame(self) -> pd.DataFrame:
        """The table for programs: axes, then mean, std, published and difference of each measure, n, diverged."""
        return pd.DataFrame([_frame_row(row) for row in self.rows])

    def as_text(self) -> str:
        """The table for a terminal."""
        return self._tabulate("simple")

    def as_markdown(self) -> str:
        """The table with its heading and its source."""
        heading = f"**{self.title}**\n\n" if self.title else ""
        return f"{heading}{self._tabulate('github')}\n\n{self.source}\n"

    def as_latex(self) -> str:
        """A tabular for LaTeX with booktabs; heading and source as comments."""
        comments = "".join(f"% {line}\n" for line in f"{self.title}\n{self.source}".splitlines() if line)
        return comments + self._tabulate("latex_booktabs").replace("±", r"$\pm$") + "\n"

    def _tabulate(self, layout: str) -> str:
        columns = [column for column in _columns(self.rows) if any(column.cells)]
        return tabulate.tabulate(
            list(zip(*(column.cells for column in columns), strict=True)),
            headers=[column.heading for column in columns],
            tablefmt=layout,
            disable_numparse=True,
            stralign="right",
        )


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


def _axes(runs: Sequence[RunRecord]) -> list[str]:
    """The keys that the command set to more than one value, in its order."""
    keys = dict.fromkeys(key for run in runs for key in run.summary["overrides"])
    wanted = [key for key in keys if key not in _NO_AXIS and not key.startswith("report.")]
    return [key for key in wanted if len({_value(run, key) for run in runs}) > 1]


def _value(run: RunRecord, key: str) -> str:
    """What a key stands at in a run: as typed, else as its group was chosen, else as configured."""
    summary = run.summary
    if key in summary["overrides"]:
        return str(summary["overrides"][key])
    if key in summary["choices"]:
        return str(summary["choices"][key])
    return str(dict(flatten(run.config)).get(key, ""))


def _row(runs: Sequence[RunRecord], axes: Sequence[str], report: Mapping[str, Any]) -> Row:
    published = _published(runs[0], report["published"])
    settled = [run for run in runs if run.summary["status"] == "finished"]
    return Row(
        axes={key: _value(runs[0], key) for key in axes},
        runs=tuple(runs),
        cells={m: _cell(m, settled, published) for m in report["measures"]},
        n=len(settled),
        diverged=len(runs) - len(settled),
    )


def _cell(measure: str, runs: Sequence[RunRecord], published: Mapping[str, float | str]) -> Cell:
    values = pd.Series([measured(run, measure) for run in runs], dtype=float)
    ended_best = [run.summary["measures"]["best_epoch"] == run.config["train"]["epochs"] for run in runs]
    return Cell(
        mean=float(values.mean()),
        std=float(values.std(ddof=1)),
        published=published.get(measure, math.nan),
        is_least=measure == "best_epoch" and any(ended_best),
    )


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


def _published(run: RunRecord, rows: Mapping[str, Mapping[str, float | str]]) -> Mapping[str, float | str]:
    """The published numbers whose row ('optimizer.lr=0.1, model=mlp_wide') says what this run has."""
    for name, numbers in rows.items():
        pairs = [pair.strip().partition("=") for pair in _PAIR.split(name)]
        if all(_same(_value(run, key), value) for key, _, value in pairs):
            return numbers
    return {}


def _same(one: str, other: str) -> bool:
    """Whether two values are equal as numbers, or else as words: '0.10' is '0.1'."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one.replace(" ", "") == other.replace(" ", "")


def _frame_row(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = dict(row.axes)
    for measure, cell in row.cells.items():
        values |= {
            f"{measure}_mean": cell.mean,
            f"{measure}_std": cell.std,
            f"{measure}_published": cell.published,
            f"{measure}_difference": cell.difference,
        }
    return values | {"n": row.n, "diverged": row.diverged}


@dataclass(frozen=True)
class _Column:
    """A column of the table for people."""

    heading: str
    cells: tuple[str, ...]


def _columns(rows: Sequence[Row]) -> Iterator[_Column]:
    """Axes, then each measure with its published number and the difference, then the counts."""
    for axis in rows[0].axes:
        yield _Column(axis, tuple(row.axes[axis] for row in rows))
    for measure in rows[0].cells:
        cells = [row.cells[measure] for row in rows]
        shown = [_mean_and_std(measure, cell) if row.n else "diverged" for row, cell in zip(rows, cells, strict=True)]
        yield _Column(heading(measure), tuple(shown))
        yield _Column("published", tuple(_published_number(measure, cell) for cell in cells))
        yield _Column("difference", tuple(number(measure, cell.difference, sign="+") for cell in cells))
    yield _Column("n", tuple(str(row.n) for row in rows))
    yield _Column("diverged", tuple(str(row.diverged) if row.diverged else "" for row in rows))


def _published_number(measure: str, cell: Cell) -> str:
    return cell.published if isinstance(cell.published, str) else number(measure, cell.published)


def _mean_and_std(measure: str, cell: Cell) -> str:
    mean = number(measure, cell.mean)
    part = shown(measure).part
    std = "" if isinstance(part, RunMeasure) and part.is_exact else number(measure, cell.std)
    least = ">" if cell.is_least else ""
    return f"{least}{mean} ± {std}" if std else f"{least}{mean}"


def number(measure: str, value: float, sign: str = "") -> str:
    """A number as people read it: fractions in percent; empty where there is none."""
    if math.isnan(value):
        return ""
    factor = 100 if is_fraction(measure) else 1
    return f"{factor * value:{sign}{shown(measure).part.shown.value}}"


def _source(runs: Sequence[RunRecord], newest: RunRecord) -> str:
    """How, when and where the table was made."""
    seeds = sorted({int(run.summary["seed"]) for run in runs})
    environment = newest.summary["environment"]
    where = environment["machine"]
    if environment["device"] != "cpu":
        where = f"{environment['device']} ({where})"
    return (
        f"mean ± sample standard deviation over seeds {', '.join(map(str, seeds))}\n"
        f"made by `{newest.summary['command']}` on {str(newest.summary['finished_at'])[:10]}, {where}, "
        f"triplicate {environment['triplicate']}, torch {environment['torch']}"
    )
