"""What a command answers: text for people, or with `--json` and `--csv` the same for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

AsJson = Annotated[bool, typer.Option("--json", help="print JSON: all digits, null where there is no number")]
AsCsv = Annotated[bool, typer.Option("--csv", help="print CSV: all digits, nothing where there is no number")]


@dataclass(frozen=True)
class Answer:
    """One answer in three forms.

    Attributes:
        text: for people, in lines.
        data: for JSON: mappings, sequences, words, numbers, paths, dates and None.
        table: for CSV: a mapping from column to cell for each line.
        columns: of the CSV that are there even where no line has them; others stand behind.
    """

    text: str
    data: Any
    table: Sequence[Mapping[str, Any]]
    columns: Sequence[str] = ()


def check_forms(as_json: bool, as_csv: bool) -> None:
    """
    Raises:
        UserError: both are asked for.
    """
    if as_json and as_csv:
        raise UserError("--csv", "it cannot be combined with --json", "give one of them")


def show(answer: Answer, as_json: bool, as_csv: bool) -> None:
    """Print an answer in the form that was asked for."""
    if as_json:
        print(json.dumps(_plain(answer.data), indent=2, allow_nan=False))
    elif as_csv:
        print(_as_csv(answer), end="")
    elif answer.text:
        print(answer.text)


def size(count: float) -> str:
    """So many bytes as people read them: '3.1 MiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def counted(count: int, noun: str) -> str:
    """'1 run', '2 runs'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def lines_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a table, by column."""
    return [{str(column): value for column, value in line.items()} for line in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    """A value as JSON has it; NaN and infinity, which it has not, become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    return _plain(value.item())  # a number of NumPy


def _as_csv(answer: Answer) -> str:
    columns = list(dict.fromkeys([*answer.columns, *(column for line in answer.table for column in line)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(line.get(column)) for column in columns] for line in answer.table)
    return text.getvalue()


def _cell(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain)
