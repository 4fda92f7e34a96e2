"""`triplicate best DIR`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, show
from triplicate.errors import UserError

if TYPE_CHECKING:
    from triplicate.reports.best import Best


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the folder of a sweep")],
    by: Annotated[str, typer.Option("--by", metavar="MEASURE", help="the measure that decides")] = "test_accuracy",
    path: Annotated[bool, typer.Option("--path", help="print the folder of the best run, and nothing else")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Name the best run of a sweep, and the row with the best mean.

    MEASURE is any of report.measures: test_accuracy, test_f1, min_test_loss, test_accuracy@3. Less is better of losses,
    times, sizes and deviations, more of all others. Of equals the first is named; runs that diverged or failed are not
    the best. A run that was chosen by its test accuracy looks better than it is: with dataset.validation=0.1 in the
    sweep, choose --by validation_accuracy.

    Example:

      triplicate best outputs/sweep/2026-11-21_09-30-00.000000
      triplicate predict "$(triplicate best DIR --path)" digit.png
    """
    from triplicate.records.found import sweep_folder
    from triplicate.reports.best import best
    from triplicate.reports.tables import Table

    check_forms(as_json, as_csv)
    if path and (as_json or as_csv):
        raise UserError("--path", "it prints the path alone", "leave it out, or --json and --csv")
    found = best(Table.read(sweep_folder(folder)), by)
    if path:
        print(found.run.path)
        return
    show(answer(found), as_json, as_csv)


def answer(found: Best) -> Answer:
    """The best row, the best run, and last the path of the latter."""
    from triplicate.reports.numbers import heading, number
    from triplicate.reports.rows import mean_and_std

    name = heading(found.measure)
    which = "least" if found.is_lower else "greatest"
    text = [
        f"{which} mean of {name}: {mean_and_std(found.measure, found.cell, found.row.n)}, {_runs(found)}",
        f"{which} {name} of one run: {number(found.measure, found.value)}, {_one(found)}",
        str(found.run.path),
    ]
    row = {"axes": dict(found.row.axes), "mean": found.cell.mean, "std": found.cell.std, "n": found.cell.n}
    run = {"path": found.run.path, "axes": dict(found.run_row.axes), "seed": found.run.summary["seed"]}
    data = {
        "measure": found.measure,
        "better": "lower" if found.is_lower else "higher",
        "run": run | {"value": found.value},
        "row": row,
    }
    return Answer("\n".join(text), data, _lines(found))


def _runs(found: Best) -> str:
    return ", ".join(filter(None, [found.row.label, f"{found.cell.n} run{'s' * (found.cell.n > 1)}"]))


def _one(found: Best) -> str:
    return ", ".join(filter(None, [found.run_row.label, f"seed={found.run.summary['seed']}"]))


def _lines(found: Best) -> list[dict[str, Any]]:
    """A line for the run and one for the row."""
    best, of = "best", "measure"
    return [
        {best: "run", **found.run_row.axes, "seed": found.run.summary["seed"], of: found.measure, "value": found.value}
        | {"std": None, "n": 1, "path": found.run.path},
        {best: "row", **found.row.axes, "seed": None, of: found.measure, "value": found.cell.mean}
        | {"std": found.cell.std, "n": found.cell.n, "path": None},
    ]
