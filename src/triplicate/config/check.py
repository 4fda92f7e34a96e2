"""From composed values to a checked, frozen `RunConfig`. Hydra and OmegaConf are not needed behind this module."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from triplicate.config.schema import Report, RunConfig
from triplicate.errors import UserError
from triplicate.measures import ConfusionMeasure, EpochMeasure, ExampleMeasure
from triplicate.measures.shared.names import evaluated, parse
from triplicate.parts import Key, Part, classes, find, names
from triplicate.parts.keys import former, keys_of
from triplicate.parts.values import value

# What file systems take is 255 bytes for a folder.
_LONGEST_NAME = 200


def run_config(values: Mapping[str, Any]) -> RunConfig:
    """Check the composed values of one run and freeze them.

    Raises:
        UserError: a key is missing or unknown, a value has the wrong type or is out of range, or there is no such part.
    """
    config = cast("RunConfig", _made(RunConfig, values, ""))
    check_name(config.name)
    _check_together(config)
    _check_precision(config)
    return config


def check_name(name: str) -> None:
    """Refuse a name of a sweep that is no plain folder below `outputs/`.

    Raises:
        UserError: it leads elsewhere, is hidden, has control characters, or is too long for a file system.
    """
    remedy = "give a plain name, such as name=rates or name=mine/rates"
    parts = name.split("/")
    if not name or "" in parts:
        raise UserError("name", f"{name!r} has an empty part", remedy)
    if any(part.startswith(".") for part in parts):
        raise UserError("name", f"{name!r} has a part that begins with a dot", remedy)
    if not name.isprintable():
        raise UserError("name", f"{name!r} has letters that cannot be shown", remedy)
    if len(name.encode()) > _LONGEST_NAME:
        raise UserError("name", f"it is longer than {_LONGEST_NAME} bytes", remedy)


def check_recorded(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a run has left, if it is of this version. The parts that it names need not be here.

    Keys that came later stand at what they were before.

    Raises:
        UserError: a key is missing or unknown, or a part has no name.
    """
    values = former(RunConfig) | dict(plain)
    _check_names(RunConfig, values, "")
    for name, cls in groups().items():
        if not issubclass(cls, Part):
            if isinstance(values[name], Mapping):
                values[name] = former(cls) | dict(values[name])
            _made(cls, values[name], name)
        elif not isinstance(values[name], Mapping) or "name" not in values[name]:
            raise UserError(f"{name}.name", "it is missing", "run it again")
        elif values[name]["name"] in names(cls.kind):
            part = find(cls.kind, values[name]["name"])
            values[name] = former(part) | dict(values[name])
            _check_names(part, values[name], f"{name}.")
    return values


def _check_names(cls: type[Any], values: Mapping[str, Any], prefix: str) -> None:
    """The keys that a class has, and no others."""
    fields = [field.name for field in dataclasses.fields(cls)]
    for name in values:
        if name == "_target_":
            raise import_path_refused(prefix + name)
        if name not in fields and not (name == "name" and issubclass(cls, Part)):
            raise unknown_key(prefix + str(name))
    for name in fields:
        if name not in values:
            raise UserError(prefix + name, "it is missing", "give it a value")


@functools.cache
def groups() -> Mapping[str, type[Any]]:
    """The fields of a run that are groups of keys, each with its class: a kind of part, or one of `schema`."""
    keys, hints = keys_of(RunConfig), _hints(RunConfig)
    names = [field.name for field in dataclasses.fields(RunConfig) if field.name not in keys]
    return {name: hints[name] for name in names if _kind_of_several(hints[name]) is None}


