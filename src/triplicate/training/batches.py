"""Batches for a stack: an index into images that live on the device, scaled as they are gathered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from triplicate.config import RunConfig
from triplicate.datasets import DataSource, Images
from triplicate.training.augmenting import Augmenting
from triplicate.training.counts import held_out
from triplicate.training.seeding import generator


@dataclass(frozen=True)
class Preprocess:
    """From what a data set holds to what a network sees.

    Pixels 0…255 are divided by 255, augmented if so asked, then (x - mean) / std in each channel if given, then scaled
    up bilinearly to `side` if given. Points are taken as they are.
    """

    dtype: torch.dtype
    mean: Tensor | None
    std: Tensor | None
    side: int | None

    @staticmethod
    def of(config: DataSource, dtype: torch.dtype, device: torch.device) -> Preprocess:
        def column(values: Sequence[float] | None) -> Tensor | None:
            if values is None:
                return None
            return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)

        return Preprocess(dtype, column(config.mean), column(config.std), config.upscale)

    def __call__(self, inputs: Tensor, augmenting: Augmenting | None = None) -> Tensor:
        if inputs.dtype != torch.uint8:
            return inputs.to(self.dtype)
        # Of bytes a division makes float32 in one pass.
        scaled = inputs.div(255) if self.dtype == torch.float32 else inputs.to(self.dtype).div_(255)
        if augmenting is not None:
            scaled = augmenting(scaled)
        if self.mean is not None and self.std is not None:
            scaled = scaled.sub_(self.mean).div_(self.std)
        if self.side is None:
            return scaled
        return functional.interpolate(scaled, (self.side, self.side), mode="bilinear", align_corners=False)

    def numbers(self, images: Images) -> int:
        """How many numbers the network sees of one example."""
        return math.prod(seen_shape(tuple(images.pixels.shape[1:]), self.side))


def seen_shape(shape: tuple[int, ...], side: int | None) -> tuple[int, ...]:
    """The shape of an example as the network sees it, scaled up to `side` if given."""
    return shape if side is None else (shape[0], side, side)


@dataclass(frozen=True)
class Selection:
    """Which images each run of a stack sees, and in which order.

    Runs with the same seed share an order, so there are S ≤ R of them.

    Attributes:
        indices: [S, N] into the images.
        order_of_run: for each run, which line of `indices` it follows.
        is_even: the runs of an order stand side by side, as many for each.
    """

    images: Images
    preprocess: Preprocess
    indices: Tensor
    order_of_run: tuple[int, ...]
    is_even: bool = field(init=False)
    _orders: Tensor = field(init=False)

    def __post_init__(self) -> None:
        orders, runs = len(self.indices), len(self.order_of_run)
        even = tuple(run * orders // runs for run in range(runs))
        object.__setattr__(self, "is_even", runs % orders == 0 and self.order_of_run == even)
        object.__setattr__(self, "_orders", torch.tensor(self.order_of_run, device=self.indices.device))

    def __len__(self) -> int:
        return self.indices.shape[1]

    def batch(self, chosen: Tensor, augmenting: Augmenting | None = None) -> tuple[Tensor, Tensor]:
        """What the network sees and labels [R, B] of the images with these indices [S, B].

        Where as many runs follow each order the network sees each once, [S, B, …], else for every run, [R, B, …].
        """
        flat = chosen.reshape(-1)
        inputs = self.preprocess(self.images.pixels.index_select(0, flat), augmenting)
        inputs = inputs.view(*chosen.shape, *inputs.shape[1:])
        labels = self.images.labels.index_select(0, flat).view(chosen.shape)
        return inputs if self.is_even else self._for_each_run(inputs), self._for_each_run(labels)

    def keep(self, runs: Sequence[int]) -> Selection:
        """The same without all runs but these, and without orders that none of them follows."""
        followed = [self.order_of_run[run] for run in runs]
        used = sorted(set(followed))
        return replace(self, indices=self.indices[used], order_of_run=tuple(used.index(order) for order in followed))

    def _for_each_run(self, tensor: Tensor) -> Tensor:
        """[S, …] → [R, …]."""
        if not self.is_even:
            return tensor.index_select(0, self._orders)
        runs, orders = len(self.order_of_run), len(tensor)
        return tensor.unsqueeze(1).expand(orders, runs // orders, *tensor.shape[1:]).flatten(0, 1)


@dataclass(frozen=True)
class Splits:
    """Training and validation images of a stack, and the generators that shuffle and augment the former.

    Attributes:
        validation: None where nothing is set apart.
        generators: one for each order; none where the file's order is kept.
        augmenting: of the training images, as a step sees them; None: as they are.
    """

    training: Selection
    validation: Selection | None
    generators: Sequence[torch.Generator]
    augmenting: Augmenting | None = None

    @staticmethod
    def of(configs: Sequence[RunConfig], images: Images, preprocess: Preprocess) -> Splits:
        """Split the training images of every run of a stack by its seed."""
        dataset, train = configs[0].dataset, configs[0].train
        by_seed = train.shuffle or dataset.validation > 0 or configs[0].augmentation.numbers > 0
        seeds = list(dict.fromkeys(c.seed for c in configs)) if by_seed else [configs[0].seed]
        order_of_run = tuple(seeds.index(c.seed) if by_seed else 0 for c in configs)
        parts = [_split(len(images), dataset.validation, seed) for seed in seeds]

        def selection(rows: list[Tensor]) -> Selection:
            device = images.labels.device
            indices = torch.stack(rows).to(device)
            return Selection(images, preprocess, indices, order_of_run)

        return Splits(
            training=selection([training for training, _ in parts]),
            validation=selection([v for _, v in parts]) if dataset.validation > 0 else None,
            generators=[generator(seed, "order") for seed in seeds] if train.shuffle else [],
            augmenting=Augmenting.of(configs[0].augmentation, seeds, images.labels.device),
        )

    def epoch(self) -> Selection:
        """The training images in the order of the next epoch."""
        if not self.generators:
            return self.training
        indices = self.training.indices
        orders = [torch.randperm(len(self.training), generator=g) for g in self.generators]
        return replace(self.training, indices=indices.gather(1, torch.stack(orders).to(indices.device)))

    def keep(self, runs: Sequence[int]) -> Splits:
        """The same without all runs but these."""
        validation = self.validation.keep(runs) if self.validation is not None else None
        used = sorted({self.training.order_of_run[run] for run in runs})
        generators = [self.generators[order] for order in used] if self.generators else []
        augmenting = None if self.augmenting is None else self.augmenting.keep(used)
        return Splits(self.training.keep(runs), validation, generators, augmenting)


def everything(images: Images, preprocess: Preprocess, runs: int) -> Selection:
    """All images in the file's order, for every one of so many runs."""
    device = images.labels.device
    indices = torch.arange(len(images), device=device).unsqueeze(0)
    return Selection(images, preprocess, indices, (0,) * runs)


def spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and stop of every batch; the last one may be short."""
    for start in range(0, total, size):
        yield start, min(start + size, total)


def _split(total: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation images, each in the file's order."""
    shuffled = torch.randperm(total, generator=generator(seed, "split"))
    apart = held_out(total, fraction)
    return shuffled[apart:].sort().values, shuffled[:apart].sort().values
