"""Files that can be read to their end: opening a named pipe waits for somebody to write, and a device may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from triplicate.errors import UserError


def is_there(path: Path) -> bool:
    """Whether a file is there that can be read.

    Raises:
        UserError: something else is there: a folder, a pipe, a device, or a link to nothing.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise unreadable(path, error) from error
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    need_regular(path, status)
    return True


def need_regular(path: Path | str, status: os.stat_result) -> None:
    """Refuse what is no regular file, before anything opens it.

    Raises:
        UserError: it is none.
    """
    if not stat.S_ISREG(status.st_mode):
        raise UserError(str(path), "it is not a regular file", "remove it")


def unreadable(path: Path | str, error: OSError) -> UserError:
    """The error for a file or folder that the system does not let us read."""
    return UserError(str(path), f"it cannot be read ({error.strerror or error})", "make it readable")
