"""The folder of one run.

    config.yaml          the resolved configuration
    metrics.csv          a row an epoch
    gradients.csv        a row a traced step and layer
    confusion.csv        counts over the test images: a row a true class, a column a predicted one
    weights.safetensors  the weights after the last epoch
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import yaml
from torch import Tensor

from triplicate.config import RunConfig, as_plain, fingerprint
from triplicate.errors import UserError
from triplicate.records import atomic
from triplicate.training.metrics import EpochMetrics
from triplicate.training.traces import GradientRow

SUMMARY = "summary.json"
LOG = "triplicate.log"


class RunFolder:
    """Writes one run, from its configuration to its summary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs: list[EpochMetrics] = []

    def begin(self, config: RunConfig) -> None:
        """Make the folder, or clear what an unfinished run has left in it, and write config.yaml."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.csv", "gradients.csv", "confusion.csv", "weights.safetensors", LOG):
            (self.path / name).unlink(missing_ok=True)
        atomic.write_text(self.path / "config.yaml", yaml.safe_dump(as_plain(config), sort_keys=False))
        self.log(f"seed {config.seed}, fingerprint {fingerprint(config)}")

    def append(self, metrics: EpochMetrics) -> None:
        """Add the row of one epoch to metrics.csv. Columns that no epoch has a value for are left out."""
        self._epochs.append(metrics)
        table = pd.DataFrame([dataclasses.asdict(m) for m in self._epochs])
        empty = [name for name in table.columns if table[name].map(lambda x: x is None).all()]
        _write_csv(self.path / "metrics.csv", table.drop(columns=empty))
        self.log(
            f"epoch {metrics.epoch}: train loss {metrics.train_loss:.4f}, "
            f"test loss {metrics.test_loss:.4f}, test accuracy {metrics.test_accuracy:.4f}"
        )

    def write_gradients(self, rows: Sequence[GradientRow]) -> None:
        """Write gradients.csv, if anything was traced."""
        if rows:
            _write_csv(self.path / "gradients.csv", pd.DataFrame([dataclasses.asdict(r) for r in rows]))

    def write_confusion(self, counts: Tensor, classes: Sequence[str]) -> None:
        """Write confusion.csv from counts [classes, classes]."""
        table = pd.DataFrame(counts.numpy(), index=list(classes), columns=list(classes))
        _write_csv(self.path / "confusion.csv", table.rename_axis("true class"), index=True)

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write weights.safetensors, the state dict of the model."""
        atomic.write_bytes(self.path / "weights.safetensors", safetensors.torch.save(dict(weights)))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json: from now on the run counts as finished."""
        self.log(f"{summary['status']}")
        atomic.write_text(self.path / SUMMARY, json.dumps(summary, indent=2) + "\n")

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


def finished_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the finished run in a folder; None where there is none."""
    path = folder / SUMMARY
    if not path.is_file():
        return None
    fingerprint: str = _read_summary(path)["fingerprint"]
    return fingerprint


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
            config = yaml.safe_load((folder / "config.yaml").read_text())
            metrics = pd.read_csv(folder / "metrics.csv")
            traced = (folder / "gradients.csv").is_file()
            gradients = pd.read_csv(folder / "gradients.csv") if traced else None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(str(folder), f"a file cannot be read ({error})", "run it again") from error
        yield RunRecord(folder, config, summary, metrics, gradients)


def _read_summary(path: Path) -> Mapping[str, Any]:
    try:
        summary: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(str(path), f"it cannot be read ({error})", "delete it and run again") from error
    return summary


def _write_csv(path: Path, table: pd.DataFrame, index: bool = False) -> None:
    buffer = io.StringIO()
    table.to_csv(buffer, index=index, na_rep="nan", lineterminator="\n")
    atomic.write_text(path, buffer.getvalue())
