"""Writes index.html: the sweeps below a folder, each with its state and its numbers.

It reads what is small: sweep.json and the summaries of the runs for the state, table.csv for the numbers. It is made
when somebody asks for it, and after a series of experiments: after each sweep it would take longer the more sweeps
there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pandas as pd

from triplicate.files import atomic
from triplicate.records.found import sweeps_below
from triplicate.records.outline import State, SweepOutline, outline
from triplicate.reports.numbers import heading, is_exact, mean_with_std, number
from triplicate.reports.page.content import Column, Grid, Line, Shown
from triplicate.reports.page.pictures import link_to
from triplicate.reports.page.write import REPORT, render

INDEX = "index.html"
_TABLE = "table.csv"
_MEAN = "_mean"
# Of each measure, in table.csv.
_COLUMNS = ("mean", "std", "n", "published", "difference", "verdict")


@dataclass(frozen=True)
class Entry:
    """One sweep.

    Attributes:
        place: its folder, relative to that of the index.
        link: to its page, else to its folder.
        state: 'finished', 'unfinished', 'in training' or 'cannot be read'; `runs` how many there are of each kind.
        ended: when its newest run ended, to the minute, UTC; empty where nobody knows.
        published: '3 of 4 with a number', of its published numbers; empty where it has none.
        numbers: its table, measure by measure; None where it has none so far.
    """

    place: str
    link: str
    state: str
    runs: str
    ended: str
    published: str
    numbers: Grid | None


def write(folder: Path) -> Path:
    """Write index.html over the sweeps below a folder.

    Returns:
        Its path.

    Raises:
        UserError: the folder cannot be read.
    """
    entries = [_entry(outline(sweep), folder) for sweep in sweeps_below(folder)]
    atomic.write_text(folder / INDEX, render("index.html.j2", title=folder.absolute().name, entries=entries))
    return folder / INDEX


def _entry(sweep: SweepOutline, folder: Path) -> Entry:
    at = sweep.folder
    frame = _frame(at / _TABLE)
    numbers, published = (None, "") if frame is None else _numbers(frame)
    page = at / REPORT
    return Entry(
        place=at.relative_to(folder).as_posix(),
        link=link_to(page, folder) if page.is_file() else f"{link_to(at, folder)}/",
        state=_state(sweep),
        runs=_runs(sweep),
        ended=sweep.ended.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if _has_ended(sweep) and sweep.ended else "",
        published=published,
        numbers=numbers,
    )


def _has_ended(sweep: SweepOutline) -> bool:
    return any(run.finished_at for run in sweep.runs)


def _state(sweep: SweepOutline) -> str:
    if sweep.problem:
        return f"damaged: {sweep.problem}"
    if sweep.is_in_training:
        return "in training"
    ended = sweep.count(State.FINISHED) + sweep.count(State.DIVERGED)
    return "finished" if sweep.runs and ended == len(sweep.runs) else "unfinished"


def _runs(sweep: SweepOutline) -> str:
    """'12 of 12 runs', '9 of 12 runs, 1 diverged, 2 failed'."""
    lost = [f"{sweep.count(s)} {s.value}" for s in State if s is not State.FINISHED and sweep.count(s)]
    return ", ".join([f"{sweep.count(State.FINISHED)} of {len(sweep.runs)} runs", *lost])


def _frame(path: Path) -> pd.DataFrame | None:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None


def _numbers(frame: pd.DataFrame) -> tuple[Grid | None, str]:
    """The rows of a table.csv, and how many of its published numbers have one beside them."""
    measures = [str(name).removesuffix(_MEAN) for name in frame if str(name).endswith(_MEAN)]
    if not measures:
        return None, ""
    first = list(frame.columns).index(f"{measures[0]}{_MEAN}")
    rows = [{str(name): str(value) for name, value in row.items()} for row in frame.to_dict("records")]
    lines = [line for row in rows for line in _lines(row, list(row)[:first], measures)]
    compared = [line for line in lines if line.cells[3].text]
    having = sum(bool(line.cells[2].text) for line in compared)
    columns = [
        Column("row", is_number=False),
        Column("measure", is_number=False),
        Column("measured"),
        Column("published"),
        Column("difference"),
        Column("verdict", is_number=False),
        Column("n"),
    ]
    return Grid(tuple(columns), tuple(lines)), f"{having} of {len(compared)}" if compared else ""


def _lines(row: Mapping[str, str], axes: Sequence[str], measures: Sequence[str]) -> Iterator[Line]:
    label = ", ".join(f"{axis}={row[axis]}" for axis in axes) or "all runs"
    for measure in measures:
        of = {what: row.get(f"{measure}_{what}", "") for what in _COLUMNS}
        if not of["mean"] and not of["published"]:
            continue
        std = math.nan if is_exact(measure) else _float(of["std"])
        cells = [
            label,
            heading(measure),
            mean_with_std(measure, _float(of["mean"]), std),
            number(measure, _float(of["published"])) or of["published"],
            number(measure, _float(of["difference"]), sign="+"),
            of["verdict"],
            of["n"],
        ]
        yield Line(tuple(Shown(cell) for cell in cells))


def _float(text: str) -> float:
    """NaN where it is no number, such as '>100'."""
    try:
        return float(text)
    except ValueError:
        return math.nan
