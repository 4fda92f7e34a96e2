"""Runs for MLflow, through its client: one process has many of them open, so none is the active one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.utils import env_override

from triplicate.parts import key, part
from triplicate.trackers import Ending, RunLog, TrackedEpoch, TrackedRun, TrackedSweep, Tracker

# Unless the environment says otherwise: no usage statistics are sent, nothing is printed, and a server that does not
# answer is waited for some seconds, not minutes.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
# A server takes no more in one call.
_PARAMETERS, _METRICS, _LETTERS = 100, 1000, 500

_STATUS = {
    Ending.FINISHED: "FINISHED",
    Ending.DIVERGED: "FAILED",
    Ending.FAILED: "FAILED",
    Ending.INTERRUPTED: "KILLED",
}


@part("mlflow")
@dataclass(frozen=True)
class MLflow(Tracker):
    """MLflow: a run for the sweep, and below it one for each run, in its data base or on its server."""

    package: ClassVar[str] = "mlflow"
    extra: ClassVar[str] = "mlflow"

    uri: str | None = key("data base or server; null: $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db here")
    experiment: str | None = key("of MLflow; null: $MLFLOW_EXPERIMENT_NAME, else the name of the sweep")

    def place(self) -> str:
        return f"{self._uri() or Path.cwd()} {self.experiment or os.environ.get('MLFLOW_EXPERIMENT_NAME')}"

    def begin_sweep(self, sweep: TrackedSweep, known: str | None) -> str:
        with _client(self._uri()) as client:
            if known is not None:
                client.update_run(known, status="RUNNING")
                return known
            name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or sweep.name
            experiment = client.get_experiment_by_name(name)
            number = experiment.experiment_id if experiment is not None else client.create_experiment(name)
            tags = {"triplicate.folder": str(sweep.folder), "triplicate.command": sweep.command}
            return str(client.create_run(number, run_name=sweep.folder.name, tags=tags).info.run_id)

    def end_sweep(self, sweep: TrackedSweep, sweep_id: str, ending: Ending) -> None:
        with _client(self._uri()) as client:
            client.set_tag(sweep_id, "triplicate.status", str(ending))
            client.set_terminated(sweep_id, _STATUS[ending])

    def begin(self, run: TrackedRun, known: str | None, epochs: Sequence[TrackedEpoch]) -> RunLog:
        with _client(self._uri()) as client:
            if known is None:
                log = _Log(self._uri(), _created(client, run))
                log.log(epochs)
                return log
            client.update_run(known, status="RUNNING")
            log = _Log(self._uri(), known)
            log.told = {metric.step for metric in client.get_metric_history(known, "train_loss")}
        log.log(epochs)
        return log

    def _uri(self) -> str | None:
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI")


def _created(client: Any, run: TrackedRun) -> str:
    from mlflow.entities import Param

    experiment = client.get_run(run.sweep_id).info.experiment_id
    tags = {
        "mlflow.parentRunId": run.sweep_id,
        "triplicate.folder": str(run.folder),
        "triplicate.fingerprint": run.fingerprint,
    }
    created = str(client.create_run(experiment, run_name=run.name, tags=tags).info.run_id)
    parameters = [Param(name, str(value)[:_LETTERS]) for name, value in run.parameters.items()]
    for first in range(0, len(parameters), _PARAMETERS):
        client.log_batch(created, params=parameters[first : first + _PARAMETERS])
    return created


class _Log(RunLog):
    """One run of MLflow.

    Attributes:
        told: epochs that it has already. Some of them may be trained once more, to the same numbers, where a run goes
            on from a state that was saved before they were told.
    """

    def __init__(self, uri: str | None, id: str) -> None:
        self.id = id
        self.told: set[int] = set()
        self._uri = uri
        self._step = 0

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        new = [epoch for epoch in epochs if epoch.number not in self.told]
        self._step = max([self._step, *(epoch.number for epoch in epochs)])
        self._metrics([(n, v, e.time, e.number) for e in new for n, v in e.measures.items()])

    def end(self, ending: Ending, measures: Mapping[str, float], cause: str = "") -> None:
        now = time.time()
        self._metrics([(f"summary/{name}", value, now, self._step) for name, value in measures.items()])
        with _client(self._uri) as client:
            client.set_tag(self.id, "triplicate.status", f"{ending}: {cause}" if cause else str(ending))
            client.set_terminated(self.id, _STATUS[ending])

    def _metrics(self, found: Sequence[tuple[str, float, float, int]]) -> None:
        """Args: `found`, name, value, time in seconds, and step."""
        if not found:
            return
        with _client(self._uri) as client:
            from mlflow.entities import Metric

            metrics = [Metric(name, value, int(1000 * at), step) for name, value, at, step in found]
            for first in range(0, len(metrics), _METRICS):
                client.log_batch(self.id, metrics=metrics[first : first + _METRICS])


@contextmanager
def _client(uri: str | None) -> Iterator[Any]:
    """MLflow's client; it is used inside alone, where mlflow is as `_SETTINGS` has it."""
    retries = logging.getLogger("urllib3.connectionpool")  # it warns of each; what fails for good is told by us
    before = retries.level
    retries.setLevel(logging.ERROR)
    try:
        with env_override({name: value for name, value in _SETTINGS.items() if name not in os.environ}):
            from mlflow import MlflowClient

            yield MlflowClient(tracking_uri=uri)
    finally:
        retries.setLevel(before)
