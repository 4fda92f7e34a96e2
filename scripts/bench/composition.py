"""How long a sweep takes before it trains: from the command to its printed plan.

    .venv/bin/python scripts/bench/composition.py --data DIR

`triplicate plan` of 1, 100 and 1,000 runs of one network on MNIST, which differ in learning rate and seed. Each is a
process of its own, one after the other and in turn. DIR holds MNIST as torchvision lays it out. The table goes to
standard output.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from triplicate.records import environment

# Learning rates and seeds.
SWEEPS = ((1, 1), (10, 10), (100, 10))


@dataclass(frozen=True)
class Times:
    """Of a whole process, in seconds: by the clock, and of all its threads."""

    clock: float
    processor: float


def plan(rates: int, seeds: int, data: Path) -> Times:
    values = ",".join(f"{number / 1000:g}" for number in range(1, 1 + rates))
    words = ("model=mlp_small", "dataset=mnist", f"data_dir={data}", f"optimizer.lr={values}", f"seed=range({seeds})")
    command = [sys.executable, "-m", "triplicate", "plan", *words]
    began, before = time.perf_counter(), os.times()
    with tempfile.TemporaryDirectory() as elsewhere:
        told = subprocess.run(command, cwd=elsewhere, check=True, capture_output=True, text=True).stdout
    after = os.times()
    clock = time.perf_counter() - began
    assert told.startswith(f"{rates * seeds} runs to train")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Times(clock, processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    data = arguments.data.resolve()
    plan(1, 1, data)  # what is read from the disk the first time
    times: dict[tuple[int, int], list[Times]] = {sweep: [] for sweep in SWEEPS}
    for _ in range(arguments.repeats):
        for sweep, measured in times.items():
            measured.append(plan(*sweep, data))
    print("| runs | median | least | most | of the processor, median |")
    print("|---|--:|--:|--:|--:|")
    for (rates, seeds), measured in times.items():
        clock, processor = [t.clock for t in measured], statistics.median(t.processor for t in measured)
        numbers = (statistics.median(clock), min(clock), max(clock), processor)
        print(f"| {rates * seeds:,} | {' | '.join(f'{number:.1f} s' for number in numbers)} |")
    where = environment.describe(torch.device("cpu"))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {where['machine']}, torch {where['torch']}, {arguments.repeats} repeats")


if __name__ == "__main__":
    main()
