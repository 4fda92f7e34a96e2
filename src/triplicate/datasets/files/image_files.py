"""Image files decoded into one tensor, which is kept in the user's cache.

60,000 small PNG files take seconds to decode and a fraction of one to read decoded. The tensor is kept in
`<cache>/images/<key>.safetensors`, where <cache> is the system's folder for caches (`places.cache_dir`); there is one
for each list of paths, side and number of channels. Beside the pixels it keeps of every file a stamp (size, times,
inode) and the SHA-256 of its bytes. A file with the stamp that is kept is taken as unchanged. Of any other, or of all
if the caller wants them checked whole, the bytes are hashed, and only what has other bytes is decoded again.
Nothing there is ever deleted; it can be deleted by hand at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
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

from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.files.regular import unreadable

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "ppm", "pgm", "tif", "tiff")

_VERSION = 2  # of how an image becomes pixels; raise it when that changes, and every cached tensor is made anew
_BLOCK = 64  # files per task: one file is too little work to hand to another thread
# Pillow lets go of the interpreter while it decodes, but the rest of the work does not: more threads than these wait
# for each other, and for small files one alone is faster (15,000 PNG files of 28×28 in 2.4 s, four: 3.7 s).
_THREADS = min(4, os.cpu_count() or 1)
_SMALL = 8 * 1024  # bytes
_BINARY: int = getattr(os, "O_BINARY", 0)  # else Windows reads line ends as others

_SIZE, _STATUS_CHANGED = 0, 2  # places in a stamp
_LARGEST = 2**63 - 1  # that a stamp holds; inodes are unsigned
# Nanoseconds. The times of files go in steps, of 2 s in the coarsest file systems: a file that was changed so shortly
# before it is read may be changed once more and keep its times.
_CLOCK_STEP = 2 * 10**9

Pixels: TypeAlias = NDArray[np.uint8]
Stamps: TypeAlias = NDArray[np.int64]
_Mode: TypeAlias = Literal["L", "RGB"]
_MODES: Mapping[int, _Mode] = {1: "L", 3: "RGB"}


class ImageFile(NamedTuple):
    """A file of a kind that is read: its path, and what tells of a change without reading it.

    Attributes:
        stamp: its size in bytes, when its content and when its status was changed, in nanoseconds, and its inode.
    """

    path: str
    stamp: tuple[int, int, int, int]

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> ImageFile:
        inode = status.st_ino & _LARGEST
        return cls(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode))


@dataclass(frozen=True)
class _Entry:
    """What the cache keeps of a list of files. Its arrays are written to when files have changed.

    Attributes:
        pixels: uint8 [files, channels, side, side].
        stamps: int64 [files, 4], as in `ImageFile`; a row of -1 is a file's that has to be read to be known.
        digests: uint8 [files, 32], the SHA-256 of the bytes that the pixels are of.
    """

    pixels: Pixels
    stamps: Stamps
    digests: Pixels

    @staticmethod
    def blank(shape: tuple[int, ...]) -> _Entry:
        """Of files that were never read: no content has a digest of zeros."""
        files = shape[0]
        return _Entry(
            pixels=np.empty(shape, np.uint8),
            stamps=np.full((files, 4), -1, np.int64),
            digests=np.zeros((files, 32), np.uint8),
        )


def read(files: Sequence[ImageFile], side: int, channels: int, cache: Path, whole: bool = False) -> Tensor:
    """Read images from the cache, decode what it lacks, and renew it.

    Each image is converted to RGB or grey, without its transparency, and scaled to a square by Pillow's bilinear
    filter (which looks at every pixel when it makes an image smaller); of an animation the first frame is read.

    Args:
        files: in the order wanted, with absolute paths.
        side: height and width of the result, in pixels.
        channels: 3 for RGB or 1 for grey.
        cache: the folder of the cache; one that cannot be written is left.
        whole: compare the bytes of every file with those that were decoded, whatever its stamp says.

    Returns:
        uint8 [files, channels, side, side].

    Raises:
        UserError: a file that cannot be read or decoded, named by its path.
    """
    path = cache / f"{_key([file.path for file in files], side, channels)}.safetensors"
    shape = (len(files), channels, side, side)
    entry = _cached(path, shape) or _Entry.blank(shape)
    stamps = _stamps(files)
    is_known = (stamps == entry.stamps).all(1) & (stamps != -1).all(1)
    suspects = range(len(files)) if whole else np.flatnonzero(~is_known).tolist()
    is_renewed = _decode_changed(files, suspects, entry)
    if is_renewed or not np.array_equal(stamps, entry.stamps):
        entry.stamps[:] = stamps
        _store(path, entry)
    return torch.from_numpy(entry.pixels)


def _key(paths: Sequence[str], side: int, channels: int) -> str:
    # Another Pillow may decode or scale a little differently.
    content = (_VERSION, PIL.__version__, side, channels, paths)
    return hashlib.sha256(ascii(content).encode()).hexdigest()


def _stamps(files: Sequence[ImageFile]) -> Stamps:
    """The stamps of files that are about to be read; -1 where the stamp of a later change might be the same."""
    stamps = np.array([file.stamp for file in files], np.int64)
    stamps[stamps[:, _STATUS_CHANGED] > time.time_ns() - _CLOCK_STEP] = -1
    return stamps


def _cached(path: Path, shape: tuple[int, ...]) -> _Entry | None:
    """The entry in the file, or None where there is no file or it is not sound.

    Its memory is the file's, mapped for this process alone: what is written there does not reach the file.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with safe_open(path, "pt") as file:
            entry = _Entry(*(file.get_tensor(field.name).numpy() for field in dataclasses.fields(_Entry)))
            checksum = (file.metadata() or {}).get("crc32")
    except (OSError, SafetensorError):
        return None
    expected = _Entry.blank(shape)
    for name, array in vars(expected).items():
        found = getattr(entry, name)
        if found.dtype != array.dtype or found.shape != array.shape:
            return None
    return entry if _checksum(entry) == checksum else None


