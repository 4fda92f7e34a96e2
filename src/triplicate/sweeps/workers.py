"""The processes that train a sweep side by side, started once: one for each core, with one thread each, or GPU.

On a CPU the threads of one process wait for each other at every operation; processes of one thread do not. They are
forked from a server, which is started before anything else and imports torch while Hydra composes: so they are there
at once, and share the memory of what it has imported. What needs torch is therefore imported late in this file.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
from hydra.core.utils import env_override

from triplicate.lazy import torch
from triplicate.parts import outside

if TYPE_CHECKING:
    from triplicate.datasets import Dataset
    from triplicate.sweeps.plan import Run, Stack
    from triplicate.sweeps.progress import Progress

CONTEXT = get_context("forkserver")

_SECONDS_TO_END = 3


def start_server() -> None:
    """Start the process that workers are forked from, if it is not there already.

    It has one thread, as a process that forks must: torch and the libraries of NumPy are told by OMP_NUM_THREADS. And
    it ignores Ctrl-C, as the workers do from their first moment on: the process that started them ends them.
    """
    CONTEXT.set_forkserver_preload(["triplicate.cli", "triplicate.sweeps.preload"])
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


@dataclass(frozen=True)
class _Training:
    """A stack to train, the file of its data, and what notes on its progress begin with."""

    runs: tuple[Run, ...]
    data: Path
    stacked: bool
    label: str


@dataclass(frozen=True)
class _Drawing:
    """A run whose plots are to be drawn."""

    runs: tuple[Run]


_Task = _Training | _Drawing


@dataclass(frozen=True)
class _Advanced:
    run_epochs: float


@dataclass(frozen=True)
class _Noted:
    text: str


@dataclass(frozen=True)
class _Ended:
    """A task is done: folder → why its run failed, if it did."""

    causes: Mapping[Path, str]


_Message = _Advanced | _Noted | _Ended | OSError


@dataclass(frozen=True)
class _Resources:
    """What a worker is given, since the process it is forked from may be older: threads, variables and parts."""

    threads: int
    environment: Mapping[str, str]
    parts: outside.Brought


@dataclass
class _Worker:
    """A process, our end of the pipe to it, and what it trains just now."""

    number: int
    process: BaseProcess
    connection: Connection
    task: _Task | None = None


def train_in_workers(stacks: Sequence[Stack], workers: int, progress: Progress) -> dict[Path, str]:
    """Train all stacks, the first ones first, each in the next process that is free, and then draw their plots.

    Each data set is put into a file that all workers map, for as long as they train.

    Returns:
        The folders of the runs that failed, each with the reason. A process that dies fails its own stack alone.

    Raises:
        OSError: a folder that cannot be written; the other processes are ended.
    """
    from triplicate.datasets.files import mapped
    from triplicate.sweeps.train import label

    with tempfile.TemporaryDirectory(prefix=".data-", dir=stacks[0].runs[0].config.output_dir) as folder:
        files: dict[int, Path] = {}
        tasks = []
        for number, stack in enumerate(stacks, start=1):
            dataset = stack.group.dataset
            if id(dataset) not in files:
                files[id(dataset)] = Path(folder, f"{len(files)}.safetensors")
                mapped.write(dataset, files[id(dataset)])
            stacked = stack.group.alone is None
            tasks.append(_Training(stack.runs, files[id(dataset)], stacked, label(number, len(stacks))))
        return _work_through(tasks, workers, progress)


def _work_through(tasks: Sequence[_Training], workers: int, progress: Progress) -> dict[Path, str]:
    waiting: list[_Task] = list(tasks)
    causes: dict[Path, str] = {}
    team: list[_Worker] = []
    try:
        for number in range(min(workers, len(tasks))):
            team.append(_start(number, workers))
        while busy := _busy(team, waiting):
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                match _received(worker):
                    case _Advanced(run_epochs):
                        progress.advance(run_epochs)
                    case _Noted(text):
                        progress.note(text)
                    case _Ended(found):
                        causes |= found
                        waiting += _drawings(worker.task, found)
                        worker.task = None
                    case OSError() as error:
                        raise error
                    case None:
                        causes |= _died(worker)
                        team[worker.number] = _start(worker.number, workers)
    finally:
        _end(team)
    return causes


def _busy(team: Sequence[_Worker], waiting: list[_Task]) -> dict[Connection, _Worker]:
    """Hand the next tasks to the workers that are free; those that have one now, by our end of the pipe."""
    for worker in team:
        if worker.task is None and waiting:
            worker.task = waiting.pop(0)
            worker.connection.send_bytes(cloudpickle.dumps(worker.task))
    return {worker.connection: worker for worker in team if worker.task is not None}


def _drawings(task: _Task | None, causes: Mapping[Path, str]) -> list[_Drawing]:
    """What is to be drawn behind a stack that was trained, each run by itself so that all workers have a part."""
    return [_Drawing((run,)) for run in task.runs if run.folder not in causes] if isinstance(task, _Training) else []


def _start(number: int, workers: int) -> _Worker:
    start_server()
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_serve, args=(theirs, _resources(number, workers)), daemon=True)
    process.start()
    theirs.close()  # so that our end tells when the process is gone
    return _Worker(number, process, ours)


def _resources(number: int, workers: int) -> _Resources:
    """Its part of the cores, or one of the GPUs by the name that CUDA_VISIBLE_DEVICES takes."""
    from triplicate.records.environment import cores

    parts = outside.Brought.of_this_process()
    if not torch.cuda.is_available():
        return _Resources(max(1, cores() // workers), dict(os.environ), parts)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(gpu) for gpu in range(torch.cuda.device_count())]
    return _Resources(1, os.environ | {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}, parts)


def _received(worker: _Worker) -> _Message | None:
    """The next message of a worker; None when its process is gone."""
    try:
        message: _Message = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    return message


def _died(worker: _Worker) -> dict[Path, str]:
    """Log in the folders of its runs that a worker is gone."""
    from triplicate.records.run_folder import RunFolder

    worker.process.join()
    cause = f"its process ended with code {worker.process.exitcode}, as it does where memory is short"
    runs = worker.task.runs if worker.task is not None else ()
    for run in runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        RunFolder(run.folder).log(f"failed: {cause}")
    return {run.folder: cause for run in runs}


def _end(team: Sequence[_Worker]) -> None:
    """End all processes, those in the middle of a task too."""
    for worker in team:
        worker.process.terminate()
    for worker in team:
        worker.process.join(_SECONDS_TO_END)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


class _Told:
    """Progress that is told to the process that started this one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, run_epochs: float) -> None:
        self._connection.send(_Advanced(run_epochs))

    def note(self, text: str) -> None:
        self._connection.send(_Noted(text))

    def close(self) -> None:
        pass


def _serve(connection: Connection, resources: _Resources) -> None:
    """What a worker does: train what comes, until it is ended."""
    from triplicate.datasets.files import mapped
    from triplicate.sweeps.train import draw, train

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # half-written files are removed on the way out
    os.environ.clear()
    os.environ.update(resources.environment)  # what CUDA reads of it, it reads at its first use, which is later
    torch.set_num_threads(resources.threads)
    resources.parts.load()
    data: dict[Path, Dataset] = {}
    while True:
        try:
            match pickle.loads(connection.recv_bytes()):
                case _Training(runs, file, stacked, label):
                    if file not in data:
                        data[file] = mapped.read(file)
                    connection.send(_Ended(train(runs, data[file], stacked, _Told(connection), label)))
                case _Drawing((run,)):
                    connection.send(_Ended(draw(run)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the process that started this one is gone
        except OSError as error:
            connection.send(error)
