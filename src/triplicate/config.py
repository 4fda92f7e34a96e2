"""The schema of a run: every key with its type, range and unit.

Hydra composes plain values from `conf/`, where every default stands; `run_config` checks them against
the dataclasses below and freezes them. Hydra and OmegaConf are not needed behind this module.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from triplicate.errors import UserError, unknown_name


@dataclass(frozen=True)
class Key:
    """What a key means, its unit, and the range that its numbers must lie in."""

    help: str
    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def range(self) -> str:
        """The range in words, such as 'at least 0 and below 1'; empty where there is none."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        bounds = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{word} {_plain(x)}" for word, x in bounds.items() if x is not None)

    def admits(self, number: float) -> bool:
        """Whether a number is finite and inside the range."""
        return (
            math.isfinite(number)
            and (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


def _plain(number: float) -> str:
    return f"{number:,}" if float(number).is_integer() else f"{number:g}"


def key(help: str, **limits: Any) -> Any:
    """A dataclass field that carries its `Key`. It has no default: defaults stand in `conf/`, once."""
    return shared(Key(help, **limits))


def shared(key: Key) -> Any:
    """A dataclass field with a `Key` that other fields have too."""
    return field(metadata={"key": key})


@dataclass(frozen=True)
class DatasetConfig:
    """What is trained on, and how its pixels are scaled."""

    name: str = key("data set")
    limit: int | None = key(
        "keep this many images of each split, evenly spaced in the file's order; null keeps all",
        unit="images",
        at_least=1,
    )
    validation: float = key(
        "share of the training images set apart for validation, drawn by the seed",
        at_least=0,
        below=1,
    )
    mean: tuple[float, ...] | None = key("subtracted from the pixels in [0, 1], a number a channel; null leaves them")
    std: tuple[float, ...] | None = key("divides what is left, a number a channel", above=0)


@dataclass(frozen=True)
class ModelConfig:
    """A fully connected network: hidden layers, each with the activation, then a layer of class scores."""

    name: str = key("architecture")
    hidden: tuple[int, ...] = key("width of each hidden layer", unit="units", at_least=1)


_RULE = Key("update rule: sgd, rmsprop, adam or adamw")
_RATE = Key("learning rate", above=0)
_DECAY = Key("L2 penalty added to the gradient; with adamw taken off the weights instead", at_least=0)
_EPS = Key("added to the root of the mean of squares (rmsprop, adam, adamw)", at_least=0)


@dataclass(frozen=True)
class SgdConfig:
    """Stochastic gradient descent as torch.optim.SGD defines it."""

    name: Literal["sgd"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    momentum: float = key("momentum (sgd)", at_least=0, below=1)
    nesterov: bool = key("Nesterov's momentum (sgd)")


@dataclass(frozen=True)
class RmspropConfig:
    """RMSprop as torch.optim.RMSprop defines it, without momentum and not centred."""

    name: Literal["rmsprop"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    alpha: float = key("share of the old mean of squares that stays (rmsprop)", at_least=0, below=1)
    eps: float = shared(_EPS)


@dataclass(frozen=True)
class AdamConfig:
    """Adam (arXiv 1412.6980) as torch.optim.Adam defines it, or AdamW (arXiv 1711.05101) as torch.optim.AdamW does."""

    name: Literal["adam", "adamw"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    beta1: float = key("share of the old mean of gradients that stays (adam, adamw)", at_least=0, below=1)
    beta2: float = key("share of the old mean of squares that stays (adam, adamw)", at_least=0, below=1)
    eps: float = shared(_EPS)


OptimizerConfig = SgdConfig | RmspropConfig | AdamConfig


@dataclass(frozen=True)
class ActivationConfig:
    """The non-linearity behind each hidden layer."""

    name: str = key("activation")


@dataclass(frozen=True)
class InitConfig:
    """How the weights begin."""

    name: str = key("initialisation")


@dataclass(frozen=True)
class TraceConfig:
    """At which steps the gradients are measured."""

    first: int = key("trace the first steps", unit="steps", at_least=0)
    every: int = key("trace every k-th step of the training; 0 for none", unit="steps", at_least=0)


@dataclass(frozen=True)
class TrainConfig:
    """The training loop."""

    epochs: int = key("passes over the training images", unit="epochs", at_least=1)
    batch_size: int = key("images a step", unit="images", at_least=1)
    shuffle: bool = key("a new order each epoch, drawn by the seed; false keeps the file's order")
    dtype: str = key("number format of the weights and of all arithmetic", choices=("float32", "float64"))


@dataclass(frozen=True)
class ReportConfig:
    """What the table of the sweep shows."""

    title: str = key("heading of the table and its plots")
    measures: tuple[str, ...] = key("columns of metrics.csv that the table reports")
    published: Mapping[str, Mapping[str, float]] = key(
        "published numbers: row (as typed, such as optimizer.lr=0.1) → measure → value"
    )


@dataclass(frozen=True)
class RunConfig:
    """One run: one configuration with one seed."""

    name: str = key("name of the sweep; its folder is outputs/<name>/<time> unless output_dir says otherwise")
    seed: int = key("seed of the weights, the order and the split", at_least=0, at_most=2**32 - 1)
    device: str = key("auto, cpu, cuda or cuda:<number>; auto takes a GPU where there is one")
    data_dir: Path | None = key(
        "where data sets are looked for and downloaded to; null: $TRIPLICATE_DATA, else the user's cache"
    )
    output_dir: Path = key("folder of the sweep")
    dataset: DatasetConfig = key("data set")
    model: ModelConfig = key("model")
    optimizer: OptimizerConfig = key("optimizer")
    activation: ActivationConfig = key("activation")
    init: InitConfig = key("initialisation")
    trace: TraceConfig = key("gradient traces")
    train: TrainConfig = key("training loop")
    report: ReportConfig = key("table")


# What a run is called, where its files are and how it is shown do not change its numbers.
_WITHOUT_EFFECT = ("name", "data_dir", "output_dir", "report")


def run_config(values: Mapping[str, Any]) -> RunConfig:
    """Check the composed values of one run and freeze them.

    Raises:
        UserError: a key is missing or unknown, or a value has the wrong type or is out of range.
    """
    config = _dataclass(RunConfig, values, "")
    assert isinstance(config, RunConfig)
    _check_together(config)
    return config


def known_keys(schema: type[Any] = RunConfig, prefix: str = "") -> dict[str, Key]:
    """Every key that can be set, dotted, with its meaning: `optimizer.lr` → Key(...)."""
    keys: dict[str, Key] = {}
    for name, hint in typing.get_type_hints(schema).items():
        groups = _groups(hint)
        for group in groups:
            keys |= known_keys(group, f"{prefix}{name}.")
        if not groups:
            keys[prefix + name] = schema.__dataclass_fields__[name].metadata["key"]
    return keys


def _groups(hint: Any) -> list[type[Any]]:
    """The dataclasses that a type allows: none for a leaf, several for a choice of kinds."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) is types.UnionType else (hint,)
    return [kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def as_plain(config: Any) -> dict[str, Any]:
    """A configuration as nested dicts, lists, numbers and strings, ready for YAML or JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return plain


def setting(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What the runs of one table row share: all of a plain configuration that bears on the result, but the seed."""
    return {k: v for k, v in plain.items() if k not in _WITHOUT_EFFECT and k != "seed"}


def fingerprint(config: RunConfig) -> str:
    """A hash (SHA-256, 16 hex digits) of all that bears on the result: equal for equal runs."""
    text = json.dumps([config.seed, setting(as_plain(config))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unknown_key(path: str) -> UserError:
    """The error for a key that a run does not have, with the nearest one that it could have."""
    if path in known_keys():
        group = path.partition(".")[0]
        return UserError(path, f"the chosen {group} does not have this key", "see triplicate --cfg job")
    nearest = _nearest_key(path)
    remedy = f"did you mean {nearest}?" if nearest else "see triplicate --help for the keys"
    return UserError(path, "there is no such key", remedy)


def _nearest_key(path: str) -> str | None:
    groups = [f.name for f in dataclasses.fields(RunConfig)]
    candidates = list(dict.fromkeys([*known_keys(), *groups, "experiment"]))
    matches = difflib.get_close_matches(path, candidates, n=1)
    if matches:
        return matches[0]
    # 'lr' alone is nearest to the key that ends so: 'optimizer.lr'.
    endings = {k.rpartition(".")[2]: k for k in candidates}
    matches = difflib.get_close_matches(path.rpartition(".")[2], endings, n=1)
    return endings[matches[0]] if matches else None


def _check_together(config: RunConfig) -> None:
    """The rules that bind two keys."""
    optimizer, dataset = config.optimizer, config.dataset
    if isinstance(optimizer, SgdConfig) and optimizer.nesterov and optimizer.momentum == 0:
        raise UserError("optimizer.nesterov", "it needs a momentum", "set optimizer.momentum, such as 0.9")
    if (dataset.mean is None) != (dataset.std is None):
        raise UserError("dataset.mean", "mean and std belong together", "set both or neither")


def _dataclass(schema: type[Any], values: Any, path: str) -> Any:
    if not isinstance(values, Mapping):
        raise UserError(path, f"{values!r} is not a group of keys", "see triplicate --help for the keys")
    hints = typing.get_type_hints(schema)
    prefix = f"{path}." if path else ""
    for name in values:
        if name == "_target_":
            raise import_path_refused(prefix + name)
        if name not in hints:
            raise unknown_key(prefix + str(name))
    for name in hints:
        if name not in values:
            raise UserError(prefix + name, "it is missing", "give it a value")
    return schema(
        **{
            name: _value(hint, values[name], prefix + name, schema.__dataclass_fields__[name].metadata["key"])
            for name, hint in hints.items()
        }
    )


def import_path_refused(path: str) -> UserError:
    """The error for `_target_`: a configuration names what it wants, it never names code to call."""
    return UserError(path, "import paths are refused", "choose a name of the group, such as optimizer=sgd")


def _value(hint: Any, value: Any, path: str, key: Key) -> Any:
    """Convert one composed value to the type that the schema asks for, and check its range."""
    groups = _groups(hint)
    if groups:
        return _dataclass(groups[0] if len(groups) == 1 else _kind(groups, value, path), value, path)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else _value(inner, value, path, key)
    if origin is Literal:
        return _to_str(value, path, dataclasses.replace(key, choices=arguments))
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(path, value, "a list", key, "write it as [a,b]")
        return tuple(_value(arguments[0], v, path, key) for v in value)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(arguments[1], value, path, key)
    return _CONVERTERS[hint](value, path, key)


def _kind(groups: Sequence[type[Any]], values: Any, path: str) -> type[Any]:
    """The dataclass whose `name` is the one given."""
    name = values["name"] if isinstance(values, Mapping) and "name" in values else None
    kinds = {kind: group for group in groups for kind in typing.get_args(typing.get_type_hints(group)["name"])}
    if name not in kinds:
        raise unknown_name(f"{path}.name", str(name), kinds)
    return kinds[name]


def _mapping(inner: Any, value: Any, path: str, key: Key) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(path, value, "a mapping", key, "write it as {name: value}")
    return {str(k): _value(inner, v, f"{path}.{k}", key) for k, v in value.items()}


def _wrong(path: str, value: Any, wanted: str, key: Key, remedy: str | None = None) -> UserError:
    limits = f" {key.range()}" if key.range() else ""
    default = f"give {wanted}{limits}"
    if isinstance(value, list):
        default += "; to sweep over several write them without brackets, such as 0,1,2"
    shown = repr(value) if value != "" else "nothing"
    return UserError(path, f"{shown} is not {wanted}", remedy or default)


def _number(value: Any, path: str, key: Key, wanted: str) -> Any:
    if not key.admits(value):
        problem = f"{value} is {'out of range' if math.isfinite(value) else 'not finite'}"
        raise UserError(path, problem, f"give {wanted}{' ' + key.range() if key.range() else ''}")
    return value


def _to_int(value: Any, path: str, key: Key) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, value, "a whole number", key)
    number: int = _number(value, path, key, "a whole number")
    return number


def _to_float(value: Any, path: str, key: Key) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(path, value, "a number", key)
    number: float = _number(float(value), path, key, "a number")
    return number


def _to_bool(value: Any, path: str, key: Key) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, value, "true or false", key)
    return value


def _to_str(value: Any, path: str, key: Key) -> str:
    if isinstance(value, bool | list | dict) or value is None:
        raise _wrong(path, value, "a name", key)
    text = str(value)
    if key.choices and text not in key.choices:
        raise UserError(path, f"{text!r} is not {key.range()}", f"choose {key.range()}")
    return text


def _to_path(value: Any, path: str, key: Key) -> Path:
    if value == "" or isinstance(value, bool | list | dict) or value is None:
        raise _wrong(path, value, "a folder", key)
    return Path(str(value)).expanduser()


_CONVERTERS: Mapping[Any, Any] = {
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    str: _to_str,
    Path: _to_path,
}
