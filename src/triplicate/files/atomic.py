"""Files that are whole or not there: a kill in the middle leaves the old file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by `content`: temporary file beside it, flushed to disk, then renamed."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_with(path, write)


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text`, in UTF-8."""
    write_bytes(path, text.encode())


def write_with(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file by what `write` puts into the temporary path that it is given."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
