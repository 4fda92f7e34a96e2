"""`triplicate report DIR`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triplicate.errors import UserError
from triplicate.streams import terminal_width


def command(folder: Annotated[Path, typer.Argument(metavar="DIR", help="the folder of a sweep")]) -> None:
    """Make the tables and plots of a sweep again, and the plots of every finished run, from the run folders alone.

    Example:

      triplicate report outputs/quickstart/2026-11-21
    """
    if not folder.is_dir():  # told before what draws is loaded, which takes seconds
        problem = "it is no folder" if folder.exists() else "it is not there"
        raise UserError(str(folder), problem, "name the folder of a sweep")
    from triplicate.reports import report

    print(report.write(folder, terminal_width()).text)
