"""Two runs are the same where they mean the same; and how a sweep is trained does not change its table."""

from __future__ import annotations

import copy
import dataclasses
import functools
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from omegaconf import OmegaConf

from tests.faults.commands import undrawn
from triplicate.cli import main
from triplicate.config import Identity, RunConfig, identity, run_config
from triplicate.config.identity import as_plain
from triplicate.presets import CONF

_LASTING = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
quickly = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=_LASTING)

# Numbers in other spellings: key → what is typed for the same.
SPELLINGS = {
    "optimizer.lr": ("0.001", "1e-3", "1.0e-3", "0.1e-2", "10e-4"),
    "optimizer.momentum": ("0", "0.0", "0e3", "-0.0"),
    "train.epochs": ("3", "+3", "3"),
    "optimizer.weight_decay": ("0.5", "5e-1", ".5", "50e-2"),
    "model.hidden": ("[8,4]", "[8, 4]", "[ 8,4 ]"),
    "train.shuffle": ("true", "True", "TRUE"),
    "dataset.limit": ("null", "null"),
}
WITHOUT_EFFECT = {
    "name": ("one", "other"),
    "output_dir": ("/one", "/other"),
    "data_dir": ("/one", "null"),
    "executor.workers": ("1", "2", "null"),
    "executor.cuda_graphs": ("true", "false"),
    "report.title": ("one", "other"),
    "report.bars": ("[]", "[test_accuracy]"),
    "resume": ("null", "last"),
    "rerun": ("null", "failed", "all"),
    "on_error": ("stop", "continue"),
    "device": ("auto", "cpu", "cuda:0"),  # it is its kind that counts
}
# Other values: each key alone makes another run.
OTHERWISE = {
    "seed": ("1", "2"),
    "dataset": ("xor", "points"),
    "dataset.limit": ("100",),
    "dataset.validation": ("0.1",),
    "model": ("perceptron", "cnn"),
    "model.hidden": ("[8]", "[4,8]", "[8,4,4]"),
    "model.dropout": ("0.1",),
    "model.norm": ("before", "after"),
    "model.backend": ("numpy",),
    "optimizer": ("adam", "rmsprop"),
    "optimizer.lr": ("0.002", "0.0010000001"),
    "optimizer.momentum": ("0.9",),
    "optimizer.weight_decay": ("0.25",),
    "schedule": ("cosine", "step"),
    "activation": ("tanh", "gelu"),
    "init": ("he", "xavier"),
    "loss": ("perceptron",),
    "loss.label_smoothing": ("0.1",),
    "augmentation": ("crop_flip", "rotation"),
    "optimizer.clip_norm": ("1", "0.5"),
    "schedule.warmup": ("1", "2"),
    "stopping": ("target",),
    "stopping.keep": ("best",),
    "trace": ("every1", "none"),
    "trace.steps": ("true",),
    "train.epochs": ("4",),
    "train.batch_size": ("32",),
    "train.shuffle": ("false",),
    "train.dtype": ("float64",),
    "train.reduction": ("sum",),
    "train.evaluate_training": ("true",),
}
BASE = {"model": "mlp", "model.hidden": "[8,4]", "optimizer.lr": "0.001", "optimizer.weight_decay": "0.5"}
BASE |= {"train.epochs": "3", "train.shuffle": "true"}


_parser = OverridesParser.create()


