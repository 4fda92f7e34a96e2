"""The sweeps that the benchmark measures: which data, which network, which runs, and how long each side trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triplicate.datasets import Images

BATCH_SIZE = 64
CLASSES = 10
SEEDS = (0, 1, 2)
TRAINING_IMAGES = {"fashion_mnist": 60_000, "mnist": 60_000, "cifar10": 50_000}


@dataclass(frozen=True)
class Workload:
    """A sweep of learning rates over seeds; pixels are divided by 255, the loss is the cross entropy.

    Attributes:
        dataset: its name in triplicate.
        model: its name in triplicate; the same network is told by `filters` and `hidden`.
        image_shape: channels, height and width.
        filters: of each 3×3 convolution that keeps the size, each with ReLU and a max-pooling of 2×2 behind it.
        hidden: width of each fully connected layer with ReLU, in front of the last layer.
        optimizer: sgd, or adam with the defaults of its paper.
        steps: by side, how many steps it is timed for, about 5 s on two cores. Steps of a run, or of all runs at
            once where they train together; for triplicate, the epochs that its second command has beyond the first's
            one, where 0 leaves the second out; for products, how often the products of a step are computed.
    """

    name: str
    dataset: str
    model: str
    image_shape: tuple[int, int, int]
    filters: tuple[int, ...]
    hidden: tuple[int, ...]
    optimizer: str
    rates: tuple[float, ...]
    steps: Mapping[str, int] = field(repr=False)

    @property
    def runs(self) -> list[tuple[float, int]]:
        """The rate and the seed of every run."""
        return list(product(self.rates, SEEDS))

    def axes(self, rate: str) -> list[str]:
        """The rates, by the key that they have there, and the seeds, as overrides of Hydra that sweep."""
        return [f"{rate}={','.join(f'{r:g}' for r in self.rates)}", f"seed={','.join(map(str, SEEDS))}"]

    @property
    def middle_rate(self) -> float:
        """Of the one run that a side trains where it trains one: none that diverges, which might change its speed."""
        return self.rates[len(self.rates) // 2]

    @property
    def steps_an_epoch(self) -> int:
        return ceil(TRAINING_IMAGES[self.dataset] / BATCH_SIZE)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the fully connected part, from its inputs to its scores."""
        channels, height, width = self.image_shape
        pooled = 2 ** len(self.filters)
        inputs = prod((self.filters[-1] if self.filters else channels, height // pooled, width // pooled))
        return (inputs, *self.hidden, CLASSES)

    def whole_batches(self, steps: int) -> tuple[int, int]:
        """Training images and epochs for about so many steps, for a side that is given arrays and epochs.

        No batch is smaller than the others: it would be compiled for by itself.
        """
        epochs = max(1, round(steps / self.steps_an_epoch))
        batches = min(steps, TRAINING_IMAGES[self.dataset] // BATCH_SIZE)
        return batches * BATCH_SIZE, epochs

    def training_images(self, data: Path) -> Images:
        """Pixels uint8 [N, channels, height, width] and labels int64 [N], as triplicate reads them below `data`."""
        from triplicate import DataSource
        from triplicate.parts import find

        # Not composed by Hydra: a side calls this inside a Hydra app.
        source = find(DataSource.kind, self.dataset)
        return source(limit=None, validation=0.0, mean=None, std=None, upscale=None).read(data).train


_FASHION_MLP = Workload(
    name="fashion_mlp",
    dataset="fashion_mnist",
    model="mlp_base",
    image_shape=(1, 28, 28),
    filters=(),
    hidden=(512, 512),
    optimizer="sgd",
    rates=(1.0, 0.1, 0.01, 0.001),
    steps={
        "loop": 900,
        "resident": 1500,
        "lightning": 800,
        "skorch": 900,
        "keras_jax": 900,
        "jax_vmap": 200,
        "torch_vmap": 150,
        "joblib": 300,
        "products": 300,
        "triplicate": 0,
    },
)
_MNIST_MLP = Workload(
    name="mnist_mlp",
    dataset="mnist",
    model="mlp_small",
    image_shape=(1, 28, 28),
    filters=(),
    hidden=(128, 64),
    optimizer="adam",
    rates=(0.01, 0.003, 0.001, 0.0003),
    steps={
        "loop": 1500,
        "resident": 5000,
        "lightning": 1200,
        "skorch": 1900,
        "keras_jax": 1900,
        "jax_vmap": 1500,
        "torch_vmap": 600,
        "joblib": 400,
        "products": 2000,
        "triplicate": 2,
    },
)
_FASHION_CNN = Workload(
    name="fashion_cnn",
    dataset="fashion_mnist",
    model="cnn",
    image_shape=(1, 28, 28),
    filters=(16, 32),
    hidden=(),
    optimizer="sgd",
    rates=(0.1, 0.01),
    steps={
        "loop": 600,
        "resident": 700,
        "lightning": 500,
        "skorch": 600,
        "keras_jax": 400,
        "jax_vmap": 60,
        "torch_vmap": 80,
        "joblib": 200,
        "products": 0,
        "triplicate": 0,
    },
)
_CIFAR_CNN = Workload(
    name="cifar_cnn",
    dataset="cifar10",
    model="cnn_a",
    image_shape=(3, 32, 32),
    filters=(32, 64),
    hidden=(128,),
    optimizer="adam",
    rates=(0.001, 0.0003),
    steps={
        "loop": 250,
        "resident": 250,
        "lightning": 200,
        "skorch": 250,
        "keras_jax": 200,
        "jax_vmap": 20,
        "torch_vmap": 30,
        "joblib": 80,
        "products": 0,
        "triplicate": 0,
    },
)

WORKLOADS = {workload.name: workload for workload in (_FASHION_MLP, _MNIST_MLP, _FASHION_CNN, _CIFAR_CNN)}
