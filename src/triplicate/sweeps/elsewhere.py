"""A planner in a process that is forked from the server, so that the process of the command need not load torch."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cloudpickle

from triplicate.errors import UserError
from triplicate.records.environment import cores
from triplicate.sweeps import server, workers
from triplicate.sweeps.plan import DataKey, Kept, Plan, Run, Survey
from triplicate.sweeps.planner import Here, Planner
from triplicate.sweeps.workers import Answered, Asking, Printed, Raised, Worker


@contextmanager
def planner(runs: Sequence[Run]) -> Iterator[Planner]:
    """Who looks at the runs of a sweep: another process, where that is sooner and gives the same plan.

    A process that has loaded torch needs no other; one worker trains in the process of the command; and with fewer runs
    than cores, torch alone knows how many threads each of them gets.
    """
    is_forked = server.CONTEXT.get_start_method() == "forkserver"
    is_alone = runs[0].config.executor.workers == 1 or len(runs) < cores()
    if "torch" in sys.modules or is_alone or not is_forked:
        yield Here()
        return
    worker = workers.start(0, 1, has_terminal=sys.stderr.isatty())
    try:
        yield Elsewhere(worker)
    finally:
        workers.end([worker])


class Elsewhere:
    """A planner in another process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def survey(self, runs: Sequence[Run], is_new: bool = False, is_search: bool = False) -> Survey:
        surveyed: Survey = self._answer("survey", runs, is_new, is_search)
        return surveyed

    def check(self, kept: Kept) -> None:
        self._answer("check", kept)

    def plan(self, kept: Kept, threads: int | None = None) -> Plan:
        planned: Plan = self._answer("plan", kept, threads)
        return planned

    def share(self, folder: Path, wanted: Collection[DataKey]) -> Mapping[DataKey, Path]:
        files: Mapping[DataKey, Path] = self._answer("share", folder, wanted)
        return files

    def _answer(self, method: str, *arguments: Any) -> Any:
        """What the other planner gives back.

        Raises:
            Exception: what it raises.
            UserError: its process is gone.
        """
        worker = self._worker
        worker.task = Asking(method, arguments)  # from now on it is asked to end, and not killed
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone: that is noticed when it is listened to
            worker.connection.send_bytes(cloudpickle.dumps(worker.task))
        while isinstance(message := workers.received(worker), Printed):
            message.print()
        worker.task = None
        match message:
            case Answered(value):
                return value
            case Raised(error, traceback):
                error.add_note(f"in the process that planned:\n{traceback}")
                raise error
            case OSError() | UserError():
                raise message
        worker.process.join()
        problem = (
            f"the process that reads it ended with code {worker.process.exitcode}, as it does where memory is short"
        )
        raise UserError("dataset", problem, "free some memory, or give a smaller dataset.limit")
