"""The process that workers are forked from: it has loaded torch before they are needed, and shares the memory of that.

The command line starts it before it has read its own words, so that torch is loaded while Hydra composes. Little is
therefore imported here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any

from triplicate.errors import UserError

CONTEXT = get_context("forkserver") if sys.platform == "linux" else get_context("spawn")

# They are for the process that has started the workers. Windows has no SIGHUP, and lets no process inherit this.
IGNORED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))


def start() -> None:
    """Start the server, if it is not there already, and where workers are forked.

    It has one thread, as a process that forks must: torch and the libraries of NumPy are told by OMP_NUM_THREADS. And
    it ignores Ctrl-C and the end of the terminal, as the workers do from their first moment on: the process that
    started them ends them.

    Raises:
        UserError: the folder for temporary files has too long a name.
    """
    if CONTEXT.get_start_method() != "forkserver":
        return
    from multiprocessing import forkserver  # Windows has none

    CONTEXT.set_forkserver_preload(["triplicate.sweeps.preload"])
    with as_worker():
        try:
            forkserver.ensure_running()
        except OSError as error:
            if "AF_UNIX" not in str(error):
                raise
            problem = "its path is too long for the socket that workers are started by"
            raise UserError("TMPDIR", problem, "name a shorter one") from error


def stop() -> None:
    """End the server, if it is there. It would first load all that it was told to."""
    if CONTEXT.get_start_method() != "forkserver":
        return
    from multiprocessing import forkserver

    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()  # it waits, so that the next one is not taken for this


@contextmanager
def as_worker() -> Iterator[None]:
    """Inside, a process that is started has one thread, and ignores Ctrl-C and the end of the terminal."""
    # Threads that spin while they wait lose much time beside another busy process, and gain nothing on a quiet machine.
    with _variables({"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Inside, these variables of the environment are set. Hydra has such a function, and takes long to import."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
