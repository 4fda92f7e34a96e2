"""What is said of a sweep while it trains: times, rates, and lines that fit."""

from __future__ import annotations

import io
import itertools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sweeps.terminal import terminal
from triplicate.cli import main
from triplicate.streams import Steady
from triplicate.sweeps.progress import Bar, Lines, Progress, Tally, duration, fitted, progress

MINUTE, HOUR, DAY = 60, 3600, 86400
NOTE = "stack 1/4, epoch 3/20, 12 runs, test accuracy 10.0 to 89.1 %"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tally(total: float, *steps: tuple[float, float], is_most: bool = False) -> Tally:
    """Steps: seconds that pass, and the run-epochs that were trained meanwhile."""
    clock = Clock()
    told = Tally(total, is_most, clock)
    for seconds, run_epochs in steps:
        clock.now += seconds
        told.advance(run_epochs)
    return told


DURATIONS = {
    0: "0 s",
    0.2: "1 s",
    59.5: "1 min",
    65: "1 min 5 s",
    599: "9 min 59 s",
    1500: "25 min",
    7499: "2 h 5 min",
    7500: "2 h 5 min",
    3 * DAY + 4 * HOUR + 10: "3 d 4 h",
    153823: "1 d 19 h",
    86399: "1 d",
    -3: "0 s",
}


@pytest.mark.parametrize("seconds", DURATIONS)
def test_a_time_is_said_as_people_say_it(seconds: float) -> None:
    assert duration(seconds) == DURATIONS[seconds]


@given(st.floats(0, 1e9))
def test_a_time_that_is_said_is_near(seconds: float) -> None:
    sizes = {"s": 1, "min": MINUTE, "h": HOUR, "d": DAY}
    said = [(int(count), sizes[unit]) for count, unit in re.findall(r"(\d+) (s|min|h|d)\b", duration(seconds))]
    assert 1 <= len(said) <= 2
    assert sum(count * size for count, size in said) == pytest.approx(seconds, rel=0.05, abs=1)
    assert all(count < larger // smaller for (_, larger), (count, smaller) in itertools.pairwise(said))


def test_nothing_is_said_of_the_time_left_before_there_is_a_rate() -> None:
    assert tally(100).said_left() == ""
    assert tally(100, (30, 0)).said_left() == ""
    assert tally(100, (0.1, 1)).said_left() == ""
    assert tally(100, (30, 0)).said_rate() == ""
    assert tally(100, (10, 10)).said_left() == "2 min left"
    assert tally(100, (10, 10), (90, 90)).said_left() == ""


def test_what_may_end_early_is_said_to_take_at_most_so_long() -> None:
    assert tally(190, (10, 10), is_most=True).said_left() == "at most 3 min left"
    one = tally(190, (10, 10))
    assert one.said_left() == "3 min left"
    one.skip(100)  # some runs have diverged
    assert one.said_left() == "at most 2 min left"


def test_the_rate_is_that_of_what_was_trained_now() -> None:
    clock = Clock()
    one = Tally(1000, clock=clock)
    one.skip(900)
    clock.now += 10
    one.advance(10)
    assert one.percent == " 91%"
    assert one.rate == pytest.approx(1)
    assert one.said_left() == "2 min left"


def test_what_is_lost_is_trained_again() -> None:
    one = tally(100, (10, 50))
    one.skip(-50)
    assert (one.percent, one.said_left()) == ("  0%", "20 s left")


def test_all_of_it_is_said_of_what_is_done_alone() -> None:
    assert tally(1000, (10, 999.9)).percent == " 99%"
    assert tally(1000, *[(0.1, 0.1)] * 10_000).percent == "100%"


STEPS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(-100, 100), st.booleans()), max_size=20)


@given(st.floats(0, 1e9), st.booleans(), STEPS, st.integers(60, 200))
def test_no_line_is_absurd_or_too_long(
    total: float, is_most: bool, steps: list[tuple[float, float, bool]], width: int
) -> None:
    """Whatever happens, such as steps that are told twice or lost."""
    clock = Clock()
    one = Tally(total, is_most, clock)
    for seconds, run_epochs, is_trained in steps:
        clock.now += seconds
        (one.advance if is_trained and run_epochs >= 0 else one.skip)(run_epochs)
        length, said = fitted(one, width)
        assert length >= 10
        assert len(one.percent) == 4
        assert len(f"{one.percent} {'#' * length} {said}") <= width
        assert duration(one.elapsed) in said
        assert one.said_left() in said
        assert "-" not in said.replace("run-epoch", "")
        assert all(len(number) < 4 for number in re.findall(r"\d+(?= (?:s|min|h|d)\b)", one.said_left()))


def train(shown: Progress, clock: Clock, epochs: int, seconds: float) -> None:
    """One run for so many epochs, each of so many seconds in ten steps."""
    for epoch in range(1, epochs + 1):
        for _ in range(10):
            clock.now += seconds / 10
            shown.advance(0.1)
        shown.note(f"epoch {epoch}/{epochs}, 1 run, test accuracy {epoch / 1000:.1f} %")
    shown.close()


