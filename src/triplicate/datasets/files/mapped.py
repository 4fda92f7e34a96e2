"""A data set in one file, which several processes map into their memory without a copy."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from triplicate.datasets import Dataset, Images
from triplicate.files.atomic import named


def write(dataset: Dataset, path: Path) -> None:
    """Write the file.

    Raises:
        OSError: it cannot be written.
    """
    # The format refuses what lies in memory once and has two names, as where the test set is the training set.
    test = Images(dataset.test.pixels.clone(), dataset.test.labels.clone())
    tensors = {
        f"{name}.{part}": getattr(images, part).contiguous()
        for name, images in (("train", dataset.train), ("test", test))
        for part in ("pixels", "labels")
    }
    with named(path):
        path.write_bytes(save(tensors, {"classes": json.dumps(dataset.classes)}))


def read(path: Path) -> Dataset:
    """The data set in the file: tensors over the mapped pages, which the system keeps once for all processes."""
    with safe_open(path, "pt") as file:
        train, test = (
            Images(file.get_tensor(f"{name}.pixels"), file.get_tensor(f"{name}.labels")) for name in ("train", "test")
        )
        classes = tuple(json.loads(file.metadata()["classes"]))
    return Dataset(train, test, classes)
