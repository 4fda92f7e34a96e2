"""The table of a sweep: a row a setting, mean ± sample standard deviation over its seeds.

Accuracies are fractions in table.csv and percent in table.md, table.tex and on the terminal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tabulate

from triplicate.config import flatten, setting
from triplicate.records import atomic
from triplicate.records.run_folder import RunRecord

# Measure → heading in a table for people.
MEASURES: Mapping[str, str] = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy %",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy %",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy %",
    "best_test_accuracy": "best test accuracy %",
    "best_epoch": "best epoch",
    "seconds": "seconds",
    "parameters": "parameters",
}

# Overrides that name no setting of a row.
_NO_AXIS = ("seed", "experiment", "name", "data_dir", "output_dir")


@dataclass(frozen=True)
class Cell:
    """One measure of one row; NaN where there is nothing."""

    mean: float
    std: float
    published: float

    @property
    def difference(self) -> float:
        return self.mean - self.published


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
        rows = _columns_with_content([_shown_row(row) for row in self.rows])
        return tabulate.tabulate(rows, headers="keys", tablefmt=layout, disable_numparse=True, stralign="right")


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


def _cell(measure: str, runs: Sequence[RunRecord], published: Mapping[str, float]) -> Cell:
    values = pd.Series([run.summary["measures"].get(measure) for run in runs], dtype=float)
    return Cell(
        mean=float(values.mean()),
        std=float(values.std(ddof=1)),
        published=published.get(measure, math.nan),
    )


def _published(run: RunRecord, rows: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """The published numbers whose row ('optimizer.lr=0.1, model=mlp_wide') says what this run has."""
    for name, numbers in rows.items():
        pairs = [pair.strip().partition("=") for pair in name.split(",")]
        if all(_same(_value(run, key), value) for key, _, value in pairs):
            return numbers
    return {}


def _same(one: str, other: str) -> bool:
    """Whether two values are equal as numbers, or else as words: '0.10' is '0.1'."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


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


def _shown_row(row: Row) -> dict[str, str]:
    shown = dict(row.axes)
    for measure, cell in row.cells.items():
        heading = MEASURES[measure]
        shown[heading] = _mean_and_std(measure, cell) if row.n else "diverged"
        shown[f"published {heading}"] = _number(measure, cell.published)
        shown[f"difference {heading}"] = _number(measure, cell.difference, sign="+")
    return shown | {"n": str(row.n), "diverged": str(row.diverged) if row.diverged else ""}


def _columns_with_content(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    used = [name for name in rows[0] if any(row[name] for row in rows)]
    short = {name: name.split(" ")[0] if name.startswith(("published", "difference")) else name for name in used}
    unique = len(set(short.values())) == len(short)
    return [{short[name] if unique else name: row[name] for name in used} for row in rows]


def _mean_and_std(measure: str, cell: Cell) -> str:
    mean = _number(measure, cell.mean)
    std = _number(measure, cell.std)
    return f"{mean} ± {std}" if std else mean


def _number(measure: str, value: float, sign: str = "") -> str:
    """A number as people read it: accuracies in percent; empty where there is none."""
    if math.isnan(value):
        return ""
    if measure.endswith("accuracy"):
        return f"{100 * value:{sign}.2f}"
    if measure == "parameters":
        return f"{value:{sign},.0f}"
    if measure in ("seconds", "best_epoch"):
        return f"{value:{sign}.1f}"
    return f"{value:{sign}.4f}"


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
