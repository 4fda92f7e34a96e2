"""A configuration as plain values, and what makes two runs the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from triplicate.config.check import groups
from triplicate.config.schema import RunConfig
from triplicate.measures.shared.names import evaluated
from triplicate.parts import Origin, Part, find
from triplicate.parts.keys import former

# Of the training: raise it with a change that gives other numbers, and older runs are no longer taken for the same.
BEHAVIOUR = 2

# What a run is called, where its files are and how it is shown do not change its numbers.
_WITHOUT_EFFECT = (
    *("task", "name", "data_dir", "output_dir", "resume", "rerun", "on_error"),
    *("objective", "executor", "report", "tracker"),
)


@dataclass(frozen=True)
class Identity:
    """Hashes (SHA-256, 16 hex digits) of all that bears on a result.

    Attributes:
        fingerprint: equal for equal runs.
        setting: the same without the seed: equal for the runs of one row of a table.
        lineage: the fingerprint without the number of epochs: a longer run of the same may go on from this one.
    """

    fingerprint: str
    setting: str
    lineage: str


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def as_plain(config: Any) -> dict[str, Any]:
    """A configuration as nested dicts, lists, numbers and strings, ready for YAML or JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(_plain(config), default=str))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    name: dict[str, Any] = {"name": value.name} if isinstance(value, Part) else {}
    return name | {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def setting(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What the runs of one table row share: all of a plain configuration that bears on the result, but the seed."""
    return {k: v for k, v in plain.items() if k not in _WITHOUT_EFFECT and k != "seed"}


def origins(config: RunConfig) -> dict[str, Origin]:
    """Where the parts from outside came from that bear on the result: 'model mixer' → its origin."""
    parts = [getattr(config, group) for group in groups()]
    used: list[type[Part]] = [type(part) for part in parts if isinstance(part, Part)]
    used += [find("activation", name) for name in config.model.activations()]
    used += [type(measure) for measure in evaluated(config.measured).values()]
    return {f"{cls.kind} {cls.name}": cls.origin for cls in used if cls.origin is not None}


def identity(config: RunConfig, data: str, device: str) -> Identity:
    """
    Args:
        data: a hash of what the data set holds.
        device: the type of the device, cpu or cuda.
    """
    bearing = _bearing(config) | {"data": data, "device": device, "behaviour": BEHAVIOUR}
    train = {key: value for key, value in bearing["train"].items() if key != "epochs"}
    return Identity(
        fingerprint=_hash([config.seed, bearing]),
        setting=_hash(bearing),
        lineage=_hash([config.seed, bearing | {"train": train}]),
    )


def _bearing(config: RunConfig) -> dict[str, Any]:
    """What bears on the result: of each part its name and its keys, but for those that have no effect here."""
    values = setting(as_plain(config))
    for name in groups():
        part = getattr(config, name)
        if isinstance(part, Part):
            values[name] = {"name": part.name} | _plain_values(_set(type(part), part.identity()))
    if not config.model.uses_activation(config.activation.name):
        del values["activation"]
    outside = {what: [origin.source, origin.version] for what, origin in origins(config).items()}
    return _set(RunConfig, values) | {"parts_from_outside": outside}


def _set(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys and groups that came later and stand at what runs had before: such runs are still the same."""
    before = former(cls)
    return {name: value for name, value in values.items() if name not in before or before[name] != value}


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint_of(plain: Mapping[str, Any]) -> str:
    """A fingerprint of a run of an older layout, from its configuration as plain values: of no new run's kind."""
    return _hash([plain["seed"], setting(plain)])


def setting_of(plain: Mapping[str, Any]) -> str:
    """The same for a row of such runs."""
    return _hash(setting(plain))
