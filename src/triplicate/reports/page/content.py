"""What the page of a sweep says in words and tables, from the records of its runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.config import flatten, setting
from triplicate.records.run_folder import LOG, RunRecord
from triplicate.records.sweep_folder import SweepRecord
from triplicate.reports.differences import Differences
from triplicate.reports.numbers import as_published, heading, number
from triplicate.reports.page.curves import names
from triplicate.reports.page.pictures import link_to
from triplicate.reports.rows import Cell, Row, mean_and_std, measured
from triplicate.reports.sentences import basis, departures, verdict_line
from triplicate.reports.tables import Table

# What a run costs, where its table does not say it anyway.
_COSTS = ("parameters", "epochs", "seconds", "images_per_second", "peak_memory_mib")
# Lines of a log that tell how a run ended, and runs without a result that are told of one by one.
_LOG_LINES, _MOST_LOST = 8, 40
# Pairs of rows that have a sentence.
_MOST_PAIRS = 40


@dataclass(frozen=True)
class Shown:
    """A cell of a table.

    Attributes:
        text: as people read it.
        value: what it is sorted by, and what table.csv has in its place; empty where there is none.
    """

    text: str
    value: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        group: the measure that it belongs to; empty: none.
        is_number: it stands at the right.
        source: its name in table.csv; empty: it has none there.
    """

    heading: str
    group: str = ""
    is_number: bool = True
    source: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table, and below it the same of each seed."""

    cells: tuple[Shown, ...]
    seeds: tuple[SeedLine, ...] = ()


@dataclass(frozen=True)
class SeedLine:
    """One run of a row.

    Attributes:
        cells: a text for each column behind the axes.
        link: to its folder, relative to that of the sweep.
    """

    seed: int
    cells: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class Grid:
    """A table."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    axes: int = 1


@dataclass(frozen=True)
class Lost:
    """A run without a result, or one that diverged.

    Attributes:
        log: the last lines of its log.
        link: to its folder, relative to that of the sweep; empty where there is none.
    """

    name: str
    state: str
    cause: str
    log: str
    link: str


@dataclass(frozen=True)
class Compared:
    """How the rows differ: a sentence for each pair, and what these rest on."""

    measure: str
    sentences: tuple[str, ...]
    limits: str


@dataclass(frozen=True)
class Content:
    """The page of a sweep.

    Attributes:
        name: of the experiment, or that the command gave.
        verdicts: what the table says, in sentences.
        commands: that made it, the newest first.
        state: how many of the runs there are.
        source: how, when and where the table was made, a line each.
        notes: what is not in it, and why.
        explained: why a number beside a published one has its verdict, a line each.
        compared: None where no two rows can be.
        common: key and value of what is the same for all runs; `differing` the keys that are not, row by row.
        machines: where and with what the runs were made, each with the number of them.
        files: of the sweep's folder, and what they hold.
    """

    title: str
    name: str
    verdicts: tuple[str, ...]
    commands: tuple[str, ...]
    state: str
    source: tuple[str, ...]
    notes: tuple[str, ...]
    table: Grid
    explained: tuple[str, ...]
    compared: Compared | None
    costs: Grid | None
    common: tuple[tuple[str, str], ...]
    differing: Grid | None
    machines: tuple[tuple[str, Mapping[str, str]], ...]
    lost: tuple[Lost, ...]
    unlisted: int
    files: tuple[tuple[str, str], ...]


def content(table: Table, record: SweepRecord | None, folder: Path) -> Content:
    """Gather it. No path in it depends on how the folder is spelt."""
    name = (record.experiment or record.name) if record is not None else folder.absolute().name
    lost = list(_lost(table, folder))
    differing, common = _settings(table)
    return Content(
        title=table.title or name,
        name=name,
        verdicts=tuple(_verdicts(table)),
        commands=_commands(table, record),
        state=_state(table),
        source=tuple(table.source.replace("`", "").splitlines()),
        notes=tuple(note.replace(f"{folder}/", "") for note in table.notes),
        table=_table(table, folder),
        explained=tuple(_explained(table)),
        compared=_compared(table.differences),
        costs=_costs(table),
        common=common,
        differing=differing,
        machines=_machines(table.runs),
        lost=tuple(lost[:_MOST_LOST]),
        unlisted=max(len(lost) - _MOST_LOST, 0),
        files=tuple((file, what) for file, what in _FILES if (folder / file).is_file()),
    )


