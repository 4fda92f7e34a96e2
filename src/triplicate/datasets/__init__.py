"""Data sets, each read whole into tensors: images as uint8, points as float32. Every file here is one."""

from __future__ import annotations

import functools
import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from triplicate.datasets.files import places
from triplicate.errors import UserError
from triplicate.lazy import torch
from triplicate.parts import Part, key

if TYPE_CHECKING:
    from torch import Tensor

# So many images, of different classes, are looked at.
_SAMPLES = 3


@dataclass(frozen=True)
class Images:
    """One split: its examples and labels int64 [N].

    `pixels` is uint8 [N, channels, height, width] from 0 to 255, or for sets of points float32 [N, features].
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))

    def limited(self, limit: int) -> Images:
        """The first to the last image in even steps: a file sorted by class keeps all its classes."""
        if limit >= len(self):
            return self
        chosen = torch.arange(limit) * len(self) // limit
        return Images(self.pixels[chosen], self.labels[chosen])

    def samples(self) -> Images:
        """The first image of each of the first three classes; of a set of points all of them."""
        if self.pixels.ndim == 2:
            return self
        present = sorted(set(self.labels.tolist()))[:_SAMPLES]
        firsts = [int((self.labels == label).nonzero()[0, 0]) for label in present]
        return Images(self.pixels[firsts], self.labels[firsts])


@dataclass(frozen=True)
class Dataset:
    """A data set with the names of its classes; a label is an index into them. Nothing changes its tensors."""

    train: Images
    test: Images
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one example: channels, height and width of an image, or the number of a point's features."""
        return tuple(self.train.pixels.shape[1:])

    @functools.cached_property
    def content(self) -> str:
        """What it holds, as 16 hex digits of a SHA-256: over all pixels and labels, in order, and the class names."""
        hashed = hashlib.sha256(json.dumps(self.classes).encode())
        for tensor in (self.train.pixels, self.train.labels, self.test.pixels, self.test.labels):
            # With type and shape it is told where one tensor ends and the next begins.
            hashed.update(f"{tensor.dtype} {list(tensor.shape)}\n".encode())
            hashed.update(tensor.cpu().contiguous().numpy().data)
        return hashed.hexdigest()[:16]

    def to(self, device: torch.device) -> Dataset:
        return replace(self, train=self.train.to(device), test=self.test.to(device))


@dataclass(frozen=True)
class DataSource(Part, kind="dataset"):
    """What a configuration names as `dataset`: where it comes from, and how its pixels are preprocessed.

    The defaults of the keys that all data sets have stand in conf/config.yaml.
    """

    limit: int | None = key(
        "keep this many images of each split, evenly spaced in the file's order; null keeps all",
        unit="images",
        at_least=1,
    )
    validation: float = key(
        "fraction of the training images set apart for validation, drawn by the seed",
        at_least=0,
        below=1,
    )
    mean: tuple[float, ...] | None = key("subtracted from the pixels in [0, 1], one value per channel; null: nothing")
    std: tuple[float, ...] | None = key(
        "divides the pixels after dataset.mean is subtracted, one value per channel", above=0
    )
    upscale: int | None = key(
        "side to which each batch is scaled on the device (bilinear); null leaves the images", unit="pixels", at_least=1
    )

    @abstractmethod
    def read(self, data_dir: Path | None) -> Dataset:
        """The whole data set.

        Args:
            data_dir: where to look, and where a download goes; None: where data is usually kept.

        Raises:
            UserError: files that are missing, cut short or damaged, no network to fetch them, or keys that do not fit.
        """

    def read_whole(self, data_dir: Path | None) -> Dataset:
        """The same, without a short cut: for a source that takes from a cache what seems unchanged."""
        return self.read(data_dir)

    def load(self, data_dir: Path | None, whole: bool = False) -> Dataset:
        """The data set, cut to its limit.

        Args:
            whole: compare every byte of the files with what a cache has of them.

        Raises:
            UserError: as `read`, `data_dir` is no folder, or `mean`, `std` or `upscale` do not fit the examples.
        """
        places.check(data_dir)  # also where nothing is read from it: a key that is given is looked at
        dataset = self.read_whole(data_dir) if whole else self.read(data_dir)
        _check(self.name, dataset)
        self._check_preprocessing(dataset.image_shape)
        if self.limit is None:
            return dataset
        return replace(dataset, train=dataset.train.limited(self.limit), test=dataset.test.limited(self.limit))

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise UserError("dataset.mean", "mean and std belong together", "set both or neither")

    def _check_preprocessing(self, shape: tuple[int, ...]) -> None:
        if len(shape) == 1:
            for name, given in (("mean", self.mean), ("upscale", self.upscale)):
                if given is not None:
                    raise UserError(f"dataset.{name}", "points are no images and are not scaled", "leave it null")
            return
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != shape[0]:
                problem = f"{len(values)} numbers for images of {shape[0]} channel(s)"
                raise UserError(f"dataset.{name}", problem, f"give {shape[0]}")


def _check(name: str, dataset: Dataset) -> None:
    """Refuse what the engine cannot train on; a data set from outside may be anything."""
    for split, images in (("train", dataset.train), ("test", dataset.test)):
        problem = _problem(images, len(dataset.classes))
        if problem is None and images.pixels.shape[1:] != dataset.train.pixels.shape[1:]:
            problem = "its examples have another shape than those of train"
        if problem is not None:
            raise UserError(f"dataset {name}", f"{split}: {problem}", "see triplicate.datasets.Images for what is read")


def _problem(images: Images, classes: int) -> str | None:
    pixels, labels = images.pixels, images.labels
    if not (pixels.ndim == 4 and pixels.dtype == torch.uint8) and not (
        pixels.ndim == 2 and pixels.dtype == torch.float32
    ):
        form = f"{str(pixels.dtype).removeprefix('torch.')} {list(pixels.shape)}"
        return f"{form} is neither images, uint8 [N, channels, height, width], nor points, float32 [N, features]"
    if labels.dtype != torch.int64 or labels.shape != (len(pixels),):
        return f"the labels are not int64 [{len(pixels)}]"
    if len(labels) == 0:
        return "it has no examples"
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        return f"a label is no index into the {classes} classes"
    return None
