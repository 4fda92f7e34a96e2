"""`triplicate compare DIR…`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, lines_of, show
from triplicate.streams import terminal_width

if TYPE_CHECKING:
    from triplicate.reports.comparison import Comparison


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="sweeps, or folders with sweeps below")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Put the rows of several sweeps into one table, with a column for every key that differs between them.

    Runs with the same fingerprint are the same run, and counted once, in whichever sweeps they are; runs of the same
    setting are one row. Sweeps of different data sets have a column that says so.

    Example:

      triplicate compare outputs/mlp/2026-11-21_09-30-00.000000 outputs/cnn/*
      triplicate compare outputs/sweep --csv > rows.csv
    """
    from triplicate.reports.comparison import compare

    check_forms(as_json, as_csv)
    show(answer(compare(_sweeps(folders))), as_json, as_csv)


def answer(found: Comparison) -> Answer:
    """The table."""
    from triplicate.reports.comparison import without_published
    from triplicate.reports.tables import frame_row

    lines: list[dict[str, Any]] = []
    for row, sources in zip(found.rows, found.sources, strict=True):
        values = without_published(frame_row(row))
        counts = {name: values.pop(name) for name in ("n", *row.lost, "wanted")}
        measures = {name: values[name] for name in values if name not in row.axes}
        sweeps = [found.sweeps[number - 1] for number in sources]
        lines.append({"sweeps": sweeps, "axes": dict(row.axes), "measures": measures, **counts})
    keys = list(found.rows[0].axes)
    data = {"sweeps": found.sweeps, "keys": keys, "rows": lines, "in_several": found.twice, "notes": found.notes}
    return Answer(found.as_text(terminal_width()), data, lines_of(found.frame()))


def _sweeps(folders: Sequence[Path]) -> list[Path]:
    """The sweeps that are named, those below a folder in its place; each once."""
    from triplicate.records.found import is_sweep, sweep_folder, sweeps_below

    found: dict[Path, Path] = {}
    for folder in folders:
        below = [] if is_sweep(folder) else sweeps_below(folder)
        for sweep in below or [sweep_folder(folder)]:
            found.setdefault(sweep.resolve(), sweep)
    return list(found.values())
