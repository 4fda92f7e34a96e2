"""Stacks for the checks: configurations, small random data, and what the engine yields of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from outcome import Setting
from torch import Tensor

from triplicate.config import RunConfig, run_config
from triplicate.datasets import Dataset, Images
from triplicate.presets import CONF
from triplicate.training import devices, engine
from triplicate.training.engine import fit
from triplicate.training.events import EpochEnd, Event

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
_MLP = ("model=mlp", "model.hidden=[12,9]")
FAMILIES = {
    "plain": _MLP,
    "norm and dropout": (*_MLP, "model.norm=after", "model.dropout=0.2"),
    "augmented": (*_MLP, "augmentation=crop_flip", "loss.label_smoothing=0.1", "schedule.warmup=1"),
    "layer norm": ("model=mlp", "model.hidden=[12]", "activation=gelu"),
    "cnn": (
        *("model=cnn", "model.filters=[3,4]", "model.kernel=[3,2]", "model.padding=[1,0]", "model.norm=before"),
        *("model.pool=[max,none]", "model.conv_dropout=0.2", "model.hidden=[5]", "model.dropout=0.3"),
    ),
}


@functools.cache
def configured(*overrides: str) -> RunConfig:
    """The configuration of one run, composed as the command line does."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return run_config({str(k): v for k, v in values.items()})


def family(name: str, optimizer: str, *overrides: str) -> RunConfig:
    """One of the families with an optimizer; each of them is composed once."""
    return replace(configured(*FAMILIES[name], *overrides), optimizer=configured(f"optimizer={optimizer}").optimizer)


def stack_of(config: RunConfig, rates: Sequence[float], seeds: int) -> list[RunConfig]:
    """Every rate with every seed from 0."""
    return [
        replace(config, seed=seed, optimizer=replace(config.optimizer, lr=rate))  # type: ignore[call-arg]
        for rate in rates
        for seed in range(seeds)
    ]


def learnable(train: int, test: int, shape: tuple[int, ...] = (1, 6, 5), classes: int = 4) -> Dataset:
    """Random images: each class is brighter in a row of its own."""
    draws = torch.Generator().manual_seed(1)

    def images(count: int) -> Images:
        labels = torch.randint(0, classes, (count,), generator=draws)
        pixels = torch.randint(0, 180, (count, *shape), generator=draws, dtype=torch.uint8)
        pixels[torch.arange(count), :, labels] += 70
        return Images(pixels, labels)

    return Dataset(images(train), images(test), tuple(map(str, range(classes))))


def begin(setting: Setting) -> torch.device:
    """The device, made ready as in a sweep; convolutions give the same each time."""
    return devices.begin(torch.device(setting.device), deterministic=True)


def begun(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> engine._State:
    """A stack before its first step, as the engine makes it: its network, and its step to be called by hand."""
    return engine._begin(configs, dataset.to(device), device, True, None)


def trained(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> list[Event]:
    return list(fit(configs, dataset, device))


def losses(events: Sequence[Event], run: int) -> Tensor:
    """The loss of one run at every step."""
    return torch.cat([e.step_losses for e in events if isinstance(e, EpochEnd) and e.run == run])


def measured(events: Sequence[Event], run: int) -> Tensor:
    """All that is known of one run: its losses, and what each epoch's evaluation gave."""
    metrics = [e.metrics for e in events if isinstance(e, EpochEnd) and e.run == run]
    taken = [
        value
        for m in metrics
        for value in (m.train_loss, m.test_loss, m.test_accuracy, m.validation_loss, m.evaluated_train_loss)
        if value is not None
    ]
    return torch.cat([losses(events, run).double(), torch.tensor(taken, dtype=torch.float64)])


def apart(one: Tensor, other: Tensor, relative: bool = False) -> float:
    """The greatest difference of two tensors of the same size; infinite where a number is not finite."""
    difference = (one.double() - other.double()).abs()
    if relative:
        difference /= other.double().abs()
    greatest = float(difference.max())
    return greatest if math.isfinite(greatest) else math.inf
