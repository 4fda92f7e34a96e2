"""How much longer the passes written out in NumPy take than torch's.

    .venv/bin/python scripts/bench/numpy_backend.py

One run alone on a CPU, an epoch of glyphs (12,000 images of 28×28) at batch 64, with its evaluation, by triplicate's
engine: MLP 784-512-512-10 and CNN 1→16→32. The backends run in turn, and the medians of their repeats are compared.
Threads wait without spinning, as the command line has them: torch's, while they spin, take the cores from NumPy's.
The table goes to standard output.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from datetime import UTC, datetime

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded

import torch
from configured import configured

from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.records import environment
from triplicate.sweeps.trial import attempt
from triplicate.training.engine import fit

MODELS = ("mlp_base", "cnn")
BACKENDS = ("torch", "numpy")


def milliseconds(config: RunConfig, dataset: Dataset) -> float:
    """Time of a step, evaluation included, in a stack where a sweep would train it in one."""
    stacked = attempt(config, dataset).alone is None
    began = time.perf_counter()
    for _ in fit([config], dataset, torch.device("cpu"), stacked):
        pass
    return 1e3 * (time.perf_counter() - began) / -(-len(dataset.train) // config.train.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats

    configs = {
        (model, backend): configured(f"model={model}", f"model.backend={backend}", "train.epochs=1", "trace=none")
        for model in MODELS
        for backend in BACKENDS
    }
    dataset = configs["cnn", "torch"].dataset.load(None)
    times: dict[tuple[str, str], list[float]] = {side: [] for side in configs}
    for _ in range(repeats):
        for side, config in configs.items():
            times[side].append(milliseconds(config, dataset))
    print("| ms per step | backend | median | least | most | to torch |")
    print("|---|---|--:|--:|--:|--:|")
    for (model, backend), values in times.items():
        median = statistics.median(values)
        ratio = median / statistics.median(times[model, "torch"])
        print(f"| {model} | {backend} | {median:.2f} | {min(values):.2f} | {max(values):.2f} | {ratio:.2f} |")
    where = environment.describe(torch.device("cpu"))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {where['machine']}, torch {where['torch']}, {repeats} repeats")


if __name__ == "__main__":
    main()
