"""Keras 3 over JAX: a Sequential model and `fit` on arrays in memory, all else as Keras has it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workloads import BATCH_SIZE, CLASSES, Workload

from sides.measurement import WARM_UP_STEPS, Measurement

# Read when Keras is imported. It would write a file of settings into the user's home.
os.environ.update(KERAS_BACKEND="jax", KERAS_HOME=str(Path(tempfile.gettempdir(), "triplicate-bench-keras")))

import keras

if TYPE_CHECKING:
    from keras import Sequential


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """One run alone, of the middle rate; it is compiled before."""
    count, epochs = workload.whole_batches(steps)
    images = workload.training_images(data)
    pixels = (images.pixels[:count].permute(0, 2, 3, 1).float() / 255).numpy()  # Keras has the channels last
    labels = images.labels[:count].numpy()
    model = compiled(workload)
    warm_up = WARM_UP_STEPS * BATCH_SIZE
    model.fit(pixels[:warm_up], labels[:warm_up], batch_size=BATCH_SIZE, verbose=0)
    began = time.perf_counter()
    model.fit(pixels, labels, batch_size=BATCH_SIZE, epochs=epochs, shuffle=True, verbose=0)
    return Measurement.of(time.perf_counter() - began, epochs * count // BATCH_SIZE)


def compiled(workload: Workload) -> Sequential:
    channels, height, width = workload.image_shape
    model = keras.Sequential([keras.Input((height, width, channels))])
    for filters in workload.filters:
        model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(keras.layers.MaxPooling2D(2))
    model.add(keras.layers.Flatten())
    for width in workload.hidden:
        model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(CLASSES))
    optimizer = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[workload.optimizer]
    model.compile(optimizer(workload.middle_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
