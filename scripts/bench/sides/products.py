"""The matrix products of a step and nothing else, below which no way of training comes; and what the machine can do."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import torch
from workloads import BATCH_SIZE, Workload

from sides.measurement import WARM_UP_STEPS, Measurement

SIDE = 2048
REPEATS = 20


def measure(workload: Workload, _: Path, steps: int) -> Measurement:
    """The products of all runs of an MLP, batched over the runs into memory that is there already; `steps` times."""
    rate = gigaflops()
    if workload.filters:  # how many products a convolution is depends on how it is computed
        return Measurement(gigaflops=rate)
    runs = len(workload.runs)
    layers = [
        tuple(
            torch.rand(runs, *shape)
            for shape in ((BATCH_SIZE, i), (i, o), (BATCH_SIZE, o), (BATCH_SIZE, o), (i, o), (BATCH_SIZE, i))
        )
        for i, o in pairwise(workload.widths)
    ]
    multiply(layers, WARM_UP_STEPS)
    began = time.perf_counter()
    multiply(layers, steps)
    seconds = time.perf_counter() - began
    return Measurement(milliseconds_a_run_step=1e3 * seconds / (steps * runs), gigaflops=rate)


def multiply(layers: list[tuple[torch.Tensor, ...]], steps: int) -> None:
    """Scores, weight gradients and input gradients of every layer."""
    for _ in range(steps):
        for number, (inputs, weights, gradients, scores, weight_gradients, input_gradients) in enumerate(layers):
            torch.bmm(inputs, weights, out=scores)
            torch.bmm(inputs.transpose(1, 2), gradients, out=weight_gradients)
            if number > 0:  # the pixels need no gradient
                torch.bmm(gradients, weights.transpose(1, 2), out=input_gradients)


def gigaflops() -> float:
    """The rate of one large float32 matrix product, a multiplication and an addition counted as two."""
    left, right, product = (torch.rand(SIDE, SIDE) for _ in range(3))
    torch.mm(left, right, out=product)
    began = time.perf_counter()
    for _ in range(REPEATS):
        torch.mm(left, right, out=product)
    return REPEATS * 2 * SIDE**3 / (time.perf_counter() - began) / 1e9
