"""`triplicate evaluate RUN [dataset=…]`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, lines_of, show

if TYPE_CHECKING:
    import pandas as pd

    from triplicate.results import Evaluated, Run


def command(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run, or of a sweep of one run")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="other data")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Take all measures of a run on a test set, and count which class was taken for which.

    Without KEY=VALUE it is the test set of the sweep, and the measures equal those of the sweep. dataset=NAME, a key of
    a data set (dataset.limit=null: all test images) and data_dir=… choose another, with the same classes and images of
    the same shape.

    Example:

      triplicate evaluate outputs/sweep/2026-11-21_09-30-00.000000/runs/seed=0
      triplicate evaluate "$(triplicate best DIR --path)" dataset.limit=null --json
    """
    from triplicate.records.found import run_folder
    from triplicate.results import Run

    check_forms(as_json, as_csv)
    run = Run.open(run_folder(folder))
    show(answer(folder, run, run.evaluate(*(overrides or ()))), as_json, as_csv)


def answer(folder: Path, run: Run, found: Evaluated) -> Answer:
    """The measures beside those of the sweep, then the counts."""
    data = {
        "run": folder,
        "images": found.images,
        "measures": dict(found.measures),
        "measures_of_sweep": {name: run.result.get(name) for name in found.measures},
        "classes": [{"class": name, **scores} for name, scores in _by_name(found.classes).items()],
        "confusion": {"classes": list(found.confusion.columns), "counts": found.confusion.to_numpy().tolist()},
    }
    text = f"{found.images} images\n\n{_measures(run, found)}\n\n{_confusion(found.confusion)}"
    return Answer(text, data, _lines(found), ("what", "class", "predicted", "value"))


def _measures(run: Run, found: Evaluated) -> str:
    """A line for each, with what the sweep has measured on its own test set."""
    from triplicate.reports.numbers import heading, number

    wide = max(len(heading(name)) for name in found.measures)
    return "\n".join(
        f"{heading(name):{wide}}  {number(name, value):>10}  in the sweep {_own(run, name)}"
        for name, value in found.measures.items()
    )


def _own(run: Run, name: str) -> str:
    from triplicate.reports.numbers import number

    value = run.result.get(name)
    return "nothing" if value is None else number(name, value)


def _confusion(counts: pd.DataFrame) -> str:
    """Rows of true classes, columns of predicted ones: the matrix for people."""
    names = [str(name) for name in counts.columns]
    cells = [[str(count) for count in row] for row in counts.to_numpy().tolist()]
    wide = [max(map(len, (name, *column))) for name, column in zip(names, zip(*cells, strict=True), strict=True)]
    first = max(len("true class"), *map(len, names))
    lines = [
        "  ".join([name.ljust(first), *(cell.rjust(w) for cell, w in zip(row, wide, strict=True))])
        for name, row in zip(["true class", *names], [names, *cells], strict=True)
    ]
    return "\n".join(lines)


def _by_name(classes: pd.DataFrame) -> Mapping[str, Mapping[str, float]]:
    return {str(name): line for name, line in zip(classes.index, lines_of(classes), strict=True)}


def _lines(found: Evaluated) -> list[dict[str, Any]]:
    """One number a line: of all images, of a class, or of a true and a predicted class."""
    lines: list[dict[str, Any]] = [{"what": "images", "value": found.images}]
    lines += [{"what": name, "value": value} for name, value in found.measures.items()]
    for name, scores in _by_name(found.classes).items():
        lines += [{"what": what, "class": name, "value": value} for what, value in scores.items()]
    for true, row in zip(found.confusion.columns, found.confusion.to_numpy().tolist(), strict=True):
        counts = zip(found.confusion.columns, row, strict=True)
        lines += [{"what": "count", "class": true, "predicted": other, "value": count} for other, count in counts]
    return lines
