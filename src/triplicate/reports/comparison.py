"""The rows of several sweeps in one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from triplicate.config.schema import Report
from triplicate.parts.keys import former
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Absent, Sweep, read_sweep
from triplicate.reports.columns import fitted
from triplicate.reports.rows import Row, rows
from triplicate.reports.tables import frame_row


@dataclass(frozen=True)
class Comparison:
    """Several sweeps.

    Attributes:
        rows: of all of them. Runs of the same setting are one row, whatever sweep they are of.
        sources: for each row the numbers of its sweeps, from 1.
        twice: how many runs are in more than one of the sweeps. They are counted once.
    """

    sweeps: tuple[Path, ...]
    rows: tuple[Row, ...]
    sources: tuple[tuple[int, ...], ...]
    twice: int
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """For programs: the sweeps of a row, the keys that differ, then the measures and counts of table.csv."""
        folders = ["; ".join(str(self.sweeps[number - 1]) for number in numbers) for numbers in self.sources]
        lines = [without_published(frame_row(row)) for row in self.rows]
        return pd.DataFrame([{"sweeps": named, **line} for named, line in zip(folders, lines, strict=True)])

    def as_text(self, width: int | None = None) -> str:
        """For a terminal: the table, which number is which sweep, and what is to be said besides.

        Args:
            width: of the terminal; measures at the right that would not fit are left out.
        """
        numbers = [" ".join(map(str, source)) for source in self.sources]
        before = {"sweep": numbers} if len(self.sweeps) > 1 else {}
        table, left_out = fitted(self.rows, before, width)
        legend = [f"{number}: {folder}" for number, folder in enumerate(self.sweeps, start=1)]
        wide = [f"no room here for {', '.join(left_out)}; see --csv"] if left_out else []
        return "\n".join([table, "", *legend, *self.notes, *wide])


def compare(sweeps: Sequence[Path]) -> Comparison:
    """Read sweeps and put their rows together. Each fingerprint is counted once: a result goes before none.

    Raises:
        UserError: one of them holds no run, finished or asked for.
    """
    read = [read_sweep(folder) for folder in sweeps]
    runs: dict[str, RunRecord] = {}
    for run in (run for sweep in read for run in sweep.runs):
        runs.setdefault(run.fingerprint, run)
    absent: dict[str, Absent] = {}
    for one in (one for sweep in read for one in sweep.absent if one.wanted.fingerprint not in runs):
        absent.setdefault(one.wanted.fingerprint, one)
    twice = sum(len(sweep.runs) for sweep in read) - len(runs)
    notes = [note for sweep in read for note in sweep.notes]
    if twice:
        notes.append(f"in more than one of the sweeps, and counted once: {twice} run{'s' * (twice > 1)}")
    together = Sweep(tuple(runs.values()), tuple(absent.values()), None, tuple(notes))
    report = {**former(Report), "measures": _measures(read), "published": {}}
    found = rows(together, report, [setting for sweep in read for setting in sweep.order], all_differences=True)
    sources = _sources_by_run(read)
    return Comparison(tuple(sweeps), found, tuple(_sources(row, sources) for row in found), twice, tuple(notes))


def without_published(values: dict[str, Any]) -> dict[str, Any]:
    """The line of a table that compares with nothing published."""
    return {key: value for key, value in values.items() if not key.endswith(("_published", "_difference", "_verdict"))}


def _measures(sweeps: Sequence[Sweep]) -> list[str]:
    """What the reports of the sweeps show, each once."""
    reports = [sweep.report if sweep.report is not None else sweep.runs[0].config["report"] for sweep in sweeps]
    return list(dict.fromkeys(measure for report in reports for measure in report["measures"]))


def _sources_by_run(sweeps: Sequence[Sweep]) -> dict[str, list[int]]:
    """Fingerprint → the numbers of the sweeps that have or want the run."""
    sources: dict[str, list[int]] = defaultdict(list)
    for number, sweep in enumerate(sweeps, start=1):
        wanted = (one.wanted.fingerprint for one in sweep.absent)
        for fingerprint in dict.fromkeys([*(run.fingerprint for run in sweep.runs), *wanted]):
            sources[fingerprint].append(number)
    return sources


def _sources(row: Row, by_run: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """The numbers of the sweeps that have runs of a row."""
    own = [run.fingerprint for run in row.runs] + [one.wanted.fingerprint for one in row.absent]
    return tuple(sorted({number for fingerprint in own for number in by_run[fingerprint]}))
