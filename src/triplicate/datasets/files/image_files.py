"""Image files decoded into one tensor, which is kept in the user's cache.

60,000 small PNG files take seconds to decode and a fraction of one to read decoded. The tensor is kept in
`<cache>/images/<key>.safetensors`, where <cache> is $XDG_CACHE_HOME/triplicate or ~/.cache/triplicate. The key is a
hash of every file's path, size and time of change, so a changed folder is decoded anew. Nothing there is ever
deleted; it can be deleted by hand at any time.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from triplicate.datasets.files.places import unreadable
from triplicate.errors import UserError
from triplicate.files import atomic

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "ppm", "pgm", "tif", "tiff")

_VERSION = 1  # of how an image becomes pixels; raise it when that changes, and every cached tensor is made anew
_BLOCK = 64  # files per task: one file is too little work to hand to another thread
# Pillow lets go of the interpreter while it decodes, but for small files the rest of the work does not: more threads
# than these wait for each other.
_THREADS = min(4, os.cpu_count() or 1)

Pixels: TypeAlias = NDArray[np.uint8]
_Mode: TypeAlias = Literal["L", "RGB"]


class ImageFile(NamedTuple):
    """A file of a kind that is read: its path, its size in bytes, and when it was changed, in nanoseconds."""

    path: str
    size: int
    changed: int


def read(files: Sequence[ImageFile], side: int, channels: int, cache: Path) -> Tensor:
    """Read images from the cache, or else decode them and write the cache.

    Each image is converted to RGB or grey, without its transparency, and scaled to a square by Pillow's bilinear
    filter (which looks at every pixel when it makes an image smaller); of an animation the first frame is read.

    Args:
        files: in the order wanted, with absolute paths.
        side: height and width of the result, in pixels.
        channels: 3 for RGB or 1 for grey.
        cache: the folder of the cache; one that cannot be written is left.

    Returns:
        uint8 [files, channels, side, side].

    Raises:
        UserError: a file that cannot be read or decoded, named by its path.
    """
    stored = cache / f"{_key(files, side, channels)}.safetensors"
    pixels = _cached(stored, (len(files), channels, side, side))
    if pixels is not None:
        return pixels
    pixels = torch.from_numpy(_decode_all([file.path for file in files], side, channels))
    _store(stored, pixels)
    return pixels


def _key(files: Sequence[ImageFile], side: int, channels: int) -> str:
    # Another Pillow may decode or scale a little differently.
    content = (_VERSION, PIL.__version__, side, channels, [tuple(file) for file in files])
    return hashlib.sha256(ascii(content).encode()).hexdigest()


def _cached(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """The tensor in the file, or None where there is no file or it is not sound."""
    try:
        with safe_open(path, "pt") as file:
            pixels: Tensor = file.get_tensor("pixels")
            checksum = (file.metadata() or {}).get("crc32")
    except (OSError, SafetensorError):
        return None
    if pixels.dtype != torch.uint8 or pixels.shape != shape or _checksum(pixels) != checksum:
        return None
    return pixels


def _store(path: Path, pixels: Tensor) -> None:
    """Write the file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_with(path, lambda part: save_file({"pixels": pixels}, part, {"crc32": _checksum(pixels)}))
    except (OSError, SafetensorError):
        return  # a full disk or a folder of somebody else's: the images are read all the same


def _checksum(pixels: Tensor) -> str:
    return str(zlib.crc32(pixels.numpy().data))


def _decode_all(paths: Sequence[str], side: int, channels: int) -> Pixels:
    pixels = np.empty((len(paths), channels, side, side), np.uint8)
    mode: _Mode = "RGB" if channels == 3 else "L"

    def decode_block(start: int) -> None:
        for place, path in enumerate(paths[start : start + _BLOCK], start):
            pixels[place] = _decode(path, side, mode)

    starts = range(0, len(paths), _BLOCK)
    with ThreadPoolExecutor(_THREADS) as pool:
        # tqdm shows nothing where its stream is no terminal; it counts blocks and shows images
        blocks = pool.map(decode_block, starts)
        for _ in tqdm(blocks, "images", len(starts), unit_scale=_BLOCK, leave=False, disable=None):
            pass
    return pixels


def _decode(path: str, side: int, mode: _Mode) -> Pixels:
    """The pixels of a file: uint8 [channels, side, side]."""
    try:
        with Image.open(path) as image:
            converted = _converted(image, mode)
            if converted.size != (side, side):
                converted = converted.resize((side, side), Image.Resampling.BILINEAR)
            return np.asarray(converted).reshape(side, side, -1).transpose(2, 0, 1)
    except PIL.UnidentifiedImageError as error:
        raise _no_image(path, "its content is that of no kind of image that Pillow reads") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        # Damage can surface as almost any error of Pillow's decoders, and the answer to all of them is the same.
        raise _no_image(path, " ".join(str(error).split()) or type(error).__name__) from error


def _converted(image: Image.Image, mode: _Mode) -> Image.Image:
    """The image as 8-bit grey or RGB.

    Raises:
        ValueError: pixels without a range that tells which number is white.
    """
    if image.mode.startswith("I;16"):
        # Pillow would cut these off at 255, not scale them: all but the darkest would turn white.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers, not 8-bit or 16-bit colours")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB gives the same pixels, and a warning
    return image.convert(mode)


def _no_image(path: str, reason: str) -> UserError:
    return UserError(path, f"the image cannot be decoded ({reason})", "replace the file, or delete it")
