"""What Linux has and other systems have not: macOS spawns its workers, and Windows has few signals and opens no folder.

Nothing here was run there. What is missing there is taken away, and the rest must do without.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tests.sweeps.test_sweep import runs, small, sweep
from triplicate.files import atomic
from triplicate.records.lock import locked, remove
from triplicate.sweeps import interruption
from triplicate.sweeps.interruption import Interrupted, heeded

# Each worker runs it too before it begins, as a process that is spawned does with the script of its parent.
# Read by every Python that starts, workers too.
WITHOUT = """
import multiprocessing, os, signal, sys
del os.fork, os.sched_getaffinity, signal.SIGHUP, signal.SIGALRM, signal.setitimer
sys.modules["resource"] = None
"""
SPAWNING = """
import multiprocessing, sys
from triplicate.cli import main
from triplicate.sweeps import server
server.CONTEXT = multiprocessing.get_context("spawn")
if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
"""


def test_workers_that_are_spawned_train_the_same(tmp_path: Path) -> None:
    options = ("optimizer.lr=0.1,0.01", "seed=0", "train.epochs=1", "dataset.limit=100", "device=cpu")
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    (tmp_path / "spawning.py").write_text(SPAWNING)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = small(*options, f"output_dir={tmp_path / 'spawned'}", "executor.workers=2")
    command = [sys.executable, "spawning.py", *words]
    environment = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    spawned = runs(tmp_path / "spawned")
    others = runs(sweep(tmp_path / "here", *options, "executor.workers=1"))
    assert spawned.keys() == others.keys()
    for name, run in spawned.items():
        one, other = (pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (run, others[name]))
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-4)
        assert '"peak_memory_mib": null' in (run / "summary.json").read_text()


def _wait_after(number: int) -> None:
    with heeded() as interruption:
        signal.raise_signal(number)
        assert interruption.number == number
        while True:
            time.sleep(0.01)


def test_without_an_alarm_a_thread_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_ALARM", None)
    monkeypatch.setattr(interruption, "_PATIENCE", 0.05)
    with pytest.raises(Interrupted) as raised:
        _wait_after(signal.SIGTERM)
    assert raised.value.exit_code == 128 + signal.SIGTERM


def test_files_are_written_where_no_folder_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where a file that is open to be read cannot be flushed, nor one that is open be removed."""
    windows = SimpleNamespace(platform="win32")
    monkeypatch.setattr("triplicate.files.atomic.sys", windows)
    monkeypatch.setattr("triplicate.records.lock.sys", windows)
    opened, flags_of = os.open, dict[int, int]()

    def opening(path: Any, flags: int, *others: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        descriptor = opened(path, flags, *others)
        flags_of[descriptor] = flags
        return descriptor

    def flushed(descriptor: int) -> None:
        assert flags_of[descriptor] & (os.O_RDWR | os.O_WRONLY)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "fsync", flushed)
    atomic.write_text(tmp_path / "a.txt", "written")
    assert (tmp_path / "a.txt").read_text() == "written"
    with locked(tmp_path) as lock:
        remove(lock)
        assert lock.is_file()
