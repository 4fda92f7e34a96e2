"""Where data sets are looked for, kept and downloaded to."""

from __future__ import annotations

import os
from pathlib import Path

from triplicate.errors import UserError


def cache_dir() -> Path:
    """Where made and downloaded data is kept: $XDG_CACHE_HOME/triplicate, else ~/.cache/triplicate."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "triplicate"


def folders(data_dir: Path | None, cache: Path) -> list[Path]:
    """Where to look, best first: `data_dir`, $TRIPLICATE_DATA, `cache`. The first is also where a download goes."""
    environment = os.environ.get("TRIPLICATE_DATA")
    named = [data_dir, Path(environment) if environment else None]
    return [*(folder for folder in named if folder is not None), cache]


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


def unreadable(path: Path | str, error: OSError) -> UserError:
    """The error for a file or folder that the system does not let us read."""
    return UserError(str(path), f"it cannot be read ({error.strerror or error})", "make it readable")
