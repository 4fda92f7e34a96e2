"""A command with a terminal of some width, or of none that it can know, or with pipes."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tour.commands import NEVER, Command

# Columns of a terminal; 0: it does not say; None: there is none.
KINDS: Sequence[int | None] = (None, 60, 110, 200, 0)

_SECONDS = 300
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = re.compile(r"\d+% .*run-epochs")


@dataclass(frozen=True)
class Answer:
    """What a command said, standard output and standard error as they came, and how it ended."""

    text: str
    code: int


def run(command: Command, columns: int | None, folder: Path) -> Answer:
    """Run a command in a folder."""
    argv = [sys.executable, "-m", "triplicate", *command.words()]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    if columns is None:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
        return Answer(done.stdout.decode(), done.returncode)
    return _on_a_terminal(argv, command.answer, columns, folder, environment | {"TERM": "xterm-256color"})


def _on_a_terminal(
    argv: Sequence[str], answer: str, columns: int, folder: Path, environment: Mapping[str, str]
) -> Answer:
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        os.write(ours, answer.encode())
        return Answer(_read(ours), process.wait(_SECONDS))
    finally:
        os.close(ours)


def _read(descriptor: int) -> str:
    """All that is written until the last one who could write has gone."""
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # so Linux says that nobody has the other end any more
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()


def faults(command: Command, columns: int | None, answer: Answer) -> list[str]:
    """What is wrong with an answer, a line each."""
    wanted = command.code_of_a_pipe if columns is None and command.code_of_a_pipe is not None else command.code
    plain = _CODES.sub("", answer.text)
    flat = " ".join(plain.split())
    found = [] if answer.code == wanted else [f"it ended with {answer.code}, not {wanted}"]
    found += [f"it does not say {text!r}" for text in command.says if " ".join(text.split()) not in flat]
    found += [f"it says {text!r}" for text in (*NEVER, *command.not_says) if text in plain]
    wide = [line for line in re.split(r"[\r\n]+", plain) if _BAR.search(line) and len(line) > (columns or 80)]
    found += [f"its bar is wider than the terminal: {line!r}" for line in wide[:1] if columns is not None]
    return found
