"""The files of a run that only its plots need, compared with their hashes when they are asked for."""

from __future__ import annotations

from pathlib import Path

from triplicate.files import atomic
from triplicate.records.run_folder import Damaged, RunRecord


def recorded(run: RunRecord, name: str) -> Path | None:
    """A file of a run; None where the run never had it.

    Raises:
        Damaged: it is not as it was written, or not there any more.
    """
    path, wanted = run.path / name, run.summary.get("files", {}).get(name)
    if not path.is_file():
        if wanted is None:
            return None
        raise Damaged(path, "it is not there")
    if wanted is not None and atomic.hash_of(path) != wanted:
        raise Damaged(path, "its content is not what was written")
    return path
