"""Two GPUs that are none, for a command that is given this file as parts: torch's calls of CUDA are replaced.

They are as strict as torch's own: CUDA does not start in a process that was forked from one that has asked for GPUs,
and no memory is counted before it has started. What fails on a GPU fails from then on in the same process. The stacks
themselves train on the CPU, and plots of runs are not drawn.

`FAKE_RUNS` says how many runs of a stack the memory of a GPU holds in their second epoch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from triplicate.activations import Activation
from triplicate.config import RunConfig
from triplicate.parts import part
from triplicate.sweeps import train
from triplicate.training.engine import fit
from triplicate.training.events import StepsDone


@part("asserting")
@dataclass(frozen=True)
class Asserting(Activation):
    """An activation whose kernel fails."""

    def module(self) -> nn.Module:
        return nn.ReLU()


class Gpus:
    """What CUDA keeps in one process."""

    started = False
    current = 0
    is_broken = False


def is_available() -> bool:
    torch._C._cuda_getDeviceCount()  # from now on no process that is forked from this one can use CUDA
    return True


def start() -> None:
    if torch.cuda._is_in_bad_fork():
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")
    Gpus.started = True


def set_device(device: torch.device) -> None:
    start()
    Gpus.current = number(device)


def number(device: torch.device) -> int:
    assert device.index is not None, "a GPU without a number"
    return device.index


def reset_peak_memory_stats(device: torch.device) -> None:
    if not Gpus.started:
        raise RuntimeError("Invalid device argument 0: did you call init?")
    number(device)


def get_device_properties(device: int) -> Any:
    start()
    return SimpleNamespace(total_memory=(device + 1) * 2**30)


torch.cuda.is_available = is_available
torch.cuda.device_count = lambda: 2
torch.cuda.init = start
torch.cuda.set_device = set_device
torch.cuda.reset_peak_memory_stats = reset_peak_memory_stats
torch.cuda.max_memory_allocated = lambda device: (number(device) + 1) * 2**20
torch.cuda.get_device_name = lambda device: f"fake GPU {number(device)} in process {os.getpid()}"
torch.cuda.get_device_properties = get_device_properties


def fit_on_cpu(configs: Sequence[RunConfig], dataset: Any, device: torch.device, *others: Any) -> Iterator[Any]:
    assert device == torch.device("cuda", Gpus.current)
    Gpus.is_broken |= configs[0].activation.name == "asserting"
    if Gpus.is_broken:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")
    for event in fit(configs, dataset, torch.device("cpu"), *others):
        if isinstance(event, StepsDone) and event.run_steps > 0 and event.state().epoch == 2:
            _check_memory(len(event.state().runs))
        yield event


def _check_memory(runs: int) -> None:
    if runs > int(os.environ.get("FAKE_RUNS", "100")):
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        finally:  # as at the end of a capture that has failed
            Gpus.is_broken = True
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")


train.fit = fit_on_cpu
train.draw = lambda run: None
