"""Each check in a process of its own, forked before CUDA has started, so that it need not load torch again."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

import torch  # noqa: F401  # loaded here, once, as is the engine
from outcome import Failed, Figures, Outcome, Setting, Skipped, Verdict

import triplicate.training.engine  # noqa: F401

_FORK = multiprocessing.get_context("fork")


def run(module: str, name: str, setting: Setting, seconds: float) -> Outcome:
    """A check in a process that is ended after so many seconds, with all that it has started."""
    if seconds <= 0:
        return Outcome(Verdict.FAIL, "not begun: the time for all checks is over (--seconds, --only)")
    ours, theirs = _FORK.Pipe()
    began = time.monotonic()
    process = _FORK.Process(target=_serve, args=(theirs, module, name, setting))
    process.start()
    theirs.close()
    verdict, figures = Verdict.FAIL, Figures(f"ended after {seconds:.0f} s, which it may take at most")
    if ours.poll(seconds):
        try:
            verdict, figures = ours.recv()
            process.join(10)
        except EOFError:
            process.join(10)
            figures = Figures(f"its process ended with {process.exitcode}")
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.kill()  # where it has no group of its own yet
    process.join()
    return Outcome(verdict, figures.line, time.monotonic() - began, figures.table)


def _serve(pipe: Connection, module: str, name: str, setting: Setting) -> None:
    os.setsid()  # a group of its own, which is ended as a whole
    try:
        answer = Verdict.PASS, getattr(importlib.import_module(module), name)(setting)
    except Skipped as why:
        answer = Verdict.SKIP, Figures(str(why))
    except Failed as why:
        answer = Verdict.FAIL, Figures(str(why))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        answer = Verdict.FAIL, Figures(f"{type(error).__name__}: " + " ".join(str(error).split())[:300])
    pipe.send(answer)
