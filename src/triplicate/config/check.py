"""From composed values to a checked, frozen `RunConfig`. Hydra and OmegaConf are not needed behind this module."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from triplicate.config.schema import Key, RunConfig, SgdConfig
from triplicate.errors import UserError, unknown_name


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
    optimizer, dataset, stopping = config.optimizer, config.dataset, config.stopping
    if isinstance(optimizer, SgdConfig) and optimizer.nesterov and optimizer.momentum == 0:
        raise UserError("optimizer.nesterov", "it needs a momentum", "set optimizer.momentum, such as 0.9")
    if (dataset.mean is None) != (dataset.std is None):
        raise UserError("dataset.mean", "mean and std belong together", "set both or neither")
    for name, wanted in (("patience", stopping.patience is not None), ("keep", stopping.keep == "best")):
        if wanted and dataset.validation == 0:
            problem = "it goes by the validation loss, and no images are set apart"
            raise UserError(f"stopping.{name}", problem, "set dataset.validation, such as 0.2")


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
        is_choice = len(groups) > 1 and isinstance(value, Mapping)
        return _dataclass(_kind(groups, value, path) if is_choice else groups[0], value, path)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _value(_member(arguments, value), value, path, key)
    if origin is Literal:
        return _to_str(value, path, dataclasses.replace(key, choices=arguments))
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(path, value, "a list", key, "write it as [a,b]")
        return tuple(_value(arguments[0], v, path, key) for v in value)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(arguments[1], value, path, key)
    return _CONVERTERS[hint](value, path, key)


def _member(hints: Sequence[Any], value: Any) -> Any:
    """The type of a choice of types that a value is meant for: a list for a list, a word for a word."""
    is_list, is_word = isinstance(value, list | tuple), isinstance(value, str)
    fitting = [h for h in hints if (typing.get_origin(h) is tuple) == is_list and (h is str) == is_word]
    return next(h for h in [*fitting, *hints] if h is not type(None))


def _kind(groups: Sequence[type[Any]], values: Mapping[str, Any], path: str) -> type[Any]:
    """The dataclass whose `name` lists the one given, else the one whose `name` is any string."""
    name = values.get("name")
    names = {group: typing.get_type_hints(group)["name"] for group in groups}
    kinds = {kind: group for group, hint in names.items() for kind in typing.get_args(hint)}
    others = [group for group, hint in names.items() if hint is str]
    if name not in kinds and not others:
        raise unknown_name(f"{path}.name", str(name), kinds)
    return kinds[name] if name in kinds else others[0]


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
