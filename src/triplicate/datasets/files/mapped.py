"""A data set in one file, which several processes map into their memory without a copy."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open

from triplicate.datasets import Dataset, Images
from triplicate.files import tensors
from triplicate.files.atomic import named


def write(dataset: Dataset, path: Path) -> None:
    """Write the file.

    Raises:
        OSError: it cannot be written.
    """
    content = {
        f"{name}.{part}": getattr(images, part)
        for name, images in (("train", dataset.train), ("test", dataset.test))
        for part in ("pixels", "labels")
    }
    with named(path), path.open("wb") as file:
        for piece in tensors.pieces(content, {"classes": json.dumps(dataset.classes)}):
            file.write(piece)


def read(path: Path) -> Dataset:
    """The data set in the file: tensors over the mapped pages, which the system keeps once for all processes."""
    with safe_open(path, "pt") as file:
        train, test = (
            Images(file.get_tensor(f"{name}.pixels"), file.get_tensor(f"{name}.labels")) for name in ("train", "test")
        )
        classes = tuple(json.loads(file.metadata()["classes"]))
    return Dataset(train, test, classes)
