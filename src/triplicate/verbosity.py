"""How much a command says on standard error, beside its answer and its mistakes.

The flags -q, -v and --no-progress stand in the environment while a command runs: so they reach every process that
trains for it, by whatever launcher it was started, and are in no configuration of a run.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_VERBOSITY, _PROGRESS = "TRIPLICATE_VERBOSITY", "TRIPLICATE_PROGRESS"
_LOGGERS = ("hydra", "hydra_plugins")


def variables(quiet: bool, verbose: bool, no_progress: bool) -> Mapping[str, str]:
    """The environment that these flags ask for."""
    said = {_VERBOSITY: "quiet"} if quiet else {_VERBOSITY: "verbose"} if verbose else {}
    return {**said, _PROGRESS: "none"} if no_progress or quiet else said


def shows_progress() -> bool:
    """Whether a sweep says how far it is."""
    return os.environ.get(_PROGRESS) != "none"


def note(text: str) -> None:
    """Say something on standard error that nobody has asked for, in a line."""
    if os.environ.get(_VERBOSITY) != "quiet":
        print(text, file=sys.stderr)


def detail(text: str) -> None:
    """Say something that only a person who looks for a cause wants to know."""
    if os.environ.get(_VERBOSITY) == "verbose":
        print(text, file=sys.stderr, flush=True)


@contextmanager
def quiet_hydra() -> Iterator[None]:
    """Inside, Hydra and its launchers say nothing but warnings, if so little is asked for."""
    if os.environ.get(_VERBOSITY) != "quiet":
        yield
        return
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
