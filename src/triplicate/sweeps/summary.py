"""What summary.json says of a run."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from triplicate.config import as_plain, origins
from triplicate.datasets import Dataset
from triplicate.measures import History
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.measures.shared.names import evaluated, of_runs
from triplicate.records import environment
from triplicate.sweeps.command import command
from triplicate.sweeps.plan import Run
from triplicate.training.counts import trained_on
from triplicate.training.events import RunEnd


def summarize(
    run: Run,
    end: RunEnd,
    epochs: Sequence[EpochMetrics],
    dataset: Dataset,
    stack_size: int,
    is_stacked: bool,
    device: torch.device,
) -> dict[str, Any]:
    """How a run ended, its measures, and where and with what it was made."""
    outside = {what: {"source": o.source, "version": o.version} for what, o in origins(run.config).items()}
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
        "measures": {k: _number(v) for k, v in _measures(run, end, epochs, dataset, device).items()},
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "runs_in_stack": stack_size,
        "is_stacked": is_stacked,
        "threads": torch.get_num_threads(),
        "fingerprint": run.identity.fingerprint,
        "setting": run.identity.setting,
        "lineage": run.identity.lineage,
        "data": run.data,
        "measured": sorted(evaluated(run.config.measured)),
        "parts_from_outside": outside,
        "command": command(),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": run.config.device,
        "environment": environment.describe(device),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _measures(
    run: Run, end: RunEnd, epochs: Sequence[EpochMetrics], dataset: Dataset, device: torch.device
) -> Mapping[str, float | None]:
    """Those of the tested epoch, and those of the whole run."""
    tested = {k: v for k, v in epochs[end.tested_epoch - 1].columns().items() if v is not None}
    known = tested | {
        "tested_epoch": end.tested_epoch,
        "parameters": end.parameters,
        "peak_memory_mib": _peak_memory(device),
        "images": trained_on(len(dataset.train), run.config.dataset.validation),
    }
    history = History([epoch.columns() for epoch in epochs], known, as_plain(run.config))
    return known | {name: part.of_run(history) for name, part in of_runs().items()}


def _peak_memory(device: torch.device) -> float | None:
    """In MiB: what torch held at most on the GPU for this stack; on a CPU the peak of the whole process so far, which
    Windows does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere
