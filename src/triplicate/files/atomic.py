"""Files that are whole or not there: a kill in the middle leaves the old file."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# What a write that was killed leaves behind: `.<name>.<process>.partial`.
_PARTIAL = ".*.partial"


def write_bytes(path: Path, content: bytes) -> str:
    """Replace a file by `content`: temporary file beside it, flushed to disk, then renamed.

    Returns:
        The SHA-256 of the content, in hex digits.
    """
    return write_pieces(path, [content])


def write_text(path: Path, text: str) -> str:
    """Replace a file by `text`, in UTF-8. A lone surrogate, which UTF-8 has not, is written as an escape."""
    return write_bytes(path, text.encode(errors="backslashreplace"))


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> str:
    """Replace a file by pieces of content, one after the other, so that they need not be in memory together."""
    digest = hashlib.sha256()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)

    write_with(path, write)
    return digest.hexdigest()


def write_with(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file by what `write` puts into the temporary path that it is given."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with named(path):
        try:
            write(temporary)
            _flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush(path.parent)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Inside, what the system refuses without saying of which file, as it does of an open one, is said of this."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def remove_partial(folder: Path) -> None:
    """Remove what killed writes have left in a folder and below. Nobody else may be writing there."""
    for path in folder.rglob(_PARTIAL):
        path.unlink(missing_ok=True)


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Let a file or folder reach the disk. Windows opens no folder, and flushes no file that is open to be read."""
    is_folder = path.is_dir()
    if is_folder and sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
