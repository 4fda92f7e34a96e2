"""Small sweeps, and what of their folders is compared to the byte."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from triplicate.files import tensors
from triplicate.records import inspection

_COMPARED = (
    "gradients.csv",
    "steps.csv",
    "weights.safetensors",
    "samples.safetensors",
    "confusion.csv",
    "classes.csv",
    "table.csv",
    "table.md",
    "table.tex",
)
_SMALL = ("dataset.limit=128", "train.batch_size=32", "trace.steps=true", "report.curves=[loss]")
SWEEPS = {
    "mlp": (
        *_SMALL,
        "train.epochs=24",
        "model=mlp",
        "model.hidden=[8]",
        "model.dropout=0.2",
        "optimizer=adam",
        "optimizer.lr=0.01,0.001",
        "trace.every=3",
        "seed=0,1",
    ),
    "cnn": (*_SMALL, "train.epochs=6", "model=cnn", "model.filters=[2]", "model.pool_size=4", "seed=0,1"),
    "numpy": (*_SMALL, "train.epochs=12", "model=mlp", "model.hidden=[8]", "model.backend=numpy", "seed=0,1"),
}


@dataclass(frozen=True)
class Trial:
    """What was done, in words, and what was wrong.

    Attributes:
        kills: how many commands were killed.
        notes: what is worth a look, and not wrong.
    """

    told: str
    wrong: list[str]
    kills: int = 0
    notes: tuple[str, ...] = ()


def files(folder: Path) -> set[str]:
    """All files, by their paths in the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@dataclass(frozen=True)
class Content:
    """What a sweep has left. `compared`: path → bytes that any other sweep of the same has too."""

    names: frozenset[str]
    compared: Mapping[str, bytes]

    @staticmethod
    def of(folder: Path) -> Content:
        names = frozenset(files(folder))
        return Content(names, {name: content for name in names if (content := _compared(folder / name)) is not None})

    def differences(self, other: Content) -> list[str]:
        """What the other one has more, less or otherwise."""
        found = [f"{name} is missing" for name in sorted(self.names - other.names)]
        found += [f"{name} is there" for name in sorted(other.names - self.names)]
        both = sorted(self.compared.keys() & other.compared.keys())
        return found + [f"{name} differs" for name in both if self.compared[name] != other.compared[name]]


def _compared(path: Path) -> bytes | None:
    """The bytes that are compared: without times. None: of this file none are."""
    if path.name in _COMPARED or path.suffix == ".png":
        # Two tables say by which command, and so in which folder, they were made.
        return b"".join(line for line in path.read_bytes().splitlines(keepends=True) if b"made by `" not in line)
    if path.name == "metrics.csv":
        frame = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str)
        return frame.drop(columns="seconds").to_csv().encode()
    if path.name == "checkpoint.safetensors":
        content = tensors.read_checked(path)
        return None if content is None else _without_seconds(content)
    return None


def _without_seconds(content: tensors.Content) -> bytes:
    values = json.loads(
        json.dumps(content.values), object_hook=lambda v: {k: x for k, x in v.items() if k != "seconds"}
    )
    parts = [tensor.numpy().tobytes() for _, tensor in sorted(content.tensors.items())]
    return json.dumps(values).encode() + b"".join(parts)


def finished(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The finished runs: name → when summary.json was written, and its bytes."""
    paths = folder.glob("runs/*/summary.json")
    return {path.parent.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def problems(folder: Path, expected: Content) -> list[str]:
    """How a sweep that has ended differs from one that nothing has disturbed."""
    found = expected.differences(Content.of(folder))
    for sweep in inspection.inspect(folder):
        found += [f"check: {finding.kind}: {finding.path}: {finding.problem}" for finding in sweep.findings]
    return found
