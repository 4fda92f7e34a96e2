"""A configuration as plain values, and what makes two runs the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from triplicate.config.check import groups
from triplicate.config.schema import RunConfig
from triplicate.measures.shared.names import evaluated
from triplicate.parts import Origin, Part, find

# What a run is called, where its files are and how it is shown do not change its numbers.
_WITHOUT_EFFECT = ("task", "name", "data_dir", "output_dir", "resume", "rerun", "on_error", "executor", "report")


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
    used += [type(measure) for measure in evaluated(config.report.measured).values()]
    return {f"{cls.kind} {cls.name}": cls.origin for cls in used if cls.origin is not None}


def fingerprint(config: RunConfig) -> str:
    """A hash (SHA-256, 16 hex digits) of all that bears on the result: equal for equal runs.

    Parts from outside count with their source and version.
    """
    outside = {what: [origin.source, origin.version] for what, origin in origins(config).items()}
    return fingerprint_of(as_plain(config), outside)


def fingerprint_of(plain: Mapping[str, Any], outside: Mapping[str, Any]) -> str:
    """The same from a configuration as plain values."""
    content = [plain["seed"], setting(plain), *([outside] if outside else [])]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
