"""What tells a run from the others of its sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.config import flatten, setting
from triplicate.records.outline import RunOutline
from triplicate.records.run_folder import Damaged, read_config


@dataclass(frozen=True)
class Difference:
    """One key, as the run has it and as the neighbour; empty where one of them has no such key."""

    key: str
    own: str
    other: str


@dataclass(frozen=True)
class Neighbour:
    """Another run of the same sweep."""

    run: RunOutline
    differences: tuple[Difference, ...]


def neighbours(run: RunOutline, others: Sequence[RunOutline]) -> list[Neighbour]:
    """The other runs of a sweep, those that differ in the fewest keys first."""
    own = _Values.of(run)
    found = [Neighbour(other, tuple(own.differences(_Values.of(other)))) for other in others if not _same(run, other)]
    return sorted(found, key=lambda neighbour: len(neighbour.differences))


def configuration(folder: Path) -> Mapping[str, Any]:
    """What a run was begun with; empty where it left none that can be read."""
    try:
        return read_config(folder)
    except Damaged:
        return {}


def _same(run: RunOutline, other: RunOutline) -> bool:
    return run.folder.absolute() == other.folder.absolute()


@dataclass(frozen=True)
class _Values:
    """What a run was begun with, or where it has not begun what it was asked for with.

    Attributes:
        typed: what its command set.
        keys: all that bears on its numbers, as configured; none where it left no configuration.
        choices: group → name, of the groups that have keys of their own.
    """

    typed: Mapping[str, str]
    keys: Mapping[str, str]
    choices: Mapping[str, str]

    @staticmethod
    def of(run: RunOutline) -> _Values:
        config = configuration(run.folder)
        bearing = {"seed": config["seed"], **setting(config)} if config else {}
        keys = {key: value if isinstance(value, str) else json.dumps(value) for key, value in flatten(bearing)}
        choices = run.wanted.choices if run.wanted is not None else {}
        groups = {group: name for group, name in choices.items() if not config or group in config}
        return _Values(run.overrides, keys, groups)

    def differences(self, other: _Values) -> list[Difference]:
        """Group by group, then the keys that differ where the choice is the same."""
        groups = [group for group in self.choices if self.choices[group] != other.choices.get(group)]
        found = [Difference(group, self.choices[group], other.choices.get(group, "")) for group in groups]
        own, others = (self.keys, other.keys) if self.keys and other.keys else (self.typed, other.typed)
        for key in dict.fromkeys([*own, *others]):
            pair = own.get(key, ""), others.get(key, "")
            if pair[0] != pair[1] and key.partition(".")[0] not in groups:
                found.append(Difference(key, *pair))
        return found
