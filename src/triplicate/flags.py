"""Hydra's flags, read by us: a mistake becomes a UserError, and Hydra is handed only what has an effect."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from triplicate.errors import UserError

_SEE = "see triplicate --hydra-help for Hydra's flags"
# Each asks for something else.
_TASKS = {"--run": "run", "--multirun": "multirun", "--cfg": "cfg", "--info": "info", "--hydra-help": "hydra_help"}
_TASKS |= {"--shell-completion": "shell_completion"}


def split(arguments: Sequence[str], commands: Collection[str]) -> tuple[str | None, list[str]]:
    """The command on a command line, if there is one, and all other words.

    It is the first word that is neither a flag nor the value of one.
    """
    place = _first_word(arguments)
    if place is None or arguments[place] not in commands:
        return None, list(arguments)
    return arguments[place], [*arguments[:place], *arguments[place + 1 :]]


def _first_word(arguments: Sequence[str]) -> int | None:
    known, place = _known(), 0
    while place < len(arguments):
        if not arguments[place].startswith("-"):
            return place
        place += 1 + _takes(known.get(arguments[place]), arguments[place + 1 : place + 2])
    return None


def _takes(flag: argparse.Action | None, following: Sequence[str]) -> bool:
    """Whether a flag takes the word that follows it as its value."""
    if flag is not None and flag.nargs == "?":
        return flag.choices is not None and any(word in flag.choices for word in following)
    return flag is not None and flag.nargs is None


def values_of(words: Sequence[str]) -> list[str] | None:
    """What may follow a flag that ends a line: its words, or any file. None where no value is missing."""
    if not words:
        return None
    if words[-1] == "--parts":
        return []
    flag = _known().get(words[-1])
    if flag is None or flag.nargs == 0:
        return None
    return [str(choice) for choice in flag.choices or ()]


def names() -> list[str]:
    """All flags, as they are written."""
    return sorted(_known())


def _known() -> Mapping[str, argparse.Action]:
    return _parser()._option_string_actions


def _parser() -> argparse.ArgumentParser:
    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.add_argument("--quiet", "-q", action="store_true")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("--no-progress", action="store_true")
    parser.add_argument("--all", action="count", default=0)
    parser.error = _refuse  # type: ignore[method-assign]
    return parser


def beside(flags: argparse.Namespace) -> Path | None:
    """A folder with more presets."""
    return Path(flags.config_dir) if flags.config_dir else None


def read_leniently(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of a line that is not finished, or has a mistake: what cannot be read is left out."""
    try:
        return _parser().parse_known_intermixed_args(list(arguments))[0]
    except UserError:
        return _parser().parse_known_intermixed_args([word for word in arguments if not word.startswith("-")])[0]


def shows(flags: argparse.Namespace) -> bool:
    """Whether something is to be shown, and nothing done."""
    return bool(flags.cfg or flags.info or flags.shell_completion or flags.hydra_help)


