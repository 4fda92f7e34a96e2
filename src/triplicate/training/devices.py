"""Devices by name."""

from __future__ import annotations

import torch

from triplicate.errors import UserError


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