def _compared(found: Differences | None) -> Compared | None:
    if found is None or not found.pairs:
        return None
    return Compared(heading(found.measure), found.sentences(at_most=_MOST_PAIRS), _capital(found.limits))


def _verdicts(table: Table) -> Iterator[str]:
    """What became of the published numbers, and of the pairs of rows the one to tell if only one is told."""
    yield from filter(None, [_capital(verdict_line(table.rows)), *map(_capital, departures(table.rows))])
    found = table.differences
    if found is not None and found.first is not None:
        yield f"{_capital(heading(found.measure))}: {found.first.words}"


def _explained(table: Table) -> Iterator[str]:
    """What each verdict rests on, and what verdicts mean."""
    for name, row in zip(names(table.rows), table.rows, strict=True):
        for measure, cell in row.cells.items():
            if cell.verdict is not None:
                yield f"{name}, {heading(measure)}: {cell.verdict.words}; {cell.verdict.reason}"
    yield from filter(None, [_capital(basis(table.rows, table.report))])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_FILES = (
    ("table.csv", "the table for programs, with all digits"),
    ("table.md", "the table for Markdown"),
    ("table.tex", "the table for LaTeX"),
    ("sweep.json", "the commands, and every run that they asked for"),
    ("environment.json", "every installed package and its version"),
    ("multirun.yaml", "what Hydra composed"),
)


def _commands(table: Table, record: SweepRecord | None) -> tuple[str, ...]:
    newest = sorted(table.runs, key=lambda run: str(run.summary["finished_at"]), reverse=True)
    made = [str(run.summary["command"]) for run in newest]
    return tuple(dict.fromkeys([*([record.command] if record is not None else []), *made]))


def _state(table: Table) -> str:
    """'12 of 12 runs', '9 of 12 runs, 1 diverged, 2 failed'."""
    lost: Counter[str] = Counter()
    for row in table.rows:
        lost.update(row.lost)
    wanted, done = sum(row.wanted for row in table.rows), sum(row.n for row in table.rows)
    return ", ".join(
        [f"{done} of {wanted} run{'s' * (wanted != 1)}", *(f"{n} {what}" for what, n in lost.items() if n)]
    )


def _table(table: Table, folder: Path) -> Grid:
    axes = list(table.rows[0].axes)
    values = {str(name): column.tolist() for name, column in table.frame().items()}
    columns = [Column(axis, is_number=False, source=axis) for axis in axes] or [Column("setting", is_number=False)]
    for measure in table.rows[0].cells:
        columns += _columns_of(table, measure)
    columns.append(Column("n", source="n"))
    lines = tuple(
        Line(
            tuple(_cell(column, row, place, values) for column in columns),
            tuple(_seed_lines(row, columns[max(len(axes), 1) :], folder)),
        )
        for place, row in enumerate(table.rows)
    )
    return Grid(tuple(columns), lines, max(len(axes), 1))


def _columns_of(table: Table, measure: str) -> Iterator[Column]:
    cells = [row.cells[measure] for row in table.rows]
    if not any(cell.n or cell.has_published for cell in cells):
        return
    yield Column(heading(measure), measure, source=f"{measure}_mean")
    if any(cell.has_published for cell in cells):
        yield Column("published", measure, source=f"{measure}_published")
        yield Column("difference", measure, source=f"{measure}_difference")
        if any(cell.verdict is not None for cell in cells):
            yield Column("verdict", measure, is_number=False)


def _cell(column: Column, row: Row, place: int, values: Mapping[str, Sequence[Any]]) -> Shown:
    value = _plain(values[column.source][place]) if column.source else ""
    if not column.group:
        if column.source == "n":
            return Shown(row.shortfall or str(row.n), value)
        return Shown(row.axes[column.source] if column.source else row.label or "all runs", value)
    cell = row.cells[column.group]
    if column.heading == "published":
        return Shown(as_published(column.group, cell.published), value)
    if column.heading == "difference":
        return Shown(number(column.group, cell.difference, sign="+"), value)
    if column.heading == "verdict":
        return Shown(cell.verdict_in_short)
    return Shown(mean_and_std(column.group, cell, row.n) or ("none" if row.n else ""), value)


