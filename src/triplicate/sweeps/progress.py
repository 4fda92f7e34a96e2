"""How far a sweep is: one bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import Protocol, TextIO

from tqdm import tqdm


class Progress(Protocol):
    """What is told of a sweep while it trains."""

    def advance(self, run_epochs: float) -> None:
        """So many epochs more are done, counted over all runs."""

    def note(self, text: str) -> None:
        """Say where the sweep stands."""

    def close(self) -> None:
        """The sweep has ended."""


class Bar:
    """A bar over all epochs of all runs of the sweep."""

    def __init__(self, total: int, stream: TextIO) -> None:
        layout = "{percentage:3.0f}% {bar:30} {elapsed}, {remaining} left, {rate_noinv_fmt}{postfix}"
        # The rate of the whole time, not of the last moment: the stacks of a sweep are not of one speed.
        self._bar = tqdm(
            total=total, unit=" run-epochs", file=stream, bar_format=layout, leave=False, smoothing=0, mininterval=0.2
        )

    def advance(self, run_epochs: float) -> None:
        self._bar.update(run_epochs)

    def note(self, text: str) -> None:
        self._bar.set_postfix_str(text)

    def close(self) -> None:
        self._bar.close()


class Lines:
    """A line for a note, at most one a second, for logs and pipes."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = max(total, 1)
        self._done = 0.0
        self._stream = stream
        self._began = time.monotonic()
        self._spoken = -math.inf

    def advance(self, run_epochs: float) -> None:
        self._done += run_epochs

    def note(self, text: str) -> None:
        now = time.monotonic()
        if now - self._spoken < 1 and self._done < self._total - 1e-6:
            return
        self._spoken = now
        rate = self._done / max(now - self._began, 1e-3)
        left = max(0.0, self._total - self._done) / rate if rate else math.inf
        told = f"{self._done / self._total:4.0%}  {text}; {rate:.2g} run-epochs/s, {left:.0f} s left"
        print(told, file=self._stream, flush=True)

    def close(self) -> None:
        pass


class Silent:
    """Says nothing."""

    def advance(self, run_epochs: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def progress(total: int, is_shown: bool) -> Progress:
    """On standard error: the bar where that is a terminal, else the lines. `total`: epochs over all runs."""
    if not is_shown:
        return Silent()
    stream = sys.stderr
    return Bar(total, stream) if stream.isatty() else Lines(total, stream)
