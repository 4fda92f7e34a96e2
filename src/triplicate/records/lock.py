"""One sweep writes to a folder at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from triplicate.errors import UserError

# Seconds: `is_locked` holds a folder for a moment, which is no other sweep.
_MOMENT = 0.5


def remove(lock: Path) -> None:
    """Remove the file of a lock that is held; Windows removes no open file, and there it stays."""
    if sys.platform != "win32":
        lock.unlink()


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
    lock = FileLock(path, timeout=-1 if wait else _MOMENT)
    try:
        lock.acquire()
    except Timeout as error:
        remedy = "wait until it ends, or give another output_dir"
        raise UserError(str(folder), "another sweep is writing here", remedy) from error
    try:
        yield path
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a process holds a folder now. Where that cannot be found out, nobody does."""
    path = folder / ".lock"
    if not path.is_file():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