def with_overrides(flags: argparse.Namespace, overrides: Sequence[str]) -> argparse.Namespace:
    """The same flags with other overrides."""
    return argparse.Namespace(**{**vars(flags), "overrides": list(overrides)})


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of a command line, and its overrides, wherever they stand.

    Raises:
        UserError: there is no such flag, its value is missing or wrong, or it has no effect here.
    """
    flags, unknown = _parser().parse_known_intermixed_args(list(arguments))
    if unknown:
        raise UserError(unknown[0], "there is no such flag", _SEE)
    _check(flags)
    return flags


def words(flags: argparse.Namespace) -> list[str]:
    """The same command line, flags first, as Hydra reads it; --run and --multirun apart."""
    given = [
        name for name, task in _TASKS.items() if task in ("hydra_help", "shell_completion") and getattr(flags, task)
    ]
    for name, value in (("--cfg", flags.cfg), ("--package", flags.package), ("--config-dir", flags.config_dir)):
        given += [f"{name}={value}"] if value is not None else []
    given += [f"--info={flags.info}"] if flags.info is not None else []
    given += ["--resolve"] if flags.resolve else []
    return [*given, *flags.overrides]


def check_command(flags: argparse.Namespace, command: str) -> None:
    """Refuse flags that have no effect with a command.

    Raises:
        UserError: there is one.
    """
    if command != "reproduce":
        refuse_all(flags)
    shown = ("--cfg", "--run") if command == "reproduce" else ()
    for name in ("--info", "--hydra-help", "--shell-completion", *shown):
        if getattr(flags, _TASKS[name]) not in (None, False):
            raise UserError(name, f"it has no effect with {command}", "leave it out")


def refuse_all(flags: argparse.Namespace) -> None:
    """Raises: UserError: --all is given, where it has no effect."""
    if flags.all:
        raise UserError("--all", "it has an effect with reproduce alone", "write triplicate reproduce --all")


def _refuse(message: str) -> NoReturn:
    """What argparse would print with its usage, and end with."""
    match = re.match(r"argument ([^:/ ]+)[^:]*: (.*)", message, re.DOTALL)
    subject, problem = match.groups() if match else ("command line", message)
    raise UserError(subject, problem.replace("\n", " "), _SEE)


def _check(flags: argparse.Namespace) -> None:
    tasks = [name for name, task in _TASKS.items() if getattr(flags, task) not in (None, False)]
    if len(tasks) > 1:
        raise UserError(tasks[1], f"it cannot be combined with {tasks[0]}", "give one of them")
    if flags.experimental_rerun is not None:
        problem = "a pickle may hold any code, so none is loaded"
        raise UserError("--experimental-rerun", problem, "give the overrides of .hydra/overrides.yaml again")
    for name, value in (("--config-path", flags.config_path), ("--config-name", flags.config_name)):
        if value is not None:
            remedy = "add a folder with your own presets by --config-dir DIR"
            raise UserError(name, "triplicate has a configuration of its own", remedy)
    if flags.all > 1:
        raise UserError("--all", "it is given twice", "give it once")
    if flags.quiet and flags.verbose:
        raise UserError("--verbose", "it cannot be combined with --quiet", "give one of them")
    for name, value in (("--quiet", flags.quiet), ("--verbose", flags.verbose), ("--no-progress", flags.no_progress)):
        if value and shows(flags):
            raise UserError(name, "it has an effect only on sweeps", "leave it out")
    for name, value in (("--package", flags.package), ("--resolve", flags.resolve)):
        if value and flags.cfg is None:
            raise UserError(name, "it has an effect only with --cfg", f"write --cfg job {name} …, or leave it out")
    if flags.resolve and flags.cfg != "job":
        problem = "Hydra's own part is resolved in a job alone"
        raise UserError("--resolve", problem, "write --cfg job --resolve, or leave --resolve out")
    if flags.hydra_help and flags.overrides:
        raise UserError("--hydra-help", "it takes no overrides", "give it alone")
    _check_folder(flags.config_dir)
    _check_completion(flags)


def _check_folder(folder: str | None) -> None:
    if folder is None:
        return
    try:
        found = folder != "" and Path(folder).is_dir()
    except (OSError, ValueError):
        found = False
    if not found:
        raise UserError("--config-dir", f"there is no folder {folder!r}", "name a folder with your own presets")


def _check_completion(flags: argparse.Namespace) -> None:
    if not flags.shell_completion:
        return
    asked = [word.partition("=")[0] for word in flags.overrides]
    if len(asked) != 1 or asked[0] not in ("install", "uninstall", "query"):
        remedy = 'write eval "$(triplicate -sc install=bash)"'
        raise UserError("--shell-completion", "it wants one of install=…, uninstall=…, query=…", remedy)
    if asked[0] == "query" and "COMP_LINE" not in os.environ:
        raise UserError("--shell-completion", "query= is what the shell asks", "write install= or uninstall=")
    shell = flags.overrides[0].partition("=")[2]
    if shell not in ("bash", "fish", "zsh"):
        raise UserError("--shell-completion", f"there is no shell {shell!r}", "choose one of bash, fish, zsh")
