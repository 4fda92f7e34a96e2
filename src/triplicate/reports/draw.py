"""Draws the plots of a run and of a sweep, each from the records, and writes them.

Those of a run are PNG; those of a sweep, which are printed, are PNG and SVG.

Beside the plots stands plots.json: the records they were drawn from, their names, and the figures that could not be
drawn. By it plots are drawn again when their records or report.figures have changed, and removed when they are no
longer among the drawn ones.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from matplotlib.figure import Figure

from triplicate import verbosity
from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.parts import find, names
from triplicate.records.run_folder import Damaged, RunFolder, RunRecord, read_json, write_json
from triplicate.reports.figures import Figures
from triplicate.reports.plots import bars, canvas, confusion, curves, gradients, style
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table

INDEX = "plots.json"
_PNG, _SVG = ".png", ".svg"

# The name of a figure, and what draws it: None, or None for one of its plots, where there is nothing to draw.
_Plan = Iterator[tuple[str, Callable[[], Figure | Mapping[str, Figure | None] | None]]]


def write_run(run: RunRecord) -> tuple[Path, ...]:
    """Write the plots of one run to its plots/: loss, accuracy, gradients, confusion, and those of report.figures."""
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    return _write(_of_run(run), folder, _made_from(run), RunFolder(run.path).log)


def is_current(run: RunRecord) -> bool:
    """Whether the plots of a run are there, and drawn from its records as they are and by its report."""
    folder = run.path / "plots"
    index = _index(folder)
    made_from = {key: index.get(key) for key in _made_from(run)}
    there = all((folder / name).is_file() for name in _files(index))
    return made_from == _made_from(run) and not index.get("failed") and there


def _made_from(run: RunRecord) -> dict[str, Any]:
    """What bears on the plots of a run. The summary has a hash of each file."""
    report = run.config["report"]
    return {"records": _hash(run.summary), "title": report["title"], "figures": list(report["figures"])}


def _of_run(run: RunRecord) -> _Plan:
    yield "loss", partial(curves.of_run, run, "loss")
    yield "accuracy", partial(curves.of_run, run, "accuracy")
    yield "gradients", partial(gradients.of_run, run)
    yield "confusion", partial(confusion.of_run, run)
    trained = Trained(run)
    for name in run.config["report"]["figures"]:
        yield name, partial(_of_part, name, trained)


def write_sweep(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write the plots that compare the rows of a sweep, as its report lists them; none where no run has finished."""
    records = {"records": _hash([run.summary for run in table.runs])}
    return _write(_of_sweep(table) if table.runs else iter(()), folder, records, forms=(_PNG, _SVG))


def _of_sweep(table: Table) -> _Plan:
    for entry in table.report["curves"]:
        yield f"{entry}_curves", partial(curves.of_sweep, table, entry)
    for measure in table.report["bars"]:
        yield f"{measure}_bars", partial(bars.of_sweep, table, measure)
    for entry in table.report["gradients"]:
        yield f"gradient_{entry}", partial(gradients.of_sweep, table, entry)
    for name in table.report["figures"]:
        yield name, partial(_of_part, name, table)


def _of_part(name: str, shown: Trained | Table) -> Mapping[str, Figure | None]:
    if name not in names(Figures.kind):
        raise UserError("report.figures", f"there is no figure {name}", "name the file of this part by --parts")
    figures = cast("Figures", find(Figures.kind, name)())
    return figures.of_run(shown) if isinstance(shown, Trained) else figures.of_sweep(shown)


def _write(
    plan: _Plan,
    folder: Path,
    made_from: Mapping[str, Any],
    log: Callable[[str], None] | None = None,
    forms: Sequence[str] = (_PNG,),
) -> tuple[Path, ...]:
    """Save one figure after the other, so that few are in memory at once. One that raises is told of and left out.

    Returns:
        The PNG of each figure; beside it are its other `forms`.
    """
    files: list[str] = []
    failed: list[str] = []
    for name, draw in plan:
        try:
            with style.applied():
                pictures = _pictures(name, draw(), forms)
        except Exception as error:
            failed.append(name)
            verbosity.note(f"note: {folder}: {name} is not drawn ({_in_short(error)})")
            if log is not None:
                log(f"{name} is not drawn\n{traceback.format_exc()}")
            continue
        for file, picture in pictures.items():
            atomic.write_bytes(folder / file, picture)
            files.append(file)
    kept = _clear(folder, files, keep=bool(failed) and _index(folder).get("records") == made_from["records"])
    write_json(folder / INDEX, {**made_from, "files": [*files, *kept], "failed": failed})
    return tuple(folder / file for file in files if file.endswith(_PNG))


def _pictures(name: str, drawn: Figure | Mapping[str, Figure | None] | None, forms: Sequence[str]) -> dict[str, bytes]:
    """Name of a file → its content."""
    figures = drawn if isinstance(drawn, Mapping) else {name: drawn}
    write = {_PNG: canvas.png, _SVG: canvas.svg}
    return {f"{file}{form}": write[form](figure) for file, figure in figures.items() if figure for form in forms}


def _clear(folder: Path, files: Sequence[str], keep: bool) -> list[str]:
    """Remove the plots that were drawn earlier and are not among these.

    Args:
        keep: nothing is removed: some figure could not be drawn, and what is there of it is of the same records.

    Returns:
        Those that were kept.
    """
    earlier = [name for name in _files(_index(folder)) if name not in files and (folder / name).is_file()]
    if keep:
        return earlier
    for name in earlier:
        (folder / name).unlink()
    return []


def _index(folder: Path) -> dict[str, Any]:
    """What plots.json says; nothing where it is not there or not as it was written."""
    try:
        return read_json(folder / INDEX)
    except Damaged:
        return {}


def _files(index: Mapping[str, Any]) -> list[str]:
    """The plots that are listed, by names that lead to no other folder."""
    files = index.get("files")
    names = [str(name) for name in files] if isinstance(files, list) else []
    return [name for name in names if Path(name).name == name and Path(name).suffix in (_PNG, _SVG)]


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _in_short(error: Exception) -> str:
    if isinstance(error, Damaged):
        return f"{error.path.name}: {error.problem}"
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
