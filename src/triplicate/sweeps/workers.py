"""The processes that train a sweep side by side, started once: one for each core, with one thread each, or GPU.

On a CPU the threads of one process wait for each other at every operation; processes of one thread do not. They are
forked from a server, which is started before anything else and imports torch while Hydra composes: so they are there
at once, and share the memory of what it has imported. What needs torch is therefore imported late in this file. On
macOS, where libraries do not bear to be forked, and on Windows, which cannot, each worker is spawned and imports all
that for itself.

The server never asks for a GPU, since CUDA cannot be used in a process that is forked after that. All workers see all
GPUs; one trains on the GPU that a run names by its number, or else on its own (`devices.begin`). After an error on a
GPU the worker is replaced: CUDA may answer every later call of the same process with the same error, and what it held
of the memory is free for sure.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO, cast

import cloudpickle

from triplicate.errors import UserError
from triplicate.lazy import torch
from triplicate.parts import outside
from triplicate.streams import steady
from triplicate.sweeps import server

if TYPE_CHECKING:
    from triplicate.datasets import Dataset
    from triplicate.sweeps.interruption import Interruption
    from triplicate.sweeps.plan import Run
    from triplicate.sweeps.planner import Planner
    from triplicate.sweeps.progress import Progress
    from triplicate.sweeps.task import Outcome, Task

# What the folder of the shared data begins with, in the folder of the sweep.
DATA = ".data-"

_SECONDS_TO_END = 1
_SECONDS_TO_LOOK_UP = 0.2


@dataclass(frozen=True)
class _Training:
    """A stack to train, and the file of its data."""

    task: Task
    data: Path

    @property
    def runs(self) -> Sequence[Run]:
        return self.task.runs


@dataclass(frozen=True)
class _Drawing:
    """A run whose plots are to be drawn."""

    runs: tuple[Run]


@dataclass(frozen=True)
class _Reporting:
    """A sweep whose tables and plots are to be written.

    Attributes:
        width: of the terminal; None: not known.
    """

    sweep: Path
    width: int | None


@dataclass(frozen=True)
class Asking:
    """What the planner of a worker is to do, with these arguments."""

    method: str
    arguments: tuple[Any, ...]


_Task = _Training | _Drawing | _Reporting | Asking


@dataclass(frozen=True)
class _Advanced:
    run_epochs: float


@dataclass(frozen=True)
class _Skipped:
    run_epochs: float


@dataclass(frozen=True)
class _Noted:
    text: str


@dataclass(frozen=True)
class Printed:
    """What a worker would print: only the process that draws the bar can do so without spoiling it."""

    text: str
    is_error: bool

    def print(self) -> None:
        print(self.text, end="", file=sys.stderr if self.is_error else sys.stdout, flush=True)


@dataclass(frozen=True)
class _Ended:
    """A stack is trained, as far as it can be."""

    outcome: Outcome


@dataclass(frozen=True)
class _Drawn:
    """The plots of a run are drawn."""


@dataclass(frozen=True)
class _Saved:
    """A task was asked to end, and goes on another time."""


@dataclass(frozen=True)
class Answered:
    """What a planner has given back."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """What a planner has raised, and where."""

    error: Exception
    traceback: str


@dataclass(frozen=True)
class _Reported:
    """What a report says on standard output, and on standard error."""

    text: str
    notes: str


Message = (
    _Advanced
    | _Skipped
    | _Noted
    | Printed
    | _Ended
    | _Drawn
    | _Saved
    | _Reported
    | Answered
    | Raised
    | OSError
    | UserError
)


@dataclass(frozen=True)
class _Resources:
    """What a worker is given, since the process it is forked from may be older.

    Attributes:
        number: of the worker, from 0.
        threads: that it draws with. A stack has its own.
        environment: all variables.
        parts: from outside.
        has_terminal: what it prints goes where the process that has started it prints, at once.
    """

    number: int
    threads: int
    has_terminal: bool
    environment: Mapping[str, str]
    parts: outside.Brought


@dataclass
class Worker:
    """A process, our end of the pipe to it, what it trains just now, and how much of that is done."""

    number: int
    process: BaseProcess
    connection: Connection
    task: _Task | None = None
    run_epochs: float = 0.0


def train_in_workers(
    tasks: Sequence[Task], planner: Planner, workers: int, progress: Progress, interruption: Interruption
) -> dict[Path, str]:
    """Train all stacks, the first ones first, each in the next process that is free, and then draw their plots.

    Each data set is put into a file that all workers map, for as long as they train.

    Args:
        planner: has the data.

    Returns:
        The folders of the runs that failed, each with the reason. A stack whose process dies is given to another one,
        once.

    Raises:
        OSError: a folder that cannot be written; the other processes are ended.
    """
    with tempfile.TemporaryDirectory(prefix=DATA, dir=tasks[0].runs[0].config.output_dir) as folder:
        files = planner.share(Path(folder), [task.runs[0].data_key for task in tasks])
        work = [_Training(task, files[task.runs[0].data_key]) for task in tasks]
        return _work_through(work, workers, progress, interruption)


def report(sweep: Path, width: int | None) -> str:
    """Write the tables and plots of a sweep, in a process that has loaded what draws; its table as text.

    Args:
        width: of the terminal; None: not known.

    Raises:
        OSError: a folder that cannot be written.
        UserError: no run is there.
    """
    if server.CONTEXT.get_start_method() == "spawn":
        return _written(sweep, width)  # a process that is spawned would have to load it all
    worker = start(0, 1)
    try:
        worker.task = _Reporting(sweep, width)
        worker.connection.send_bytes(cloudpickle.dumps(worker.task))
        while isinstance(message := received(worker), Printed):
            message.print()
        worker.task = None
    finally:
        end([worker])
    match message:
        case _Reported(text, notes):
            print(notes, end="", file=sys.stderr)
            return text
        case OSError() | UserError():
            raise message
    return _written(sweep, width)  # its process is gone, as it is where memory is short


def _written(sweep: Path, width: int | None) -> str:
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    return report.write_sweep(sweep, width).text


def _reported(sweep: Path, width: int | None) -> _Reported:
    with redirect_stderr(io.StringIO()) as notes:
        text = _written(sweep, width)
    return _Reported(text, notes.getvalue())


def _work_through(
    tasks: Sequence[_Training], workers: int, progress: Progress, interruption: Interruption
) -> dict[Path, str]:
    waiting: list[_Task] = list(tasks)
    causes: dict[Path, str] = {}
    team: list[Worker] = []
    asked = False
    try:
        for number in range(min(workers, len(tasks))):
            team.append(start(number, workers))
        while busy := _busy(team, waiting, workers):
            if not asked and (interruption.number is not None or (causes and tasks[0].task.stops)):
                asked = True
                waiting.clear()
                _ask_to_save(team)
            for connection in wait(list(busy), _SECONDS_TO_LOOK_UP):
                worker = busy[connection]  # type: ignore[index]
                match received(worker):
                    case _Advanced(run_epochs):
                        worker.run_epochs += run_epochs
                        progress.advance(run_epochs)
                    case _Skipped(run_epochs):
                        worker.run_epochs += run_epochs
                        progress.skip(run_epochs)
                    case _Noted(text):
                        progress.note(text)
                    case Printed() as printed:
                        printed.print()
                    case _Ended(outcome):
                        causes |= outcome.causes
                        onward, drawings = _after(worker, outcome)
                        waiting = [*onward, *waiting, *drawings] if not asked else []
                        worker.task = None
                    case _Drawn() | _Saved():
                        worker.task = None
                    case OSError() as error:
                        raise error
                    case None:
                        worker.process.join()
                        again = _again(worker, causes) if not asked else []
                        progress.skip(_lost(worker, again))
                        waiting += again
                        worker.task = None
    finally:
        end(team)
    return causes


def _busy(team: list[Worker], waiting: list[_Task], workers: int) -> dict[Connection, Worker]:
    """Hand the next tasks to the workers that are free; those that have one now, by our end of the pipe."""
    for number, worker in enumerate(team):
        if worker.task is None and waiting:
            if not worker.process.is_alive():
                worker.connection.close()
                team[number] = worker = start(number, workers)
            worker.task, worker.run_epochs = waiting.pop(0), 0.0
            with suppress(BrokenPipeError, ConnectionResetError):  # it is gone: that is noticed when it is listened to
                worker.connection.send_bytes(cloudpickle.dumps(worker.task))
    return {worker.connection: worker for worker in team if worker.task is not None}


def _ask_to_save(team: Sequence[Worker]) -> None:
    for worker in team:
        if worker.task is not None:
            worker.process.terminate()


def _again(worker: Worker, causes: dict[Path, str]) -> list[_Task]:
    """A stack whose process is gone is trained by another, once; what is lost then is told."""
    task = worker.task
    if isinstance(task, _Training) and not task.task.again:
        return [replace(task, task=task.task.retried())]
    causes |= _died(worker)
    return []


def _lost(worker: Worker, again: Sequence[_Task]) -> float:
    """The run-epochs that need no training any more when a worker is gone: fewer than none where all begins again."""
    if again or not isinstance(worker.task, _Training):
        return -worker.run_epochs
    return worker.task.task.run_epochs - worker.run_epochs


def _after(worker: Worker, outcome: Outcome) -> tuple[list[_Training], list[_Drawing]]:
    """What is to be trained in the place of a stack, and to be drawn: each run by itself, so that all have a part."""
    from triplicate.sweeps.task import in_parts

    stack = worker.task
    assert isinstance(stack, _Training)
    if stack.task.device != "cpu" and (outcome.causes or outcome.parts):
        end([worker])  # the next task is given to a new one
    onward = [replace(stack, task=part) for part in in_parts(stack.task, outcome.parts)]
    left = {run.folder for part in onward for run in part.runs}.union(outcome.causes)
    return onward, [_Drawing((run,)) for run in stack.runs if run.folder not in left]


def start(number: int, workers: int, has_terminal: bool = False) -> Worker:
    """Start a worker. It is there when the server has loaded all."""
    server.start()
    ours, theirs = server.CONTEXT.Pipe()
    resources = _resources(number, workers, has_terminal)
    process = server.CONTEXT.Process(target=_serve, args=(theirs, resources), daemon=True)
    # One that is forked has all that from the server.
    with _without_script(), server.as_worker() if server.CONTEXT.get_start_method() == "spawn" else nullcontext():
        process.start()
    theirs.close()  # so that our end tells when the process is gone
    return Worker(number, process, ours)


@contextmanager
def _without_script() -> Iterator[None]:
    """Inside, a process that starts does not run the script of this one: it would sweep once more.

    It has the parts that a script has registered from `_Resources`, with their code.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _resources(number: int, workers: int, has_terminal: bool = False) -> _Resources:
    from triplicate.records.environment import cores

    brought = outside.Brought.of_this_process()
    return _Resources(number, max(1, cores() // workers), has_terminal, dict(os.environ), brought)


def received(worker: Worker) -> Message | None:
    """The next message of a worker; None when its process is gone."""
    try:
        message: Message = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    return message


def _died(worker: Worker) -> dict[Path, str]:
    """Record in the folders of its runs that a worker is gone."""
    from triplicate.records.run_folder import RunFolder

    cause = f"its process ended with code {worker.process.exitcode}, as it does where memory is short"
    lost = worker.task.task.retried().missing() if isinstance(worker.task, _Training) else []
    for run in lost:
        RunFolder(run.folder).fail(cause)
    return {run.folder: cause for run in lost}


def end(team: Sequence[Worker]) -> None:
    """End all processes, those in the middle of a task too; they tidy up, for which the others have no need."""
    for worker in team:
        if worker.task is None:
            worker.process.kill()
        else:
            worker.process.terminate()
    until = time.monotonic() + _SECONDS_TO_END
    for worker in team:
        worker.process.join(max(0.0, until - time.monotonic()))
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

    def skip(self, run_epochs: float) -> None:
        self._connection.send(_Skipped(run_epochs))

    def note(self, text: str) -> None:
        self._connection.send(_Noted(text))

    def close(self) -> None:
        pass


class _Relayed(io.TextIOBase):
    """A stream of a worker, whose lines the process that started it prints."""

    def __init__(self, connection: Connection, stream: TextIO, is_error: bool) -> None:
        self._connection, self._stream, self._is_error, self._begun = connection, stream, is_error, ""

    def write(self, text: str) -> int:
        if threading.current_thread() is not threading.main_thread():
            return self._stream.write(text)  # two threads may not send at once
        lines, found, self._begun = (self._begun + text).rpartition("\n")
        if found:
            with suppress(OSError):  # nobody is there any more
                self._connection.send(Printed(lines + found, self._is_error))
        return len(text)


def _serve(connection: Connection, resources: _Resources) -> None:
    """A worker. Nobody may be there to read what it prints."""
    with steady(), ExitStack() as streams:
        if not resources.has_terminal:
            out, error = _Relayed(connection, sys.stdout, False), _Relayed(connection, sys.stderr, True)
            streams.enter_context(redirect_stdout(cast("TextIO", out)))
            streams.enter_context(redirect_stderr(cast("TextIO", error)))
        _work(connection, resources)


def _work(connection: Connection, resources: _Resources) -> None:
    """Train what comes, until it is ended."""
    from triplicate.datasets.files import mapped
    from triplicate.sweeps.interruption import Interrupted, Interruption
    from triplicate.sweeps.planner import Here
    from triplicate.sweeps.train import draw, train

    interruption = Interruption()
    trains = False
    lost: set[str] = set()

    def end(number: int, _frame: object) -> None:
        if not trains or interruption.number is not None:
            sys.exit(0)  # half-written files are removed on the way out
        interruption.number = number

    signal.signal(signal.SIGTERM, end)
    for ignored in server.IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(resources.environment)  # what CUDA reads of it, it reads at its first use, which is later
    torch.set_num_threads(resources.threads)
    resources.parts.load()
    data: dict[Path, Dataset] = {}
    planner = Here()
    while True:
        try:
            match pickle.loads(connection.recv_bytes()):
                case _Training(task, file):
                    if file not in data:
                        data[file] = mapped.read(file)
                    trains = True
                    outcome = train(task, data[file], _Told(connection), interruption, lost, resources.number)
                    connection.send(_Ended(outcome))
                case _Drawing((run,)):
                    draw(run)
                    connection.send(_Drawn())
                case _Reporting(sweep, width):
                    connection.send(_reported(sweep, width))
                case Asking(method, arguments):
                    connection.send_bytes(_answer(planner, method, arguments))
        except Interrupted:
            connection.send(_Saved())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the process that started this one is gone
        except (OSError, UserError) as error:
            connection.send(error)
        finally:
            trains = False


def _answer(planner: Planner, method: str, arguments: Sequence[Any]) -> bytes:
    """What a planner gives back or raises, pickled."""
    answer: Answered | Raised
    try:
        answer = Answered(getattr(planner, method)(*arguments))
    except (OSError, UserError):
        raise
    except Exception as error:
        answer = Raised(error, traceback.format_exc())
    content: bytes = cloudpickle.dumps(answer)
    return content


def _end_with_parent() -> None:
    """End when the process that started this one is gone, before another can write to the same folder."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