@functools.cache
def _composed(*choices: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", list(choices)), resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _config(typed: dict[str, str]) -> RunConfig:
    """A configuration with values as typed. Hydra composes it once for each choice of groups, and reads the values."""
    groups = {key for key in typed if "." not in key and (CONF / key).is_dir()}
    values = copy.deepcopy(_composed(*sorted(f"{key}={typed[key]}" for key in groups)))
    for key in [key for key in typed if key not in groups]:
        inner = values
        *way, last = key.split(".")
        for name in way:
            inner = inner[name]
        assert last in inner, key
        inner[last] = _parser.parse_override(f"{key}={typed[key]}").value()
    return run_config(values)


def _of(typed: dict[str, str], data: str = "data", device: str = "cpu") -> Identity:
    return identity(_config(typed), data, device)


@st.composite
def respelled(draw: DrawFn) -> dict[str, str]:
    """The same run in other words: spelled otherwise, in another order, with other keys that have no effect."""
    typed = dict(BASE)
    for key in draw(st.sets(st.sampled_from(sorted(SPELLINGS)))):
        typed[key] = draw(st.sampled_from(SPELLINGS[key]))
    for key in draw(st.sets(st.sampled_from(sorted(WITHOUT_EFFECT)))):
        typed[key] = draw(st.sampled_from(WITHOUT_EFFECT[key]))
    return dict(draw(st.permutations(list(typed.items()))))


@quickly
@given(typed=respelled())
def test_a_run_is_the_same_in_other_words(typed: dict[str, str]) -> None:
    assert _of(typed) == _of(BASE)


@quickly
@given(data=st.data())
def test_a_run_is_another_with_any_other_value(data: st.DataObject) -> None:
    changes = {
        key: data.draw(st.sampled_from(OTHERWISE[key]))
        for key in data.draw(st.sets(st.sampled_from(sorted(OTHERWISE))))
    }
    one, other = dict(BASE), BASE | _fitting(changes)
    same = _of(one).fingerprint == _of(other).fingerprint
    assert same == (as_plain(_config(one)) == as_plain(_config(other)))


def _fitting(changes: dict[str, str]) -> dict[str, str]:
    """Without what does not go together: keys that only some parts have, and parts that only some data bear."""
    if changes.get("model") == "cnn":
        changes = {key: value for key, value in changes.items() if not key.startswith("model.")}
    if "stopping.keep" in changes:
        changes = {**changes, "dataset.validation": "0.1"}
    if "loss" in changes:
        changes = {key: value for key, value in changes.items() if key != "loss.label_smoothing"}
    if "optimizer" in changes:
        changes = {key: value for key, value in changes.items() if key != "optimizer.momentum"}
    return changes


@pytest.mark.parametrize("key", sorted(OTHERWISE))
def test_each_key_alone_makes_another_run(key: str) -> None:
    base = BASE if key != "model" else {k: v for k, v in BASE.items() if k != "model.hidden"}
    if key == "stopping.keep":
        base = base | {"dataset.validation": "0.2"}
    for value in OTHERWISE[key]:
        found, other = _of(base), _of(base | {key: value})
        assert found.fingerprint != other.fingerprint
        assert (found.setting == other.setting) == (key == "seed")
        assert (found.lineage == other.lineage) == (key == "train.epochs")


def test_data_and_device_make_another_run() -> None:
    found = {_of(BASE, data, device).fingerprint for data in ("a", "b") for device in ("cpu", "cuda")}
    assert len(found) == 4


def test_an_activation_that_nothing_uses_makes_no_other_run() -> None:
    for model in ("perceptron", "resnet18"):
        found = {_of({"model": model, "activation": name}) for name in ("relu", "tanh", "gelu")}
        assert len(found) == (1 if model == "perceptron" else len(found))
    hidden = {_of({"model": "mlp", "activation": name}) for name in ("relu", "tanh", "gelu")}
    assert len(hidden) == 3


@quickly
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_keys_means_nothing(order: Any) -> None:
    def shuffled(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        keys = list(values)
        order.shuffle(keys)
        return {key: shuffled(values[key]) for key in keys}

    config = _config(BASE)
    assert identity(run_config(shuffled(_plain(config))), "data", "cpu") == identity(config, "data", "cpu")


def _plain(config: RunConfig) -> dict[str, Any]:
    values = as_plain(config)
    assert set(values) == {field.name for field in dataclasses.fields(config)}
    return values


SWEEP = (
    "dataset=xor",
    "loss=binary_cross_entropy",
    "model=xor",
    "train.epochs=3",
    "train.batch_size=2",
    "report.curves=[]",
)


@st.composite
def ways(draw: DrawFn) -> list[str]:
    """A command for the same runs."""
    rates, seeds = draw(st.permutations(["0.5", "0.05"])), draw(st.permutations(["0", "1"]))
    axes = [f"optimizer.lr={','.join(rates)}", f"seed={','.join(seeds)}"]
    how = draw(st.sampled_from([f"executor.workers={n}" for n in (1, 2, 3)] + ["hydra/launcher=basic"]))
    return list(draw(st.permutations([*axes, how])))


@settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=_LASTING)
@given(way=ways())
def test_however_a_sweep_is_trained_its_table_is_the_same(
    way: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each run by itself: of those that train together the last bits depend on their company."""
    alone = ("model.backend=numpy",)
    expected = getattr(test_however_a_sweep_is_trained_its_table_is_the_same, "expected", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triplicate.reports.plots.canvas.png", undrawn)
        found = _rows(tmp_path_factory.mktemp("sweep"), *alone, *way)
        if expected is None:
            expected = _rows(tmp_path_factory.mktemp("sweep"), *alone, "optimizer.lr=0.5,0.05", "seed=0,1")
            test_however_a_sweep_is_trained_its_table_is_the_same.expected = expected  # type: ignore[attr-defined]
    assert found == expected


def _rows(folder: Path, *arguments: str) -> tuple[bytes, set[bytes]]:
    """The heading of the table, and its rows."""
    assert main([*SWEEP, *arguments, f"output_dir={folder}"]) == 0
    heading, *rows = (folder / "table.csv").read_bytes().splitlines()
    return heading, set(rows)
