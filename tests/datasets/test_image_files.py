"""Decoding as Pillow does it, and a cache that heals."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.datasets.pictures import noise
from triplicate.datasets.files import image_files
from triplicate.datasets.files.image_files import ImageFile
from triplicate.errors import UserError
from triplicate.files import atomic


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the path of every file that is decoded and not read from the cache."""
    paths: list[str] = []
    decode = image_files._decode

    def noted(path: str, content: bytes, side: int, mode: image_files._Mode) -> image_files.Pixels:
        paths.append(path)
        return decode(path, content, side, mode)

    monkeypatch.setattr(image_files, "_decode", noted)
    return paths


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the path of every file whose bytes are read."""
    paths: list[str] = []
    content = image_files._content

    def noted(file: ImageFile) -> bytes:
        paths.append(file.path)
        return content(file)

    monkeypatch.setattr(image_files, "_content", noted)
    return paths


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for seed, path in enumerate(paths):
        noise(seed, 8).save(path)
    return paths


@pytest.fixture
def old_three(three: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The same, written long enough ago that their stamps are trusted."""
    monkeypatch.setattr(image_files, "_CLOCK_STEP", 20_000_000)
    time.sleep(0.04)
    return three


def listed(*paths: Path) -> list[ImageFile]:
    return [ImageFile.of(str(path), path.stat()) for path in paths]


def pixels_of(image: Image.Image) -> torch.Tensor:
    """[1, height, width] or [3, height, width], by way of numpy."""
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0).copy())


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "ppm", "tif"])
@pytest.mark.parametrize("size", [(32, 32), (50, 21), (7, 90)])
def test_an_image_is_converted_and_scaled_as_pillow_does(
    tmp_path: Path, channels: int, mode: str, suffix: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"x.{suffix}"
    noise(1, 64).resize(size).save(path)
    read = image_files.read(listed(path), 32, channels, tmp_path / "cache")
    with Image.open(path) as image:
        expected = image.convert(mode).resize((32, 32), Image.Resampling.BILINEAR)
    assert read.shape == (1, channels, 32, 32)
    assert read.dtype == torch.uint8
    assert torch.equal(read[0], pixels_of(expected))


def test_transparency_is_left_out_without_a_warning(tmp_path: Path) -> None:
    palette = noise(2).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=bytes(range(16)))
    noise(2).convert("RGBA").save(tmp_path / "rgba.png")
    read = image_files.read(listed(tmp_path / "palette.png", tmp_path / "rgba.png"), 32, 3, tmp_path / "cache")
    assert torch.equal(read[0], pixels_of(palette.convert("RGB")))
    assert torch.equal(read[1], pixels_of(noise(2)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [3, 1])
def test_grey_of_16_bits_keeps_its_shades(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray((np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)).save(path)
    read = image_files.read(listed(path), 16, channels, tmp_path / "cache")
    assert torch.equal(read[0], torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(channels, 16, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_of_32_bits_are_refused(tmp_path: Path, dtype: type[np.generic]) -> None:
    path = tmp_path / "science.tif"
    Image.fromarray(np.zeros((4, 4), dtype)).save(path)
    with pytest.raises(UserError, match=r"32-bit numbers, not 8-bit"):
        image_files.read(listed(path), 4, 3, tmp_path / "cache")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "ppm", "tif"])
@pytest.mark.parametrize("harm", ["cut", "emptied", "a text"])
def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path, three: list[Path], suffix: str, harm: str) -> None:
    path = tmp_path / f"bad.{suffix}"
    noise(1, 64).save(path)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "emptied": b"", "a text": b"no image\n" * 9}[harm])
    with pytest.raises(UserError, match=r"the image cannot be decoded \(.+\); replace the file, or delete it$") as told:
        image_files.read(listed(*three, path), 8, 3, tmp_path / "cache")
    assert told.value.subject == str(path)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_went_away_is_named(tmp_path: Path, three: list[Path]) -> None:
    files = listed(*three)
    three[1].unlink()
    with pytest.raises(UserError, match=r"it cannot be read \(No such file or directory\)") as caught:
        image_files.read(files, 8, 3, tmp_path / "cache")
    assert caught.value.subject == str(three[1])


