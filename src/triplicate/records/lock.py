"""One sweep a folder at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from triplicate.errors import UserError


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[Path]:
    """Hold the folder for this process; the system lets go of it even when the process is killed.

    Args:
        wait: until no other process holds it.

    Yields:
        The file that is locked. It stays behind, unless who holds it removes it.

    Raises:
        UserError: another process holds it, and this one does not wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    while True:
        with path.open("w") as file:
            _lock(file, folder, wait)
            if _is_there(file, path):
                yield path
                return


def _lock(file: IO[str], folder: Path, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        remedy = "wait until it ends, or give another output_dir"
        raise UserError(str(folder), "another sweep is writing here", remedy) from error


def _is_there(file: IO[str], path: Path) -> bool:
    """Whether an open file is still the one of this name: it may have been removed before it could be locked."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
