"""Data sets in IDX files (MNIST, Fashion-MNIST), in the folder layout of torchvision.

Files are looked for in `data_dir`, or without it in $TRIPLICATE_DATA and in the user's cache, unpacked or as `.gz`;
nothing is written beside files that are there. Where there are none, torchvision downloads them.
Every byte that is trained on is checked against the md5 sum of the published, unpacked file.
Format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from triplicate.datasets import Dataset, Images
from triplicate.datasets.files import places
from triplicate.errors import UserError
from triplicate.files.regular import is_there, unreadable
from triplicate.lazy import torch

Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """A published data set: its torchvision class (also its folder), its classes, the md5 of each unpacked file."""

    folder: str
    classes: tuple[str, ...]
    md5: Mapping[str, str]


@dataclass(frozen=True)
class IdxFiles:
    """The four files: images uint8 [N, 28, 28], labels uint8 [N]."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


def load(source: Source, data_dir: Path | None) -> Dataset:
    """Read a data set into tensors, downloading it where it is nowhere.

    Raises:
        UserError: as `read`.
    """
    files = read(source, data_dir, places.cache_dir() / "datasets")
    return Dataset(
        train=grey_images(files.train_images, files.train_labels),
        test=grey_images(files.test_images, files.test_labels),
        classes=source.classes,
    )


def grey_images(images: Bytes, labels: Bytes) -> Images:
    """Grey images [N, height, width] and labels [N] as tensors with a channel axis."""
    return Images(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())


def read(source: Source, data_dir: Path | None, cache: Path) -> IdxFiles:
    """Read the four files of a data set, downloading them where they are nowhere.

    Raises:
        UserError: a file is cut short or damaged, or is missing and cannot be downloaded.
    """
    folders = places.folders(data_dir, cache)
    root = next((f for f in folders if _is_whole(source, f)), None)
    if root is None:
        root = folders[0]
        places.download(source.folder, root, root / source.folder / "raw")
    train_images, train_labels, test_images, test_labels = (_parse(source, root, f) for f in source.md5)
    return IdxFiles(train_images, train_labels, test_images, test_labels)


def _is_whole(source: Source, root: Path) -> bool:
    return None not in [_stored(source, root, file) for file in source.md5]


def _stored(source: Source, root: Path, file: str) -> Path | None:
    """The unpacked file, or else its .gz, or None. torchvision's layout has a folder `raw`; without it is fine.

    Raises:
        UserError: one of them is no file that can be read; a download would wait for it too.
    """
    folders = (root / source.folder / "raw", root / source.folder)
    candidates = [folder / name for name in (file, f"{file}.gz") for folder in folders]
    return next((path for path in candidates if is_there(path)), None)


def _parse(source: Source, root: Path, file: str) -> Bytes:
    path = _stored(source, root, file)
    if path is None:
        raise UserError(str(root), f"{source.folder}'s {file} is not there", "download it again")
    content = _content(path)
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != source.md5[file]:
        raise places.damaged(path, f"{len(content):,} bytes do not have the published md5 sum")
    axes = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=axes, offset=4)
    pixels = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes)
    return pixels.reshape(tuple(int(n) for n in shape)).copy()


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise places.damaged(path, f"it cannot be unpacked ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error
