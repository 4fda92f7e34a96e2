"""The name of a run's folder: what tells it from the other runs of its sweep."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from triplicate.jobs.axes import is_shared

_LONGEST = 100
_LONGEST_SEED = 30
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]")
_PLAIN = re.compile(r"[A-Za-z0-9._+-]*")


def folder_names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """A name for each job, such as 'optimizer.lr=0.1,seed=0': the axes, in the order of the table, then the seed.

    A name is one safe component of a path. Where letters had to be replaced, or cut off, eight digits of a hash of the
    true name stand at its end, so that different jobs have different names.

    Args:
        jobs: the overrides of each, such as ['model=mlp', 'seed=0'].
    """
    settings = [dict(_parts(override) for override in job) for job in jobs]
    axes = _axes(settings)
    return [_name(setting, axes) for setting in settings]


def _parts(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def _axes(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys in which the jobs differ, in their order; the seed apart."""
    keys = dict.fromkeys(key for setting in settings for key in setting)
    differing = [key for key in keys if len({setting.get(key) for setting in settings}) > 1]
    return [key for key in differing if key != "seed" and not is_shared(key)]


def _name(setting: Mapping[str, str], axes: Sequence[str]) -> str:
    pairs = [(key, setting[key]) for key in [*axes, "seed"] if key in setting]
    true = ",".join(f"{key}={value}" for key, value in pairs) or "run"
    if all(_PLAIN.fullmatch(part) for pair in pairs for part in pair) and len(true) <= _LONGEST and true[0] != ".":
        return true
    end = _safe(f"seed={setting['seed']}")[:_LONGEST_SEED] if "seed" in setting else ""
    front = ",".join(f"{key}={value}" for key, value in pairs if key != "seed")
    mark = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:8]
    return ",".join(filter(None, (_safe(front)[: _LONGEST - len(end) - 1], end, mark)))


def _safe(text: str) -> str:
    """No name begins with a dot: such a folder is hidden, or another one."""
    return re.sub(r"^\.", "-", _UNSAFE.sub("-", text))
