"""Small random image files for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, side: int = 32) -> Image.Image:
    """A random RGB image, the same for the same seed."""
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (side, side, 3)).astype(np.uint8))


def fill(folder: Path, count: int, first_seed: int, side: int = 32) -> None:
    """Write `count` PNG files 0000.png, 0001.png, … into a new folder."""
    folder.mkdir(parents=True)
    for number in range(count):
        noise(first_seed + number, side).save(folder / f"{number:04d}.png")
