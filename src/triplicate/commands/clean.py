"""`triplicate clean [DIR]`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, show, size
from triplicate.errors import UserError, unknown_name

if TYPE_CHECKING:
    from triplicate.records.removable import Found, Kind, Removable

# Files of one kind that are named to people.
_NAMED = 10


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to look, and below")] = Path("outputs"),
    only: Annotated[str, typer.Option("--only", metavar="KIND,…", help="these kinds alone")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="remove without asking")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what can be removed, and end")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what can be removed from the sweeps in a folder and below, and remove it after asking, kind by kind.

    \b
      partial     half-written files and shared data that killed processes have left
      stale       checkpoints of stacks that have ended
      checkpoint  checkpoint.safetensors of finished runs: without it the same run with more epochs
                  starts from the beginning
      failed      folders of runs that failed, with their logs
      empty       sweeps without a finished run and without a checkpoint

    The records of a finished run are never removed, nor anything of a sweep that is in training. With --json or --csv
    it shows, and removes only with --yes.

    Example:

      triplicate clean --dry-run
      triplicate clean outputs/sweep --only partial,checkpoint --yes
    """
    from triplicate.records import removable
    from triplicate.records.found import sweeps_below

    check_forms(as_json, as_csv)
    if yes and dry_run:
        raise UserError("--dry-run", "it cannot be combined with --yes", "give one of them")
    kinds = _kinds(only)
    found = removable.find(sweeps_below(folder))
    wanted = [one for one in found.removable if one.kind in kinds]
    asks = not (yes or dry_run or as_json or as_csv) and bool(wanted)
    if asks and not sys.stdin.isatty():
        raise UserError("clean", "there is no terminal to ask at", "give --yes to remove, or --dry-run to see what")
    if asks:
        print(_overview(folder, wanted, found))
        wanted = [one for kind in kinds for one in _agreed(kind, [each for each in wanted if each.kind is kind])]
    removed, busy = removable.remove(wanted) if yes or asks else ([], [])
    if asks:
        print(_result(removed, busy))
        return
    result = _result(removed, busy) if yes else ""
    show(_answer(folder, wanted, found, {one.path for one in removed}, result), as_json, as_csv)


def _kinds(only: str) -> list[Kind]:
    """Those that are named; all where none is."""
    from triplicate.records.removable import Kind

    names = [name.strip() for name in only.split(",")] if only else [kind.value for kind in Kind]
    known = {kind.value: kind for kind in Kind}
    for name in names:
        if name not in known:
            raise unknown_name("--only", name, known)
    return [kind for kind in Kind if kind.value in names]


def _agreed(kind: Kind, found: Sequence[Removable]) -> Sequence[Removable]:
    """Ask whether one kind is to be removed; nothing but yes is a yes."""
    if not found:
        return ()
    print(f"remove {kind.value}, {size(sum(one.size for one in found))}? [y/N] ", end="", flush=True)
    answered = sys.stdin.readline()
    if not answered.endswith("\n"):
        print()  # the end of the input is no answer
    return found if answered.strip().lower() in ("y", "yes") else ()


def _answer(folder: Path, wanted: Sequence[Removable], found: Found, removed: set[Path], result: str) -> Answer:
    lines: list[dict[str, Any]] = [
        {"kind": one.kind.value, "path": one.path, "sweep": one.sweep, "bytes": one.size, "costs": one.kind.cost}
        | {"removed": one.path in removed}
        for one in wanted
    ]
    text = _overview(folder, wanted, found) + (f"\n{result}" if result else "")
    data = {"found": lines, "in_training": found.in_training}
    return Answer(text, data, lines, ("kind", "path", "sweep", "bytes", "costs", "removed"))


def _overview(folder: Path, wanted: Sequence[Removable], found: Found) -> str:
    """What can be removed, kind by kind, with what it costs; and what is left alone."""
    text = []
    for kind in dict.fromkeys(one.kind for one in wanted):
        these = [one for one in wanted if one.kind is kind]
        text.append(f"{kind.value}: {kind.what}: {len(these)}, {size(sum(one.size for one in these))}")
        text.append(f"  costs: {kind.cost}")
        text += [f"  {one.path}" for one in these[:_NAMED]]
        text += [f"  and {len(these) - _NAMED} more"] if len(these) > _NAMED else []
    if not wanted:
        text.append(f"nothing in {folder} can be removed")
    text += [f"in training, left alone: {sweep}" for sweep in found.in_training]
    return "\n".join(text)


def _result(removed: Sequence[Removable], busy: Sequence[Path]) -> str:
    told = [f"removed: {len(removed)}, {size(sum(one.size for one in removed))}"]
    return "\n".join([*told, *(f"in training by now, left alone: {sweep}" for sweep in busy)])
