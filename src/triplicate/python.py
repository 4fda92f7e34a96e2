"""`triplicate.sweep`: what the command line does, in a process that goes on afterwards as if nothing had been."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from triplicate import flags, overrides, series
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.hydra_app import HydraApp, apart
from triplicate.jobs.words import check_text
from triplicate.parts import outside
from triplicate.results import Sweep
from triplicate.results import open as open_sweep
from triplicate.streams import steady
from triplicate.sweeps.interruption import Interrupted

_File = str | os.PathLike[str]


class SweepFailed(RunsFailed):
    """Some runs of a sweep failed; the others are there.

    Attributes:
        failures: a `RunFailed` with `folder` and `cause` for each.
        sweep: all of it, as `triplicate.sweep` would have given it.
    """

    def __init__(self, failures: Sequence[RunFailed], sweep: Sweep) -> None:
        super().__init__(failures)
        self.sweep = sweep


def sweep(
    *overrides: str, parts: Sequence[_File] = (), config_dir: _File | None = None, progress: bool = True
) -> Sweep:
    """Train a sweep as the command line does, and give what it leaves.

    `triplicate dataset=mnist optimizer.lr=0.1,0.01` on the command line is the same: the numbers, the folder, its files
    and the workers; a comma sweeps, seeds are 0, 1 and 2 unless `seed=…` says otherwise. Nothing is left behind in this
    process: no configuration of Hydra, no handlers of signals, no changed settings of torch, Python or logging. Inside
    an application of Hydra it works too.

    Ctrl-C, or the kernel's interrupt, saves what is in training and raises KeyboardInterrupt; the same call with
    `resume=last` or its `output_dir=…` goes on. In a thread that is not the main one signals are not looked at.

    Args:
        overrides: as on the command line, `key=value` or `key=a,b`; none: the quick start. No flags.
        parts: Python files with parts from outside, as `--parts` names them. What this process has registered is
            there anyway.
        config_dir: a folder with presets of your own, as `--config-dir` names it.
        progress: tell on standard error how far it is.

    Raises:
        UserError: a mistake; nothing is trained or written.
        SweepFailed: some runs failed; its `sweep` has the others.

    >>> import triplicate
    >>> sweep = triplicate.sweep("dataset=points", "optimizer.lr=0.1,0.01", "seed=0", "train.epochs=1", progress=False)
    >>> len(sweep.frame)
    2
    """
    words = list(overrides) or ["experiment=quickstart"]
    _check(words)
    files = [Path(file).expanduser() for file in parts]
    given = [] if config_dir is None else [f"--config-dir={os.fspath(config_dir)}"]
    try:
        with _state_kept(), outside.loaded(files):
            app = _app([*given, *words])
            failures = _run(app, progress)
    except UserError as error:
        raise error.with_traceback(None) from None  # its line says all; the way through Hydra would only hide it
    assert app.folder is not None  # without one it was a mistake
    found = open_sweep(app.folder, files)
    if failures:
        raise SweepFailed(failures, found)
    return found


def _check(words: Sequence[object]) -> None:
    """Refuse what is no override of a sweep that trains."""
    for word in words:
        if not isinstance(word, str):
            raise UserError("sweep", f"{word!r} is no text", 'write overrides, such as "optimizer.lr=0.1,0.01"')
        check_text(word)
        if word.startswith("-"):
            raise UserError(word, "flags are for the command line", "see help(triplicate.sweep) for what there is")
        if "=" not in word:
            raise UserError(word, "it is no override", 'write key=value, such as "dataset=mnist"')
        if word.lstrip("+").startswith("task="):
            raise UserError("task", "sweep trains", "leave it out; on the command line there are plan and samples")


def _app(arguments: Sequence[str]) -> HydraApp:
    asked = flags.read(arguments)
    beside = flags.beside(asked)
    given = overrides.check(asked.overrides, (), beside)
    if series.named(given, beside):
        raise UserError("experiment", "each is a sweep of its own", "call triplicate.sweep once for each")
    return HydraApp(asked, given)


def _run(app: HydraApp, progress: bool) -> Sequence[RunFailed]:
    """Train; the runs that failed."""
    try:
        with ExitStack() as quiet:
            quiet.enter_context(redirect_stdout(io.StringIO()))  # the table, which the result shows
            if not progress:
                quiet.enter_context(redirect_stderr(io.StringIO()))
            app.run()
    except RunsFailed as error:
        return error.failures
    except RunFailed as error:
        return [error]
    except Interrupted as interrupted:
        if interrupted.number != signal.SIGINT:
            signal.raise_signal(interrupted.number)  # whoever handles it here; as a rule it ends the process
        raise KeyboardInterrupt from interrupted
    return []


@contextmanager
def _state_kept() -> Iterator[None]:
    """What a sweep sets in this process is afterwards as it was before."""
    environment, arguments, folder = dict(os.environ), sys.argv, Path.cwd()
    levels = {logger: logger.level for logger in _loggers()}
    try:
        with apart(), warnings.catch_warnings(), _torch_kept(), steady():
            yield
    finally:
        for logger in _loggers():
            logger.setLevel(levels.get(logger, logging.NOTSET))
        sys.argv = arguments
        os.chdir(folder)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in known if isinstance(logger, logging.Logger))]


@contextmanager
def _torch_kept() -> Iterator[None]:
    """If torch is loaded: its threads, its generator, and how it computes on a GPU."""
    if "torch" not in sys.modules:
        yield
        return
    from triplicate.training import devices  # it needs torch

    with devices.settings_kept():
        yield
