"""The folder of one run.

    config.yaml             the resolved configuration
    metrics.csv             a row for each epoch
    steps.csv               a row for each training step, where asked for
    gradients.csv           a row for each traced step and layer
    confusion.csv           counts over the test images: a row for each true class, a column for each predicted one
    classes.csv             precision, recall, F1 and number of test images of each class
    weights.safetensors     the weights after the last epoch, or the best
    samples.safetensors     a few test images of different classes, or all test points, for the plots
    checkpoint.safetensors  what a run with more epochs goes on from, where this one has had all of its own
    plots/*.png             and plots.json, which says what they were drawn from
    .hydra/                 what Hydra composed, from which overrides
    trackers.json           what trackers were told (records/tracked.py)
    triplicate.log
    failure.json            why it failed, if it did
    summary.json            status, final and best measures, where and with what, a hash of each file; written last

No summary: not finished. Every file is written whole or not at all; only the log is appended to.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from triplicate.config import RunConfig, as_plain, check_recorded, fingerprint_of, setting_of
from triplicate.errors import UserError
from triplicate.files import atomic, tensors
from triplicate.lazy import pandas as pd
from triplicate.measures.shared.classes import by_class
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.gradients import GradientRow
from triplicate.records.layout import LAYOUT, upgraded

if TYPE_CHECKING:
    from torch import Tensor

# The same in C, where it is there: a table of hundreds of runs reads as many.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_OTHER_CONTENT = "its content is not what was written"

SUMMARY = "summary.json"
FAILURE = "failure.json"
CHECKPOINT = "checkpoint.safetensors"
LOG = "triplicate.log"
_CONFIG = "config.yaml"
_METRICS = "metrics.csv"
RECORDS = (
    _METRICS,
    "steps.csv",
    "gradients.csv",
    "confusion.csv",
    "classes.csv",
    "weights.safetensors",
    "samples.safetensors",
    CHECKPOINT,
)


class RunFolder:
    """Writes one run, from its configuration to its summary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs: list[EpochMetrics] = []
        self._steps: list[pd.DataFrame] = []
        self._written = 0.0
        self._hashes: dict[str, str] = {}

    def begin(self, config: RunConfig) -> None:
        """Make the folder, or clear what an earlier run has left in it, and write config.yaml."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (SUMMARY, FAILURE, *RECORDS, LOG):
            (self.path / name).unlink(missing_ok=True)
        self._put(_CONFIG, yaml.safe_dump(as_plain(config), sort_keys=False))
        self.log(f"seed {config.seed}")

    def go_on(self, config: RunConfig, epochs: Sequence[EpochMetrics], losses: Tensor, accuracies: Tensor) -> None:
        """Go on with a run that was interrupted after these epochs and steps [steps]; what it has left stays."""
        if not (self.path / _CONFIG).is_file():
            self.begin(config)
        (self.path / FAILURE).unlink(missing_ok=True)
        self._hashes[_CONFIG] = atomic.hash_of(self.path / _CONFIG)
        self._epochs = list(epochs)
        self._steps = [_steps_frame(1, losses, accuracies)] if len(losses) else []
        self.log(f"goes on after epoch {len(epochs)}")

    def append(self, metrics: EpochMetrics) -> None:
        """Add the row of one epoch to metrics.csv, which is written once a second and when the run ends."""
        self._epochs.append(metrics)
        self.log(
            f"epoch {metrics.epoch}: train loss {metrics.train_loss:.4f}, "
            f"test loss {metrics.test_loss:.4f}, test accuracy {metrics.test_accuracy:.4f}"
        )
        if time.monotonic() - self._written > 1:
            self._write_metrics()

    def append_steps(self, losses: Tensor, accuracies: Tensor) -> None:
        """Keep the losses and accuracies [steps] of the next steps, and log every hundredth.

        steps.csv is written when the run ends.
        """
        part = _steps_frame(1 + sum(len(part) for part in self._steps), losses, accuracies)
        self._steps.append(part)
        for step, loss, accuracy in part[part["step"] % 100 == 0].itertuples(index=False):
            self.log(f"step {step}: loss {loss:.4f}, accuracy {accuracy:.4f}")

    def write_gradients(self, rows: Sequence[GradientRow]) -> None:
        """Write gradients.csv, if anything was traced."""
        if rows:
            self._put_csv("gradients.csv", pd.DataFrame([dataclasses.asdict(r) for r in rows]))

    def write_confusion(self, counts: Tensor, classes: Sequence[str]) -> None:
        """Write confusion.csv from counts [classes, classes], and classes.csv from the same."""
        table = pd.DataFrame(counts.numpy(), index=list(classes), columns=list(classes))
        self._put_csv("confusion.csv", table.rename_axis("true class"), index=True)
        scores = by_class(counts)
        columns = {name: getattr(scores, name).numpy() for name in ("precision", "recall", "f1")}
        each = pd.DataFrame({"class": list(classes), **columns, "images": counts.sum(1).numpy()})
        self._put_csv("classes.csv", each)

    def write_samples(self, inputs: Tensor, labels: Tensor) -> None:
        """Write samples.safetensors: samples as the data set holds them [n, …] and their labels [n]."""
        self._put_tensors("samples.safetensors", {"inputs": inputs, "labels": labels})

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write weights.safetensors, the state dict of the model."""
        self._put_tensors("weights.safetensors", weights)

    def write_checkpoint(self, content: tensors.Content) -> None:
        """Write checkpoint.safetensors."""
        self._hashes[CHECKPOINT] = tensors.write_checked(self.path / CHECKPOINT, content)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write what is left of the records, then summary.json: from now on the run counts as finished."""
        self._write_metrics()
        if self._steps:
            self._put_csv("steps.csv", pd.concat(self._steps))
        self.log(f"{summary['status']}")
        whole = {"layout": LAYOUT} | dict(summary) | {"files": dict(sorted(self._hashes.items()))}
        write_json(self.path / SUMMARY, whole)

    def fail(self, cause: str, trace: str = "") -> None:
        """Write failure.json, and the log."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.log(f"failed: {cause}{trace and f'{chr(10)}{trace}'}")
        write_json(self.path / FAILURE, {"cause": cause})

    def log(self, line: str) -> None:
        """Append a line with the time to the run's log. A log that cannot be written stops nothing."""
        try:
            with (self.path / LOG).open("a", errors="backslashreplace") as file:
                file.write(f"[{datetime.now():%Y-%m-%d %H:%M:%S}] {line}\n")
        except OSError:
            return

    def _write_metrics(self) -> None:
        """Write metrics.csv. Columns that no epoch has a value for are left out."""
        table = pd.DataFrame([metrics.columns() for metrics in self._epochs])
        empty = [name for name in table.columns if table[name].map(lambda x: x is None).all()]
        self._put_csv(_METRICS, table.drop(columns=empty))
        self._written = time.monotonic()

    def _put(self, name: str, text: str) -> None:
        self._hashes[name] = atomic.write_text(self.path / name, text)

    def _put_csv(self, name: str, table: pd.DataFrame, index: bool = False) -> None:
        buffer = io.StringIO()
        table.to_csv(buffer, index=index, na_rep="nan", lineterminator="\n")
        self._put(name, buffer.getvalue())

    def _put_tensors(self, name: str, content: Mapping[str, Tensor]) -> None:
        self._hashes[name] = tensors.write(self.path / name, content)


