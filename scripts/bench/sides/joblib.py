"""Hydra's joblib launcher: the runs of a sweep as processes, one for each core at a time, each with one thread."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from workloads import Workload

from sides.measurement import Measurement, seconds_of

APP = Path(__file__).parent.parent / "hydra_app.py"
LAUNCHER = "hydra_plugins.hydra_joblib_launcher"


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """A whole multirun of the tutorial loop, `steps` a run.

    The time of a run and step is that from the first job's first step to the last job's last, so that two steps at the
    same time count as such; what a job needs between two trainings, such as reading its data, is in it.
    """
    if importlib.util.find_spec(LAUNCHER) is None:
        raise ModuleNotFoundError(name=LAUNCHER)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(APP),
            "--multirun",
            "hydra/launcher=joblib",
            f"hydra.launcher.n_jobs={len(os.sched_getaffinity(0))}",
            f"hydra.sweep.dir={folder}",
            f"workload={workload.name}",
            f"data={data}",
            f"steps={steps}",
            *workload.axes("rate"),
        ]
        process_seconds = seconds_of(command)
        times = [json.loads(path.read_text()) for path in Path(folder).glob("*/times.json")]
    assert len(times) == len(workload.runs)
    seconds = max(job["ended"] for job in times) - min(job["began"] for job in times)
    run_steps = sum(job["steps"] for job in times)
    return Measurement(1e3 * seconds / run_steps, process_seconds)
