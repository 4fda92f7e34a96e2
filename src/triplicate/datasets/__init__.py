"""Data sets by name: each is read whole into tensors, images as uint8 and points as float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch

from triplicate.config import DatasetConfig, FolderConfig
from triplicate.datasets import cifar10, folder, glyphs, idx, points
from triplicate.datasets.dataset import Dataset, Images
from triplicate.datasets.places import cache_dir
from triplicate.errors import UserError

__all__ = ["LOADERS", "Dataset", "Images", "cache_dir", "load"]

Config: TypeAlias = DatasetConfig | FolderConfig
Loader: TypeAlias = Callable[[Config, Path | None], Dataset]


def load(config: Config, data_dir: Path | None) -> Dataset:
    """Read the data set that `config` names, cut to its limit.

    Raises:
        UserError: files that are missing, cut short or damaged, no network to fetch them, a folder that is not laid
            out as it must be, or keys that do not fit the examples.
    """
    dataset = LOADERS[config.name](config, data_dir)
    _check_scaling(config, dataset.image_shape)
    if config.limit is None:
        return dataset
    return replace(dataset, train=_limit(dataset.train, config.limit), test=_limit(dataset.test, config.limit))


def _limit(images: Images, limit: int) -> Images:
    """The first to the last image in even steps: a file sorted by class keeps all its classes."""
    if limit >= len(images):
        return images
    chosen = torch.arange(limit) * len(images) // limit
    return Images(images.pixels[chosen], images.labels[chosen])


def _check_scaling(config: Config, shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        _check_points(config)
        return
    for name, values in (("mean", config.mean), ("std", config.std)):
        if values is not None and len(values) != shape[0]:
            raise UserError(
                f"dataset.{name}",
                f"{len(values)} numbers for images of {shape[0]} channel(s)",
                f"give {shape[0]}",
            )


def _check_points(config: Config) -> None:
    for name, value in (("mean", config.mean), ("std", config.std), ("upscale", config.upscale)):
        if value is not None:
            raise UserError(f"dataset.{name}", "points are no images and are not scaled", "leave it null")


def _load_cifar10(_: Config, data_dir: Path | None) -> Dataset:
    return cifar10.load(data_dir, cache_dir())


def _load_folder(config: Config, _: Path | None) -> Dataset:
    if not isinstance(config, FolderConfig):
        raise TypeError(f"the loader of folders needs a FolderConfig, not {config!r}")
    return folder.load(config, cache_dir() / "images")


def _load_glyphs(_: Config, __: Path | None) -> Dataset:
    try:
        made = glyphs.load(cache_dir())
    except glyphs.GlyphsMismatch as error:
        raise UserError("dataset glyphs", str(error), "install what requirements.txt locks") from error
    return Dataset(
        train=_from_arrays(made.train_images, made.train_labels),
        test=_from_arrays(made.test_images, made.test_labels),
        classes=glyphs.CLASSES,
    )


def _load_idx(source: idx.Source) -> Loader:
    def load_source(_: Config, data_dir: Path | None) -> Dataset:
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


LOADERS: Mapping[str, Loader] = {
    "cifar10": _load_cifar10,
    "fashion_mnist": _load_idx(idx.FASHION_MNIST),
    "folder": _load_folder,
    "glyphs": _load_glyphs,
    "mnist": _load_idx(idx.MNIST),
    "points": lambda _, __: points.points(),
    "xor": lambda _, __: points.xor(),
}
