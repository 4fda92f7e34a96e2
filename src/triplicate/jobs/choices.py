"""What an override names: choices of a group, and never code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString

from triplicate.config import import_path_refused
from triplicate.errors import UserError, unknown_name
from triplicate.jobs.words import value
from triplicate.parts import kinds

# Groups that may be chosen as null: no choice at all.
_OPTIONAL = ("experiment",)
# They are compared with what is installed, once all is composed.
_PLUGINS = ("hydra.launcher._target_", "hydra.sweeper._target_")


def check_choice(override: Override, names: Sequence[str]) -> None:
    """Refuse what is no name of a group, alone or among the values of a sweep.

    Args:
        names: the choices of the group.

    Raises:
        UserError: it is a number, a list, …, or there is no such choice.
    """
    group, given = override.key_or_group, override._value
    if isinstance(given, Glob):
        return
    if group in kinds() and kinds()[group].several and isinstance(given, list):
        _check_several(group, given)
    else:
        given = given.list if isinstance(given, ChoiceSweep) else [given]
    for each in given:
        name = each.text if isinstance(each, QuotedString) else each
        if name is None and group in _OPTIONAL:
            continue
        if not isinstance(name, str) or not name or "${" in name:
            raise UserError(group, f"{value(override)} is no name", f"choose one of {', '.join(names)}")
        if name not in names:
            raise unknown_name(group, name, names)


def _check_several(group: str, given: Sequence[Any]) -> None:
    names = [str(each) for each in given]
    for name in names:
        if names.count(name) > 1:
            raise UserError(group, f"{name} is given twice", "give each name once")


def refuse_code(override: Override) -> None:
    """Refuse import paths, in the key or anywhere in the value.

    Raises:
        UserError: there is one.
    """
    key = override.key_or_group
    names = [*key.split("."), *_inner_keys(override._value)]
    if key not in _PLUGINS and any("_target_" in name.split(".") for name in names):
        raise import_path_refused(key)


def _inner_keys(given: Any) -> Iterator[str]:
    """The keys of mappings in a value, and in each value of a sweep."""
    if isinstance(given, ChoiceSweep):
        given = given.list
    if isinstance(given, Mapping):
        for key, inner in given.items():
            yield str(key)
            yield from _inner_keys(inner)
    elif isinstance(given, list):
        for inner in given:
            yield from _inner_keys(inner)
