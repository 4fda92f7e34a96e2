"""Rate schedules against torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from tests.conftest import Configure

EPOCHS, WARMUP = 23, 4

ORACLES: dict[str, Callable[[SGD], lr_scheduler.LRScheduler]] = {
    "constant": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1),
    "exponential": lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.95),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS),
}


@pytest.mark.parametrize("name", ORACLES)
def test_the_rate_is_torchs(configure: Configure, name: str) -> None:
    schedule = configure(f"schedule={name}").schedule
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    oracle = ORACLES[name](optimizer)
    for epoch in range(1, EPOCHS + 1):
        assert schedule.scale(epoch, EPOCHS) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        oracle.step()


WARMED: dict[str, Callable[[SGD], lr_scheduler.LRScheduler]] = {
    **ORACLES,
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS - WARMUP),
}


@pytest.mark.parametrize("name", WARMED)
def test_a_warm_up_is_torchs(configure: Configure, name: str) -> None:
    schedule = configure(
        f"schedule={name}", f"schedule.warmup={WARMUP}", "schedule.warmup_from=0.3", f"train.epochs={EPOCHS}"
    ).schedule
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    first = lr_scheduler.LinearLR(optimizer, start_factor=0.3, total_iters=WARMUP)
    oracle = lr_scheduler.SequentialLR(optimizer, [first, WARMED[name](optimizer)], milestones=[WARMUP])
    for epoch in range(1, EPOCHS + 1):
        assert schedule.scale(epoch, EPOCHS) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        oracle.step()
