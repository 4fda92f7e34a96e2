"""The rows of a table as columns of text, and these on a terminal as wide as it is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from triplicate.reports.numbers import as_published, heading, number
from triplicate.reports.rows import Row, mean_and_std

# Python writes 1e+30 and 1e-05 where people write 1e30 and 1e-5.
_EXPONENT = re.compile(r"(?<=\d)e\+?(-?)0*(\d+)\b")


@dataclass(frozen=True)
class Column:
    """A column of the table for people.

    Attributes:
        is_typed: its cells are values as typed, and no measured numbers.
    """

    heading: str
    cells: tuple[str, ...]
    is_typed: bool = False


@dataclass(frozen=True)
class _Columns:
    """All columns of a table, those that are empty left out.

    Attributes:
        measures: measure → its column, and behind it the published number, the difference and the verdict.
    """

    axes: tuple[Column, ...]
    measures: Mapping[str, tuple[Column, ...]]
    counts: Column


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Axes, then each measure with its published number, the difference and the verdict, then the counts."""
    found = _columns(rows)
    return (*found.axes, *(column for group in found.measures.values() for column in group), found.counts)


def folded(rows: Sequence[Row], width: int | None) -> tuple[str, list[str]]:
    """The table for a terminal: no wider than it, unless one measure alone is.

    Measures that were published and do not fit stand in further tables below the first; others are left out.

    Args:
        width: of the terminal; None: not known, and everything stands side by side.

    Returns:
        The table, and the headings of the measures that are left out.
    """
    found = _columns(rows)
    blocks: list[list[Column]] = [[*found.axes, found.counts]]
    left_out: list[str] = []
    for place, (measure, group) in enumerate(found.measures.items()):
        wider = [*blocks[-1][:-1], *group, blocks[-1][-1]] if len(blocks) == 1 else [*blocks[-1], *group]
        if place == 0 or _fits(wider, width):
            blocks[-1] = _narrowed(wider, width)
        elif len(group) > 1:
            blocks.append(_narrowed([*found.axes, *group], width))
        else:
            left_out.append(heading(measure))
    return "\n\n".join("\n".join(_lines(block)) for block in blocks), left_out


def fitted(rows: Sequence[Row], before: Mapping[str, Sequence[str]], width: int | None) -> tuple[str, list[str]]:
    """Rows as a narrow table without the last measures, until it is no wider than a terminal; one always stays.

    Args:
        before: columns of text that stand before them, heading → cells.

    Returns:
        The table, and the headings of the measures that are left out.
    """
    left_out: list[str] = []
    while True:
        first = [Column(heading, tuple(cells)) for heading, cells in before.items()]
        shown = [*(column for column in first if any(column.cells)), *columns(rows)]
        measures = list(rows[0].cells)
        if len(measures) < 2 or _fits(shown, width):
            return "\n".join(_lines(shown)), left_out
        left_out.insert(0, heading(measures[-1]))
        rows = [dataclasses.replace(row, cells={m: row.cells[m] for m in measures[:-1]}) for row in rows]


def _columns(rows: Sequence[Row]) -> _Columns:
    axes = (
        Column(axis, tuple(_EXPONENT.sub(r"e\1\2", row.axes[axis]) for row in rows), is_typed=True)
        for axis in rows[0].axes
    )
    groups = {
        measure: tuple(column for column in _of_measure(rows, measure, is_first=place == 0) if any(column.cells))
        for place, measure in enumerate(rows[0].cells)
    }
    return _Columns(
        axes=tuple(axis for axis in axes if any(axis.cells)),
        measures={measure: group for measure, group in groups.items() if group},
        counts=Column("n", tuple(row.shortfall or str(row.n) for row in rows), is_typed=True),
    )


def _of_measure(rows: Sequence[Row], measure: str, is_first: bool) -> Iterator[Column]:
    cells = [row.cells[measure] for row in rows]
    published = tuple(as_published(measure, cell.published) for cell in cells)
    means = [mean_and_std(measure, cell, row.n) for row, cell in zip(rows, cells, strict=True)]
    if any((*means, *published)):
        means = [text or ("none" if row.n else "") for row, text in zip(rows, means, strict=True)]
    if is_first:
        means = [text if row.n else _outcome(row) for row, text in zip(rows, means, strict=True)]
    yield Column(heading(measure), tuple(means))
    yield Column("published", published)
    yield Column("difference", tuple(number(measure, cell.difference, sign="+") for cell in cells))
    yield Column("verdict", tuple(cell.verdict_in_short for cell in cells))


def _outcome(row: Row) -> str:
    """What became of a row without results."""
    return next(what for what, count in row.lost.items() if count)


def _narrowed(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Without the differences where there is no room for them: they are what two other columns tell."""
    if _fits(columns, width):
        return list(columns)
    return [column for column in columns if column.heading != "difference" or column.is_typed]


def _fits(columns: Sequence[Column], width: int | None) -> bool:
    return width is None or sum(map(_wide, columns)) + 2 * (len(columns) - 1) <= width


def _wide(column: Column) -> int:
    return max(map(len, (column.heading, *column.cells)))


def _lines(columns: Sequence[Column]) -> list[str]:
    """Two spaces between columns: tabulate leaves more beside a long heading."""
    cells = [(column.heading, "-" * _wide(column), *column.cells) for column in columns]
    lines = zip(*cells, strict=True)
    return ["  ".join(cell.rjust(_wide(column)) for cell, column in zip(line, columns, strict=True)) for line in lines]
