"""The overrides of a command line, checked before Hydra composes anything from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Glob, Override

from triplicate import presets
from triplicate.config import known_keys
from triplicate.errors import UserError, unknown_name
from triplicate.jobs import words
from triplicate.jobs.axes import check_axis
from triplicate.jobs.choices import check_choice, refuse_code

# What of Hydra's own configuration a command may change, below `hydra.`.
_OF_HYDRA = ("mode", "launcher", "sweeper", "job_logging", "hydra_logging", "verbose", "output_subdir")
_OF_ITS_JOB = ("job.chdir", "job.env_set", "job.env_copy")
_GROUPS_OF_HYDRA = ("/launcher", "/sweeper", "/job_logging", "/hydra_logging")
# Groups that plug-ins have for themselves, such as hydra/sweeper/sampler.
_OF_PLUGINS = ("/launcher/", "/sweeper/")
Choices = Callable[[str], list[str]]


def check(arguments: Sequence[str], commands: Iterable[str], beside: Path | None = None) -> list[Override]:
    """Refuse what Hydra would take but we do not, and what it would refuse in words of its own.

    Args:
        commands: the sub-commands, one of which a bare word may be meant to be.
        beside: a folder with more presets, as --config-dir names it.

    Raises:
        UserError: an override that cannot be read, has no effect, or is not one of a run.
    """
    overrides = []
    for word in arguments:
        words.check_text(word)
        if "=" not in word and not word.startswith("~"):
            raise _bare(word, commands)
        overrides.append(words.read(word))
    for override in overrides:
        _check(override, partial(presets.choices, beside=beside))
    _check_twice(overrides)
    return overrides


def _bare(word: str, commands: Iterable[str]) -> UserError:
    if word in commands:
        return UserError(word, "a command comes first, and once", f"write triplicate {word} …")
    return UserError(
        words.subject(word), "it is neither a command nor key=value", unknown_name(word, word, commands).remedy
    )


def mode(overrides: Sequence[Override]) -> Any:
    """What hydra.mode is given as; None if it is not."""
    return next((override.value() for override in overrides if override.key_or_group == "hydra.mode"), None)


def _check(override: Override, choices: Choices) -> None:
    key = override.key_or_group
    refuse_code(override)
    if override.is_delete():
        _check_deletion(override)
    if override.package is not None:
        raise UserError(key, f"@{override.package} would put it where no run reads it", f"write {key}=…")
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        _check_hydra(key, override)
    is_group = key in presets.groups()
    names = choices(key) if is_group else []
    if is_group:
        check_choice(override, names)
    if key == "experiment" and override.is_sweep_override():
        names_of(override, names)
    else:
        # Hydra compares a pattern with the names that stand in no folder.
        check_axis(override, [name for name in names if "/" not in name])
    _check_addition(override, is_group)


def names_of(override: Override, names: Sequence[str]) -> list[str]:
    """The presets that an override of several names, each a sweep of its own; a pattern is compared with all names.

    Raises:
        UserError: there are none.
    """
    given = override.value()
    found = given.filter(list(names)) if isinstance(given, Glob) else list(override.sweep_string_iterator())
    if not found:
        raise UserError(override.key_or_group, f"{words.value(override)} finds no name", "see triplicate --help")
    return found


def _check_deletion(override: Override) -> None:
    if not override.key_or_group.startswith(("hydra.sweeper.params", "hydra.sweeper.rows")):
        raise UserError(override.key_or_group, "a key cannot be taken away", "give it another value")


def _check_addition(override: Override, is_group: bool) -> None:
    """A + is for what is not there; every group is, and so are the keys that all runs have."""
    key = override.key_or_group
    known = known_keys().get(key, [])
    is_entry = isinstance(override.value(), Mapping | list)
    if (is_group and (override.is_add() or override.is_force_add())) or (
        override.is_add() and not is_entry and any(not each.parts for each in known)
    ):
        raise UserError(key, "it is there already", f"write {words.in_short(str(override.input_line).lstrip('+'))}")


def _check_hydra(key: str, override: Override) -> None:
    """Hydra's own keys and groups: those that a command may change."""
    inner, value = key.removeprefix("hydra").lstrip("."), override.value()
    if inner.startswith(("sweep.", "run.")) or inner in ("sweep", "run"):
        raise UserError(key, "the folders of runs follow from output_dir", "give output_dir=DIR")
    if inner == "job.name":
        raise UserError(key, "a sweep is called by its key name", "give name=NAME")
    if inner.lstrip("/").partition(".")[0] == "callbacks":
        raise UserError(key, "a configuration names no code to call", "leave it out")
    if inner == "searchpath":
        raise UserError(key, "it is fixed before anything is composed", "give --config-dir DIR")
    is_group = inner in _GROUPS_OF_HYDRA or inner.startswith(_OF_PLUGINS)
    if inner.partition(".")[0] not in _OF_HYDRA and not inner.startswith(_OF_ITS_JOB) and not is_group:
        raise UserError(key, "a command cannot change it", "leave it out; see triplicate --hydra-help")
    if override.is_sweep_override():
        raise UserError(key, "Hydra's own keys cannot be swept over", "give one value, in quotes if it has commas")
    if is_group and (not isinstance(value, str) or not value):
        raise UserError(key, f"{words.value(override)} is no name", "give one, as triplicate --hydra-help lists them")
    if inner == "mode" and value not in ("RUN", "MULTIRUN"):
        raise UserError(key, f"{words.value(override)} is no mode", "choose one of RUN, MULTIRUN")
    if inner == "verbose" and not isinstance(value, bool | str | list):
        raise UserError(key, f"{words.value(override)} names no logger", "give true, false, or a list of loggers")


def _check_twice(overrides: Sequence[Override]) -> None:
    seen = set()
    for override in overrides:
        key = (override.key_or_group, override.package)
        if key in seen:
            raise UserError(override.key_or_group, "it is given twice", "give it once")
        seen.add(key)
