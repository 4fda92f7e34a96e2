"""A configuration as plain values, and what makes two runs the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from triplicate.config.schema import RunConfig

# What a run is called, where its files are and how it is shown do not change its numbers.
_WITHOUT_EFFECT = ("task", "name", "data_dir", "output_dir", "executor", "report")


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
