"""Rate schedules: the factor on the learning rate in each epoch, as torch.optim.lr_scheduler has them."""

from __future__ import annotations

import math
from typing import assert_never

from triplicate.config import CosineConfig, ExponentialConfig, ScheduleConfig, StepConfig


def rate_factor(
    config: ScheduleConfig | StepConfig | ExponentialConfig | CosineConfig, epoch: int, epochs: int
) -> float:
    """What the rate is multiplied by in an epoch (the first is 1) of so many."""
    match config:
        case ScheduleConfig():
            return 1.0
        case StepConfig():
            return config.gamma ** ((epoch - 1) // config.every)
        case ExponentialConfig():
            return config.gamma ** (epoch - 1)
        case CosineConfig():
            return (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
        case _:
            assert_never(config)
