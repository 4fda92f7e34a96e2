"""How far a sweep is: one bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import Protocol, TextIO

from tqdm import tqdm


class Progress(Protocol):
    """What is told of a sweep while it trains."""

    def advance(self, run_steps: int) -> None:
        """So many steps more are done, counted over all runs."""

    def note(self, text: str) -> None:
        """Say where the sweep stands."""

    def close(self) -> None:
        """The sweep has ended."""


class Bar:
    """A bar over all steps of all runs of the sweep."""

    def __init__(self, total: int, stream: TextIO) -> None:
        layout = "{percentage:3.0f}% {bar:30} {elapsed}, {remaining} left, {rate_fmt}{postfix}"
        self._bar = tqdm(total=total, unit=" steps", unit_scale=True, file=stream, bar_format=layout, leave=False)

    def advance(self, run_steps: int) -> None:
        self._bar.update(run_steps)

    def note(self, text: str) -> None:
        self._bar.set_postfix_str(text)

    def close(self) -> None:
        self._bar.close()


class Lines:
    """A line for a note, at most one a second, for logs and pipes."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = max(total, 1)
        self._done = 0
        self._stream = stream
        self._spoken = -math.inf

    def advance(self, run_steps: int) -> None:
        self._done += run_steps

    def note(self, text: str) -> None:
        now = time.monotonic()
        if now - self._spoken < 1 and self._done < self._total:
            return
        self._spoken = now
        print(f"{self._done / self._total:4.0%}  {text}", file=self._stream, flush=True)

    def close(self) -> None:
        pass


def progress(total: int) -> Progress:
    """On standard error: the bar where that is a terminal, else the lines. `total`: steps over all runs."""
    stream = sys.stderr
    return Bar(total, stream) if stream.isatty() else Lines(total, stream)