def _seed_lines(row: Row, columns: Sequence[Column], folder: Path) -> Iterator[SeedLine]:
    for run in sorted(row.runs, key=lambda run: int(run.summary["seed"])):
        cells = tuple(_of_seed(run, column) for column in columns)
        yield SeedLine(int(run.summary["seed"]), cells, link_to(run.path, folder) + "/")


def _of_seed(run: RunRecord, column: Column) -> str:
    if column.source == "n":
        return "" if run.summary["status"] == "finished" else str(run.summary["status"])
    if not column.group or not column.source.endswith("_mean"):
        return ""
    value = measured(run, column.group)
    return "none" if value is None else number(column.group, value) or "none"


def _costs(table: Table) -> Grid | None:
    told, recorded = set(table.rows[0].cells), [run.summary["measures"] for run in table.runs]
    known = [m for m in _COSTS if m not in told and all(m in measures for measures in recorded)]
    cells = {m: [Cell.of(m, row.settled) for row in table.rows] for m in known}
    cells = {m: of for m, of in cells.items() if any(cell.n for cell in of)}
    if not cells:
        return None
    columns = (Column(_axis_heading(table), is_number=False), *(Column(heading(m), m) for m in cells))
    lines = [
        Line(
            (
                Shown(name),
                *(Shown(mean_and_std(m, of[place], row.n), _plain(of[place].mean)) for m, of in cells.items()),
            )
        )
        for place, (name, row) in enumerate(zip(names(table.rows), table.rows, strict=True))
    ]
    return Grid(columns, tuple(lines))


def _axis_heading(table: Table) -> str:
    return next(iter(table.rows[0].axes)) if len(table.rows[0].axes) == 1 else "setting"


def _settings(table: Table) -> tuple[Grid | None, tuple[tuple[str, str], ...]]:
    """What differs between the rows, and what is the same for all of them, of what bears on the results."""
    rows = [row for row in table.rows if row.runs]
    of_rows = [{key: _as_text(value) for key, value in flatten(setting(row.runs[0].config))} for row in rows]
    keys = list(dict.fromkeys(key for values in of_rows for key in values))
    differing = [key for key in keys if len({values.get(key, "") for values in of_rows}) > 1]
    common = tuple((key, of_rows[0][key]) for key in keys if key not in differing)
    if not differing:
        return None, common
    if {key.removesuffix(".name") for key in differing} <= set(table.rows[0].axes):
        return None, common  # the table says it
    columns = [Column(_axis_heading(table), is_number=False), *(Column(key, is_number=False) for key in differing)]
    lines = [
        Line((Shown(name), *(Shown(values.get(key, "")) for key in differing)))
        for name, values in zip(names(rows), of_rows, strict=True)
    ]
    return Grid(tuple(columns), tuple(lines)), common


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _machines(runs: Iterable[RunRecord]) -> tuple[tuple[str, Mapping[str, str]], ...]:
    told = Counter(json.dumps(run.summary["environment"], sort_keys=True) for run in runs)
    return tuple((f"{count} run{'s' * (count > 1)}", json.loads(text)) for text, count in told.items())


def _lost(table: Table, folder: Path) -> Iterator[Lost]:
    for row in table.rows:
        for absent in row.absent:
            is_there = absent.path.is_dir()
            yield Lost(
                name=absent.wanted.folder,
                state=absent.state,
                cause=absent.cause.replace(f"{folder}/", "") or "it has not begun, or was interrupted",
                log=_end_of_log(absent.path),
                link=link_to(absent.path, folder) + "/" if is_there else "",
            )
        for run in row.runs:
            if run.summary["status"] != "finished":
                step = run.summary.get("diverged_step")
                at = f"its loss was no longer finite at step {step}" if step is not None else ""
                link = link_to(run.path, folder) + "/"
                yield Lost(run.path.name, str(run.summary["status"]), at, _end_of_log(run.path), link)


def _end_of_log(run: Path) -> str:
    try:
        lines = (run / LOG).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LOG_LINES:])


def _plain(value: Any) -> str:
    """As table.csv has it: all digits; empty where there is none."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)
