"""The commands that do not sweep: their help, their words, and what they load."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from triplicate import commands
from triplicate.cli import main
from triplicate.commands import COMMANDS

PLAIN = [name for name, command in COMMANDS.items() if not command.sweeps]


def test_every_file_is_a_command_of_the_list() -> None:
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {COMMANDS[name].file or name for name in PLAIN}


@pytest.mark.parametrize("name", PLAIN)
def test_its_help_says_how_it_is_used_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([name, "--help"], ["-h", name]):
        assert main(words) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert f"Usage: triplicate {name} " in printed.out
        assert f"\n    triplicate {name} " in printed.out, "an example, in a line of its own"
        assert "install-completion" not in printed.out
        assert max(map(len, printed.out.splitlines())) <= 100


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_documented_as_it_is_listed(name: str) -> None:
    command = importlib.import_module(f"triplicate.commands.{COMMANDS[name].file or name}").command
    assert "Example" in command.__doc__
