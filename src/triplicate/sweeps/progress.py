"""How far a sweep is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO, cast

if TYPE_CHECKING:
    from rich.text import Text

Clock = Callable[[], float]

# Terminals that know no more than a typewriter does.
_DUMB = ("dumb", "unknown")
# As wide as terminals mostly are.
_COLUMNS = 80
_SHORTEST_BAR, _LONGEST_BAR = 10, 40
_SECONDS_BETWEEN_DRAWINGS = 0.2
# Between two lines, and as a share of the time so far: a day of training has some 150 of them.
_SECONDS_BETWEEN_LINES = 5.0
_SHARE_BETWEEN_LINES = 0.05
# A rate of less time says nothing.
_SECONDS_TO_A_RATE = 1.0
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONGEST = 99 * _DAY
# Fractions that are added up are never quite the whole.
_ROUNDING = 1e-6


class Progress(Protocol):
    """What is told of a sweep while it trains."""

    def advance(self, run_epochs: float) -> None:
        """So many epochs more are trained, counted over all runs."""

    def skip(self, run_epochs: float) -> None:
        """So many epochs more need no training: they were trained by an earlier command, or their run has ended before.

        Fewer than none: what was trained is lost, and is trained again.
        """

    def note(self, text: str) -> None:
        """Say where the sweep stands."""

    def close(self) -> None:
        """The sweep has ended."""


@dataclass
class Tally:
    """What is done of a sweep, how fast, and how long the rest will take.

    Attributes:
        total: epochs over all runs.
        is_most: runs may end before their last epoch, so that the time left is at most what the rate tells.
    """

    total: float
    is_most: bool = False
    clock: Clock = time.monotonic
    _began: float = field(init=False)
    _told: float = field(init=False)
    _done: float = field(init=False, default=0.0)
    _trained: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._began = self._told = self.clock()

    def advance(self, run_epochs: float) -> None:
        """As Progress.advance."""
        self._done += run_epochs
        self._trained += run_epochs
        self._told = self.clock()

    def skip(self, run_epochs: float) -> None:
        """As Progress.skip. What ends early, or was done before, may be followed by more of that."""
        self._done += run_epochs
        self.is_most |= self._trained > 0 and run_epochs > _ROUNDING

    @property
    def is_done(self) -> bool:
        return self._done >= self.total - _ROUNDING

    @property
    def fraction(self) -> float:
        return 1.0 if self.is_done else min(max(self._done / max(self.total, 1.0), 0.0), 1.0)

    @property
    def percent(self) -> str:
        """Four letters; 100% is said of what is done alone."""
        return f"{math.floor(100 * self.fraction + _ROUNDING):3d}%"

    @property
    def elapsed(self) -> float:
        """In seconds."""
        return max(0.0, self.clock() - self._began)

    @property
    def rate(self) -> float | None:
        """Run-epochs a second over all of the time, since stacks are not of one speed; None before there is one."""
        seconds = self._told - self._began
        return self._trained / seconds if self._trained > 0 and seconds >= _SECONDS_TO_A_RATE else None

    def said_rate(self) -> str:
        """'12 run-epochs/s', '3 min a run-epoch'; nothing before there is a rate, or where it is next to nothing."""
        if self.rate is None or self.rate < 1 / _LONGEST:
            return ""
        if self.rate < 0.1:
            return f"{duration(1 / self.rate)} a run-epoch"
        return f"{self.rate:,.0f} run-epochs/s" if self.rate >= 9.95 else f"{self.rate:.1f} run-epochs/s"

    def said_left(self) -> str:
        """'3 min left', 'at most 3 min left'; nothing before there is a rate, and when all is done."""
        if self.rate is None or self.is_done:
            return ""
        left = max(0.0, self.total - self._done) / self.rate
        if left > _LONGEST:
            return f"more than {duration(_LONGEST)} left" if not self.is_most else ""
        # A guess is not good to the second.
        rounded = left if left < _MINUTE else _MINUTE * math.ceil(left / _MINUTE - _ROUNDING)
        return f"{'at most ' if self.is_most else ''}{duration(rounded)} left"


def duration(seconds: float) -> str:
    """As people say it, in at most two units: '8 s', '1 min 5 s', '25 min', '2 h 5 min', '3 d 4 h'."""
    whole = max(0, math.ceil(seconds - _ROUNDING))
    if whole >= 10 * _MINUTE:
        whole = _MINUTE * round(whole / _MINUTE)
    if whole >= _DAY:
        return _in_two(round(whole / _HOUR), 24, "d", "h")
    if whole >= _HOUR:
        return _in_two(whole // _MINUTE, 60, "h", "min")
    return _in_two(whole, 60, "min", "s") if whole >= _MINUTE else f"{whole} s"


def _in_two(count: int, size: int, large: str, small: str) -> str:
    """So many of a small unit, `size` of which are one of the large."""
    units, rest = divmod(count, size)
    return f"{units} {large} {rest} {small}" if rest else f"{units} {large}"


def fitted(tally: Tally, width: int) -> tuple[int, str]:
    """How long a bar is that stands behind the percent in a line so wide, and what is said behind it.

    Where there is no room for all, the rate is left out first, then the time so far, then the time left.
    """
    elapsed, left, rate = duration(tally.elapsed), tally.said_left(), tally.said_rate()
    room = width - len("100%  ")
    for fields in ((elapsed, left, rate), (elapsed, left), (left,)):
        said = ", ".join(filter(None, fields))
        if len(said) + _SHORTEST_BAR <= room:
            return min(_LONGEST_BAR, room - len(said)), said
    return max(0, min(_LONGEST_BAR, room)), ""


def columns(stream: TextIO) -> int:
    """How wide a terminal is; where it does not tell, as COLUMNS says, or as terminals mostly are."""
    try:
        told = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        told = 0
    variable = os.environ.get("COLUMNS", "")
    return told or (int(variable) if variable.isdecimal() else 0) or _COLUMNS


class Bar:
    """Two lines that stay at the bottom of a terminal: a bar with the times, and the newest note."""

    def __init__(self, tally: Tally, stream: TextIO) -> None:
        from rich.console import Console  # only here: where nothing is trained, or no terminal is, it is not needed
        from rich.live import Live

        self._tally, self._stream, self._note = tally, stream, ""
        self._drawn = -math.inf
        # That it is a terminal is known, and how wide is asked each time: rich would believe variables more than that.
        self._console = Console(file=stream, force_terminal=True, width=columns(stream), height=24, highlight=False)
        # No thread draws, which would take time from the training; what is printed besides goes our own way.
        self._live = Live(
            get_renderable=self._view,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)
        self._console.show_cursor(True)  # rich has hidden it, and after a kill nobody would show it again
        self._redirected = ExitStack()
        self._redirect(_Above(self, sys.stderr), redirect_stderr)
        if sys.stdout.isatty():
            self._redirect(_Above(self, sys.stdout), redirect_stdout)

    def _redirect(self, above: _Above, redirect: Callable[[TextIO], AbstractContextManager[object]]) -> None:
        self._redirected.enter_context(redirect(cast("TextIO", above)))
        self._redirected.callback(above.end)

    def advance(self, run_epochs: float) -> None:
        self._tally.advance(run_epochs)
        self._draw()

    def skip(self, run_epochs: float) -> None:
        self._tally.skip(run_epochs)
        self._draw()

    def note(self, text: str) -> None:
        self._note = text
        self._draw()

    def say(self, text: str) -> None:
        """Print lines above the bar, as they are: the terminal breaks those that are too long."""
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        self._redirected.close()
        self._live.stop()

    def _draw(self) -> None:
        now = self._tally.clock()
        if now - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn = now
        self._console.width = columns(self._stream)
        self._live.refresh()

    def _view(self) -> Text:
        from rich.text import Text

        # The last column stays free: some terminals go on to the next line when it is written to.
        width = max(1, self._console.width - 1)
        length, said = fitted(self._tally, width)
        full = round(length * self._tally.fraction)
        is_ascii = self._console.options.ascii_only
        done, left = ("#", "-") if is_ascii else ("━", "─")
        bar = ((done * full, "cyan"), (left * (length - full), "dim"))
        lines = [Text.assemble(self._tally.percent, " ", *bar, " ", said)]
        if self._note:
            lines.append(Text(self._note.replace("\n", " ")))
        for line in lines:
            line.truncate(width, overflow="crop" if is_ascii else "ellipsis")
        return Text("\n").join(lines)


class _Above(io.TextIOBase):
    """A stream whose lines appear above the bar; for all else the stream itself."""

    def __init__(self, bar: Bar, stream: TextIO) -> None:
        self._bar, self._stream, self._begun = bar, stream, ""

    def write(self, text: str) -> int:
        lines, found, self._begun = (self._begun + text).rpartition("\n")
        if found:
            self._bar.say(lines)
        return len(text)

    def end(self) -> None:
        """Say what is begun of a line."""
        if self._begun:
            self._bar.say(self._begun)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


class Lines:
    """Lines for logs, pipes and notebooks: the first at once, then one every few seconds, and fewer with time."""

    def __init__(self, tally: Tally, stream: TextIO) -> None:
        self._tally, self._stream, self._note = tally, stream, ""
        self._next = 0.0
        self._has_ended = False

    def advance(self, run_epochs: float) -> None:
        self._tally.advance(run_epochs)
        self._say_if_due()

    def skip(self, run_epochs: float) -> None:
        self._tally.skip(run_epochs)

    def note(self, text: str) -> None:
        self._note = text
        if self._tally.is_done:
            self._say_the_last()
        else:
            self._say_if_due()

    def close(self) -> None:
        if self._tally.is_done:
            self._say_the_last()

    def _say_if_due(self) -> None:
        """The first line waits for the first note, a few seconds at most."""
        elapsed = self._tally.elapsed
        if elapsed < self._next or self._tally.is_done or (not self._note and elapsed < _SECONDS_BETWEEN_LINES):
            return
        self._next = elapsed + max(_SECONDS_BETWEEN_LINES, _SHARE_BETWEEN_LINES * elapsed)
        self._say()

    def _say_the_last(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._say()

    def _say(self) -> None:
        times = [duration(self._tally.elapsed), self._tally.said_left(), self._tally.said_rate()]
        told = "; ".join(filter(None, [self._note, ", ".join(filter(None, times))]))
        print(f"{self._tally.percent}  {told}", file=self._stream, flush=True)


class Silent:
    """Says nothing."""

    def advance(self, run_epochs: float) -> None:
        pass

    def skip(self, run_epochs: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def progress(tally: Tally, is_shown: bool = True) -> Progress:
    """On standard error: the bar where that is a terminal, else the lines."""
    if not is_shown:
        return Silent()
    stream = sys.stderr
    is_terminal = stream.isatty() and os.environ.get("TERM", "") not in _DUMB
    return Bar(tally, stream) if is_terminal else Lines(tally, stream)
