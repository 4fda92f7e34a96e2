"""Standard output and error that never stop a run: a closed pipe, a full disk or a letter that they cannot write."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


class Steady:
    """A text stream whose `write` and `flush` never raise; for all else the stream itself.

    Attributes:
        error: the first one that the system gave; None so far.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            self._written(text)
        except OSError as error:
            self._give_up(error)
        except ValueError:  # the stream is closed
            self._give_up(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        return len(text)

    def _written(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)
        except ValueError:
            self._give_up(OSError(errno.EBADF, os.strerror(errno.EBADF)))

    def _give_up(self, error: OSError) -> None:
        """Keep the first error, and let everything from now on go nowhere: the interpreter flushes again at its end."""
        self.error = self.error or error
        with suppress(OSError, ValueError, AttributeError):  # a stream of a test has no descriptor
            _to_nowhere(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Closed:
    """Stands where the command was started without a standard output or error."""

    encoding = "utf-8"
    errors = "backslashreplace"
    closed = False

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF).lower())

    def flush(self) -> None:
        """Nothing waits to be written."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise ValueError("it is closed")


@dataclass
class Streams:
    """What the command says, and what could not be said."""

    out: Steady
    error: Steady

    def lost(self) -> str | None:
        """Why standard output could not be written; None if it could, or if its reader has gone, as `head` does."""
        self.out.flush()
        found = self.out.error
        if found is None or found.errno == errno.EPIPE:
            return None
        return (found.strerror or str(found)).lower()


@contextmanager
def steady() -> Iterator[Streams]:
    """Inside, what is written to standard output and error never raises."""
    _open_the_first_three()
    before = sys.stdout, sys.stderr
    streams = Streams(*(Steady(Closed() if stream is None else stream) for stream in before))
    ours: tuple[Any, Any] = streams.out, streams.error
    sys.stdout, sys.stderr = ours
    try:
        yield streams
    finally:
        streams.out.flush()
        streams.error.flush()
        # Whoever has put others in their place meanwhile keeps them.
        sys.stdout = before[0] if sys.stdout is ours[0] else sys.stdout
        sys.stderr = before[1] if sys.stderr is ours[1] else sys.stderr


def _open_the_first_three() -> None:
    """A file that is opened where one of them is closed would take its number, and then what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    else:
        os.set_inheritable(number, True)


def terminal_width() -> int | None:
    """Letters in a line of standard output; None where it is no terminal, or one that does not say."""
    return shutil.get_terminal_size((0, 0)).columns or None if sys.stdout.isatty() else None
