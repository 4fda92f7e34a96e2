"""Checkpoints of stacks in training: below `checkpoints/` of the sweep, until the stack has ended.

Two of each stack are kept, so that one is there while the other is written, and where one is damaged.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from triplicate.files import tensors
from triplicate.files.tensors import Content

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Checkpoints:
    """Those of one stack.

    Attributes:
        sweep: folder of the sweep.
        fingerprints: of the runs that the stack began with.
    """

    sweep: Path
    fingerprints: tuple[str, ...]

    def write(self, content: Content) -> None:
        """Write one; the last one before it is kept."""
        newest, earlier = self.paths()
        newest.parent.mkdir(exist_ok=True)
        if newest.is_file():
            newest.replace(earlier)
        tensors.write_checked(newest, content)

    def read(self) -> Content | None:
        """The newest that is whole; None where there is none."""
        return next(filter(None, (tensors.read_checked(path) for path in self.paths() if path.is_file())), None)

    def remove_damaged(self) -> list[Path]:
        """Remove those that are not whole, so that none takes the place of one that is. And which they were."""
        damaged = [path for path in self.paths() if path.exists() and not is_whole(path)]
        for path in damaged:
            _remove(path)
        return damaged

    def remove(self) -> None:
        """Remove them, and the folder if it is empty."""
        for path in self.paths():
            _remove(path)
        with suppress(OSError):
            (self.sweep / FOLDER).rmdir()

    def paths(self) -> Sequence[Path]:
        """The newest, and the one before it."""
        name = hashlib.sha256(" ".join(self.fingerprints).encode()).hexdigest()[:16]
        folder = self.sweep / FOLDER
        return folder / f"{name}.safetensors", folder / f"{name}.earlier.safetensors"


def remove_others(sweep: Path, kept: Sequence[Checkpoints]) -> None:
    """Remove the checkpoints of all stacks but these: nothing goes on from them."""
    names = {path.name for checkpoints in kept for path in checkpoints.paths()}
    folder = sweep / FOLDER
    for path in folder.glob("*.safetensors"):
        if path.name not in names:
            _remove(path)
    with suppress(OSError):
        folder.rmdir()


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is as it was written."""
    return path.is_file() and tensors.read_checked(path) is not None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
