"""How much faster a sweep trains together than one plain loop after the other.

    .venv/bin/python scripts/bench/learning_rates.py --data DIR

Fashion-MNIST, MLP 784-512-512-10, batch 64, four rates × three seeds. The sides run in turn, and the medians of
their repeats are compared:

- loop: one network, torch.utils.data.DataLoader over torchvision's FashionMNIST with ToTensor, torch.optim.SGD;
  300 steps, training alone.
- sweep: one epoch of all twelve runs by triplicate's engine, with its evaluation and its gradient traces.
- products: the matrix products of a step of twelve runs and nothing else, batched as the sweep batches them, into
  memory that is there already.

DIR holds FashionMNIST/raw as torchvision lays it out, unpacked. The table goes to standard output.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import torch
import torchvision
from configured import configured
from torch.nn import functional
from torch.utils.data import DataLoader

from triplicate import datasets
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.models.mlp import mlp
from triplicate.records import environment
from triplicate.training.engine import fit

RATES = (1, 0.1, 0.01, 0.001)
SEEDS = (0, 1, 2)
LOOP_STEPS = 300
PRODUCT_STEPS = 100


def loop_milliseconds(data: Path) -> float:
    """Time of a step of the plain loop."""
    to_tensor = torchvision.transforms.ToTensor()
    images = torchvision.datasets.FashionMNIST(data, train=True, transform=to_tensor)
    model = mlp((1, 28, 28), (512, 512), 10, torch.nn.ReLU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = iter(DataLoader(images, batch_size=64))
    began = time.perf_counter()
    for _ in range(LOOP_STEPS):
        pixels, labels = next(batches)
        loss = functional.cross_entropy(model(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return 1e3 * (time.perf_counter() - began) / LOOP_STEPS


def sweep_milliseconds(configs: list[RunConfig], dataset: Dataset) -> float:
    """Time of a step of one run, when all train together for an epoch."""
    began = time.perf_counter()
    for _ in fit(configs, dataset, torch.device("cpu")):
        pass
    steps = len(configs) * -(-len(dataset.train) // configs[0].train.batch_size)
    return 1e3 * (time.perf_counter() - began) / steps


def product_milliseconds() -> float:
    """Time of the matrix products of a step of one run: forward, weight gradients, input gradients."""
    runs, batch, widths = len(RATES) * len(SEEDS), 64, (784, 512, 512, 10)
    layers = [
        tuple(torch.rand(runs, *shape) for shape in ((batch, i), (i, o), (batch, o), (batch, o), (i, o), (batch, i)))
        for i, o in pairwise(widths)
    ]
    began = time.perf_counter()
    for _ in range(PRODUCT_STEPS):
        for number, (inputs, weights, gradients, scores, weight_gradients, input_gradients) in enumerate(layers):
            torch.bmm(inputs, weights, out=scores)
            torch.bmm(inputs.transpose(1, 2), gradients, out=weight_gradients)
            if number > 0:  # the pixels need no gradient
                torch.bmm(gradients, weights.transpose(1, 2), out=input_gradients)
    return 1e3 * (time.perf_counter() - began) / (PRODUCT_STEPS * runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds FashionMNIST/raw, unpacked")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    preset = ("experiment=cv2025/learning_rates", "train.epochs=1")
    configs = [configured(*preset, f"optimizer.lr={rate}", f"seed={seed}") for rate in RATES for seed in SEEDS]
    dataset = datasets.load(configs[0].dataset, arguments.data)
    sides: dict[str, Callable[[], float]] = {
        "loop": lambda: loop_milliseconds(arguments.data),
        "sweep": lambda: sweep_milliseconds(configs, dataset),
        "products": product_milliseconds,
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, measure in sides.items():
            times[name].append(measure())
    sweep = statistics.median(times["sweep"])
    where = environment.describe(torch.device("cpu"))
    print("| ms a run and step | median | least | most | to the sweep |")
    print("|---|--:|--:|--:|--:|")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} | {min(values):.2f} | {max(values):.2f} | {median / sweep:.2f} |")
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {where['machine']}, torch {where['torch']}, {arguments.repeats} repeats")


if __name__ == "__main__":
    main()
