"""Lines that fit the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

_NARROWEST, _USUAL, _WIDEST = 60, 100, 200
_LONGEST_TERM = 34


def width() -> int:
    """Columns to write in: those of the terminal, within reason; of a pipe a usual number."""
    return min(max(shutil.get_terminal_size((_USUAL, 24)).columns, _NARROWEST), _WIDEST)


def filled(text: str) -> str:
    """A paragraph in lines that fit."""
    return textwrap.fill(text, width(), break_long_words=False, break_on_hyphens=False)


def entries(pairs: Iterable[tuple[str, str]], in_one_line: bool = False) -> str:
    """A list of terms, each with what is said of it beside it, or below where the term is long.

    Args:
        in_one_line: what does not fit beside its term is cut.
    """
    listed = list(pairs)
    longest = min(_LONGEST_TERM, width() * 45 // 100)
    column = 4 + max((len(term) for term, _ in listed if len(term) <= longest or in_one_line), default=longest)
    return "\n".join(_entry(f"  {term}", said, column, in_one_line) for term, said in listed)


def _entry(term: str, said: str, column: int, in_one_line: bool) -> str:
    room = max(width() - column, 10)
    text = textwrap.shorten(said, room, placeholder=" …") if in_one_line else said
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    if not lines:
        return term
    first = [f"{term:{column}}{lines.pop(0)}"] if len(term) + 2 <= column else [term]
    return "\n".join([*first, *(" " * column + line for line in lines)])
