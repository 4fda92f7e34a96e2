"""What trackers hold, read back with their own packages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK, _HEADER, _FILE_HEADER = 32768, 7, 7


@dataclass(frozen=True)
class Found:
    """A run of a tracker.

    Attributes:
        points: measure → (step, value) of each time that it was logged.
        summary: its measures at the end.
        ending: in the tracker's own words.
    """

    points: Mapping[str, list[tuple[int, float]]]
    summary: Mapping[str, float]
    parameters: Mapping[str, Any]
    ending: str


def of_tensorboard(folder: Path) -> dict[str, Found]:
    """The runs below a folder, by their folders in it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = {}
    for file in folder.rglob("events.*"):
        events = EventAccumulator(str(file.parent), size_guidance={"tensors": 0, "scalars": 0}).Reload()
        points: dict[str, list[tuple[int, float]]] = {}
        for tag in events.Tags()["scalars"]:
            points[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
        told = events.PluginTagToContent("hparams")
        start = metadata.parse_session_start_info_plugin_data(told[metadata.SESSION_START_INFO_TAG])
        end = told.get(metadata.SESSION_END_INFO_TAG)
        status = metadata.parse_session_end_info_plugin_data(end).status if end is not None else 0
        said = events.Tensors("status")[0].tensor_proto.string_val[0].decode()
        kinds = {name: value.WhichOneof("kind") for name, value in start.hparams.items()}
        parameters = {name: getattr(value, kinds[name]) for name, value in start.hparams.items()}
        found[str(file.parent.relative_to(folder))] = _found(points, parameters, f"{status} {said}")
    return found


def of_mlflow(uri: str, experiment: str) -> dict[str, Found]:
    """The runs below the one run of a sweep, by their names; that of the sweep has none."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(experiment)
    assert known is not None
    runs = client.search_runs([known.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    found = {"": Found({}, {}, {}, parent.info.status)}
    for run in runs:
        if run.info.run_id == parent.info.run_id:
            continue
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        points = {}
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            points[name] = [(metric.step, metric.value) for metric in history]
        ending = f"{run.info.status} {run.data.tags.get('triplicate.status')}"
        assert run.info.run_name not in found
        found[run.info.run_name] = _found(points, run.data.params, ending)
    return found


def of_wandb(folder: Path) -> dict[str, Found]:
    """The runs below a folder, by their groups and names."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # which waits until its own process has written what it was told
    found = {}
    for file in folder.rglob("run-*.wandb"):
        points: dict[str, list[tuple[int, float]]] = {}
        name, ending = "", ""
        parameters: dict[str, Any] = {}
        summary: dict[str, Any] = {}
        for content in _records(file.read_bytes()):
            record = Record.FromString(content)
            if record.HasField("run"):
                name = f"{record.run.project} {record.run.run_group} {record.run.display_name}"
                parameters |= {item.key: json.loads(item.value_json) for item in record.run.config.update if item.key}
            elif record.HasField("history"):
                row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                for key, value in row.items():
                    points.setdefault(key, []).append((row["_step"], float(value)))
            elif record.HasField("summary"):
                for item in record.summary.update:
                    summary[item.key or item.nested_key[0]] = json.loads(item.value_json)
            elif record.HasField("exit"):
                ending = str(record.exit.exit_code)
        assert name not in found
        ending = f"{ending} {summary.pop('status')}"
        found[name] = Found(points, summary, parameters, ending)
    return found


def _found(points: Mapping[str, list[tuple[int, float]]], parameters: Mapping[str, Any], ending: str) -> Found:
    ends = {name.removeprefix("summary/"): of[-1][1] for name, of in points.items() if name.startswith("summary/")}
    return Found({n: of for n, of in points.items() if not n.startswith("summary/")}, ends, parameters, ending)


def _records(content: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, which wandb writes, without a look at their checksums."""
    at, begun = _FILE_HEADER, b""
    while at + _HEADER <= len(content):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + _HEADER])
        begun += content[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if kind in (1, 4):  # whole, or the last part
            yield begun
            begun = b""
