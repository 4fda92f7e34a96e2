"""Devices by name, and what a process does to train on one."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from triplicate.config import RunConfig
from triplicate.errors import UserError
from triplicate.lazy import torch

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# What torch, cuBLAS and cuDNN say where memory is short, beside the errors that have a class of their own.
_SHORT_OF_MEMORY = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")


def kind(config: RunConfig) -> str:
    """The type of the device of a run, cpu or cuda, whether it is there or not.

    `auto` is a GPU where there is one; what NumPy computes is on the CPU.

    Raises:
        UserError: nothing is called so, or NumPy is to compute on a GPU.
    """
    name = config.device
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        problem = "GPUs of Apple are not supported" if name == "mps" else f"there is no {name!r}"
        raise UserError("device", problem, "give auto, cpu, cuda or cuda:<number>")
    if config.model.uses_numpy:
        if name not in ("auto", "cpu"):
            problem = f"numpy computes on a CPU, and the device is {name}"
            raise UserError("model.backend", problem, "give device=cpu or model.backend=torch")
        return "cpu"
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name.partition(":")[0]


def named(config: RunConfig) -> str:
    """The device of a run as torch names it, whether it is there or not: cpu, cuda or cuda:1.

    A GPU without a number is the one of the worker that trains the run: see `begin`.

    Raises:
        UserError: as `kind`.
    """
    number = _number(config)
    return kind(config) if number is None else f"cuda:{number}"


def of(config: RunConfig) -> torch.device:
    """The device of a run, which is here.

    Raises:
        UserError: as `kind`, or the device is not here.
    """
    check_here(config)
    return torch.device(named(config))


def check_here(config: RunConfig) -> None:
    """
    Raises:
        UserError: as `kind`, or the device is not here.
    """
    if kind(config) == "cpu":
        return
    found = torch.cuda.device_count()
    if (_number(config) or 0) >= found:
        raise UserError("device", f"{config.device!r} is not here: {found} CUDA device(s)", "give device=cpu")


def gpus(configs: Sequence[RunConfig]) -> list[int]:
    """The numbers of the GPUs that runs may train on: all of them, or those that they name."""
    numbers = {_number(config) for config in configs if kind(config) == "cuda"}
    named = {number for number in numbers if number is not None}
    return sorted(named | set(range(torch.cuda.device_count())) if None in numbers else named)


def memory(gpu: int) -> int:
    """Bytes of memory that a GPU has.

    The properties are asked for, not how much is free: that would take some of it for this process.

    Raises:
        UserError: CUDA does not start.
    """
    try:
        return int(torch.cuda.get_device_properties(gpu).total_memory)
    except RuntimeError as error:
        raise UserError("device", f"CUDA does not start ({str(error).splitlines()[0]})", "give device=cpu") from error


def begin(device: torch.device, worker: int = 0, tf32: bool = False, deterministic: bool = False) -> torch.device:
    """Make a device ready for a stack. A CPU keeps what is freed.

    A GPU becomes the current one of this process, which streams and graphs belong to. It gets back what the last stack
    has left, counts anew how much memory it holds at most, and leaves float32 as it is unless asked otherwise.

    Args:
        worker: the number of this process among those that train side by side, from 0.
        tf32: float32 products and convolutions by TensorFloat-32.
        deterministic: only algorithms of cuDNN that repeat a result exactly.

    Returns:
        The device with its number: where it has none, the GPUs are dealt out to the workers in turn.
    """
    if device.type == "cpu":
        _keep_freed_memory()
        return device
    torch.cuda.init()  # type: ignore[no-untyped-call]  # some of the calls below do not do it by themselves
    number = worker % torch.cuda.device_count() if device.index is None else device.index
    own = torch.device("cuda", number)
    torch.cuda.set_device(own)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = deterministic
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(own)
    return own


@contextmanager
def settings_kept() -> Iterator[None]:
    """Inside, what a process sets of torch to train or evaluate is its own matter; afterwards it is as before."""
    threads, draws, dtype = torch.get_num_threads(), torch.get_rng_state(), torch.get_default_dtype()
    backends: list[tuple[Any, str]] = [
        (torch.backends.cuda.matmul, "allow_tf32"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cudnn, "deterministic"),
    ]
    backends = backends if torch.cuda.is_available() else []
    before = [getattr(backend, name) for backend, name in backends]
    gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(draws)
        torch.set_default_dtype(dtype)
        for (backend, name), value in zip(backends, before, strict=True):
            setattr(backend, name, value)
        if gpu is not None:
            torch.cuda.set_device(gpu)


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that memory was short, of a GPU or of the machine.

    A CUDA graph whose capture ends so, for one, reports that its capture has failed.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT_OF_MEMORY):
        return True
    earlier = error.__cause__ or error.__context__
    return earlier is not None and is_short_of_memory(earlier)


def _number(config: RunConfig) -> int | None:
    """Of the GPU that a run names; None: it names none."""
    _, _, number = config.device.partition(":")
    return int(number) if number else None


def _keep_freed_memory() -> None:
    """Ask the C library not to hand freed blocks back to the system, which would fill them anew page by page.

    Convolutions allocate much in every step. A C library that knows no mallopt (not glibc) is left as it is.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_TRIM_THRESHOLD, 2**30)
    mallopt(_M_MMAP_THRESHOLD, 2**25)  # the greatest that it takes
