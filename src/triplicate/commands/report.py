"""`triplicate report DIR`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triplicate.errors import UserError
from triplicate.streams import terminal_width


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="of a sweep, or of several")],
) -> None:
    """Make the tables, plots and page of a sweep again, from the run folders alone.

    The page is report.html. Of a folder that holds several sweeps it makes index.html instead, which lists them all
    with their states and numbers and leads to their pages.

    Example:

      triplicate report outputs/quickstart/2026-11-21
      triplicate report outputs
    """
    if not folder.is_dir():  # told before what draws is loaded, which takes seconds
        problem = "it is no folder" if folder.exists() else "it is not there"
        raise UserError(str(folder), problem, "name the folder of a sweep")
    from triplicate.records.found import is_sweep, sweeps_below

    if not is_sweep(folder) and sweeps_below(folder):
        from triplicate.reports.page import index

        print(index.write(folder))
        return
    from triplicate.reports import report

    print(report.write(folder, terminal_width()).text)
