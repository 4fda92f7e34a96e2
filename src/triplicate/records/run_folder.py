"""The folder of one run.

    config.yaml          the resolved configuration
    metrics.csv          a row for each epoch
    steps.csv            a row for each training step, where asked for
    gradients.csv        a row for each traced step and layer
    confusion.csv        counts over the test images: a row for each true class, a column for each predicted one
    classes.csv          precision, recall, F1 and number of test images of each class
    weights.safetensors  the weights after the last epoch, or the best
    samples.safetensors  a few test images of different classes, or all test points, for the plots
    plots/*.png
    .hydra/              what Hydra composed, from which overrides
    triplicate.log
    summary.json         status, final and best measures, where and with what; written last

No summary: not finished. Every file is written whole or not at all; only the log is appended to.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import yaml
from torch import Tensor

from triplicate.config import RunConfig, as_plain, check_recorded, fingerprint, fingerprint_of
from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.measures.shared.classes import by_class
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.records.gradients import GradientRow
from triplicate.records.layout import LAYOUT, upgraded

SUMMARY = "summary.json"
LOG = "triplicate.log"
_RECORDS = (
    "metrics.csv",
    "steps.csv",
    "gradients.csv",
    "confusion.csv",
    "classes.csv",
    "weights.safetensors",
    "samples.safetensors",
)


class RunFolder:
    """Writes one run, from its configuration to its summary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs: list[EpochMetrics] = []
        self._steps: list[pd.DataFrame] = []
        self._written = 0.0

    def begin(self, config: RunConfig) -> None:
        """Make the folder, or clear what an unfinished run has left in it, and write config.yaml."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (*_RECORDS, LOG):
            (self.path / name).unlink(missing_ok=True)
        atomic.write_text(self.path / "config.yaml", yaml.safe_dump(as_plain(config), sort_keys=False))
        self.log(f"seed {config.seed}, fingerprint {fingerprint(config)}")

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
        first = 1 + sum(len(part) for part in self._steps)
        steps = range(first, first + len(losses))
        part = pd.DataFrame({"step": steps, "loss": losses.numpy(), "accuracy": accuracies.numpy()})
        self._steps.append(part)
        for step, loss, accuracy in part[part["step"] % 100 == 0].itertuples(index=False):
            self.log(f"step {step}: loss {loss:.4f}, accuracy {accuracy:.4f}")

    def write_gradients(self, rows: Sequence[GradientRow]) -> None:
        """Write gradients.csv, if anything was traced."""
        if rows:
            _write_csv(self.path / "gradients.csv", pd.DataFrame([dataclasses.asdict(r) for r in rows]))

    def write_confusion(self, counts: Tensor, classes: Sequence[str]) -> None:
        """Write confusion.csv from counts [classes, classes], and classes.csv from the same."""
        table = pd.DataFrame(counts.numpy(), index=list(classes), columns=list(classes))
        _write_csv(self.path / "confusion.csv", table.rename_axis("true class"), index=True)
        scores = by_class(counts)
        columns = {name: getattr(scores, name).numpy() for name in ("precision", "recall", "f1")}
        each = pd.DataFrame({"class": list(classes), **columns, "images": counts.sum(1).numpy()})
        _write_csv(self.path / "classes.csv", each)

    def write_samples(self, inputs: Tensor, labels: Tensor) -> None:
        """Write samples.safetensors: samples as the data set holds them [n, …] and their labels [n]."""
        content = safetensors.torch.save({"inputs": inputs.cpu().contiguous(), "labels": labels.cpu().contiguous()})
        atomic.write_bytes(self.path / "samples.safetensors", content)

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write weights.safetensors, the state dict of the model."""
        atomic.write_bytes(self.path / "weights.safetensors", safetensors.torch.save(dict(weights)))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write what is left of the records, then summary.json: from now on the run counts as finished."""
        self._write_metrics()
        if self._steps:
            _write_csv(self.path / "steps.csv", pd.concat(self._steps))
        self.log(f"{summary['status']}")
        atomic.write_text(self.path / SUMMARY, json.dumps({"layout": LAYOUT} | dict(summary), indent=2) + "\n")

    def _write_metrics(self) -> None:
        """Write metrics.csv. Columns that no epoch has a value for are left out."""
        table = pd.DataFrame([metrics.columns() for metrics in self._epochs])
        empty = [name for name in table.columns if table[name].map(lambda x: x is None).all()]
        _write_csv(self.path / "metrics.csv", table.drop(columns=empty))
        self._written = time.monotonic()

    def log(self, line: str) -> None:
        """Append a line with the time to the run's log."""
        with (self.path / LOG).open("a") as file:
            file.write(f"[{datetime.now():%Y-%m-%d %H:%M:%S}] {line}\n")


@dataclass(frozen=True)
class RunRecord:
    """One finished run, as its folder tells it."""

    path: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: pd.DataFrame
    gradients: pd.DataFrame | None
    steps: pd.DataFrame | None


def finished_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the finished run in a folder; None where there is none."""
    path = folder / SUMMARY
    if not path.is_file():
        return None
    summary = _read_summary(path)
    if summary.get("layout") == LAYOUT:
        return str(summary["fingerprint"])
    return fingerprint_of(_read_config(folder), {})


def read_runs(sweep: Path) -> list[RunRecord]:
    """All finished runs below a folder, in the order of the sweep.

    Raises:
        UserError: there is none, or a file of one cannot be read.
    """
    records = list(_records(sweep))
    if not records:
        raise UserError(str(sweep), "no finished run is in it", "name the folder that a sweep has written")
    return sorted(records, key=lambda record: int(record.summary["job"]))


def _records(sweep: Path) -> Iterator[RunRecord]:
    for path in sorted(sweep.rglob(SUMMARY)):
        folder = path.parent
        summary = _read_summary(path)
        try:
            config = _read_config(folder)
            metrics = pd.read_csv(folder / "metrics.csv")
            gradients, steps = (_read_if_there(folder / name) for name in ("gradients.csv", "steps.csv"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(str(folder), f"a file cannot be read ({error})", "run it again") from error
        yield RunRecord(folder, config, summary, metrics, gradients, steps)


def _read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run. The parts that it names need not be here."""
    try:
        return check_recorded(upgraded(yaml.safe_load((folder / "config.yaml").read_text())))
    except UserError as error:
        problem = f"its config.yaml is not of this version ({error.subject}: {error.problem})"
        raise UserError(str(folder), problem, "run it again") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UserError(str(folder / "config.yaml"), f"it cannot be read ({error})", "run it again") from error


def _read_summary(path: Path) -> Mapping[str, Any]:
    try:
        summary: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(str(path), f"it cannot be read ({error})", "delete it and run again") from error
    return summary


def _read_if_there(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.is_file() else None


def _write_csv(path: Path, table: pd.DataFrame, index: bool = False) -> None:
    buffer = io.StringIO()
    table.to_csv(buffer, index=index, na_rep="nan", lineterminator="\n")
    atomic.write_text(path, buffer.getvalue())
