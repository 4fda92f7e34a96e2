"""`triplicate show RUN`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, counted, lines_of, show, size
from triplicate.streams import terminal_width

if TYPE_CHECKING:
    from triplicate.records.outline import RunOutline, SweepOutline
    from triplicate.reports.neighbours import Neighbour

# Neighbours that are named to people.
_NAMED = 10


def command(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run, or of a sweep")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show a run: how it ended, its measures, its neighbours in the sweep with what differs, and its configuration.

    Of a run that failed it shows why, of one that diverged the step. Of a sweep it shows what was asked for, what is
    there of it, and its table.

    Example:

      triplicate show outputs/sweep/2026-11-21_09-30-00.000000/runs/optimizer.lr=0.1,seed=0
    """
    from triplicate.records.found import is_run, is_sweep, run_folder
    from triplicate.records.outline import outline

    check_forms(as_json, as_csv)
    if is_sweep(folder) and not is_run(folder):
        show(answer_for_sweep(outline(folder)), as_json, as_csv)
        return
    show(answer_for_run(run_folder(folder)), as_json, as_csv)


def answer_for_sweep(sweep: SweepOutline) -> Answer:
    """What was asked for, and the table."""
    from triplicate.records.outline import State
    from triplicate.reports.tables import Table

    table = Table.read(sweep.folder)
    counts = {state.value: sweep.count(state) for state in State}
    command = sweep.record.command if sweep.record is not None else ""
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    heads = {
        "sweep": str(sweep.folder),
        "name": sweep.name,
        "command": command,
        "runs": f"{len(sweep.runs)}: {told}{', in training' if sweep.is_in_training else ''}",
        "ended": f"{sweep.ended.astimezone():%Y-%m-%d %H:%M}" if sweep.ended is not None else "",
        "size": size(sweep.size),
        "problem": sweep.problem,
    }
    data = {
        "folder": sweep.folder,
        "name": sweep.name,
        "command": command,
        "runs": len(sweep.runs),
        **counts,
        "in_training": sweep.is_in_training,
        "date": sweep.ended,
        "bytes": sweep.size,
        "problem": sweep.problem,
        "table": lines_of(table.frame()),
        "notes": table.notes,
    }
    return Answer(f"{_heads(heads)}\n\n{table.as_text(terminal_width())}", data, lines_of(table.frame()))


def answer_for_run(folder: Path) -> Answer:
    """All that a run tells, and its neighbours."""
    from triplicate.config import flatten
    from triplicate.records.found import sweep_of
    from triplicate.records.run_folder import epochs_so_far, read_outline
    from triplicate.reports.neighbours import configuration, neighbours

    sweep = sweep_of(folder)
    run, others = _with_others(folder, sweep)
    near = neighbours(run, others)
    summary = (read_outline(folder) or {}) if run.measures else {}
    config = configuration(folder)
    data = {
        "folder": folder,
        "sweep": sweep,
        "status": run.state.value,
        "cause": run.cause or None,
        "diverged_step": summary.get("diverged_step"),
        "stopped": summary.get("stopped"),
        "epochs": summary["epochs"] if "epochs" in summary else epochs_so_far(folder),
        "tested_epoch": summary.get("tested_epoch"),
        "finished_at": run.finished_at or None,
        "fingerprint": run.wanted.fingerprint if run.wanted is not None else summary.get("fingerprint"),
        "overrides": run.overrides,
        "choices": run.wanted.choices if run.wanted is not None else summary.get("choices", {}),
        "measures": run.measures,
        "neighbours": [_neighbour(each) for each in near],
        "environment": summary.get("environment", {}),
        "command": summary.get("command"),
        "config": config,
    }
    paragraphs = [_heads(_of_run(data)), _measures(run), _neighbours(run, near), _configuration(config)]
    flat = [
        {"key": key, "value": value if isinstance(value, str | int | float) else _words(value)}
        for key, value in flatten({**data, "neighbours": len(near)})
    ]
    return Answer("\n\n".join(filter(None, paragraphs)), data, flat, ("key", "value"))


