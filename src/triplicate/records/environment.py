"""Where and with what a run was made."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

import triplicate


def describe(device: torch.device) -> dict[str, str]:
    """Machine, device, versions and the commit of triplicate's checkout (empty when installed)."""
    return {
        "machine": _machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **_versions(),
        "commit": _commit(),
    }


def _versions() -> Mapping[str, str]:
    return {
        "triplicate": triplicate.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


@functools.cache
def _machine() -> str:
    """The processor's name and the number of cores that this process may use."""
    return f"{_processor()}, {cores()} cores"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@functools.cache
def _commit() -> str:
    folder = Path(__file__).parents[3]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
