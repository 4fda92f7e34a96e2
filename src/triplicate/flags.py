"""Hydra's flags, read by us: a mistake becomes a UserError, and Hydra is handed only what has an effect."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from triplicate.errors import UserError

_SEE = "see triplicate --hydra-help for Hydra's flags"
# Each asks for something else.
_TASKS = {"--run": "run", "--multirun": "multirun", "--cfg": "cfg", "--info": "info", "--hydra-help": "hydra_help"}
_TASKS |= {"--shell-completion": "shell_completion"}


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of a command line, and its overrides, wherever they stand.

    Raises:
        UserError: there is no such flag, its value is missing or wrong, or it has no effect here.
    """
    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.error = _refuse  # type: ignore[method-assign]
    flags, unknown = parser.parse_known_intermixed_args(list(arguments))
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


def _refuse(message: str) -> NoReturn:
    """What argparse would print with its usage, and end with."""
    match = re.match(r"argument ([^:/ ]+)[^:]*: (.*)", message, re.DOTALL)
    subject, problem = match.groups() if match else ("command line", message)
    raise UserError(subject, problem.replace("\n", " "), _SEE)


def _check(flags: argparse.Namespace) -> None:
    tasks = [name for name, task in _TASKS.items() if getattr(flags, task) not in (None, False)]
    if len(tasks) > 1:
        raise UserError(tasks[1], f"it cannot stand beside {tasks[0]}", "give one of them")
    if flags.experimental_rerun is not None:
        problem = "a pickle may hold any code, so none is loaded"
        raise UserError("--experimental-rerun", problem, "give the overrides of .hydra/overrides.yaml again")
    for name, value in (("--config-path", flags.config_path), ("--config-name", flags.config_name)):
        if value is not None:
            remedy = "add a folder with your own presets by --config-dir DIR"
            raise UserError(name, "triplicate has a configuration of its own", remedy)
    for name, value in (("--package", flags.package), ("--resolve", flags.resolve)):
        if value and flags.cfg is None:
            raise UserError(name, "it has an effect beside --cfg alone", f"write --cfg job {name} …, or leave it out")
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
