"""Writes the page of a sweep: report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from triplicate.files import atomic
from triplicate.records.run_folder import Damaged
from triplicate.records.sweep_folder import SweepRecord, read_sweep_record
from triplicate.reports.page import library
from triplicate.reports.page.content import content
from triplicate.reports.page.curves import curves
from triplicate.reports.page.matrices import matrices
from triplicate.reports.page.pictures import pictures
from triplicate.reports.page.traces import traces
from triplicate.reports.tables import Table

REPORT = "report.html"
_TEMPLATES = Path(__file__).parent / "templates"


def write(table: Table, folder: Path) -> Path:
    """Write report.html of a sweep beside its tables and plots, of which it shows some. The same records, tables and
    plots give the same bytes.

    Returns:
        Its path.
    """
    shown = {"curves": curves(table), "traces": traces(table), "matrices": matrices(table)}
    has_charts = shown["curves"] is not None or shown["traces"] is not None
    text = render(
        "report.html.j2",
        content=content(table, _record(folder), folder),
        pictures=pictures(table, folder),
        library=Markup(library.script()) if has_charts else None,
        **shown,
    )
    atomic.write_text(folder / REPORT, text)
    return folder / REPORT


def render(template: str, **values: Any) -> str:
    """A page from its template. All text is escaped; a name that the template misspells is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    files = {name: Markup((_TEMPLATES / f"page.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    return environment.get_template(template).render(**files, **values)


def _record(folder: Path) -> SweepRecord | None:
    try:
        return read_sweep_record(folder)
    except Damaged:
        return None  # the notes of the table tell