def _with_others(folder: Path, sweep: Path | None) -> tuple[RunOutline, Sequence[RunOutline]]:
    """A run as its sweep knows it, and all runs of the sweep."""
    from triplicate.records.outline import outline, outline_of_run

    if sweep is None:
        return outline_of_run(folder), ()
    runs = outline(sweep).runs
    own = (run for run in runs if run.folder.absolute() == folder.absolute())
    return next(own, None) or outline_of_run(folder), runs


def _of_run(data: Mapping[str, Any]) -> dict[str, str]:
    """The first lines: how it ended, where and with what."""
    environment = data["environment"]
    ended = f"{data['status']}{f' in step {step}' if (step := data['diverged_step']) else ''}"
    ended += f": {data['stopped']}" if data["stopped"] else ""
    tested = f", tested after epoch {data['tested_epoch']}" if data["tested_epoch"] is not None else " so far"
    epochs = f"{data['epochs']}{tested}" if data["epochs"] is not None else ""
    where = ", ".join(str(environment[key]) for key in ("device", "machine") if key in environment)
    log = data["folder"] / "triplicate.log"
    return {
        "run": str(data["folder"]),
        "status": ended,
        "cause": data["cause"] or "",
        "log": str(log) if data["cause"] and log.is_file() else "",
        "set": ", ".join(f"{key}={value}" for key, value in data["overrides"].items()),
        "epochs": epochs,
        "ended": data["finished_at"] or "",
        "on": f"{where}; triplicate {environment['triplicate']}, torch {environment['torch']}" if where else "",
    }


def _heads(lines: Mapping[str, str]) -> str:
    """Names and what stands behind them, in two columns, without what is empty."""
    return "\n".join(f"{name:8} {value}" for name, value in lines.items() if value)


def _measures(run: RunOutline) -> str:
    """Every measure that the run has, as people read it; an epoch's own number is said above."""
    from triplicate.reports.numbers import heading, number

    told = {name: value for name, value in run.measures.items() if value is not None and name not in _NO_MEASURES}
    wide = max((len(heading(name)) for name in told), default=0)
    return "\n".join(f"{heading(name):{wide}}  {number(name, value)}" for name, value in told.items())


# In the summary among the measures, and said elsewhere.
_NO_MEASURES = ("epoch", "epochs", "tested_epoch", "images")


def _neighbours(run: RunOutline, near: Sequence[Neighbour]) -> str:
    if not near:
        return ""
    lines = list(_told(run, near[:_NAMED]))
    more = [f"  and {len(near) - _NAMED} more"] if len(near) > _NAMED else []
    return "\n".join([f"differs from {counted(len(near), 'neighbour')} in", *lines, *more])


def _told(run: RunOutline, near: Sequence[Neighbour]) -> Iterator[str]:
    """A line for each: the keys as the neighbour has them, and how its test accuracy compares."""
    own = run.measures.get("test_accuracy")
    for each in near:
        there = ", ".join(f"{d.key}={d.other or 'nothing'}" for d in each.differences) or "nothing that was recorded"
        theirs = each.run.measures.get("test_accuracy")
        if theirs is None:
            result = each.run.state.value
        else:
            result = f"test accuracy {100 * theirs:.2f} %" + (
                f" ({100 * (theirs - own):+.2f})" if own is not None else ""
            )
        yield f"  {there}: {result}"


def _neighbour(each: Neighbour) -> dict[str, Any]:
    return {
        "folder": each.run.folder,
        "status": each.run.state.value,
        "differences": {d.key: {"own": d.own, "other": d.other} for d in each.differences},
        "measures": each.run.measures,
    }


def _configuration(config: Mapping[str, Any]) -> str:
    """As config.yaml has it, but for what says how it is shown."""
    import yaml

    shown = {key: value for key, value in config.items() if key != "report"}
    return yaml.safe_dump(shown, sort_keys=False, default_flow_style=None, width=78).rstrip() if shown else ""


def _words(value: Any) -> Any:
    return None if value is None else str(value)
