"""What the tab key completes: commands, flags, groups, choices, keys and their values, one's own parts and presets too.

The shell hands over the line so far. What is composed from its words tells which keys the chosen parts have.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.plugins.completion_plugin import CompletionPlugin

from triplicate import commands, flags, presets
from triplicate.activations import Activation
from triplicate.commands import COMMANDS
from triplicate.config import known_keys
from triplicate.errors import UserError
from triplicate.jobs.rows import typed
from triplicate.manual.composed import composed
from triplicate.parts import names

_OF_HYDRA = ("hydra/launcher", "hydra/sweeper")
_PATHS = (".", "/", "~")

_BASH = """\
_triplicate_completion()
{{
    COMPREPLY=()
    {guard}local line=${{COMP_LINE:0:COMP_POINT}} word=${{COMP_WORDS[COMP_CWORD]}}
    local whole=${{line##* }}
    [[ "$word" == "=" ]] && word=
    # Bash replaces what stands behind the last = or :, so that what stands before it is left out.
    local before=${{whole%"$word"}} found
    while IFS= read -r found; do
        [[ -n "$found" ]] && COMPREPLY+=("${{found#"$before"}}")
    done < <(COMP_LINE="$line" COMP_POINT="$COMP_POINT" {program} -sc query=bash 2> /dev/null)
    [[ ${{#COMPREPLY[@]}} == 1 && "${{COMPREPLY[0]}}" != *[=./] ]] && compopt +o nospace
    return 0
}}
complete -o nospace -o default -F _triplicate_completion {names}"""
_SCRIPT = presets.CONF.parent / "scripts" / "run"


def installed_in_bash() -> str:
    """What bash is to evaluate: for `triplicate`, and in a checkout for its `scripts/run`."""
    itself = Path(sys.argv[0])
    program = [sys.executable, "-m", "triplicate"] if itself.name == "__main__.py" else [str(itself.absolute())]
    if not _SCRIPT.is_file():
        return _BASH.format(guard="", program=shlex.join(program), names="triplicate")
    names = shlex.join(["triplicate", "scripts/run", "./scripts/run", str(_SCRIPT)])
    # Another project may have a scripts/run too.
    guard = f'[[ "${{1##*/}}" != run || "$1" -ef {shlex.quote(str(_SCRIPT))} ]] || return 0\n    '
    return _BASH.format(guard=guard, program=shlex.join(program), names=names)


def removed_from_bash() -> str:
    """What bash is to evaluate so that nothing is left of it."""
    names = ["triplicate", *(["scripts/run", "./scripts/run", str(_SCRIPT)] if _SCRIPT.is_file() else [])]
    return f"complete -r {shlex.join(names)} 2> /dev/null; unset -f _triplicate_completion"


def completions(line: str) -> list[str]:
    """Every word that the last one of a line may become. None where a file or folder is wanted, which shells know.

    Args:
        line: with the name of the program, up to the cursor; its parts from outside are loaded.
    """
    words = _without_program(line)
    word = words.pop() if words and not line.endswith(" ") else ""
    command, others = flags.split(words, COMMANDS)
    if (wanted := flags.values_of(words)) is not None:
        return _beginning(word, wanted)
    if word.startswith("-"):
        known = flags.names() if command is None or COMMANDS[command].sweeps else commands.flags_of(command)
        return _beginning(word, [*known, "--parts", "--version"])
    asked = flags.read_leniently(others)
    found: list[str] = []
    if command is None and not asked.overrides:
        found += _beginning(word, COMMANDS)
    if command is not None and not COMMANDS[command].sweeps and command != "help":
        return []
    if command in ("help", "reproduce"):
        found += _beginning(word, _topics(command, asked))
    return sorted({*found, *_overrides(word, asked)})


def _without_program(line: str) -> list[str]:
    """The words behind `triplicate`, `scripts/run` or `python -m triplicate`."""
    program, *words = line.split() or [""]
    if Path(program).name.startswith("python"):
        return words[2:] if words[:1] == ["-m"] else words[1:]
    return words


def _beginning(word: str, known: Iterable[str]) -> list[str]:
    return sorted(name for name in known if name.startswith(word))


def _topics(command: str, asked: argparse.Namespace) -> list[str]:
    beside = flags.beside(asked)
    if command == "reproduce":
        return [*presets.studies(beside), *presets.choices("experiment", beside)]
    return [*COMMANDS, *presets.groups(), *presets.studies(beside), *known_keys(), "all"]


def _overrides(word: str, asked: argparse.Namespace) -> list[str]:
    """The overrides that a word may become, behind those of the line."""
    beside = flags.beside(asked)
    mark = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, value = word[len(mark) :].partition("=")
    if equals:
        return [f"{mark}{key}={choice}" for choice in _values(key, value, asked)]
    groups = [f"{mark}{group}=" for group in (*presets.groups(), *_OF_HYDRA)]
    groups += [f"+{group}=" for group in presets.groups_beside(beside)]
    keys = [f"{mark}{name}" for name in _keys(key, _composed(asked))]
    return _beginning(word, [*groups, *keys])


def _keys(begun: str, values: Mapping[str, Any]) -> list[str]:
    """The names at the place of a dotted key that has been begun: `model.hidden=`, `report.`."""
    place = begun.rpartition(".")[0]
    node: Any = values
    for step in place.split(".") if place else ():
        node = node.get(step) if isinstance(node, dict) else None
    prefix = f"{place}." if place else ""
    found = node.items() if isinstance(node, dict) else ()
    return [f"{prefix}{name}{'.' if isinstance(below, dict) and below else '='}" for name, below in found]


def _values(key: str, begun: str, asked: argparse.Namespace) -> list[str]:
    """The values that a key may have; of several with commas between them the last one."""
    if begun.startswith(_PATHS):
        return CompletionPlugin.complete_files(str(Path(begun).expanduser()) if begun.startswith("~") else begun)
    before = begun[: 1 + max(begun.rfind(","), begun.rfind("["))]
    known = _known_values(key, asked)
    return [f"{before}{value}" for value in _beginning(begun[len(before) :], known)]


def _known_values(key: str, asked: argparse.Namespace) -> list[str]:
    beside = flags.beside(asked)
    if key in (*presets.groups(), *presets.groups_beside(beside)):
        return presets.choices(key, beside)
    if key in _OF_HYDRA:
        with composed([], beside) as composition:
            return list(composition.loader.get_group_options(key))
    entries = known_keys().get(key, [])
    chosen = [name for entry in entries for name in entry.key.choices]
    if any(entry.key.parts == Activation.kind for entry in entries):
        chosen = names(Activation.kind)
    if chosen:
        return chosen
    node: Any = _composed(asked)
    for step in key.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    if isinstance(node, bool):
        return ["true", "false"]
    return [typed(node)] if node is not None and not isinstance(node, dict) else []


def _composed(asked: argparse.Namespace) -> Mapping[str, Any]:
    """What the words of the line are composed to; where one of them is wrong, the defaults."""
    chosen = [word for word in asked.overrides if "=" in word and "," not in word]
    for words in (chosen, []):
        try:
            with composed(words, flags.beside(asked)) as composition:
                return composition.values
        except UserError:
            continue
    return {}
