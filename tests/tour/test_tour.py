"""A short tour, its terminals taking turns. `scripts/tour` goes the whole way on each of them."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest

from tests.tour.commands import TOUR, Command, prepare
from tests.tour.terminals import KINDS, Answer, faults, run


def test_the_tour(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert len(TOUR) >= 40
    wrong = []
    for command, columns in zip([each for each in TOUR if each.is_brief], cycle(KINDS), strict=False):
        answer = run(command, columns, tmp_path)
        found = faults(command, columns, answer)
        wrong += [f"{columns} columns: triplicate {command.line}: {fault}\n{answer.text[-2000:]}" for fault in found]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize(
    ("answer", "columns"),
    [
        (Answer("all is well", 1), None),
        (Answer("all is", 0), 60),
        (Answer("all is well\nTraceback (most recent call last)", 0), 60),
        (Answer("all is well, 153823 s left", 0), 60),
        (Answer(f"all is well\r\x1b[2K 10% {'━' * 60} 3 run-epochs/s", 0), 60),
    ],
)
def test_what_is_wrong_is_noticed(answer: Answer, columns: int | None) -> None:
    command = Command("", ["all is well"], 0, ["153823 s left"])
    assert len(faults(command, columns, answer)) == 1
    assert faults(command, 200, Answer("all  is\nwell\r 10% ━━━ 3 run-epochs/s", 0)) == []
