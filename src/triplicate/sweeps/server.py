"""The process from which the workers of a sweep are forked.

It is started before anything else and imports torch while Hydra composes. Workers that are forked from it are there at
once, and share the memory of what it has imported.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, get_context

from hydra.core.utils import env_override

CONTEXT = get_context("forkserver")


def start() -> None:
    """Start the process, if it is not there already.

    It has one thread, as a process that forks must: torch and the libraries of NumPy are told by OMP_NUM_THREADS. And
    it ignores Ctrl-C, as the workers do from their first moment on: the process that started them ends them.
    """
    CONTEXT.set_forkserver_preload(["triplicate.cli", "triplicate.sweeps.workers", "triplicate.reports.report"])
    with env_override({"OMP_NUM_THREADS": "1"}), _without_interrupts():
        forkserver.ensure_running()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
