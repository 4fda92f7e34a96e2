"""`triplicate check DIR`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(folder: Annotated[Path, typer.Argument(metavar="DIR", help="a sweep's folder, or one above")]) -> int:
    """Say which files of a sweep, or of all sweeps below a folder, are damaged, missing or foreign, and how to mend it.

    The exit code is 1 where something is not as it must be.

    Example:

      triplicate check outputs
    """
    from triplicate.records import inspection

    inspected = inspection.inspect(folder)
    for sweep in inspected:
        print(f"{sweep.folder}: {sweep.sound} runs are finished and whole")
        for finding in sweep.findings:
            print(f"  {finding.kind}: {finding.path}: {finding.problem}")
        if sweep.findings and sweep.mend:
            print(f"  to train what is missing or damaged: {sweep.mend}")
    return 1 if any(sweep.findings for sweep in inspected) else 0
