"""What a command changes of an experiment, composed by Hydra."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.conftest import Configure
from triplicate.presets import CONF
from triplicate.sweeps.composed import values_of
from triplicate.sweeps.departures import Composed, departures, title
from triplicate.sweeps.plan import Run


def composed(words: Sequence[str]) -> Composed:
    return _composed(tuple(words))


@functools.cache
def _composed(words: tuple[str, ...]) -> Composed:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(words), return_hydra_config=True)
    sweeper = OmegaConf.to_container(config.hydra.sweeper)
    assert isinstance(sweeper, dict)
    choices = {key: str(value) for key, value in config.hydra.runtime.choices.items() if value is not None}
    config.hydra.job.num, config.hydra.job.id = 0, "0"
    return Composed(values_of(config), choices, {str(key): value for key, value in sweeper.items()})


def run(configure: Configure, *words: str) -> Run:
    pairs = (word.partition("=") for word in words)
    choices = {key: value for key, value in composed(words).choices.items() if not key.startswith("hydra/")}
    made = Run(0, configure(*words), Path(), {key: value for key, _, value in pairs}, choices)
    return dataclasses.replace(made, identity=dataclasses.replace(made.identity, fingerprint=" ".join(words)))


def departed(configure: Configure, *words: str) -> tuple[str, ...]:
    return tuple(word for found in departures([run(configure, *words)], composed).values() for word in found)


RATES = ("experiment=cv2025/learning_rates", "optimizer.lr=0.1", "seed=1")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (RATES, ()),
        ((*RATES, "train.epochs=10", "train.batch_size=64", "dataset.limit=null", "model=mlp_base"), ()),
        ((*RATES, "device=cpu", "data_dir=/x", "executor.workers=2", "output_dir=/y", "trace=none", "rerun=all"), ()),
        ((*RATES, "report.title=mine", "name=mine", "train.deterministic=true"), ()),
        ((*RATES, "train.epochs=3", "train.tf32=true"), ("train.epochs=3", "train.tf32=true")),
        ((*RATES, "model=mlp_wide"), ("model=mlp_wide",)),
        ((*RATES, "dataset=mnist"), ("dataset=mnist",)),
        # Rows of its own: the rate belongs to the optimizer.
        (("experiment=dlhw1/optimizers", "optimizer=adam", "optimizer.lr=0.001"), ()),
        (("experiment=dlhw1/optimizers", "optimizer=sgd", "optimizer.lr=0.01"), ()),
        (("experiment=dlhw1/optimizers", "optimizer=sgd", "optimizer.lr=0.001"), ("optimizer.lr=0.001",)),
        # An axis of its own, without published numbers.
        (("experiment=cs776/cnn_filters", "model.filters=[64,192,384,256,256]"), ()),
        (("experiment=cs776/cnn_filters", "model.filters=[4,4,4,4,4]"), ("model.filters=[4,4,4,4,4]",)),
        (("experiment=cs776/mlp_depth", "model.hidden=[64]", "model.backend=torch"), ()),
        (("optimizer.lr=0.1", "train.epochs=3"), ()),
    ],
)
def test_what_a_command_changes(configure: Configure, words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert departed(configure, *words) == expected


def test_a_title_no_longer_says_what_was_changed() -> None:
    assert title("cv2025/cnn", {"a": ("train.epochs=3",), "b": ("train.epochs=3",)}) == "cv2025/cnn with train.epochs=3"
    words = tuple(f"model.key{number}=1" for number in range(5))
    assert title("x", {"a": words}) == "x with model.key0=1, model.key1=1, model.key2=1 and 2 more"