def lines(epochs: int, seconds: float) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    train(Lines(Tally(epochs, clock=clock), stream), clock, epochs, seconds)
    return stream.getvalue().splitlines()


def test_a_log_has_few_lines_and_each_can_be_read_by_a_program() -> None:
    shape = re.compile(r" {0,2}\d+%  (epoch \d+/\d+, [^;]*; )?[^;]*( s| min| h| d)\b[^;]*")
    for epochs, seconds, most in ((3, 0.1, 2), (5000, 1, 110), (10, 3600, 110), (20_000, 0.1, 90)):
        told = lines(epochs, seconds)
        assert 2 <= len(told) <= most
        assert all(shape.fullmatch(line) for line in told), told
        percents = [int(line.partition("%")[0]) for line in told]
        assert percents == sorted(percents)
        assert told[-1].startswith(f"100%  epoch {epochs}/{epochs}, ")
        assert "left" not in told[-1]


def test_a_log_says_where_it_stands() -> None:
    told = lines(100, 2)
    assert told[0] == "  1%  epoch 1/100, 1 run, test accuracy 0.0 %; 2 s, 4 min left, 0.5 run-epochs/s"
    assert told[1].startswith("  3%  epoch 3/100, ")


def test_what_was_done_before_it_began_says_nothing() -> None:
    stream = io.StringIO()
    shown = Lines(Tally(10, clock=Clock()), stream)
    shown.skip(4)
    shown.close()
    assert stream.getvalue() == ""


@settings(max_examples=40)
@given(st.integers(60, 200) | st.just(0), st.text(max_size=300).filter(lambda text: "\x1b" not in text))
def test_the_bar_fits_its_terminal_and_leaves_nothing_behind(columns: int, note: str) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch, terminal(columns) as (stream, screen):
        patch.setenv("COLUMNS", "500" if columns else "0")  # a variable that is not true any more
        shown = Bar(Tally(4, is_most=True, clock=clock), stream)
        shown.note(note)
        train(shown, clock, 4, 1000)
    assert screen.shown == ""
    assert screen.widest < (columns or 80)
    assert "at most 50 min left" in screen.written
    assert "epoch 3/4" in screen.written


def test_what_is_printed_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    long = "note: " + "word " * 40
    with terminal(60) as (stream, screen):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "stdout", stream)
        shown = Bar(Tally(3, clock=clock), stream)
        shown.note(NOTE)
        print(long.strip(), file=sys.stderr)
        print("[red]one[/red]\ntwo", end="")
        clock.now += 5
        shown.advance(1)
        print(" and three")
        sys.stderr.write("without an end")
        shown.close()
        assert sys.stderr is stream
        assert sys.stdout is stream
    assert screen.shown.splitlines() == [long.strip(), "[red]one[/red]", "two and three", "without an end"]


def test_a_terminal_without_such_letters_gets_others() -> None:
    with terminal(80, encoding="ascii") as (stream, screen):
        shown = Bar(Tally(2), stream)
        shown.advance(1)
        shown._live.refresh()
        shown.close()
    assert re.search("#+-+", re.sub(r"\x1b\[[\d;]*m", "", screen.written))


def test_a_terminal_that_is_closed_stops_nothing() -> None:
    ours, theirs = os.openpty()
    clock = Clock()
    with os.fdopen(theirs, "w") as stream:
        shown = Bar(Tally(3, clock=clock), cast("TextIO", Steady(stream)))
        os.close(ours)
        train(shown, clock, 3, 10)
        assert isinstance(shown._stream.error, OSError)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("term", "kind"), [("xterm-256color", Bar), ("dumb", Lines), ("unknown", Lines)])
def test_a_terminal_that_cannot_go_back_gets_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, kind: Callable[..., Progress]
) -> None:
    monkeypatch.setenv("TERM", term)
    with terminal(80) as (stream, _):
        monkeypatch.setattr(sys, "stderr", stream)
        shown = progress(Tally(3))
        shown.close()
    assert isinstance(shown, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(("columns", "workers"), [(60, 1), (110, 2), (200, 1), (0, 1)])
def test_a_command_on_a_terminal(
    columns: int, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run diverges, so that its epochs need not be waited for."""
    monkeypatch.setenv("TERM", "xterm")
    options = ["dataset.limit=64", "model.hidden=[4]", "train.epochs=3", "optimizer.lr=0.1,1e30", "seed=0"]
    with terminal(columns) as (stream, screen):
        monkeypatch.setattr(sys, "stderr", stream)
        assert (
            main(
                [
                    *options,
                    "model=mlp",
                    "report.curves=[]",
                    "trace=none",
                    f"executor.workers={workers}",
                    f"output_dir={tmp_path / 'out'}",
                ]
            )
            == 0
        )
    assert screen.shown == ""
    assert screen.widest < (columns or 80)
    assert "━" in screen.written
    assert "epoch" in screen.written
    assert "diverged" in capsys.readouterr().out
