"""Where and with what a run was made."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np

import triplicate
from triplicate.files import atomic
from triplicate.lazy import torch


def describe(device: torch.device) -> dict[str, str]:
    """Machine, device, versions and the commit of triplicate's checkout (empty when installed)."""
    return {
        "machine": _machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **_versions(),
        "commit": _commit(),
    }


def note_packages(path: Path) -> None:
    """Write down every installed package: the first time, and once more where a sweep goes on with others.

    The file is a list of starts, each with the time, the version of Python, and name → version.
    """
    starts = _starts(path)
    found = {"python": platform.python_version(), "packages": _packages()}
    if starts and {**starts[-1], "since": None} == {"since": None, **found}:
        return
    starts.append({"since": datetime.now(UTC).isoformat(timespec="seconds"), **found})
    atomic.write_text(path, json.dumps(starts, indent=1) + "\n")


def _starts(path: Path) -> list[dict[str, Any]]:
    """What the file holds; nothing where it is not there, or damaged."""
    try:
        starts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return starts if isinstance(starts, list) and all(isinstance(start, dict) for start in starts) else []


@functools.cache
def _packages() -> dict[str, str]:
    """Every installed package by name. Of those of one name Python imports the first."""
    found: dict[str, str] = {}
    for distribution in distributions():
        # Its `metadata` takes all of the text apart, which for a hundred packages is a tenth of a second.
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        name, version = (re.search(rf"^{key}: *(\S+)", text, re.MULTILINE) for key in ("Name", "Version"))
        if name is not None and version is not None:
            found.setdefault(name[1], version[1])
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


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
