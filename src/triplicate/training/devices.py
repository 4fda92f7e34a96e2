"""Devices by name."""

from __future__ import annotations

import torch

from triplicate.config import RunConfig, by_hand
from triplicate.errors import UserError


def of(config: RunConfig) -> torch.device:
    """The device of a run: what `device` names, and for what NumPy computes the CPU.

    Raises:
        UserError: there is no such device, or NumPy is to compute on a GPU.
    """
    if not by_hand(config.model):
        return resolve(config.device)
    if config.device not in ("auto", "cpu"):
        problem = f"numpy computes on a CPU, and the device is {config.device}"
        raise UserError("model.backend", problem, "give device=cpu or model.backend=torch")
    return torch.device("cpu")


def resolve(name: str) -> torch.device:
    """The device that a name means; 'auto' is the first GPU, or the CPU where there is none.

    On CUDA float32 stays float32: TensorFloat-32 is switched off for convolutions and products.

    Raises:
        UserError: there is no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    number = "0" if name in ("auto", "cuda") else name.removeprefix("cuda:")
    if not number.isdecimal():
        raise UserError("device", f"there is no {name!r}", "give auto, cpu, cuda or cuda:<number>")
    if int(number) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError("device", f"{name!r} is not here: {found} CUDA device(s)", "give device=cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", int(number))


def forget_peak_memory(device: torch.device) -> None:
    """Begin anew to count the memory that a GPU holds at most."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
