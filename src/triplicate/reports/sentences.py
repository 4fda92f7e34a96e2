"""What is said below a table: how many published numbers are reproduced, and what the verdicts rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from triplicate.reports.numbers import heading
from triplicate.reports.rows import Row
from triplicate.reports.verdicts import Kind, Verdict

# Numbers that differ, named in one line.
_NAMED = 3


def verdict_line(rows: Sequence[Row]) -> str:
    """'9 of 12 published numbers reproduced, 2 close, 1 differs: …'; empty where there is no verdict."""
    verdicts = list(_verdicts(rows))
    kinds = [verdict.kind for _, _, verdict in verdicts]
    reproduced, close, differs, not_comparable = (kinds.count(kind) for kind in Kind)
    compared = reproduced + close + differs
    if not verdicts:
        return ""
    told = [f"{reproduced} of {compared} published number{'s' * (compared != 1)} reproduced"] if compared else []
    told += [f"{close} close"] * bool(close) + [f"{differs} differ{'s' * (differs == 1)}"] * bool(differs)
    line = ", ".join(told) + _named([one for one in verdicts if one[2].kind is Kind.DIFFERS])
    if not_comparable:
        line = f"{line}; {not_comparable} not comparable" if line else f"{not_comparable} published not comparable"
    if max(row.n for row in rows) == 1 and close + differs:
        line += "; one seed has no interval, so that it can only be close or differ"
    return line


def departures(rows: Sequence[Row]) -> tuple[str, ...]:
    """What commands have set otherwise than the published recipe, a line for all rows or for each."""
    departed = {row.label: row.departed for row in rows if row.departed and _has_published(row)}
    told = "not compared with what was published, since this ran with"
    if len(set(departed.values())) == 1 and len(departed) == sum(map(_has_published, rows)):
        return (f"{told} {', '.join(next(iter(departed.values())))}",)
    return tuple(f"{label}: {told} {', '.join(words)}" for label, words in departed.items())


def reasons(rows: Sequence[Row]) -> tuple[str, ...]:
    """Why numbers differ or cannot be compared, a line each; what is said of a whole measure once."""
    lines = []
    for row, measure, verdict in _verdicts(rows):
        if verdict.kind is Kind.DIFFERS:
            lines.append(f"{_of(row, measure)}: {verdict.words} ({verdict.reason})")
        if verdict.kind is Kind.NOT_COMPARABLE:
            lines.append(f"{heading(measure)}: {verdict.words}")
    return tuple(dict.fromkeys(lines))


def basis(rows: Sequence[Row], report: Mapping[str, Any]) -> str:
    """What the verdicts mean, to be said once; empty where there is none that compares numbers."""
    if all(verdict.kind is Kind.NOT_COMPARABLE for _, _, verdict in _verdicts(rows)):
        return ""
    runs = report["published_runs"]
    what, such = ("one run", "runs") if runs == 1 else (f"the mean of {runs} runs", "means")
    return (
        f"a published number is {what}, and has noise of its own, taken to be that of the seeds here; reproduced: it "
        f"lies where 95 of 100 such {such} would; close: within 1.5 points, or 3 % of what is no percentage"
    )


def _verdicts(rows: Sequence[Row]) -> Iterator[tuple[Row, str, Verdict]]:
    for row in rows:
        for measure, cell in row.cells.items():
            if cell.verdict is not None:
                yield row, measure, cell.verdict


def _named(differing: Sequence[tuple[Row, str, Verdict]]) -> str:
    names = [_of(row, measure) for row, measure, _ in differing[:_NAMED]]
    more = [f"{len(differing) - _NAMED} more"] if len(differing) > _NAMED else []
    return f": {'; '.join([*names, *more])}" if names else ""


def _of(row: Row, measure: str) -> str:
    return f"{row.label}, {heading(measure)}" if row.axes else heading(measure)


def _has_published(row: Row) -> bool:
    return any(cell.has_published for cell in row.cells.values())
