"""The files of a run that only its plots need, compared with their hashes when they are asked for."""

from __future__ import annotations

from pathlib import Path

from triplicate.records.run_folder import RunRecord, check_file


def recorded(run: RunRecord, name: str) -> Path | None:
    """A file of a run; None where the run never had it.

    Raises:
        Damaged: it is not as it was written, or not there any more.
    """
    path, wanted = run.path / name, run.summary.get("files", {}).get(name)
    if wanted is not None:
        check_file(path, wanted)
        return path
    return path if path.is_file() else None
