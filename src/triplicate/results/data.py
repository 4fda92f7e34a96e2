"""The data that a run is evaluated on: its own test set, or another that is asked for as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from triplicate import overrides, presets
from triplicate.config import run_config
from triplicate.datasets import Dataset
from triplicate.errors import UserError
from triplicate.hydra_app import apart
from triplicate.hydra_errors import hydra_errors
from triplicate.parts import outside
from triplicate.training.batches import seen_shape

# How images are prepared was fixed when the network was trained.
_OF_THE_NETWORK = ("mean", "std", "upscale")


@dataclass(frozen=True)
class Wanted:
    """A data set that is asked for.

    Attributes:
        values: of the configuration's `dataset`.
        folder: where it is looked for, as `data_dir`.
    """

    values: Mapping[str, Any]
    folder: Any


def read(config: Mapping[str, Any], words: Sequence[str]) -> Dataset:
    """The data that is asked for.

    Args:
        config: of the run, as plain values.
        words: overrides of `dataset`, its keys and `data_dir`; none: the run's own data.

    Raises:
        UserError: another key, data that is not there, or a mistake in a word.
    """
    for word in words:
        if not isinstance(word, str) or "=" not in word:
            raise UserError(str(word), "it is no override", "write key=value, such as dataset=mnist")
    given = overrides.check(words, ())
    for override in given:
        _check(override)
    wanted = _wanted(config, given, words)
    # Pixels are preprocessed with the network; and what was set apart for validation is of the training.
    settled = dict.fromkeys(_OF_THE_NETWORK) | {"validation": config["dataset"]["validation"]}
    checked = run_config({**config, "dataset": {**wanted.values, **settled}, "data_dir": wanted.folder})
    return checked.dataset.load(checked.data_dir)


def check_fit(dataset: Dataset, shape: tuple[int, ...], classes: Sequence[str], side: int | None) -> None:
    """
    Args:
        shape: of the examples that a network was trained on, and the `classes` of these.
        side: to which images are scaled up for it.

    Raises:
        UserError: the network cannot take the data.
    """
    if seen_shape(dataset.image_shape, side) != seen_shape(shape, side) or len(dataset.image_shape) != len(shape):
        problem = f"its examples are {_shown(dataset.image_shape)}, and the network was trained on {_shown(shape)}"
        raise UserError("dataset", problem, "choose data of the same shape")
    if len(dataset.classes) != len(classes):
        problem = f"it has {len(dataset.classes)} classes, and the network was trained on {len(classes)}"
        raise UserError("dataset", problem, "choose data of the same classes")


def _check(override: Override) -> None:
    key = override.key_or_group
    if key == "dataset.validation" or (key != "data_dir" and key.partition(".")[0] != "dataset"):
        remedy = "give dataset=…, its keys, such as dataset.limit=null, or data_dir=…"
        raise UserError(key, "it only affects training, and this run is trained", remedy)
    if key.partition(".")[2] in _OF_THE_NETWORK:
        raise UserError(key, "how images are prepared was fixed when the network was trained", "leave it out")
    if override.is_sweep_override():
        raise UserError(key, "several values are given", "give one, and call it once for each")


def _wanted(config: Mapping[str, Any], given: Sequence[Override], words: Sequence[str]) -> Wanted:
    if any(override.key_or_group == "dataset" for override in given):
        folder = next((override.value() for override in given if override.key_or_group == "data_dir"), None)
        return Wanted(_composed(words), config["data_dir"] if folder is None else folder)
    values, folder = dict(config["dataset"]), config["data_dir"]
    for override in given:
        name = override.key_or_group.partition(".")[2]
        if override.key_or_group == "data_dir":
            folder = override.value()
        else:
            values[name] = override.value()
    return Wanted(values, folder)


def _composed(words: Sequence[str]) -> Mapping[str, Any]:
    """The values of another data set, with the defaults that it has on the command line."""
    with apart(), outside.composed(), hydra_errors(None), initialize_config_dir(str(presets.CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", list(words)).dataset, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def _shown(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
