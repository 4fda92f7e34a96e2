"""The command line: sub-commands, Hydra, and what a mistake looks like from outside.

Exit codes: 0 done, 1 a run failed, 2 a mistake that the user can mend, 128 and its number
after a signal.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig

import triplicate
from triplicate import commands, composition, flags, overrides, presets, verbosity
from triplicate.commands import COMMANDS
from triplicate.errors import JobLost, RunFailed, RunsFailed, UserError
from triplicate.hydra_errors import hydra_errors
from triplicate.jobs.words import check_text, in_short
from triplicate.manual.front import front
from triplicate.manual.sweeping import PAGES
from triplicate.parts import outside
from triplicate.streams import steady
from triplicate.sweeps.interruption import Interrupted, raised


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with steady() as streams:
        code = _answered(arguments)
        if reason := streams.lost():
            return _complain(f"standard output: {reason}; what was printed is lost, the files are written", code or 1)
        return code


def _answered(arguments: Sequence[str]) -> int:
    try:
        with raised():
            for argument in arguments:
                check_text(argument)
            return _with_parts(arguments)
    except UserError as error:
        return _complain(_on_one_line(str(error)), 2)
    except RunFailed as error:
        return _complain(_on_one_line(str(error)), 1)
    except RunsFailed as error:
        return max(_complain(_on_one_line(str(failure)), 1) for failure in error.failures)
    except Interrupted as interrupted:
        return interrupted.exit_code
    except KeyboardInterrupt:
        return 130


def _with_parts(arguments: Sequence[str]) -> int:
    """Run the command with the parts of installed packages and of the files that `--parts` names."""
    files, others = _named_parts(arguments)
    # The shell asks for completions of this line with flags of its own.
    completed, rest = _named_parts(os.environ.get("COMP_LINE", "").split())
    ends_word = os.environ.get("COMP_LINE", "").endswith(" ")
    line = {"COMP_LINE": " ".join(rest) + " " * ends_word} if completed else {}
    with env_override(line), outside.loaded([*files, *completed]):
        return _dispatch(others)


class _PartsParser(argparse.ArgumentParser):
    """Tells of a mistake as every command here does."""

    def error(self, message: str) -> NoReturn:
        raise UserError("--parts", "no file is named", "write --parts FILE")


def _named_parts(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files that `--parts` names, wherever it stands, and the other arguments."""
    parser = _PartsParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--parts", action="append", default=[], type=Path)
    known, others = parser.parse_known_args(list(arguments))
    return [_at_home(file) for file in known.parts], others


def _at_home(file: Path) -> Path:
    try:
        home = file.expanduser()
        home.exists()  # a name may be too long for a file
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower().rstrip(".")
        raise UserError("--parts", f"{in_short(str(file))}: {reason}", "name a Python file") from error
    return home


def _dispatch(arguments: Sequence[str]) -> int:
    if "--version" in arguments:
        print(f"triplicate {triplicate.__version__}")
        return 0
    name, words = flags.split(arguments, COMMANDS)
    if name is not None and not COMMANDS[name].sweeps:
        with _system_errors():
            return commands.run(name, words, flags.names())
    if "--help" in words or "-h" in words:
        print(front(flags.beside(flags.read(words))) if name is None else PAGES[name])
        return 0
    asked = flags.read(words)
    if name is not None:
        flags.check_command(asked, name)
    with env_override(dict(verbosity.variables(asked.quiet, asked.verbose, asked.no_progress))):
        return _sweep(asked) if name is None else _SWEEPING[name](asked)


def _plan(asked: argparse.Namespace) -> int:
    """triplicate plan …"""
    return _sweep(asked, "task=plan")


def _samples(asked: argparse.Namespace) -> int:
    """triplicate samples dataset=…"""
    return _sweep(flags.with_overrides(asked, ["task=samples", *asked.overrides]))


def _reproduce(asked: argparse.Namespace) -> int:
    """triplicate reproduce STUDY… [overrides]"""
    beside = flags.beside(asked)
    overrides.check([word for word in asked.overrides if "=" in word], COMMANDS, beside)
    from triplicate.reproduce import reproduce

    with _system_errors():
        return reproduce(asked.overrides, lambda words: _sweep(flags.with_overrides(asked, words)), beside)


_SWEEPING: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "plan": _plan,
    "reproduce": _reproduce,
    "samples": _samples,
}


def _sweep(asked: argparse.Namespace, *before: str) -> int:
    """Let Hydra compose the jobs and hand them to its launcher, ours unless told otherwise.

    Args:
        before: overrides that the command means.
    """
    if asked.shell_completion and (answer := _completion(asked.overrides[0])) is not None:
        print(answer)
        return 0
    is_shown = flags.shows(asked)
    default = [] if asked.overrides or is_shown else ["experiment=quickstart"]
    asked = flags.with_overrides(asked, [*before, *asked.overrides, *default])
    beside = flags.beside(asked)
    given = [] if asked.shell_completion else overrides.check(asked.overrides, COMMANDS, beside)
    mode = _mode(asked, given)
    # Read when torch is loaded. Threads that spin while they wait lose much time beside another busy process, and gain
    # nothing on a quiet machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    brought = outside.Brought.of_this_process()
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
    checked = composition.shown(asked.cfg, asked.package) if is_shown else composition.trained(mode)
    # A run by itself must be said in an override, which is stronger than conf/config.yaml.
    argv = [*flags.words(asked), *(["hydra.mode=RUN"] if asked.run else [])]
    verbosity.detail(f"configuration: {', '.join(map(str, presets.folders(beside)))}")
    with (
        outside.composed(),
        hydra_errors(beside),
        _system_errors(),
        _launcher_errors(),
        _command_line(argv),
        checked,
        verbosity.quiet_hydra(),
    ):
        try:
            app()
        except SystemExit as end:  # so Hydra's help ends
            return int(end.code or 0)
        for error in ended:
            raise error
    return 0


def _completion(asked: str) -> str | None:
    """What a shell is answered; None where Hydra knows it."""
    from triplicate import completion

    if asked.startswith("query="):
        line = os.environ["COMP_LINE"]
        return "\n".join(completion.completions(line))
    if not asked.endswith("=bash"):
        return None
    return completion.installed_in_bash() if asked.startswith("install=") else completion.removed_from_bash()


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
def _system_errors() -> Iterator[None]:
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


def _on_one_line(text: str) -> str:
    """The same text with letters that would break the line, or that no terminal shows, written as codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _complain(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code
