"""Event files for TensorBoard, written with its own package; torch is not needed for that."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from triplicate.parts import key, part
from triplicate.trackers import Ending, RunLog, TrackedEpoch, TrackedRun, Tracker


@part("tensorboard")
@dataclass(frozen=True)
class TensorBoard(Tracker):
    """TensorBoard: event files, a folder for each run; tensorboard --logdir shows them."""

    package: ClassVar[str] = "tensorboard"
    extra: ClassVar[str] = "tensorboard"

    folder: Path | None = key("where the event files go; null: trackers/tensorboard in the folder of the sweep")

    def place(self) -> str:
        return "" if self.folder is None else str(self.folder.absolute())

    def begin(self, run: TrackedRun, known: str | None, epochs: Sequence[TrackedEpoch]) -> RunLog:
        if self.folder is None:
            folder = run.sweep.folder / "trackers" / "tensorboard" / run.name
        else:
            folder = self.folder.absolute() / run.sweep.label / run.name
        log = _Log(folder, run)
        log.log(epochs)
        return log


class _Log(RunLog):
    """One event file, which is open only while something is added to it: a stack may have hundreds of runs.

    A run that goes on gets a new file with all of its epochs, since nothing can be taken out of the old one.
    """

    def __init__(self, folder: Path, run: TrackedRun) -> None:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._step = 0
        self._file = folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        began = time.time()
        summary = hparams_pb(dict(run.parameters), trial_id=run.fingerprint, start_time_secs=began)
        self._write([_event(began, file_version="brain.Event:2"), _event(began, summary=summary)])

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        events = []
        for epoch in epochs:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in epoch.measures.items()]
            events.append(_event(epoch.time, step=epoch.number, summary=Summary(value=values)))
        self._step = max([self._step, *(epoch.number for epoch in epochs)])
        self._write(events)

    def end(self, ending: Ending, measures: Mapping[str, float], cause: str = "") -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text.summary_v2 import text_pb

        now = time.time()
        values = [Summary.Value(tag=f"summary/{name}", simple_value=value) for name, value in measures.items()]
        said = f"{ending}: {cause}" if cause else str(ending)
        events = [
            _event(now, step=self._step, summary=Summary(value=values)),
            _event(now, step=self._step, summary=text_pb("status", said)),
        ]
        if ending is not Ending.INTERRUPTED:
            events.append(_event(now, summary=_session_end(ending, now)))
        self._write(events)

    def _write(self, events: Sequence[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        with self._file.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _event(wall_time: float, **content: Any) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=wall_time, **content)


def _session_end(ending: Ending, now: float) -> Any:
    """What the page of hyper-parameters goes by."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = "STATUS_SUCCESS" if ending is Ending.FINISHED else "STATUS_FAILURE"
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value(status), end_time_secs=now)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(data))
    value.tensor.CopyFrom(metadata.NULL_TENSOR)
    return Summary(value=[value])
