"""What summary.json says of a run."""

from __future__ import annotations

import dataclasses
import math
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from triplicate.config import fingerprint
from triplicate.datasets import Dataset
from triplicate.records import environment
from triplicate.sweeps.plan import Run
from triplicate.training.batches import trained_on
from triplicate.training.engine import RunEnd
from triplicate.training.metrics import EpochMetrics


def summarize(
    run: Run,
    end: RunEnd,
    epochs: Sequence[EpochMetrics],
    dataset: Dataset,
    stack_size: int,
    device: torch.device,
) -> dict[str, Any]:
    """How a run ended, its measures, and where and with what it was made."""
    return {
        "status": end.status,
        "diverged_step": end.diverged_step,
        "stopped": end.stopped,
        "epochs": len(epochs),
        "tested_epoch": end.tested_epoch,
        "job": run.job,
        "seed": run.config.seed,
        "overrides": dict(run.overrides),
        "choices": dict(run.choices),
        "measures": {k: None if math.isnan(v) else v for k, v in _measures(run, end, epochs, dataset, device).items()},
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "runs_in_stack": stack_size,
        "fingerprint": fingerprint(run.config),
        "command": shlex.join(["triplicate", *(a for a in sys.argv[1:] if a != "--multirun")]),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": run.config.device,
        "environment": environment.describe(device),
    }


def _measures(
    run: Run, end: RunEnd, epochs: Sequence[EpochMetrics], dataset: Dataset, device: torch.device
) -> Mapping[str, float]:
    """Those of the tested epoch, and those of the whole run."""
    tested = {k: v for k, v in dataclasses.asdict(epochs[end.tested_epoch - 1]).items() if v is not None}
    best = max(epochs, key=lambda e: -1.0 if math.isnan(e.test_accuracy) else e.test_accuracy)
    seconds = sum(e.seconds for e in epochs)
    images = trained_on(len(dataset.train), run.config.dataset.validation) * len(epochs)
    return tested | {
        "best_test_accuracy": best.test_accuracy,
        "best_epoch": best.epoch,
        "epochs": len(epochs),
        "epochs_to_target": _epochs_to(run.config.stopping.target_accuracy, epochs),
        "seconds": seconds,
        "images_per_second": images / seconds,
        "peak_memory_mib": _peak_memory(device),
        "parameters": end.parameters,
    }


def _epochs_to(target: float | None, epochs: Sequence[EpochMetrics]) -> float:
    """The first epoch whose test accuracy reaches the target; NaN where none does."""
    return next((float(e.epoch) for e in epochs if target is not None and e.test_accuracy >= target), math.nan)


def _peak_memory(device: torch.device) -> float:
    """In MiB: what torch held at most on the GPU for this stack; on a CPU the peak of the whole process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
