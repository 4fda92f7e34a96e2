"""Devices by name."""

from __future__ import annotations

import ctypes

import torch

from triplicate.config import RunConfig
from triplicate.errors import UserError

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def of(config: RunConfig) -> torch.device:
    """The device of a run: what `device` names, and for what NumPy computes the CPU.

    Raises:
        UserError: there is no such device, or NumPy is to compute on a GPU.
    """
    if not config.model.uses_numpy:
        return resolve(config.device)
    if config.device not in ("auto", "cpu"):
        problem = f"numpy computes on a CPU, and the device is {config.device}"
        raise UserError("model.backend", problem, "give device=cpu or model.backend=torch")
    return torch.device("cpu")


def kind(config: RunConfig) -> str:
    """The type of the device of a run, cpu or cuda, whether it is there or not."""
    if config.model.uses_numpy or config.device == "cpu":
        return "cpu"
    return "cuda" if config.device != "auto" or torch.cuda.is_available() else "cpu"


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


def begin(device: torch.device) -> None:
    """Make a device ready for a stack: a GPU counts anew the memory it holds at most, a CPU keeps what is freed."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Ask the C library not to hand freed blocks back to the system, which would fill them anew page by page.

    Convolutions allocate much in every step. A C library that knows no mallopt (not glibc) is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_TRIM_THRESHOLD, 2**30)
    mallopt(_M_MMAP_THRESHOLD, 2**25)  # the greatest that it takes
