"""skorch: a NeuralNetClassifier fitted to NumPy arrays in memory, as one fits an estimator of scikit-learn."""

from __future__ import annotations

import time
from pathlib import Path

from skorch import NeuralNetClassifier
from torch import nn
from workloads import BATCH_SIZE, Workload

from sides.measurement import WARM_UP_STEPS, Measurement
from sides.networks import network, optimizer_class


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """One run alone, of the middle rate; training alone, as `train_split=None` has it."""
    count, epochs = workload.whole_batches(steps)
    images = workload.training_images(data)
    pixels, labels = (images.pixels[:count].float() / 255).numpy(), images.labels[:count].numpy()
    classifier = NeuralNetClassifier(
        network(workload),
        criterion=nn.CrossEntropyLoss,
        optimizer=optimizer_class(workload),
        lr=workload.middle_rate,
        max_epochs=epochs,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    warm_up = WARM_UP_STEPS * BATCH_SIZE
    classifier.partial_fit(pixels[:warm_up], labels[:warm_up])
    began = time.perf_counter()
    classifier.partial_fit(pixels, labels)
    return Measurement.of(time.perf_counter() - began, epochs * count // BATCH_SIZE)
