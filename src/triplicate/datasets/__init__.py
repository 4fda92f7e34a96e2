"""Data sets by name: each is read whole into uint8 tensors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from triplicate.config import DatasetConfig
from triplicate.datasets import glyphs, idx
from triplicate.errors import UserError


@dataclass(frozen=True)
class Images:
    """One split: pixels uint8 [N, channels, height, width] from 0 to 255, labels int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A data set with the names of its classes; a label is an index into them."""

    train: Images
    test: Images
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.pixels.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> Dataset:
        return replace(self, train=self.train.to(device), test=self.test.to(device))


def load(config: DatasetConfig, data_dir: Path | None) -> Dataset:
    """Read the data set that `config` names, cut to its limit.

    Raises:
        UserError: files that are missing, cut short or damaged, or no network to fetch them.
    """
    dataset = LOADERS[config.name](data_dir)
    _check_scaling(config, dataset.image_shape[0])
    if config.limit is None:
        return dataset
    return replace(dataset, train=_limit(dataset.train, config.limit), test=_limit(dataset.test, config.limit))


def cache_dir() -> Path:
    """Where made and downloaded data is kept: $XDG_CACHE_HOME/triplicate, else ~/.cache/triplicate."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "triplicate"


def _limit(images: Images, limit: int) -> Images:
    """The first to the last image in even steps: a file sorted by class keeps all its classes."""
    if limit >= len(images):
        return images
    chosen = torch.arange(limit) * len(images) // limit
    return Images(images.pixels[chosen], images.labels[chosen])


def _check_scaling(config: DatasetConfig, channels: int) -> None:
    for name, values in (("mean", config.mean), ("std", config.std)):
        if values is not None and len(values) != channels:
            raise UserError(
                f"dataset.{name}",
                f"{len(values)} numbers for images of {channels} channel(s)",
                f"give {channels}",
            )


def _load_glyphs(data_dir: Path | None) -> Dataset:
    try:
        made = glyphs.load(cache_dir())
    except glyphs.GlyphsMismatch as error:
        raise UserError("dataset glyphs", str(error), "install what requirements.txt locks") from error
    return Dataset(
        train=_from_arrays(made.train_images, made.train_labels),
        test=_from_arrays(made.test_images, made.test_labels),
        classes=glyphs.CLASSES,
    )


def _load_idx(source: idx.Source) -> Callable[[Path | None], Dataset]:
    def load_source(data_dir: Path | None) -> Dataset:
        files = idx.read(source, data_dir, cache_dir() / "datasets")
        return Dataset(
            train=_from_arrays(files.train_images, files.train_labels),
            test=_from_arrays(files.test_images, files.test_labels),
            classes=source.classes,
        )

    return load_source


def _from_arrays(images: idx.Bytes, labels: idx.Bytes) -> Images:
    """Grey images [N, height, width] and labels [N] as tensors with a channel axis."""
    return Images(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())


LOADERS: Mapping[str, Callable[[Path | None], Dataset]] = {
    "fashion_mnist": _load_idx(idx.FASHION_MNIST),
    "glyphs": _load_glyphs,
    "mnist": _load_idx(idx.MNIST),
}
