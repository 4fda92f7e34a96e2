"""A run in a stack against the same run by itself, a stack of one: the same losses, and equal statistics."""

from __future__ import annotations

import math

import torch
from outcome import Figures, Setting, expect
from torch import Tensor
from training import apart, begin, configured, family, learnable, losses, measured, stack_of, trained

from triplicate.training.events import EpochEnd, Event

_CASES = (("plain", "sgd"), ("norm and dropout", "momentum"), ("norm and dropout", "adam"), ("cnn", "momentum"))


def stacks(setting: Setting) -> Figures:
    """Float64 over 100 steps; float32, whose rounding grows with the steps, over the first 10."""
    cases, steps = setting.few(_CASES), 20 if setting.is_rehearsal else 100
    double = max(_furthest(setting, "float64", steps, *case) for case in cases)
    single = max(_furthest(setting, "float32", 10, *case) for case in cases)
    expect(double <= 1e-10, f"float64: {double:.1e} apart, more than 1e-10")
    expect(single <= 1e-5, f"float32: {single:.1e} apart, more than 1e-5 of the loss")
    return Figures(f"float64 {double:.1e} (1e-10) over {steps} steps, float32 {single:.1e} of the loss (1e-5) over 10")


def _furthest(setting: Setting, dtype: str, steps: int, name: str, optimizer: str) -> float:
    """How far the losses of so many steps are apart; in float32 in relation to the loss."""
    device, dataset = begin(setting), learnable(320, 96)  # 20 steps an epoch
    more = (f"train.dtype={dtype}", f"train.epochs={math.ceil(steps / 20)}", "train.batch_size=16", "trace=none")
    configs = stack_of(family(name, optimizer, *more), (0.01, 0.003), 2)
    together = trained(configs, dataset, device)

    def of_run(run: int) -> float:
        alone = losses(trained([configs[run]], dataset, device), 0)[:steps]
        return apart(losses(together, run)[:steps], alone, relative=dtype == "float32")

    return max(of_run(run) for run in range(len(configs)))


def statistics(setting: Setting) -> Figures:
    """Ten seeds in float32: the means of the test accuracy are within 3 standard errors of their difference."""
    device, seeds = begin(setting), 3 if setting.is_rehearsal else 10
    dataset = learnable(320 if setting.is_rehearsal else 2000, 500)
    config = configured("model=mlp", "model.hidden=[64]", "model.dropout=0.2", "train.epochs=2", "trace=none")
    configs = stack_of(config, (0.5,), seeds)
    together = trained(configs, dataset, device)
    in_stack = torch.stack([_accuracy(together, run) for run in range(seeds)])
    alone = torch.stack([_accuracy(trained([config], dataset, device), 0) for config in configs])
    error = math.sqrt(float(in_stack.var() + alone.var()) / seeds)
    difference = float(in_stack.mean() - alone.mean())
    expect(bool(in_stack.var() > 0), "all seeds have the same accuracy, which tells nothing")
    expect(abs(difference) <= 3 * error, f"{difference:+.4f} apart, with a standard error of {error:.4f}")
    means = f"{in_stack.mean():.4f} in a stack, {alone.mean():.4f} alone"
    return Figures(f"test accuracy over {seeds} seeds: {means}; standard error of the difference {error:.4f}")


def _accuracy(events: list[Event], run: int) -> Tensor:
    """Of the test images, after the last epoch."""
    expect(bool(measured(events, run).isfinite().all()), "a run has diverged")
    last = [e.metrics.test_accuracy for e in events if isinstance(e, EpochEnd) and e.run == run][-1]
    return torch.tensor(last, dtype=torch.float64)
