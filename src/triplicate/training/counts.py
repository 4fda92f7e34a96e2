"""How many images are trained on, how many are set apart, and how many steps an epoch has."""

from __future__ import annotations

import math

from triplicate.config import RunConfig


def held_out(total: int, fraction: float) -> int:
    """How many of so many images are set apart for validation."""
    return round(total * fraction)


def trained_on(total: int, fraction: float) -> int:
    """How many of so many images are left for training."""
    return total - held_out(total, fraction)


def steps_per_epoch(config: RunConfig, images: int) -> int:
    """Of a run on a data set with so many training images, before any is set apart."""
    return math.ceil(trained_on(images, config.dataset.validation) / config.train.batch_size)
