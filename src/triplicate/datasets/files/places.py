"""Where data sets are looked for, kept and downloaded to."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from triplicate.errors import UserError
from triplicate.files.regular import unreadable


def cache_dir() -> Path:
    """Where made and downloaded data is kept: the system's folder for caches.

    On Linux $XDG_CACHE_HOME/triplicate, else ~/.cache/triplicate; on macOS ~/Library/Caches/triplicate.
    """
    return platformdirs.user_cache_path("triplicate", appauthor=False)


def folders(data_dir: Path | None, cache: Path) -> list[Path]:
    """Where to look, best first: `data_dir` alone if it is given, else $TRIPLICATE_DATA and `cache`.

    The first is also where a download goes.
    """
    if data_dir is not None:
        return [data_dir]
    environment = os.environ.get("TRIPLICATE_DATA")
    return [*([Path(environment)] if environment else []), cache]


def check(data_dir: Path | None) -> None:
    """Refuse a `data_dir` that is no folder: a misspelt one shall not become a download, or the wrong data.

    Raises:
        UserError: it is not there, is a file, or cannot be looked at.
    """
    if data_dir is None:
        return
    folder = data_dir.absolute()
    try:
        if folder.is_dir():
            return
        problem = "is a file, not a folder" if folder.exists() else "is not there"
    except OSError as error:
        raise unreadable(folder, error) from error
    raise UserError("data_dir", f"{folder} {problem}", "make it, or name another folder")


def download(kind: str, root: Path, files: Path) -> None:
    """Let torchvision fetch a data set: it shows progress and checks the md5 of each archive.

    Args:
        kind: the data set's class in torchvision.datasets.
        root: the folder that the class is given.
        files: where below `root` it puts the files; the error names it.

    Raises:
        UserError: the download failed.
    """
    import torchvision.datasets  # only here: the import takes longer than reading the files

    remedy = (
        f"connect to the network, or put the files into {files}, "
        "or point data_dir or TRIPLICATE_DATA to a folder that has them"
    )
    try:
        getattr(torchvision.datasets, kind)(root=root, download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        raise UserError(f"dataset {kind}", f"no files, and the download failed ({reason})", remedy) from error


def damaged(path: Path, problem: str) -> UserError:
    """The error for a published file whose bytes are not the published ones."""
    return UserError(str(path), f"the file is cut short or damaged: {problem}", "delete it and run again")
