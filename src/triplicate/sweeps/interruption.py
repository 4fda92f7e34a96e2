"""Ctrl-C, SIGTERM and SIGHUP: the first asks to save and end, the second ends at once."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

# Windows has no SIGHUP.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# What ends the wait for what would be saved; None where the system has no alarm, and a thread takes its place.
_ALARM: signal.Signals | None = getattr(signal, "SIGALRM", None)

# After so many seconds it is no longer waited for what would be saved; the last checkpoint is there anyway.
_PATIENCE = 4.0


class Interrupted(BaseException):
    """The command was interrupted. Like KeyboardInterrupt it is no Exception, so that nobody takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell tells of a signal."""
        return 128 + self.number


class Interruption:
    """Whether the command was asked to end.

    Attributes:
        number: the signal that asked; None: none has.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def check(self) -> None:
        """Raise Interrupted if it was asked to end: where everything is saved."""
        if self.number is not None:
            raise Interrupted(self.number)


@contextmanager
def raised() -> Iterator[None]:
    """Inside, a signal raises Interrupted wherever the command stands; further ones are ignored while it ends."""
    interrupted: Interrupted | None = None

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted is None:
            interrupted = Interrupted(number)
            raise interrupted

    with _handled(SIGNALS, end):
        try:
            yield
        except Exception as error:
            if interrupted is None:
                raise
            raise interrupted from error  # what it went through, such as OmegaConf, has made an error of it


@contextmanager
def heeded() -> Iterator[Interruption]:
    """Inside, the first signal is noted; the second, or too long a wait, raises Interrupted."""
    interruption = Interruption()
    alarm: Callable[[], object] | None = None
    ended = False

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal alarm, ended
        if interruption.number is None and number != _ALARM:
            interruption.number = number
            alarm = _alarm(number)
        elif not ended and interruption.number is not None:
            ended = True
            raise Interrupted(interruption.number)

    try:
        with _handled((*SIGNALS, *([_ALARM] if _ALARM is not None else [])), note):
            yield interruption
    finally:
        if alarm is not None:
            alarm()


def _alarm(number: int) -> Callable[[], object]:
    """Raise an alarm when nobody waits any longer, or else the same signal once more; what calls it off."""
    if _ALARM is not None:
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        return partial(signal.setitimer, signal.ITIMER_REAL, 0)
    timer = threading.Timer(_PATIENCE, _thread.interrupt_main, [number])
    timer.daemon = True
    timer.start()
    return timer.cancel


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: object) -> Iterator[None]:
    """Inside, these signals go to a handler, but for those that are ignored, as `nohup` has it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number, old in before.items():
            if old != signal.SIG_IGN:
                signal.signal(number, handler)  # type: ignore[arg-type]
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
