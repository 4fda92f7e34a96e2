"""triplicate as its users run it: the whole command, from the overrides to the table and the plots."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from workloads import BATCH_SIZE, Workload

from sides.measurement import Measurement, seconds_of


def measure(workload: Workload, data: Path, more_epochs: int) -> Measurement:
    """One epoch of the sweep, and unless `more_epochs` is 0, a second command with so many epochs more.

    The time of a run and step is that of the longer command, evaluation and gradient traces included.
    """
    one_epoch_seconds, milliseconds = run(workload, data, 1)
    if more_epochs == 0:
        return Measurement(milliseconds, one_epoch_process_seconds=one_epoch_seconds)
    process_seconds, milliseconds = run(workload, data, 1 + more_epochs)
    return Measurement(milliseconds, process_seconds, one_epoch_seconds)


def run(workload: Workload, data: Path, epochs: int) -> tuple[float, float]:
    """Seconds of the whole command, and milliseconds of training a run and step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "triplicate"),
            *overrides(workload),
            f"train.epochs={epochs}",
            f"data_dir={data}",
            f"output_dir={folder}/sweep",
        ]
        process_seconds = seconds_of(command)
        seconds = training_seconds(Path(folder, "sweep"), len(workload.runs))
    return process_seconds, 1e3 * seconds / (len(workload.runs) * epochs * workload.steps_an_epoch)


def overrides(workload: Workload) -> list[str]:
    return [
        "name=bench",
        f"dataset={workload.dataset}",
        *("dataset.mean=null", "dataset.std=null"),
        f"model={workload.model}",
        f"optimizer={workload.optimizer}",
        *workload.axes("optimizer.lr"),
        f"train.batch_size={BATCH_SIZE}",
        "device=cpu",
    ]


def training_seconds(sweep: Path, runs: int) -> float:
    """From the first run's folder being begun to the last one's being finished, whatever trained side by side.

    A run's config.yaml is written when its training begins, and its summary.json when it has ended.
    """
    begun = [path.stat().st_mtime for path in sweep.glob("runs/*/config.yaml")]
    finished = [path.stat().st_mtime for path in sweep.glob("runs/*/summary.json")]
    assert len(begun) == len(finished) == runs
    return max(finished) - min(begun)
