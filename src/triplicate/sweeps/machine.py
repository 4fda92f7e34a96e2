"""What there is to train on: cores or GPUs, and their memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from triplicate.config import RunConfig
from triplicate.records.environment import cores
from triplicate.training import devices

# The rest is for what is not told by a model's shapes: data, libraries, the allocator's reserve, other processes.
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Machine:
    """Where a sweep trains.

    Attributes:
        workers: how many processes can train at once: one a core, or one a GPU.
        bytes: memory for the stacks of all of them together.
    """

    workers: int
    bytes: float
    has_gpus: bool


def machine(configs: Sequence[RunConfig]) -> Machine:
    """The machine as these runs may use it. On a GPU that a configuration names by its number there is one worker."""
    if all(devices.kind(config) == "cpu" for config in configs):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Machine(cores(), _SHARE_OF_MEMORY * memory, False)
    gpus = torch.cuda.device_count() if all(c.device in ("auto", "cuda") for c in configs) else 1
    free, _ = torch.cuda.mem_get_info()
    return Machine(max(1, gpus), _SHARE_OF_MEMORY * free * gpus, True)
