"""Given to a command as its parts: tells which processes train, and leaves them little memory of the GPU.

`GPU_CHECK_LOG` names the file that they are written to. `GPU_CHECK_BYTES` says how much memory there is; where it is
empty, as on a CPU, more than 4 runs in a stack are too many. Nothing is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triplicate.activations import Activation
from triplicate.config import RunConfig
from triplicate.parts import part
from triplicate.sweeps import launcher, train, workers
from triplicate.training.engine import fit


@part("watched")
@dataclass(frozen=True)
class Watched(Activation):
    """Of no use; a file of parts must have one."""

    def module(self) -> nn.Module:
        return nn.ReLU()


def watched(configs: Sequence[RunConfig], dataset: Any, device: torch.device, *others: Any) -> Iterator[Any]:
    with Path(os.environ["GPU_CHECK_LOG"]).open("a") as log:
        log.write(f"{os.getpid()}\n")
    limit = os.environ.get("GPU_CHECK_BYTES")
    if limit == "" and len(configs) > 4:
        raise torch.OutOfMemoryError("out of memory, for the rehearsal")
    if limit:
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(int(limit) / whole, device)
    yield from fit(configs, dataset, device, *others)


train.fit = watched
train.draw = lambda run: None
workers.report = launcher._report = lambda sweep: ""
