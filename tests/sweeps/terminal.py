"""A terminal to write to, of any size, and what is seen on it in the end."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

_END = b"\0"
_WRITTEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


@dataclass
class Screen:
    """Lines of a terminal, as a person sees them; what is written is kept too.

    Attributes:
        widest: the longest line that was ever seen, before the terminal breaks it.
    """

    lines: list[str] = field(default_factory=lambda: [""])
    widest: int = 0
    written: str = ""
    _row: int = 0
    _column: int = 0

    def feed(self, text: str) -> None:
        self.written += text
        for code, letter, returned, ended, letters in _WRITTEN.findall(text):
            if returned:
                self._column = 0
            elif ended:
                self._row, self._column = self._row + 1, 0
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif letter == "A":
                self._row = max(0, self._row - int(code or 1))
            elif letter == "K":
                assert code == "2", f"a terminal is asked to {code}{letter}"
                self.lines[self._row] = ""
            elif letters:
                line = self.lines[self._row].ljust(self._column)
                self._column += len(letters)
                self.lines[self._row] = line[: self._column - len(letters)] + letters + line[self._column :]
                self.widest = max(self.widest, len(self.lines[self._row]))
            else:
                assert letter == "m" or code == "?25", f"a terminal is asked to {code}{letter}"

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")


@contextmanager
def terminal(columns: int, rows: int = 24, encoding: str = "utf-8") -> Iterator[tuple[TextIO, Screen]]:
    """A stream that is a terminal of this size, 0 where it does not tell, and its screen, whole when this is left."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = Screen()
    reader = threading.Thread(target=_read, args=(ours, screen, encoding))
    reader.start()
    stream = os.fdopen(theirs, "w", encoding=encoding)
    try:
        yield stream, screen
    finally:
        stream.flush()
        os.write(theirs, _END)  # processes that were started meanwhile may hold it open
        reader.join()
        stream.close()
        os.close(ours)


def _read(descriptor: int, screen: Screen, encoding: str) -> None:
    """All that is written."""
    received = b""
    while not received.endswith(_END):
        received += os.read(descriptor, 65536)
    screen.feed(received.removesuffix(_END).decode(encoding))
