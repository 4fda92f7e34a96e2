"""MNIST and Fashion-MNIST from their IDX files, in the folder layout of torchvision.

Files are looked for in `data_dir`, in $TRIPLICATE_DATA and in the user's cache, unpacked or as `.gz`;
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

from triplicate.datasets import places
from triplicate.errors import UserError

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


FASHION_MNIST = Source(
    folder="FashionMNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)

MNIST = Source(
    folder="MNIST",
    classes=tuple("0123456789"),
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)


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
    return all(_stored(source, root, file) is not None for file in source.md5)


def _stored(source: Source, root: Path, file: str) -> Path | None:
    """The unpacked file, or else its .gz, or None. torchvision's layout has a folder `raw`; without it is fine."""
    folders = (root / source.folder / "raw", root / source.folder)
    candidates = [folder / name for name in (file, f"{file}.gz") for folder in folders]
    return next((path for path in candidates if path.is_file()), None)


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
        raise places.unreadable(path, error) from error
