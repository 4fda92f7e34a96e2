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
import textwrap
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
from triplicate import composition, flags, overrides, presets
from triplicate.config import KnownKey, known_keys
from triplicate.errors import JobLost, RunFailed, RunsFailed, UserError
from triplicate.hydra_errors import hydra_errors
from triplicate.jobs.words import check_text, in_short
from triplicate.measures import Measure
from triplicate.measures.shared.names import columns
from triplicate.parts import names, outside
from triplicate.reports.figures import Figures
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
    if "--help" in arguments or "-h" in arguments:
        print(_help())
        return 0
    if "--version" in arguments:
        print(f"triplicate {triplicate.__version__}")
        return 0
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    return _sweep(arguments or ["experiment=quickstart"])


def _report(arguments: Sequence[str]) -> int:
    """triplicate report DIR"""
    remedy = "name one: triplicate report DIR"
    for argument in arguments:
        if not argument or argument.startswith("-") or ("=" in argument and not Path(argument).exists()):
            raise UserError("report", f"{argument!r} is no folder of a sweep", remedy)
    if len(arguments) != 1:
        raise UserError("report", f"{len(arguments)} folders given", remedy)
    from triplicate.reports import report

    with _system_errors():
        print(report.write(Path(arguments[0])).text)
    return 0


def _check(arguments: Sequence[str]) -> int:
    """triplicate check DIR"""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError("check", f"{len(arguments)} folders given", "name one: triplicate check DIR")
    from triplicate.records import inspection

    with _system_errors():
        inspected = inspection.inspect(Path(arguments[0]))
    for sweep in inspected:
        print(f"{sweep.folder}: {sweep.sound} runs are finished and whole")
        for finding in sweep.findings:
            print(f"  {finding.kind}: {finding.path}: {finding.problem}")
        if sweep.findings and sweep.mend:
            print(f"  to train what is missing or damaged: {sweep.mend}")
    return 1 if any(sweep.findings for sweep in inspected) else 0


def _plan(arguments: Sequence[str]) -> int:
    """triplicate plan …"""
    return _sweep(["task=plan", *(arguments or ["experiment=quickstart"])])


def _samples(arguments: Sequence[str]) -> int:
    """triplicate samples dataset=…"""
    return _sweep(["task=samples", *arguments])


def _reproduce(arguments: Sequence[str]) -> int:
    """triplicate reproduce STUDY… [overrides]"""
    overrides.check([argument for argument in arguments if "=" in argument], _COMMANDS)
    from triplicate.reproduce import reproduce

    with _system_errors():
        return reproduce(arguments, _sweep)


_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "check": _check,
    "plan": _plan,
    "report": _report,
    "reproduce": _reproduce,
    "samples": _samples,
}


def _sweep(arguments: Sequence[str]) -> int:
    """Let Hydra compose the jobs and hand them to its launcher, ours unless told otherwise."""
    asked = flags.read(arguments)
    if asked.help:
        print(_help())
        return 0
    beside = Path(asked.config_dir) if asked.config_dir else None
    given = [] if asked.shell_completion else overrides.check(asked.overrides, _COMMANDS, beside)
    is_shown = bool(asked.cfg or asked.info or asked.shell_completion or asked.hydra_help)
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
    with outside.composed(), hydra_errors(beside), _system_errors(), _launcher_errors(), _command_line(argv), checked:
        try:
            app()
        except SystemExit as end:  # so Hydra's help ends
            return int(end.code or 0)
        for error in ended:
            raise error
    return 0


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
  triplicate check DIR                         are the files of a sweep, or of several, whole? what is missing?
  triplicate --parts FILE …                    with your own models, data sets, optimizers … from a Python file

Config groups
{groups}

Keys (key=value; key=a,b sweeps)
{keys}

Hydra's own flags work as ever (triplicate --hydra-help): --cfg job shows the composed configuration,
hydra/launcher=basic runs job by job, eval "$(triplicate -sc install=bash)" completes with the tab key.
"""
