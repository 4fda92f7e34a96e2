"""How long a sweep was in training, by the clock: from the first lines of its runs' logs to their last."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from triplicate.records.run_folder import LOG

_LINE = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] (.*)")
_GOES_ON = "goes on after epoch"


def seconds_in_training(runs: Iterable[Path]) -> float | None:
    """Seconds in which at least one of the runs was in training; None where no log tells.

    The time between an interruption and going on does not count.
    """
    spans = sorted(span for run in runs for span in _spans(run / LOG))
    if not spans:
        return None
    total, (begin, end) = 0.0, spans[0]
    for since, until in spans[1:]:
        if since > end:
            total += (end - begin).total_seconds()
            begin, end = since, until
        end = max(end, until)
    return total + (end - begin).total_seconds()


def _spans(log: Path) -> Iterator[tuple[datetime, datetime]]:
    """The times in which a run was in training, from its beginning, or where it went on, to the last line."""
    try:
        lines = [_LINE.match(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return
    begin = end = None
    for found in filter(None, lines):
        time = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S")
        if begin is None or found[2].startswith(_GOES_ON):
            if begin is not None and end is not None:
                yield begin, end
            begin = time
        end = time
    if begin is not None and end is not None:
        yield begin, end
