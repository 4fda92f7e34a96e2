"""Images in folders that are named by their class, as torchvision.datasets.ImageFolder reads them.

`path/train/<class>/*` and `path/test/<class>/*`; or `path/<class>/*`, of which a fraction of each class is set apart
for the test. Classes and files are in the order of their names; hidden ones, and files that are no images, are left
out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from triplicate.datasets import Dataset, Images
from triplicate.datasets.files import image_files
from triplicate.datasets.files.image_files import ImageFile
from triplicate.errors import UserError
from triplicate.files.regular import need_regular, unreadable

Classes: TypeAlias = Mapping[str, Sequence[ImageFile]]
"""The files of each class, both in the order of their names."""

_SPLIT_SEED = 0  # what is set apart is part of the data set, the same in every run; never the seed of a run
_ENDINGS = tuple(f".{suffix}" for suffix in image_files.SUFFIXES)
_LAYOUT = "lay the images out as <class>/… or as train/<class>/… and test/<class>/…"


def read(train: Classes, test: Classes, side: int, channels: int, cache: Path, whole: bool = False) -> Dataset:
    """Read listed files, scaled to side×side pixels, into a data set with the classes of `train`.

    Args:
        cache: as in `image_files.read`, like `whole`.

    Raises:
        UserError: an image that cannot be read.
    """
    train_files, test_files = ([file for files in split.values() for file in files] for split in (train, test))
    pixels = image_files.read([*train_files, *test_files], side, channels, cache, whole)
    return Dataset(
        train=Images(pixels[: len(train_files)], _labels(train)),
        test=Images(pixels[len(train_files) :], _labels(test)),
        classes=tuple(train),
    )


def list_split(root: Path) -> tuple[Classes, Classes]:
    """The files of train/ and test/ in a folder.

    Raises:
        UserError: one of them is not there or has no classes of images, or their classes are not the same.
    """
    for name, other in (("train", "test"), ("test", "train")):
        if not (root / name).is_dir():
            remedy = f"add {name}/ with the same classes, or name {root / other} to set a fraction of it apart"
            raise UserError(str(root), f"it has {other}/ but no {name}/", remedy)
    train, test = list_classes(root / "train"), list_classes(root / "test")
    if train.keys() != test.keys():
        problem = "; ".join(
            f"{_few(sorted(more.keys() - less.keys()))} in {name}/ alone"
            for name, more, less in (("train", train, test), ("test", test, train))
            if more.keys() - less.keys()
        )
        raise UserError(str(root), f"train/ and test/ have other classes: {problem}", "give both the same folders")
    return train, test


def list_classes(root: Path) -> Classes:
    """The image files in each folder of a folder.

    Raises:
        UserError: fewer than two folders, one without images, or one that cannot be read.
    """
    folders = sorted((entry for entry in _entries(root) if _is_folder(entry)), key=lambda entry: entry.name)
    if not folders:
        raise UserError(str(root), "it has no folders of classes", _LAYOUT)
    classes = {folder.name: _list_files(folder.path) for folder in folders}
    kinds = ", ".join(image_files.SUFFIXES)
    if not any(classes.values()):
        raise UserError(str(root), f"none of its folders ({_few(list(classes))}) has an image", f"{_LAYOUT}: {kinds}")
    for name, files in classes.items():
        if not files:
            raise UserError(str(root / name), f"the class has no image ({kinds})", "add some, or delete the folder")
    if len(classes) < 2:
        raise UserError(str(root), f"it has one class alone, {next(iter(classes))}", "add another class")
    return classes


def is_split(root: Path) -> bool:
    """Whether the layout is train/ and test/. A lone one is that too, unless it has images: then it is a class."""
    there = [folder for folder in (root / "train", root / "test") if folder.is_dir()]
    return len(there) == 2 or any(_is_folder(entry) for folder in there for entry in _entries(folder))


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise unreadable(folder, error) from error


def _list_files(folder: str) -> list[ImageFile]:
    """The image files of a class. What is in folders below is left out."""
    return [
        _image_file(entry)
        for entry in sorted(_entries(folder), key=lambda entry: entry.name)
        if entry.name.lower().endswith(_ENDINGS) and not _is_folder(entry)
    ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise unreadable(entry.path, error) from error


def _image_file(entry: os.DirEntry[str]) -> ImageFile:
    try:
        status = entry.stat()
    except OSError as error:
        raise unreadable(entry.path, error) from error
    need_regular(entry.path, status)
    return ImageFile.of(entry.path, status)


def set_apart(classes: Classes, fraction: float) -> tuple[Classes, Classes]:
    """Divide each class into files to train on and a fraction to test on. Other classes do not change what is drawn."""
    train: dict[str, list[ImageFile]] = {}
    test: dict[str, list[ImageFile]] = {}
    for name, files in classes.items():
        count = round(len(files) * fraction)
        if count in (0, len(files)):
            lacking = "test" if count == 0 else "training"
            problem = f"a fraction of {fraction:g} leaves class {name} ({len(files)} images) without {lacking} images"
            raise UserError("dataset.test", problem, "choose another, or add images")
        order = np.random.RandomState(_SPLIT_SEED).permutation(len(files))
        chosen = set(order[:count].tolist())
        test[name] = [file for place, file in enumerate(files) if place in chosen]
        train[name] = [file for place, file in enumerate(files) if place not in chosen]
    return train, test


def _labels(classes: Classes) -> torch.Tensor:
    return torch.arange(len(classes)).repeat_interleave(torch.tensor([len(files) for files in classes.values()]))


def _few(names: Sequence[str]) -> str:
    """The first three names, so that the line stays one."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
