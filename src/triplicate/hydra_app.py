"""One command as Hydra sees it: its words are composed to jobs, and these are handed to a launcher."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import hydra
from hydra._internal import logging_config
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, env_override
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from triplicate import composition, flags, overrides, presets
from triplicate.errors import JobLost, UserError
from triplicate.hydra_errors import hydra_errors
from triplicate.jobs.words import in_short
from triplicate.parts import outside
from triplicate.streams import steady


@dataclass
class HydraApp:
    """A command that Hydra composes. The parts from outside that it names are loaded already.

    Attributes:
        asked: its flags, as `flags.read` gives them.
        given: its overrides, checked by `overrides.check`.
        folder: of the sweep, when it has run, even if runs have failed; None: it was not composed, or only shown.
    """

    asked: argparse.Namespace
    given: Sequence[Override]
    folder: Path | None = field(init=False, default=None)

    def run(self) -> None:
        """Let Hydra compose the jobs and hand them to its launcher, ours unless told otherwise.

        Raises:
            UserError: a mistake, before anything is written.
            RunFailed, RunsFailed: some runs failed; the others are there.
            Interrupted: what was in training is saved.
        """
        asked = self.asked
        beside = flags.beside(asked)
        mode = _mode(asked, self.given)
        # Read when torch is loaded. Threads that spin while they wait lose much time beside another busy process, and
        # gain nothing on a quiet machine.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        brought = outside.Brought.of_this_process()
        composed: list[DictConfig] = []
        is_alone, ended = mode is RunMode.RUN, list[Exception]()

        def task(config: DictConfig) -> object:
            """One job, for launchers that run job by job, perhaps in processes that have loaded nothing yet."""
            from triplicate.sweeps.launcher import run_single

            brought.load()
            try:
                with steady():
                    return run_single(config)
            except Exception as error:
                if not is_alone:
                    raise
                ended.append(error)  # Hydra would print it in words of its own
                return ""

        app = hydra.main(version_base="1.3", config_path=str(presets.CONF), config_name="config")(task)
        loading = (
            composition.shown(asked.cfg, asked.package) if flags.shows(asked) else composition.trained(mode, composed)
        )
        # A run by itself must be said in an override, which is stronger than conf/config.yaml.
        argv = [*flags.words(asked), *(["hydra.mode=RUN"] if asked.run else [])]
        with (
            outside.composed(),
            hydra_errors(beside),
            system_errors(),
            _launcher_errors(),
            _command_line(argv),
            loading,
        ):
            try:
                app()
            except SystemExit as end:  # so Hydra's help ends
                if end.code:
                    raise
            finally:
                with suppress(OmegaConfBaseException):  # what cannot be resolved is told by what was raised
                    self.folder = Path(str(composed[-1].output_dir)).absolute() if composed else None
            for error in ended:
                raise error


# What Hydra keeps of the one application that it thinks there is in a process.
_OF_AN_APPLICATION: tuple[type, ...] = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)


@contextmanager
def apart() -> Iterator[None]:
    """Inside, Hydra begins anew and leaves logging alone; one that was running before is afterwards as it was."""
    instances, resolvers = Singleton._instances, dict(BaseContainer._resolvers)
    before = {cls: instances.pop(cls) for cls in _OF_AN_APPLICATION if cls in instances}
    configure = logging_config.configure_logging
    logging_config.configure_logging = lambda config: None
    try:
        yield
    finally:
        logging_config.configure_logging = configure
        for cls in _OF_AN_APPLICATION:
            instances.pop(cls, None)
        instances.update(before)
        BaseContainer._resolvers = resolvers


def _mode(asked: argparse.Namespace, given: Sequence[Override]) -> RunMode:
    """Whether a sweep is asked for or a run by itself."""
    said = overrides.mode(given)
    if said is not None and (asked.run or asked.multirun):
        raise UserError("hydra.mode", "--run and --multirun set it too", "give one of them")
    return RunMode.RUN if asked.run or said == "RUN" else RunMode.MULTIRUN


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Inside, Hydra sees these arguments, and raises what it would otherwise print."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        with env_override({"HYDRA_FULL_ERROR": "1"}):
            yield
    finally:
        sys.argv = before


@contextmanager
def system_errors() -> Iterator[None]:
    """Inside, a file or folder that the system refuses becomes a UserError."""
    try:
        yield
    except OSError as error:
        # A full disk is told of without a name.
        subject = error.filename or ("output_dir" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None)
        if subject is None or isinstance(error, MissingConfigException):
            raise
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            in_short(str(subject), 300), reason, "give a folder that can be written, with output_dir=…"
        ) from error


# What launchers that need not be installed raise when a process ends without a result, or cannot begin.
_LOST = ("BrokenProcessPool", "TerminatedWorkerError", "FailedJobError", "UncompletedJobError", "FailedSubmissionError")


@contextmanager
def _launcher_errors() -> Iterator[None]:
    """Inside, a job that another launcher has lost becomes a RunFailed."""
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ not in _LOST:
            raise
        raise JobLost(_in_short(str(error))) from error


def _in_short(text: str) -> str:
    """Of a message with a traceback between dashes the last line of that, of another what comes before dashes."""
    before, *others = re.split("^-{20,}$", text, flags=re.MULTILINE)
    said = others[0].strip().splitlines()[-1:] if "with trace:" in before else before.split()
    return " ".join(said)