def _store(path: Path, entry: _Entry) -> None:
    """Write the file whole or not at all."""
    tensors = {name: torch.from_numpy(array) for name, array in vars(entry).items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_with(path, lambda part: save_file(tensors, part, {"crc32": _checksum(entry)}))
    except (OSError, SafetensorError):
        return  # a full disk or a folder of somebody else's: the images are read all the same


def _checksum(entry: _Entry) -> str:
    checksum = 0
    for array in (entry.pixels, entry.stamps, entry.digests):
        checksum = zlib.crc32(array.data, checksum)
    return str(checksum)


def _decode_changed(files: Sequence[ImageFile], suspects: Sequence[int], entry: _Entry) -> bool:
    """Read the files at some places, and put those that have changed into the entry; whether there was one."""
    side, mode = entry.pixels.shape[-1], _MODES[entry.pixels.shape[1]]

    def examine(places: Sequence[int]) -> bool:
        changed = False
        for place in places:
            content = _content(files[place])
            digest = hashlib.sha256(content).digest()
            if digest != entry.digests[place].tobytes():
                # Pixels and digest are of the same bytes, even if somebody is writing the file.
                entry.pixels[place] = _decode(files[place].path, content, side, mode)
                entry.digests[place] = np.frombuffer(digest, np.uint8)
                changed = True
        return changed

    blocks = [suspects[start : start + _BLOCK] for start in range(0, len(suspects), _BLOCK)]
    with ThreadPoolExecutor(_threads(files)) as pool:
        # tqdm shows nothing where its stream is no terminal; it counts blocks and shows images
        examined = pool.map(examine, blocks)
        return any([*tqdm(examined, "images", len(blocks), unit_scale=_BLOCK, leave=False, disable=None)])


def _threads(files: Sequence[ImageFile]) -> int:
    mean = sum(file.stamp[_SIZE] for file in files) / len(files)
    return 1 if mean < _SMALL else _THREADS


def _content(file: ImageFile) -> bytes:
    """All bytes of a file. `open` and `read_bytes` take twice as long, which 60,000 small files show."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | _BINARY)
        try:
            blocks = iter(lambda: os.read(descriptor, file.stamp[_SIZE] + 1), b"")
            return b"".join(blocks)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(file.path, error) from error


def _decode(path: str, content: bytes, side: int, mode: _Mode) -> Pixels:
    """The pixels of a file: uint8 [channels, side, side]."""
    with _undecodable_named(path), Image.open(io.BytesIO(content)) as image:
        return _scaled(image, (side, side), mode)


def decode(image: str | Image.Image, shape: tuple[int, int, int]) -> Pixels:
    """A file, or an image of Pillow's, as `read` gives it, without a cache.

    Args:
        shape: channels (1 for grey or 3 for RGB), height and width of the result.

    Returns:
        uint8 [channels, height, width].

    Raises:
        UserError: a file that cannot be read or decoded, or pixels that have no colour.
    """
    channels, *size = shape
    name = image if isinstance(image, str) else "image"
    with _undecodable_named(name):
        if isinstance(image, Image.Image):
            return _scaled(image, (size[0], size[1]), _MODES[channels])
        try:
            content = Path(image).read_bytes()
        except OSError as error:
            raise unreadable(image, error) from error
        with Image.open(io.BytesIO(content)) as opened:
            return _scaled(opened, (size[0], size[1]), _MODES[channels])


def _scaled(image: Image.Image, size: tuple[int, int], mode: _Mode) -> Pixels:
    """The pixels [channels, height, width] of an image, converted and scaled."""
    height, width = size
    converted = _converted(image, mode)
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted).reshape(height, width, -1).transpose(2, 0, 1)


@contextmanager
def _undecodable_named(path: str) -> Iterator[None]:
    """Inside, whatever Pillow raises becomes one line about the file."""
    try:
        yield
    except UserError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise _no_image(path, "its content is that of no kind of image that Pillow reads") from error
    except Exception as error:
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
