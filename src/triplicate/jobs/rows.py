"""Rows of a table as overrides: settings that belong together, each with every value of the axes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, Quote, QuotedString

from triplicate.errors import UserError
from triplicate.jobs.axes import is_shared

# A word that reads back as itself.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS_OF_VALUES = ("null", "true", "false", "inf", "nan")


def combine(
    rows: Sequence[Mapping[str, Any]], given: Collection[str], jobs: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Every row with every job, as overrides: row by row.

    Args:
        rows: key → value of each; none is one empty row.
        given: keys that the command line or the preset sets otherwise; rows do not set these. Rows that are
            equal without them are one.
        jobs: the overrides of each combination of the other axes.
    """
    settings = [[f"{key}={typed(value)}" for key, value in row.items() if key not in given] for row in rows or [{}]]
    distinct = [setting for number, setting in enumerate(settings) if setting not in settings[:number]]
    return [[*setting, *job] for setting in distinct for job in jobs]


def typed(value: Any) -> str:
    """A value as an override has it: Hydra reads it back as the same value."""
    text: str = Override._get_value_element_as_str(_quoted(value))
    return text


def _quoted(value: Any) -> Any:
    """The same value, its strings in quotes where they need them, and true as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return {key: _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(inner) for inner in value]
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_VALUES):
        return QuotedString(value, Quote.single)
    return value


def check_rows(rows: Any) -> None:
    """Refuse rows that are no settings of a run.

    Raises:
        UserError: they are no list of mappings, or set what all runs share.
    """
    subject = "hydra.sweeper.rows"
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(subject, "it is no list of rows", "write each as {key: value}, such as {optimizer.lr: 0.1}")
    for row in rows:
        for key in row:
            if not re.fullmatch(r"[\w$/.-]+", str(key)):
                raise UserError(subject, f"{key!r} is no key", "write each row as {key: value}")
            if is_shared(str(key)):
                raise UserError(f"{subject}, {key}", "all runs of a sweep share it", "set it outside the rows")
