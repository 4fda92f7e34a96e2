"""What a check is given, and how it ends."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Verdict(enum.Enum):
    """How a check ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True)
class Setting:
    """
    Attributes:
        device: cuda, or cpu for a rehearsal.
        data: the folder of published files, if there is one.
        folder: for what the checks write; it goes when they are done.
    """

    device: str
    data: Path | None
    folder: Path

    @property
    def is_rehearsal(self) -> bool:
        return self.device == "cpu"

    def few(self, items: Iterable[T]) -> list[T]:
        """All of them; in a rehearsal the first and the last."""
        every = list(items)
        return [every[0], every[-1]] if self.is_rehearsal else every


@dataclass(frozen=True)
class Outcome:
    """
    Attributes:
        figures: what was found, or what is wrong, in one line.
        seconds: that it took.
        table: in Markdown, to be shown when all is done.
    """

    verdict: Verdict
    figures: str
    seconds: float = 0.0
    table: str = ""

    def line(self, name: str) -> str:
        return f"{self.verdict.value} {name:<12} {self.seconds:5.1f} s  {self.figures}"


@dataclass(frozen=True)
class Figures:
    """What a check that has passed gives: a line, and a table if it has one."""

    line: str
    table: str = ""


class Skipped(Exception):
    """A check that cannot be made here; says why."""


class Failed(Exception):
    """What a check has found to be wrong."""


def expect(holds: bool, otherwise: str) -> None:
    """
    Raises:
        Failed: it does not hold.
    """
    if not holds:
        raise Failed(otherwise)