def test_more_files_than_a_block_keep_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{shade}.png" for shade in range(200)]
    for shade, path in enumerate(paths):
        Image.new("L", (2, 2), shade).save(path)
    read = image_files.read(listed(*paths), 2, 1, tmp_path / "cache")
    assert read[:, 0, 0, 0].tolist() == list(range(200))


def test_what_was_decoded_is_read_from_the_cache(tmp_path: Path, three: list[Path], decoded: list[str]) -> None:
    cache = tmp_path / "not" / "there yet"
    first = image_files.read(listed(*three), 8, 3, cache)
    second = image_files.read(listed(*three), 8, 3, cache)
    assert sorted(decoded) == [str(path) for path in three]
    assert torch.equal(first, second)
    stored = list(cache.iterdir())
    assert [path.suffix for path in stored] == [".safetensors"]
    assert torch.equal(load_file(stored[0])["pixels"], first)


def _rewritten(path: Path) -> None:
    noise(99, 8).save(path)


def _exchanged(path: Path) -> None:
    noise(99, 8).save(path.with_name("other.png"))
    path.with_name("other.png").replace(path)


def _with_the_old_time(path: Path) -> None:
    status = path.stat()
    noise(99, 8).save(path)
    path.write_bytes(path.read_bytes().ljust(status.st_size, b"\0"))  # what follows the end of a PNG is not read
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("change", [_rewritten, _exchanged, _with_the_old_time])
def test_a_changed_file_alone_is_decoded_anew(
    tmp_path: Path, old_three: list[Path], decoded: list[str], change: Callable[[Path], None], whole: bool
) -> None:
    old_three[2].write_bytes(old_three[2].read_bytes() + bytes(9))
    first = image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    before = first.clone()
    change(old_three[2])
    again = image_files.read(listed(*old_three), 8, 3, tmp_path / "cache", whole)
    assert sorted(decoded) == [str(path) for path in [*old_three, old_three[2]]]
    with Image.open(old_three[2]) as image:
        assert torch.equal(again[2], pixels_of(image))
    assert torch.equal(again[:2], before[:2])
    assert torch.equal(first, before)  # whoever holds the old ones keeps them
    assert torch.equal(image_files.read(listed(*old_three), 8, 3, tmp_path / "cache", whole), again)
    assert len(decoded) == 4
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_files_with_the_stamps_that_are_kept_are_not_opened(
    tmp_path: Path, old_three: list[Path], opened: list[str], decoded: list[str]
) -> None:
    image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    del opened[:]
    image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    assert opened == []
    image_files.read(listed(*old_three), 8, 3, tmp_path / "cache", whole=True)
    assert opened == [str(path) for path in old_three]
    assert len(decoded) == 3


def test_of_a_touched_file_the_stamp_alone_is_renewed(
    tmp_path: Path, old_three: list[Path], opened: list[str], decoded: list[str]
) -> None:
    image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    del opened[:]
    os.utime(old_three[1], ns=(0, 0))
    time.sleep(0.04)
    for _ in range(2):
        image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    assert opened == [str(old_three[1])]
    assert len(decoded) == 3


def test_a_change_that_no_stamp_shows_is_found_by_a_whole_check(tmp_path: Path, old_three: list[Path]) -> None:
    files = listed(*old_three)
    first = image_files.read(files, 8, 3, tmp_path / "cache").clone()
    _rewritten(old_three[0])
    assert torch.equal(image_files.read(files, 8, 3, tmp_path / "cache"), first)
    again = image_files.read(files, 8, 3, tmp_path / "cache", whole=True)
    assert torch.equal(again[0], pixels_of(noise(99, 8)))
    assert torch.equal(again[1:], first[1:])


