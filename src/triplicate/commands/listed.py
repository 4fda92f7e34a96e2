"""`triplicate list [DIR]`"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, counted, show, size

if TYPE_CHECKING:
    from triplicate.records.outline import RunOutline, SweepOutline

_MEASURE = "test_accuracy"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to look, and below")] = Path("outputs"),
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List all sweeps in a folder and below, the newest last.

    Of each: when its newest run ended, its folder, how many runs are finished, diverged, failed, damaged or missing,
    the row with the best mean test accuracy, and the size of all its files. Only the summaries are read; triplicate
    check compares every file with its hash.

    Example:

      triplicate list
      triplicate list outputs/sweep --csv > sweeps.csv
    """
    from triplicate.records.found import sweeps_below
    from triplicate.records.outline import outline

    check_forms(as_json, as_csv)
    sweeps = [outline(sweep) for sweep in sweeps_below(folder)]
    show(answer(folder, sweeps), as_json, as_csv)


def answer(folder: Path, sweeps: Sequence[SweepOutline]) -> Answer:
    """Of the sweeps below a folder, the newest last."""
    ordered = sorted(sweeps, key=lambda sweep: (sweep.ended or datetime.min.replace(tzinfo=UTC), sweep.folder))
    text = "\n".join(map(_as_text, ordered)) or f"no sweep is in {folder} or below"
    lines = [_line(sweep) for sweep in ordered]
    return Answer(text, lines, [_flat(line) for line in lines], list(_flat(_line(None))))


@dataclass(frozen=True)
class _BestRow:
    """The row with the best mean test accuracy, by its keys."""

    label: str
    mean: float
    std: float
    n: int


def best_row(runs: Sequence[RunOutline]) -> _BestRow | None:
    """Of the runs that did not diverge; None where none has ended so."""
    from triplicate.records.outline import State

    rows: dict[str, list[RunOutline]] = defaultdict(list)
    for run in runs:
        rows[run.setting].append(run)
    found = []
    for setting, members in rows.items():
        ended = [run.measures.get(_MEASURE) for run in members if run.state is State.FINISHED]
        values = [value for value in ended if value is not None and math.isfinite(value)]
        if values:
            std = statistics.stdev(values) if len(values) > 1 else math.nan
            found.append(_BestRow(_label(setting, rows), statistics.fmean(values), std, len(values)))
    return max(found, key=lambda row: row.mean, default=None)


def _label(setting: str, rows: Mapping[str, Sequence[RunOutline]]) -> str:
    """What tells a row from the others: the keys that its command set to more than one value."""
    given = [members[0].overrides for members in rows.values()]
    keys = dict.fromkeys(key for overrides in given for key in overrides if key not in ("seed", "experiment"))
    axes = [key for key in keys if len({overrides.get(key) for overrides in given}) > 1]
    own = rows[setting][0].overrides
    return ", ".join(f"{key}={own[key]}" for key in axes if key in own)


def _as_text(sweep: SweepOutline) -> str:
    """Two lines: when, how large and where; then what is there."""
    ended = sweep.ended.astimezone().strftime("%Y-%m-%d %H:%M") if sweep.ended is not None else ""
    told = ["in training"] if sweep.is_in_training else []
    told += [sweep.problem] if sweep.problem else []
    told += [_runs_as_text(sweep)]
    best = best_row(sweep.runs)
    if best is not None:
        std = f" ± {100 * best.std:.2f}" if best.n > 1 else ""
        told.append(f"best accuracy {100 * best.mean:.2f}{std} %{f' ({best.label})' if best.label else ''}")
    return f"{ended:16}  {size(sweep.size):>10}  {sweep.folder}\n  {'; '.join(told)}"


def _runs_as_text(sweep: SweepOutline) -> str:
    """'12 of 12 runs', '9 of 12 runs, 1 diverged, 2 failed'."""
    from triplicate.records.outline import State

    counts = {state: sweep.count(state) for state in State}
    done = counts.pop(State.FINISHED)
    lost = [f"{count} {state.value}" for state, count in counts.items() if count]
    return ", ".join([f"{done} of {counted(len(sweep.runs), 'run')}", *lost])


def _line(sweep: SweepOutline | None) -> dict[str, Any]:
    """For programs; without a sweep the keys alone."""
    from triplicate.records.outline import State

    best = best_row(sweep.runs) if sweep is not None else None
    return {
        "folder": sweep and sweep.folder,
        "name": sweep and sweep.name,
        "experiment": sweep and sweep.record and sweep.record.experiment,
        "date": sweep and sweep.ended,
        "runs": sweep and len(sweep.runs),
        **{state.value: sweep and sweep.count(state) for state in State},
        "in_training": sweep and sweep.is_in_training,
        "best": {
            "row": best and best.label,
            f"{_MEASURE}_mean": best and best.mean,
            f"{_MEASURE}_std": best and best.std,
            "n": best and best.n,
        },
        "bytes": sweep and sweep.size,
        "problem": sweep and sweep.problem,
    }


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the CSV: the best row in columns of its own."""
    flat: dict[str, Any] = {}
    for key, value in line.items():
        flat |= {f"best_{name}": each for name, each in value.items()} if key == "best" else {key: value}
    return flat
