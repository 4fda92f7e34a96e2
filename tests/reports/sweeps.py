"""Sweeps on disk, written by the records alone: nothing is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.conftest import Configure, epoch_metrics
from triplicate.config import RunConfig, as_plain
from triplicate.records.run_folder import RunFolder
from triplicate.records.sweep_folder import SweepRecord, Wanted, write_sweep
from triplicate.training.build import build

ENVIRONMENT = {"machine": "a machine, 2 cores", "device": "cpu", "triplicate": "0", "torch": "2"}
# A network of one convolution, that takes no time.
SMALL = ("model=cnn", "model.filters=[2]", "model.hidden=[]", "dataset=glyphs", "train.epochs=2")


def wanted(rate: str, seed: int) -> Wanted:
    overrides = {"optimizer.lr": rate, "seed": str(seed)}
    name = ",".join(f"{k}={v}" for k, v in overrides.items())
    return Wanted(seed, f"{rate}, {seed}", f"setting of {rate}", seed, name, overrides, {"model": "cnn"})


@dataclasses.dataclass
class OnDisk:
    """A sweep over rates and three seeds."""

    folder: Path
    configure: Configure

    def config(self, run: Wanted) -> RunConfig:
        return self.configure(*SMALL, *(f"{k}={v}" for k, v in run.overrides.items()))

    def run(self, run: Wanted) -> Path:
        return self.folder / "runs" / run.folder

    def finish(self, run: Wanted, accuracy: float = 0.5, **summary: Any) -> Path:
        """Write a finished run, with a network and pictures."""
        config = self.config(run)
        writer = RunFolder(self.run(run))
        writer.begin(config)
        for epoch in (1, 2):
            writer.append(epoch_metrics(epoch, test_accuracy=accuracy, train_loss=0.5, test_loss=0.5))
        writer.write_confusion(torch.eye(3, dtype=torch.int64), ["a", "b", "c"])
        writer.write_samples(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.arange(3))
        writer.write_weights(build(config, (1, 28, 28), 3).state_dict())
        writer.finish(
            {
                "status": "finished",
                "epochs": 2,
                "tested_epoch": 2,
                "job": 0,
                "seed": run.seed,
                "overrides": dict(run.overrides),
                "choices": dict(run.choices),
                "measures": {"test_accuracy": accuracy, "train_loss": 0.5, "test_loss": 0.5, "best_epoch": 1},
                "classes": ["a", "b", "c"],
                "image_shape": [1, 28, 28],
                "fingerprint": run.fingerprint,
                "setting": run.setting,
                "lineage": run.fingerprint,
                "measured": [],
                "data": "0123456789abcdef",
                "parts_from_outside": {},
                "command": "triplicate x=1",
                "finished_at": "2026-01-01T00:00:00+00:00",
                "device": "cpu",
                "environment": ENVIRONMENT,
            }
            | summary
        )
        return writer.path

    def asked(self, runs: Sequence[Wanted], **report: Any) -> None:
        """Write sweep.json; `report` is what its command set, and without it the sweep has no plots."""
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = {**as_plain(self.config(runs[0]))["report"], "curves": [], "bars": [], **report}
        write_sweep(self.folder, SweepRecord("x", "", "triplicate x=1", whole, tuple(runs), (), len(runs)))