@dataclass(frozen=True)
class RunRecord:
    """One finished run, as its folder tells it.

    Attributes:
        fingerprint: equal for equal runs.
        setting: equal for the runs of one row of a table.
    """

    path: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: pd.DataFrame
    gradients: pd.DataFrame | None
    steps: pd.DataFrame | None
    fingerprint: str
    setting: str


class Damaged(Exception):
    """A file of a finished run that is not as it was written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem


def read_summary(folder: Path) -> Mapping[str, Any] | None:
    """What summary.json says; None where there is none.

    Raises:
        Damaged: it is not as it was written.
        UserError: it is of an older version.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return None
    summary = _summary(path)
    if summary["layout"] != LAYOUT:
        problem = "a run of an older version of triplicate is here, which does not say what data it had"
        raise UserError(str(folder), problem, "give another output_dir")
    return summary


def read_outline(folder: Path) -> Mapping[str, Any] | None:
    """What summary.json says, whatever version wrote it; None where there is none.

    Raises:
        Damaged: it is not as it was written.
    """
    path = folder / SUMMARY
    return _summary(path) if path.exists() else None


def read_run(folder: Path) -> RunRecord:
    """A finished run. Each file that is read is compared with its hash.

    Raises:
        Damaged: a file is not as it was written.
    """
    summary = _summary(folder / SUMMARY)
    hashes = summary["files"] if summary["layout"] == LAYOUT else {}
    config = _config(folder, hashes)
    known = summary["layout"] == LAYOUT
    try:
        return RunRecord(
            path=folder,
            config=config,
            summary=summary,
            metrics=_csv(folder / _METRICS, hashes),
            gradients=_csv_if_there(folder / "gradients.csv", hashes),
            steps=_csv_if_there(folder / "steps.csv", hashes),
            fingerprint=summary["fingerprint"] if known else fingerprint_of(config),
            setting=summary["setting"] if known else setting_of(config),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(folder / _METRICS, f"it cannot be read ({_in_short(error)})") from error


def check_files(folder: Path) -> list[Damaged]:
    """Compare every file of a finished run with its hash: those that are damaged or missing."""
    try:
        summary = _summary(folder / SUMMARY)
    except Damaged as damage:
        return [damage]
    found = []
    for name, wanted in (summary["files"] if summary["layout"] == LAYOUT else {}).items():
        try:
            check_file(folder / name, wanted)
        except Damaged as damage:
            found.append(damage)
    return found


def forget_checkpoint(folder: Path) -> None:
    """Take checkpoint.safetensors out of the summary of a finished run, so that it is whole without that file.

    Raises:
        Damaged: the summary is not as it was written.
    """
    path = folder / SUMMARY
    values = read_json(path)
    if CHECKPOINT in values.get("files", {}):
        write_json(path, values | {"files": {k: v for k, v in values["files"].items() if k != CHECKPOINT}})


def check_file(path: Path, wanted: str) -> None:
    """Compare a file with its hash, without holding it in memory.

    Raises:
        Damaged: it is not as it was written, or not there.
    """
    with _unreadable_named(path):
        found = atomic.hash_of(path)
    if found != wanted:
        raise Damaged(path, _OTHER_CONTENT)


def read_failure(folder: Path) -> str | None:
    """Why the run in a folder failed; None if it did not."""
    try:
        return str(json.loads((folder / FAILURE).read_bytes())["cause"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "its failure.json cannot be read"


def epochs_so_far(folder: Path) -> int | None:
    """How many epochs of a run that has not ended are written down; None where there is nothing."""
    try:
        return (folder / _METRICS).read_bytes().count(b"\n") - 1
    except OSError:
        return None


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics.csv, as far as a run has come, each by column; none where there are none.

    Raises:
        Damaged: it cannot be read.
    """
    path = folder / _METRICS
    if not path.is_file():
        return []
    table = _csv(path, {})
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration that a run was begun with.

    Raises:
        Damaged: it cannot be read.
    """
    return _config(folder, {})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of plain values with a hash of them."""
    atomic.write_text(path, json.dumps(dict(values) | {"sha256": _hash(values)}, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` has written.

    Raises:
        Damaged: it is not as it was written.
    """
    try:
        values = json.loads(_content(path))
    except ValueError as error:
        raise Damaged(path, f"it cannot be read ({_in_short(error)})") from error
    if not isinstance(values, dict):
        raise Damaged(path, "it is no mapping")
    wanted = values.pop("sha256", None)
    if wanted is not None and wanted != _hash(values):
        raise Damaged(path, _OTHER_CONTENT)
    if wanted is None and values.get("layout") not in (None, 1, 2):
        raise Damaged(path, "its hash is missing")
    return values


def _hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()


# What every summary has that is read without asking.
_NEEDED = (
    "status",
    "job",
    "seed",
    "overrides",
    "choices",
    "measures",
    "classes",
    "environment",
    "finished_at",
    "command",
)
_NEEDED_NOW = (
    "files",
    "fingerprint",
    "setting",
    "lineage",
    "data",
    "measured",
    "epochs",
    "tested_epoch",
    "image_shape",
)


def _summary(path: Path) -> dict[str, Any]:
    values = {"layout": 1} | read_json(path)
    needed = (*_NEEDED, *(_NEEDED_NOW if values["layout"] == LAYOUT else ()))
    missing = [name for name in needed if name not in values]
    if missing:
        raise Damaged(path, f"it has no {missing[0]}")
    return values


def _config(folder: Path, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a run. The parts that it names need not be here."""
    path = folder / _CONFIG
    content = _content(path)
    _compare(path, content, hashes)
    try:
        return check_recorded(upgraded(yaml.load(content, _LOADER)))
    except UserError as error:
        raise Damaged(path, f"it is not of this version ({error.subject}: {error.problem})") from error
    except (ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise Damaged(path, f"it cannot be read ({_in_short(error)})") from error


def _csv(path: Path, hashes: Mapping[str, str]) -> pd.DataFrame:
    content = _content(path)
    _compare(path, content, hashes)
    try:
        return pd.read_csv(io.BytesIO(content))
    except ValueError as error:
        raise Damaged(path, f"it cannot be read ({_in_short(error)})") from error


def _csv_if_there(path: Path, hashes: Mapping[str, str]) -> pd.DataFrame | None:
    return _csv(path, hashes) if path.is_file() or path.name in hashes else None


def _content(path: Path) -> bytes:
    with _unreadable_named(path):
        return path.read_bytes()


@contextmanager
def _unreadable_named(path: Path) -> Iterator[None]:
    """Inside, a file that is not there or cannot be read is damage."""
    try:
        if not path.is_file():
            raise Damaged(path, "it is not there")
        yield
    except OSError as error:
        raise Damaged(path, f"it cannot be read ({(error.strerror or str(error)).lower()})") from error


def _compare(path: Path, content: bytes, hashes: Mapping[str, str]) -> None:
    wanted = hashes.get(path.name)
    if wanted is not None and hashlib.sha256(content).hexdigest() != wanted:
        raise Damaged(path, _OTHER_CONTENT)


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _steps_frame(first: int, losses: Tensor, accuracies: Tensor) -> pd.DataFrame:
    steps = range(first, first + len(losses))
    return pd.DataFrame({"step": steps, "loss": losses.numpy(), "accuracy": accuracies.numpy()})
