"""The command line: sub-commands, Hydra, and what a mistake looks like from outside.

Exit codes: 0 done, 1 a run failed, 2 a mistake that the user can mend, 128 and its number
after a signal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.utils import env_override

import triplicate
from triplicate import commands, flags, overrides, presets, series, verbosity
from triplicate.commands import COMMANDS
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.hydra_app import HydraApp, system_errors
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
        with system_errors():
            return commands.run(name, words, flags.names())
    if "--help" in words or "-h" in words:
        print(front(flags.beside(flags.read(words))) if name is None else PAGES[name])
        return 0
    asked = flags.read(words)
    if name is None:
        flags.refuse_all(asked)
    else:
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
    """triplicate reproduce STUDY… or --all [overrides]"""
    beside = flags.beside(asked)
    overrides.check([word for word in asked.overrides if "=" in word], COMMANDS, beside)
    from triplicate.reproduce import reproduce

    with system_errors():
        sweep = lambda words: _sweep(flags.with_overrides(asked, words))  # noqa: E731
        return reproduce(asked.overrides, sweep, beside, everything=bool(asked.all))


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
    if experiments := series.named(given, beside):
        if is_shown:
            raise UserError("experiment", "one is shown at a time", "give it one value")
        return series.sweep_each(experiments, given, lambda words: _sweep(flags.with_overrides(asked, words)))
    verbosity.detail(f"configuration: {', '.join(map(str, presets.folders(beside)))}")
    with verbosity.quiet_hydra():
        HydraApp(asked, given).run()
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


def _on_one_line(text: str) -> str:
    """The same text with letters that would break the line, or that no terminal shows, written as codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _complain(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code
