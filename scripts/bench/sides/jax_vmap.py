"""All runs at once in JAX: a step of one run, vmapped over the runs, scanned over the steps, compiled by XLA."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp
from workloads import BATCH_SIZE, CLASSES, SEEDS, Workload

from sides.measurement import Measurement

CHUNK_STEPS = 10  # in one call of the compiled scan; the first call is the warm-up

Parameters = list[tuple[Array, Array]]
State = tuple[Parameters, Parameters, Parameters, Array]
"""Parameters, Adam's means and mean squares (which SGD leaves alone), and the number of steps made."""


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """Every run of the sweep, with its own rate and the order of its seed; it is compiled before."""
    images = workload.training_images(data)
    pixels = jnp.asarray((images.pixels.permute(0, 2, 3, 1).float() / 255).numpy())
    labels = jnp.asarray(images.labels.numpy())
    rates = jnp.array([rate for rate, _ in workload.runs])
    keys = jnp.stack([jax.random.key(seed) for _, seed in workload.runs])
    state = jax.vmap(partial(initial, workload))(keys)
    chunks = max(1, steps // CHUNK_STEPS)
    indices = orders(workload, (1 + chunks) * CHUNK_STEPS, len(labels))

    @partial(jax.jit, donate_argnums=0)
    def train(state: State, chosen: Array, pixels: Array, labels: Array) -> State:
        def step(state: State, rate: Array, chosen: Array) -> State:
            return updated(workload, state, rate, pixels[chosen], labels[chosen])

        return lax.scan(lambda state, chosen: (jax.vmap(step)(state, rates, chosen), None), state, chosen)[0]

    state = jax.block_until_ready(train(state, indices[:CHUNK_STEPS], pixels, labels))
    began = time.perf_counter()
    for chunk in range(1, 1 + chunks):
        state = train(state, indices[chunk * CHUNK_STEPS :][:CHUNK_STEPS], pixels, labels)
    jax.block_until_ready(state)
    return Measurement.of(time.perf_counter() - began, chunks * CHUNK_STEPS * len(workload.runs))


def orders(workload: Workload, steps: int, count: int) -> np.ndarray:
    """Indices [steps, runs, batch] of whole batches, epoch after epoch; runs of one seed share an order."""
    batches = count // BATCH_SIZE
    epochs = -(-steps // batches)
    by_seed = {}
    for seed in SEEDS:
        chance = np.random.default_rng(seed)
        order = [chance.permutation(count)[: batches * BATCH_SIZE] for _ in range(epochs)]
        by_seed[seed] = np.concatenate(order).reshape(-1, BATCH_SIZE)[:steps]
    return np.stack([by_seed[seed] for _, seed in workload.runs], axis=1)


def initial(workload: Workload, key: Array) -> State:
    """One run's state before its first step: weights and biases uniform within ±1/√inputs."""
    channels = (workload.image_shape[0], *workload.filters)
    shapes = [(3, 3, *pair) for pair in pairwise(channels)] + list(pairwise(workload.widths))
    parameters = []
    for shape in shapes:
        key, for_weights, for_biases = jax.random.split(key, 3)
        bound = prod(shape[:-1]) ** -0.5
        weights = jax.random.uniform(for_weights, shape, minval=-bound, maxval=bound)
        parameters.append((weights, jax.random.uniform(for_biases, shape[-1:], minval=-bound, maxval=bound)))
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.zeros((), jnp.int32)


def scores(workload: Workload, parameters: Parameters, images: Array) -> Array:
    """From one run's images [B, height, width, channels] to scores [B, classes]."""
    convolutions, linears = parameters[: len(workload.filters)], parameters[len(workload.filters) :]
    values = images
    for weights, biases in convolutions:
        values = max_pooled(jax.nn.relu(convolved(values, weights) + biases))
    values = values.reshape(len(values), -1)
    for weights, biases in linears[:-1]:
        values = jax.nn.relu(values @ weights + biases)
    weights, biases = linears[-1]
    return values @ weights + biases


def convolved(images: Array, weights: Array) -> Array:
    """A 3×3 convolution that keeps the size, as one matrix product of shifted images and weights [3, 3, in, out].

    Several times faster on a CPU than lax.conv_general_dilated, which vmap makes a convolution in groups.
    """
    _, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return jnp.concatenate(shifted, axis=3) @ weights.reshape(-1, weights.shape[3])


def max_pooled(images: Array) -> Array:
    """The largest of every 2×2 pixels; lax.reduce_window has a slower gradient."""
    batch, height, width, channels = images.shape
    return images.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def loss(workload: Workload, parameters: Parameters, images: Array, labels: Array) -> Array:
    chances = jax.nn.log_softmax(scores(workload, parameters, images))
    return -jnp.mean(jnp.sum(chances * jax.nn.one_hot(labels, CLASSES), axis=1))


def updated(workload: Workload, state: State, rate: Array, images: Array, labels: Array) -> State:
    """One run's state after a step."""
    parameters, means, squares, step = state
    gradients = jax.grad(partial(loss, workload))(parameters, images, labels)
    if workload.optimizer == "sgd":
        return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), means, squares, step
    step = step + 1
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, squares, gradients)
    mean_scale, square_scale = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)

    def moved(parameter: Array, mean: Array, square: Array) -> Array:
        return parameter - rate * mean_scale * mean / (jnp.sqrt(square_scale * square) + 1e-8)

    return jax.tree.map(moved, parameters, means, squares), means, squares, step