def test_the_stamp_of_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, three: list[Path]) -> None:
    """Its times go in steps: a second change within a step shows in none of them."""
    files = listed(*three)
    image_files.read(files, 8, 3, tmp_path / "cache")
    _rewritten(three[0])
    assert torch.equal(image_files.read(files, 8, 3, tmp_path / "cache")[0], pixels_of(noise(99, 8)))


def test_a_renewal_that_cannot_be_kept_leaves_the_cache_as_it_was(
    tmp_path: Path, old_three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    stored = next((tmp_path / "cache").iterdir())
    before = stored.read_bytes()
    monkeypatch.setattr(image_files, "_store", lambda path, entry: None)
    _rewritten(old_three[0])
    again = image_files.read(listed(*old_three), 8, 3, tmp_path / "cache")
    assert torch.equal(again[0], pixels_of(noise(99, 8)))
    assert stored.read_bytes() == before


def test_other_sides_channels_and_files_have_other_caches(
    tmp_path: Path, three: list[Path], decoded: list[str]
) -> None:
    for side, channels, paths in ((8, 3, three), (9, 3, three), (8, 1, three), (8, 3, three[:2]), (8, 3, three[::-1])):
        read = image_files.read(listed(*paths), side, channels, tmp_path / "cache")
        assert read.shape == (len(paths), channels, side, side)
    assert len(decoded) == 14
    assert len(list((tmp_path / "cache").iterdir())) == 5


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _no_safetensors(path: Path) -> None:
    path.write_bytes(b"\xff" * 4_000)


def _one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def _other_tensor(path: Path) -> None:
    save_file({"other": torch.zeros(3, 3, 8, 8, dtype=torch.uint8)}, path)


def _with(path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Store an entry with one of its tensors changed, and a checksum that is right."""
    tensors = {key: tensor.clone() for key, tensor in load_file(path).items()}
    tensors[name] = change(tensors[name]).contiguous()
    entry = image_files._Entry(**{key: tensor.numpy() for key, tensor in tensors.items()})
    save_file(tensors, path, {"crc32": image_files._checksum(entry)})


def _other_shape(path: Path) -> None:
    _with(path, "pixels", lambda pixels: pixels.reshape(3, -1))


def _other_type(path: Path) -> None:
    _with(path, "pixels", lambda pixels: pixels.view(torch.int8))


def _fewer_digests(path: Path) -> None:
    _with(path, "digests", lambda digests: digests[:2])


def _stamps_of_another_type(path: Path) -> None:
    _with(path, "stamps", lambda stamps: stamps.int())


def _no_checksum(path: Path) -> None:
    save_file({name: tensor.clone() for name, tensor in load_file(path).items()}, path)


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        _cut_short,
        _emptied,
        _no_safetensors,
        _one_bit_flipped,
        _other_tensor,
        _other_shape,
        _other_type,
        _fewer_digests,
        _stamps_of_another_type,
        _no_checksum,
        _a_pipe,
    ],
)
def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, three: list[Path], decoded: list[str], damage: Callable[[Path], None]
) -> None:
    first = image_files.read(listed(*three), 8, 3, tmp_path / "cache").clone()
    damage(next((tmp_path / "cache").iterdir()))
    assert torch.equal(image_files.read(listed(*three), 8, 3, tmp_path / "cache"), first)
    assert len(decoded) == 6
    image_files.read(listed(*three), 8, 3, tmp_path / "cache")
    assert len(decoded) == 6  # the file was healed too


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, three: list[Path], decoded: list[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    for _ in range(2):
        assert len(image_files.read(listed(*three), 8, 3, blocked / "below")) == 3
    assert len(decoded) == 6
    assert blocked.read_text() == "a file, not a folder"


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full_disk)
    assert len(image_files.read(listed(*three), 8, 3, tmp_path / "cache")) == 3
    assert list((tmp_path / "cache").iterdir()) == []
