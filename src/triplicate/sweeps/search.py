"""What the runs of a search give back to its sweeper, and how a search ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from triplicate.config import RunConfig
from triplicate.errors import RunFailed, RunsFailed
from triplicate.measures import Better, Shown
from triplicate.measures.shared.names import parse
from triplicate.records.run_folder import RunRecord, read_run
from triplicate.records.sweep_folder import Finished, read_sweep, read_sweep_record
from triplicate.reports.rows import measured
from triplicate.streams import terminal_width

Objective = float | tuple[float, ...]


def objective(config: RunConfig, finished: Finished | None, directions: Sequence[str] = ()) -> Objective:
    """The number of a run, or the numbers where several measures are asked for.

    A search goes on after a run that has failed or diverged, and is to stay away from there: such a run gives the worst
    number, 0 or 1 for what is a fraction, else an infinite one. NaN would end the search of Optuna.

    Args:
        finished: what the run has left; None: it failed.
        directions: of the search, minimize or maximize, for each measure; empty where that is not known.
    """
    names = config.objectives
    given = directions or (None,) * len(names)
    run = None if finished is None or finished.diverged else read_run(finished.folder)
    numbers = tuple(_number(run, name, direction) for name, direction in zip(names, given, strict=True))
    return numbers[0] if len(numbers) == 1 else numbers


def _number(run: RunRecord | None, name: str, direction: str | None) -> float:
    number = None if run is None else measured(run, name)
    return number if number is not None and math.isfinite(number) else _worst(name, direction)


def _worst(name: str, direction: str | None) -> float:
    part = parse(name, "objective").part
    better = Better(direction) if direction is not None else part.better
    if part.shown is Shown.PERCENT:
        return 0.0 if better is Better.GREATER else 1.0
    return -math.inf if better is Better.GREATER else math.inf


def conclude(sweep: Path) -> None:
    """Write the tables and plots of a search that has ended, and print its table.

    Raises:
        RunsFailed: runs of it failed.
    """
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    print(report.write_sweep(sweep, terminal_width()).text)
    record = read_sweep_record(sweep)
    asked = {run.fingerprint for run in record.wanted[: record.asked]} if record is not None else set()
    failed = [run for run in read_sweep(sweep).absent if run.state == "failed" and run.wanted.fingerprint in asked]
    if failed:
        raise RunsFailed([RunFailed(str(run.path), run.cause) for run in failed])
