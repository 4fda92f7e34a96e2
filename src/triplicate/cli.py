"""The command line: sub-commands, Hydra, and what a mistake looks like from outside.

Exit codes: 0 done, 1 a run failed, 2 a mistake that the user can mend, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import triplicate
from triplicate import presets
from triplicate.config import KnownKey, import_path_refused, known_keys, unknown_key
from triplicate.errors import JobLost, RunFailed, UserError, unknown_name
from triplicate.measures import Measure
from triplicate.measures.shared.names import columns
from triplicate.parts import names, outside
from triplicate.reports.figures import Figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _with_parts(arguments)
    except UserError as error:
        return _complain(str(error), 2)
    except RunFailed as error:
        return _complain(str(error), 1)
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
    return [file.expanduser() for file in known.parts], others


def _dispatch(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    if "--help" in arguments or "-h" in arguments:
        print(_help())
        return 0
    if "--version" in arguments:
        print(f"triplicate {triplicate.__version__}")
        return 0
    return _sweep(arguments or ["experiment=quickstart"])


def _report(arguments: Sequence[str]) -> int:
    """triplicate report DIR"""
    if len(arguments) != 1:
        raise UserError("report", f"{len(arguments)} folders given", "name one: triplicate report DIR")
    from triplicate.reports import report

    with _system_errors():
        print(report.write(Path(arguments[0])).text)
    return 0


def _plan(arguments: Sequence[str]) -> int:
    """triplicate plan …"""
    return _sweep(["task=plan", *(arguments or ["experiment=quickstart"])])


def _samples(arguments: Sequence[str]) -> int:
    """triplicate samples dataset=…"""
    return _sweep(["task=samples", *arguments])


def _reproduce(arguments: Sequence[str]) -> int:
    """triplicate reproduce STUDY… [overrides]"""
    from triplicate.reproduce import reproduce

    with _system_errors():
        return reproduce(arguments, _sweep)


_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "plan": _plan,
    "report": _report,
    "reproduce": _reproduce,
    "samples": _samples,
}


def _sweep(arguments: Sequence[str]) -> int:
    """Let Hydra compose the jobs and hand them to its launcher, ours unless told otherwise."""
    flags, unknown = get_args_parser().parse_known_args(list(arguments))
    if unknown:
        raise UserError(unknown[0], "there is no such flag", "see triplicate --hydra-help for Hydra's flags")
    for override in flags.overrides:
        _check_override(override)
    says_mode = flags.run or flags.multirun or any(o.startswith("hydra.mode=") for o in flags.overrides)
    other_task = flags.cfg or flags.info or flags.shell_completion or flags.hydra_help
    # Asked for by name: where the overrides do not compose, Hydra would otherwise take a sweep for
    # a single run, and complain of that instead of the mistake.
    mode = [] if says_mode or other_task else ["--multirun"]
    # Read when torch is loaded. Threads that spin while they wait lose much time beside another busy process, and gain
    # nothing on a quiet machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    brought = outside.Brought.of_this_process()

    def task(config: DictConfig) -> str:
        """One job, for launchers that run job by job, perhaps in processes that have loaded nothing yet."""
        from triplicate.sweeps.launcher import run_single

        brought.load()
        return str(run_single(config))

    app = hydra.main(version_base="1.3", config_path=str(presets.CONF), config_name="config")(task)
    argv = [*arguments, *mode]
    with outside.composed(), _hydra_errors(), _system_errors(), _launcher_errors(), _command_line(argv):
        app()
    return 0


def _check_override(override: str) -> None:
    """Refuse what Hydra would take but we do not."""
    key, _, value = override.partition("=")
    if "_target_" in override and not key.lstrip("+~").startswith("hydra."):
        raise import_path_refused(key.lstrip("+~"))
    if key == "experiment" and "," in value:
        raise UserError("experiment", "several at once", "run them one after the other")
    if "=" not in override and not override.startswith("~"):
        nearest = unknown_name(override, override, _COMMANDS).remedy
        raise UserError(override, "it is neither a command nor key=value", nearest)


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
def _hydra_errors() -> Iterator[None]:
    """Inside, what Hydra finds wrong with a command line becomes a UserError."""
    try:
        yield
    except MissingConfigException as error:
        raise _unknown_choice(error) from error
    except OverrideParseException as error:
        problem = str(error).splitlines()[1].partition(" expecting")[0]
        raise UserError(error.override, problem, "write key=value, and quote what a shell would take") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _composition_error(error) from error


def _unknown_choice(error: MissingConfigException) -> UserError:
    group, _, name = str(error.missing_cfg_file).partition("/")
    known = presets.choices(group)
    if known:
        return unknown_name(group, name, known)
    return UserError(str(error.missing_cfg_file), "there is no such config", "see triplicate --help")


def _composition_error(error: Exception) -> UserError:
    text = str(error) or str(error.__cause__)
    match = re.search("Could not override '([^']+)'", text)
    if match and isinstance(error, ConfigCompositionException):
        return unknown_key(match.group(1))
    return UserError("command line", " ".join(text.split()), "see triplicate --help")


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
        raise UserError(str(subject), reason, "give a folder that can be written, with output_dir=…") from error


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


def _complain(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _group_help(group: str) -> str:
    """A config group with all its choices, in lines of a terminal."""
    start = f"  {group}="
    choices = " | ".join(presets.choices(group))
    return textwrap.fill(choices, 118, initial_indent=start, subsequent_indent=" " * len(start))


def _key_help(name: str, known: Sequence[KnownKey]) -> str:
    """A key with its meaning, range and the parts that have it; a line for each meaning."""
    return "\n".join(f"  {name:22} {_meaning(entry)}" for entry in known)


def _meaning(known: KnownKey) -> str:
    key = known.key
    choices = ""
    if key.parts == Figures.kind:
        choices = f": {', '.join(names(Figures.kind))}"
    elif key.parts == Measure.kind:
        choices = f": {', '.join(columns())}"
    limits = ", ".join(filter(None, [key.unit, key.range()]))
    said = "; ".join(filter(None, [", ".join(known.parts), limits]))
    return f"{key.help}{choices}{f' ({said})' if said else ''}"


def _help() -> str:
    groups = "\n".join(_group_help(group) for group in presets.groups())
    keys = "\n".join(_key_help(name, known) for name, known in known_keys().items())
    return f"""\
triplicate: experiments in image classification, each in three seeds

  triplicate                                   the quick start: four learning rates on the embedded data set
  triplicate experiment=cv2025/learning_rates  a published table
  triplicate dataset=mnist optimizer.lr=0.1,0.01
                                               your own sweep; seeds 0, 1, 2 unless seed=… says otherwise
  triplicate reproduce cv2025 …                every experiment of a study, and one table of them all
  triplicate plan …                            what would be trained: runs, stacks, workers; nothing is
  triplicate samples dataset=cifar10           shapes, classes and pictures of a data set
  triplicate report DIR                        tables and plots again, from the run folders alone
  triplicate --parts FILE …                    with your own models, data sets, optimizers … from a Python file

Config groups
{groups}

Keys (key=value; key=a,b sweeps)
{keys}

Hydra's own flags work as ever (triplicate --hydra-help): --cfg job shows the composed configuration,
hydra/launcher=basic runs job by job, eval "$(triplicate -sc install=bash)" completes with the tab key.
"""