@functools.cache
def several() -> Mapping[str, type[Part]]:
    """The fields of a run that hold any number of parts of one kind, each under a name; with the class of the kind."""
    kinds = {name: _kind_of_several(hint) for name, hint in _hints(RunConfig).items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind_of_several(hint: Any) -> type[Part] | None:
    """The kind of the parts that a type maps names to; None for another type."""
    inner = typing.get_args(hint)[-1:]
    is_one = bool(inner) and isinstance(inner[0], type) and issubclass(inner[0], Part)
    return inner[0] if is_one else None


@dataclass(frozen=True)
class KnownKey:
    """A key, and the parts that have it; none: it is no part's."""

    key: Key
    parts: tuple[str, ...] = ()


def known_keys() -> dict[str, list[KnownKey]]:
    """Every key that can be set, dotted, with its meaning, which may differ from part to part."""
    found: dict[str, list[KnownKey]] = {name: [KnownKey(key)] for name, key in keys_of(RunConfig).items()}
    for group, cls in groups().items():
        if not issubclass(cls, Part):
            found |= {f"{group}.{name}": [KnownKey(key)] for name, key in keys_of(cls).items()}
            continue
        common = keys_of(cls)
        found |= {f"{group}.{name}": [KnownKey(key)] for name, key in common.items()}
        for part, own in classes(cls.kind).items():
            for name, key in keys_of(own).items():
                if name not in common:
                    _add(found.setdefault(f"{group}.{name}", []), key, part)
    for group, cls in several().items():
        for part, own in classes(cls.kind).items():
            found |= {f"{group}.{part}.{name}": [KnownKey(key, (part,))] for name, key in keys_of(own).items()}
    return found


def _add(known: list[KnownKey], key: Key, part: str) -> None:
    """One entry for each meaning of a key."""
    for place, other in enumerate(known):
        if other.key == key:
            known[place] = KnownKey(key, (*other.parts, part))
            return
    known.append(KnownKey(key, (part,)))


def unknown_key(path: str) -> UserError:
    """The error for a key that a run does not have, with the nearest one that it could have."""
    known = [*known_keys(), *(f"{group}.name" for group in groups())]
    if path in known:
        group = path.partition(".")[0]
        if group in several():
            name = path.split(".")[1]
            return UserError(path, f"{group} {name} is not chosen", f"choose it, as in {group}={name}")
        if not issubclass(groups().get(group, object), Part):
            return UserError(path, "it has no such entry", f"add one, as in +{path}.…")
        return UserError(path, f"the chosen {group} does not have this key", "see triplicate --cfg job")
    nearest = _nearest_key(path, known)
    remedy = f"did you mean {nearest}?" if nearest else "see triplicate help all"
    return UserError(path, "there is no such key", remedy)


def _nearest_key(path: str, known: list[str]) -> str | None:
    candidates = list(dict.fromkeys([*known, *groups(), *several(), "experiment"]))
    matches = difflib.get_close_matches(path, candidates, n=1)
    if matches:
        return matches[0]
    # 'lr' alone is nearest to the key that ends so: 'optimizer.lr'.
    endings = {k.rpartition(".")[2]: k for k in candidates}
    matches = difflib.get_close_matches(path.rpartition(".")[2], endings, n=1)
    return endings[matches[0]] if matches else None


def _check_together(config: RunConfig) -> None:
    """The rules that bind two groups."""
    stopping = config.stopping
    if stopping.goes_by is not None:
        _check_measured(config, "stopping.measure", stopping.goes_by)
    if stopping.keep == "best":
        _check_measured(config, "stopping.keep", stopping.best_by)
    if config.schedule.warmup >= config.train.epochs:
        problem = f"the warm-up takes all {config.train.epochs} epochs"
        raise UserError("schedule.warmup", problem, "give fewer, or more train.epochs")
    if config.model.loads_weights and config.init.name != "default":
        raise UserError("init", "it would overwrite the weights of the file", "choose init=default")
    _check_published(config.report)


def _check_published(report: Report) -> None:
    """What is said of published numbers is said of some that are there."""
    for row, reasons in report.explained.items():
        for measure in reasons:
            if measure not in report.published.get(row, {}):
                problem = f"nothing is published of {measure}"
                raise UserError(f"report.explained.{row}", problem, "name a row and a measure of report.published")
    measures = {measure for numbers in report.published.values() for measure in numbers}
    for name in report.not_comparable:
        if name not in report.published and name not in measures:
            problem = f"{name} is no row and no measure of report.published"
            raise UserError("report.not_comparable", problem, "name one of them")


def _check_measured(config: RunConfig, subject: str, column: str) -> None:
    """Refuse a measure that a run does not take after each epoch."""
    named = parse(column, subject)
    if named.column != column or not isinstance(named.part, EpochMeasure):
        raise UserError(subject, f"{column} is no measure of one epoch", "name a column of metrics.csv")
    if column.startswith("validation_") and config.dataset.validation == 0:
        problem = f"it goes by {column}, and no images are set apart"
        raise UserError(subject, problem, "set dataset.validation, such as 0.2")
    if column.startswith("evaluated_train_") and not config.train.evaluate_training:
        raise UserError(subject, f"{column} is not measured", "set train.evaluate_training=true")
    if isinstance(named.part, ExampleMeasure | ConfusionMeasure) and column not in evaluated(config.report.measured):
        raise UserError(subject, f"{column} is not measured", "name it in report.measures too")


def _check_precision(config: RunConfig) -> None:
    train = config.train
    if train.tf32 and config.device == "cpu":
        raise UserError("train.tf32", "a CPU has no TensorFloat-32", "leave it out, or give device=cuda")
    for key, is_given in (("tf32", train.tf32), ("autocast", train.autocast != "none")):
        if is_given and train.dtype != "float32":
            problem = f"it is for weights in float32, and train.dtype is {train.dtype}"
            raise UserError(f"train.{key}", problem, "give one of them")
        if is_given and config.model.uses_numpy:
            problem = "numpy computes all in train.dtype"
            raise UserError(f"train.{key}", problem, "leave it out, or give model.backend=torch")


def _made(cls: type[Any], values: Any, path: str) -> Any:
    """A dataclass of keys, parts and groups from its values."""
    if not isinstance(values, Mapping):
        shown = "null" if values is None else repr(values)
        raise UserError(path, f"{shown} is not a group of keys", "see triplicate help all")
    hints, keys = _hints(cls), keys_of(cls)  # type: ignore[arg-type]
    prefix = f"{path}." if path else ""
    _check_names(cls, values, prefix)
    made = {}
    for name in (field.name for field in dataclasses.fields(cls)):
        if name in keys:
            made[name] = value(hints[name], values[name], prefix + name, keys[name])
        elif cls is RunConfig and name in several():
            made[name] = _each_made(several()[name], values[name], prefix + name)
        else:
            made[name] = _made(_chosen(hints[name], values[name], prefix + name), values[name], prefix + name)
    try:
        return cls(**made)
    except ValueError as error:  # what a part from outside says of keys that do not go together
        raise UserError(path, " ".join(str(error).split()), "see triplicate help all") from error


def _each_made(kind: type[Part], values: Any, path: str) -> Mapping[str, Part]:
    """Any number of parts of a kind, by name."""
    if not isinstance(values, Mapping):
        raise UserError(path, f"{values!r} is no choice", f"choose as in {path}=[…]; see triplicate help {path}")
    for name, own in values.items():
        if not isinstance(own, Mapping):
            remedy = f"a file of this group begins with: # @package {path}.NAME"
            raise UserError(f"{path}.{name}", "it stands in no choice of this name", remedy)
    return {
        str(name): _made(_chosen(kind, own, f"{path}.{name}"), own, f"{path}.{name}") for name, own in values.items()
    }


@functools.cache
def _hints(cls: type[Any]) -> Mapping[str, Any]:
    """The types of a dataclass's fields. To read them takes longer than to check a whole run by them."""
    return typing.get_type_hints(cls)


def _chosen(cls: type[Any], values: Any, path: str) -> type[Any]:
    """The class of the part that values name; a group that is no kind of part as it is."""
    if not issubclass(cls, Part) or not isinstance(values, Mapping):
        return cls
    if "_target_" in values:
        raise import_path_refused(f"{path}._target_")
    if "name" not in values:
        raise UserError(f"{path}.name", "it is missing", f"choose one, such as {path}=…; see triplicate help {path}")
    return find(cls.kind, str(values["name"]), f"{path}.name")


def import_path_refused(path: str) -> UserError:
    """The error for `_target_`: a configuration names what it wants, it never names code to call."""
    return UserError(path, "import paths are refused", "choose a name of the group, such as optimizer=sgd")
