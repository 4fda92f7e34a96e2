"""All runs at once with torch.func: parameters stacked over the runs, and vmap over the gradient of one run's loss."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional
from workloads import BATCH_SIZE, SEEDS, Workload

from sides.measurement import WARM_UP_STEPS, Measurement
from sides.networks import network

Tensors = dict[str, Tensor]


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """Every run of the sweep, with its own rate and the order of its seed; training steps and nothing else."""
    images = workload.training_images(data)
    pixels = images.pixels.float() / 255
    rates = torch.tensor([rate for rate, _ in workload.runs])
    models = [network(workload) for _ in workload.runs]
    parameters, buffers = stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")

    def loss(parameters: Tensors, buffers: Tensors, images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(skeleton, (parameters, buffers), (images,)), labels)

    gradients_of = vmap(grad(loss))
    update = {"sgd": sgd, "adam": adam}[workload.optimizer](parameters, rates)
    orders = shuffled(len(images), [seed for _, seed in workload.runs])

    def train(steps: int) -> None:
        for _ in range(steps):
            chosen = next(orders)
            update(gradients_of(parameters, buffers, pixels[chosen], images.labels[chosen]))

    train(WARM_UP_STEPS)
    began = time.perf_counter()
    train(steps)
    return Measurement.of(time.perf_counter() - began, steps * len(workload.runs))


def shuffled(count: int, seeds: list[int]) -> Iterator[Tensor]:
    """Indices [runs, batch], epoch after epoch; runs of one seed share an order."""
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    row_of_run = torch.tensor([SEEDS.index(seed) for seed in seeds])
    while True:
        orders = torch.stack([torch.randperm(count, generator=generator) for generator in generators])
        for chosen in orders.split(BATCH_SIZE, dim=1):
            yield chosen[row_of_run]


def sgd(parameters: Tensors, rates: Tensor) -> Callable[[Tensors], None]:
    """What changes all parameters in place, each run's by its own rate."""

    @torch.no_grad()
    def update(gradients: Tensors) -> None:
        for name, values in parameters.items():
            values.sub_(gradients[name].mul_(as_column(rates, values)))

    return update


def adam(parameters: Tensors, rates: Tensor) -> Callable[[Tensors], None]:
    """The same with Adam (arXiv 1412.6980), in the form of the end of its section 2."""
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    means = {name: torch.zeros_like(values) for name, values in parameters.items()}
    squares = {name: torch.zeros_like(values) for name, values in parameters.items()}
    step = 0

    @torch.no_grad()
    def update(gradients: Tensors) -> None:
        nonlocal step
        step += 1
        correction = (1 - beta2**step) ** 0.5
        for name, values in parameters.items():
            gradient = gradients[name]
            means[name].lerp_(gradient, 1 - beta1)
            squares[name].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            scale = as_column(rates, values) * (correction / (1 - beta1**step))
            values.sub_(scale * means[name] / (squares[name].sqrt().add_(epsilon * correction)))

    return update


def as_column(rates: Tensor, values: Tensor) -> Tensor:
    """Rates [R] in a shape that multiplies values [R, …]."""
    return rates.view(-1, *[1] * (values.ndim - 1))
