"""CIFAR-10: 50,000 + 10,000 RGB images of 32×32, from torchvision's layout or from folders of PNG files.

Looked for in `data_dir`, or without it in $TRIPLICATE_DATA and in the user's cache, as `cifar-10-batches-py/` (checked
against the published md5 sums) or as `CIFAR10/{train,test}/<class>/<number>.png` (read like any folder of images:
whatever number of them is there, scaled to 32×32 if they are not). Where there are none, torchvision downloads the
batches.
The two differ in the order of the images: that of the batches is random, that of the folders is by class.
Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triplicate.datasets import Dataset, DataSource, Images
from triplicate.datasets.files import places
from triplicate.errors import UserError
from triplicate.files.regular import is_there, unreadable
from triplicate.lazy import torch
from triplicate.parts import part

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BATCHES = Path("cifar-10-batches-py")
_ARCHIVE = "cifar-10-python.tar.gz"
_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


@part("cifar10")
@dataclass(frozen=True)
class Cifar10(DataSource):
    """CIFAR-10: 50,000 + 10,000 RGB images of 32×32, downloaded where they are nowhere."""

    def read(self, data_dir: Path | None) -> Dataset:
        return load(data_dir, places.cache_dir())

    def read_whole(self, data_dir: Path | None) -> Dataset:
        return load(data_dir, places.cache_dir(), whole=True)


def load(data_dir: Path | None, cache: Path, whole: bool = False) -> Dataset:
    """Read CIFAR-10, downloading it where it is nowhere.

    Args:
        data_dir: where to look first, and where a download goes.
        cache: the user's cache: `datasets/` below it has downloads, `images/` has decoded images.
        whole: as in `image_files.read`.

    Raises:
        UserError: files are damaged, or missing and cannot be downloaded; folders with other classes.
    """
    roots = places.folders(data_dir, cache / "datasets")
    for root in roots:
        if False not in [is_there(root / _BATCHES / name) for name in _FILES]:
            return _from_batches(root)
        if all((root / "CIFAR10" / split).is_dir() for split in ("train", "test")):
            return _from_folders(root / "CIFAR10", cache / "images", whole)
    is_there(roots[0] / _ARCHIVE)  # torchvision would open whatever is there
    with _old_pickles():  # a download ends with reading what it brought
        places.download("CIFAR10", roots[0], roots[0] / _BATCHES)
    return _from_batches(roots[0])


def _from_folders(root: Path, cache: Path, whole: bool) -> Dataset:
    from triplicate.datasets.files import class_folders  # only here: decoding images needs torch and Pillow

    train, test = class_folders.list_split(root.resolve())
    if tuple(train) != CLASSES:
        raise UserError(str(root), "its classes are not those of CIFAR-10", f"name the folders {', '.join(CLASSES)}")
    return class_folders.read(train, test, side=32, channels=3, cache=cache, whole=whole)


def _from_batches(root: Path) -> Dataset:
    from torchvision.datasets import CIFAR10  # only here: the import takes as long as reading the files

    try:
        with _old_pickles():
            train, test = CIFAR10(root, train=True), CIFAR10(root, train=False)
    except OSError as error:
        raise unreadable(error.filename or root / _BATCHES, error) from error
    except RuntimeError as error:
        raise places.damaged(_first_damaged(root), "it does not have the published md5 sum") from error
    return Dataset(_images(train.data, train.targets), _images(test.data, test.targets), CLASSES)


@contextmanager
def _old_pickles() -> Iterator[None]:
    """Ignore that numpy 2.4.0 to 2.4.4 warn of how the batches were pickled (github.com/numpy/numpy/pull/31177)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        yield


def _first_damaged(root: Path) -> Path:
    """The first file whose md5 sum is wrong; torchvision tells only that there is one."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    published = dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])
    paths = (root / _BATCHES / name for name in published)
    wrong = (path for path in paths if not check_integrity(path, published[path.name]))
    return next(wrong, root / _BATCHES)


def _images(pixels: NDArray[np.uint8], labels: list[int]) -> Images:
    """Pixels [N, 32, 32, 3] and labels as torchvision keeps them."""
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels))
