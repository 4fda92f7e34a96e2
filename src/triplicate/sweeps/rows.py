"""The rows of a table that is no product of axes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


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
    settings = [[f"{key}={value}" for key, value in row.items() if key not in given] for row in rows or [{}]]
    distinct = [setting for number, setting in enumerate(settings) if setting not in settings[:number]]
    return [[*setting, *job] for setting in distinct for job in jobs]
