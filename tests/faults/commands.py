"""Commands in sessions of their own, so that they can be killed and what stays of them can be seen.

To import torch and matplotlib takes longer than the small sweeps here train, so one process imports everything, and a
command is forked from it. Its own processes are forked too, where they would import the same anew. `Real` starts
commands as a shell does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]


class Starter(Protocol):
    """Starts commands."""

    def start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str] = ...) -> Command: ...

    def poll(self, pid: int) -> int | None: ...

    def close(self) -> None: ...


@dataclass
class Command:
    """A command that was started.

    Attributes:
        folder: what it prints is there, and a link to the folder of its temporary files.
    """

    starter: Starter
    pid: int
    folder: Path
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative after a signal; None while it runs."""
        if self.code is None:
            self.code = self.starter.poll(self.pid)
        return self.code

    def wait(self, seconds: float = 240) -> int:
        """
        Raises:
            TimeoutError: it has not ended; it is killed.
        """
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"a command has not ended after {seconds} s: {self.errors()}")
            time.sleep(0.005)
        return code

    def send(self, number: int) -> None:
        """Send a signal to the main process alone. It is there until `poll` has seen its end."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def rest(self) -> list[int]:
        """The processes of its session that run."""
        pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        return [pid for pid in pids if _session(pid) == self.pid]

    def rest_after(self, seconds: float = 30) -> list[int]:
        """Those that have not ended by themselves after so long."""
        end = time.monotonic() + seconds
        while (left := self.rest()) and time.monotonic() < end:
            time.sleep(0.02)
        return left

    def out(self) -> str:
        return (self.folder / "out").read_text()

    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def left_in_tmp(self) -> list[str]:
        return _names(self.folder / "tmp")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _session(pid: int) -> int | None:
    """The session of a process; None where it has ended."""
    try:
        state, _, _, session, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(session)


def _prepared(folder: Path) -> dict[str, str]:
    """The variables of a command. The name of a socket must be short, and so that of the folder that it is in."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix="f-", dir="/tmp")
    _TEMPORARY.append(temporary)
    (folder / "tmp").symlink_to(temporary)
    return {"TMPDIR": temporary, "OMP_NUM_THREADS": "1"}


_TEMPORARY: list[str] = []


def _remove_temporary() -> None:
    while _TEMPORARY:
        shutil.rmtree(_TEMPORARY.pop())


class Real:
    """Starts `python -m triplicate` as a shell does."""

    def __init__(self) -> None:
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> Command:
        variables = _prepared(folder) | dict(variables or {})
        command = [sys.executable, "-m", "triplicate", *arguments]
        with (folder / "out").open("w") as out, (folder / "errors").open("w") as errors:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
                preexec_fn=lambda: _listen(variables),
            )
        self._started[process.pid] = process
        return Command(self, process.pid, folder)

    def poll(self, pid: int) -> int | None:
        return self._started[pid].poll()

    def close(self) -> None:
        _remove_temporary()
        for process in self._started.values():
            process.kill()
            process.wait()


class Forked:
    """Starts commands in processes that have imported everything."""

    def __init__(self, drawing: bool = True) -> None:
        """Args: `drawing`: whether pictures are drawn; else their files are there, and say nothing."""
        code = f"from tests.faults.commands import serve; serve({drawing})"
        paths = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._server = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> Command:
        variables = _prepared(folder) | dict(variables or {})
        pid = self._ask({"arguments": list(arguments), "folder": str(folder), "variables": variables})
        assert pid is not None
        return Command(self, pid, folder)

    def poll(self, pid: int) -> int | None:
        return self._ask({"poll": pid})

    def _ask(self, question: object) -> int | None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(question), file=self._server.stdin, flush=True)
        answer: int | None = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        _remove_temporary()
        self._server.communicate()


def serve(drawing: bool) -> None:
    """What the server does: import everything, and then fork a command for each line that asks for one."""
    from multiprocessing import util

    from matplotlib.backends import backend_agg

    import triplicate.sweeps.launcher
    import triplicate.sweeps.preload
    from triplicate.__main__ import main
    from triplicate.reports.plots import canvas

    if not drawing:
        canvas.png = undrawn
    assert all((backend_agg, triplicate.sweeps.launcher, triplicate.sweeps.preload))
    for line in sys.stdin:
        question = json.loads(line)
        if "poll" in question:
            ended, status = os.waitpid(question["poll"], os.WNOHANG)
            print(json.dumps(os.waitstatus_to_exitcode(status) if ended else None), flush=True)
            continue
        pid = os.fork()
        if not pid:
            _become(Path(question["folder"]), question["variables"])
            util.spawnv_passfds = _forked  # type: ignore[attr-defined]
            sys.argv = ["triplicate", *question["arguments"]]
            raise SystemExit(main())
        print(json.dumps(pid), flush=True)


def undrawn(_: object) -> bytes:
    """In place of a picture."""
    return b"a picture"


def _become(folder: Path, variables: Mapping[str, str]) -> None:
    os.setsid()
    for number, name in enumerate(("out", "errors"), start=1):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir(folder)
    os.environ.update(variables)
    _listen(variables)


def _listen(variables: Mapping[str, str]) -> None:
    """Take signals as a command of a shell in the foreground does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ignored = str(int(number)) in variables.get("FAULTS_IGNORED", "").split()
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if ignored else default)


def _forked(path: str, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
    """In place of `spawnv_passfds` of multiprocessing: its server and its tracker, without importing all anew."""
    import threading
    from multiprocessing import forkserver, resource_tracker

    pid = os.fork()
    if pid:
        return pid
    try:
        forkserver._forkserver._lock = threading.Lock()
        resource_tracker._resource_tracker._lock = threading.RLock()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        low = 3
        for descriptor in sorted(descriptors):
            os.closerange(low, descriptor)
            low = descriptor + 1
        os.closerange(low, 4096)
        exec(arguments[-1], {})
    finally:
        os._exit(0)
