"""The commands, and how those that do not sweep are run. Every file here is one of them.

To add a command, write `<name>.py` with a function `command`, and a line into `COMMANDS`. The function's arguments are
those of the command, typed as Typer reads them (`Annotated[Path, typer.Argument(metavar="DIR")]`); its docstring is the
help, and an indented paragraph of it an example, shown as it stands. It prints the answer and returns the exit code,
None for 0. A mistake is a UserError. What loads slowly (torch, pandas, matplotlib) is imported in the function.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from triplicate.errors import UserError, nearest_name


@dataclass(frozen=True)
class Command:
    """A line of `triplicate --help`.

    Attributes:
        usage: what stands behind its name.
        summary: what it does, in a few words.
        sweeps: its words are handed to Hydra; there is no file for it here.
        file: that it is in, where its own name would hide one of Python's; else empty.
    """

    usage: str
    summary: str
    sweeps: bool = False
    file: str = ""


# In the order of --help.
COMMANDS = {
    "plan": Command("…", "what a sweep would train: runs, stacks, workers; nothing is", sweeps=True),
    "samples": Command("dataset=…", "shapes, classes and pictures of a data set", sweeps=True),
    "reproduce": Command("STUDY…|--all", "every experiment of a study, or of all, in one table", sweeps=True),
    "report": Command("DIR", "tables, plots and page again; of several sweeps an index"),
    "list": Command("[DIR]", "all sweeps below a folder, and their best rows", file="listed"),
    "show": Command("RUN", "a run: its measures, neighbours and configuration"),
    "best": Command("DIR", "the best run of a sweep, and the best row by its mean"),
    "compare": Command("DIR…", "the rows of several sweeps in one table"),
    "predict": Command("RUN IMAGE…", "the class of each image, with its probabilities"),
    "evaluate": Command("RUN [KEY=…]", "all measures of a run, on other data too"),
    "check": Command("DIR", "are the files of a sweep, or of several, whole? what is missing?"),
    "clean": Command("[DIR]", "what can be removed, and removing it after asking"),
    "help": Command("[WORD…]", "what a word means: a group, choice, key or experiment"),
}


def run(name: str, words: Sequence[str], flags_of_sweeps: Collection[str]) -> int:
    """Run a command that does not sweep and return its exit code.

    Args:
        words: its arguments and flags.
        flags_of_sweeps: flags that have an effect with other commands.

    Raises:
        UserError: words that it does not take.
    """
    if "" in words:
        raise UserError(name, "one of its words is empty", f"see triplicate {name} --help")
    import typer  # only here: it takes longer to load than a sweep to be planned

    asked = _typer(name)
    # What Typer raises for words that it does not take; it shows one of its kinds alone.
    mistake: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = asked.main(list(words), prog_name=f"triplicate {name}", standalone_mode=False)
    except mistake as error:
        raise _refused(name, error, flags_of_sweeps) from error
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    return int(code or 0)


def usage(name: str) -> str:
    """The help of a command that does not sweep."""
    asked = _typer(name)
    with asked.make_context(f"triplicate {name}", [], resilient_parsing=True) as context:
        return str(asked.get_help(context))


def flags_of(name: str) -> list[str]:
    """The flags of a command that does not sweep."""
    return ["--help", *(option for param in _typer(name).params for option in param.opts if option.startswith("--"))]


def _typer(name: str) -> Any:
    """A command as Typer makes it, without anything that Typer would add to it or print in its own way."""
    import typer
    from typer.core import TyperCommand
    from typer.main import get_command

    class Asked(TyperCommand):
        def collect_usage_pieces(self, ctx: Any) -> list[str]:
            return ["[FLAGS]", COMMANDS[name].usage]

    function = importlib.import_module(f"{__name__}.{COMMANDS[name].file or name}").command
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"help_option_names": ["--help", "-h"], "max_content_width": 100}
    app.command(cls=Asked, help=_as_it_stands(function.__doc__), context_settings=settings)(function)
    return get_command(app)


def _as_it_stands(docstring: str) -> str:
    """A docstring whose indented paragraphs are marked, so that Typer does not fill their lines anew."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "\n\n".join(f"\b\n{text}" if text.startswith(" ") else text for text in paragraphs)


def _refused(name: str, error: Exception, flags_of_sweeps: Collection[str]) -> UserError:
    """What Typer says of a mistake, in our words."""
    remedy = f"see triplicate {name} --help"
    option, param = getattr(error, "option_name", None), getattr(error, "param", None)
    text = str(getattr(error, "message", "")).rstrip(".")
    if type(error).__name__ == "NoSuchOption":
        if option in flags_of_sweeps:
            return UserError(str(option), f"it has no effect with {name}", "leave it out")
        nearest = nearest_name(str(option), flags_of(name))
        return UserError(str(option), "there is no such flag", f"did you mean {nearest}?" if nearest else remedy)
    if option is not None:
        return UserError(str(option), text.partition(f"{option}' ")[2] or _as_problem(text), remedy)
    usage = f"write triplicate {name} {COMMANDS[name].usage}"
    if param is not None and type(error).__name__ == "MissingParameter":
        return UserError(name, f"{_shown(param)} is missing", usage)
    if param is not None:
        return UserError(_shown(param), _as_problem(text), remedy)
    extra = re.search(r"extra \S+ \((.*)\)$", text)
    return UserError(name, f"{extra.group(1)} is too much" if extra else _as_problem(text), usage)


def _shown(param: Any) -> str:
    """A flag, or an argument as the usage line calls it."""
    return str(param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper())


def _as_problem(text: str) -> str:
    return text[:1].lower() + text[1:]
