"""The embedded digits: the same bytes every time, a cache that heals, and a middling difficulty."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from triplicate.datasets import glyphs
from triplicate.datasets.glyphs import Glyphs, GlyphsMismatch

CACHE_NAME = f"glyphs-v{glyphs.VERSION}.npz"


@pytest.fixture(scope="module")
def drawn() -> Glyphs:
    return glyphs.make()


@pytest.fixture
def made(drawn: Glyphs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for `make`, which takes seconds; the list grows by one at every call."""
    calls: list[str] = []

    def make() -> Glyphs:
        calls.append("made")
        return drawn

    monkeypatch.setattr(glyphs, "make", make)
    return calls


def _all_bytes(each: Glyphs) -> bytes:
    arrays = (each.train_images, each.train_labels, each.test_images, each.test_labels)
    return b"".join(array.tobytes() for array in arrays)


def test_bytes_are_those_the_module_names(drawn: Glyphs) -> None:
    assert hashlib.sha256(_all_bytes(drawn)).hexdigest() == glyphs.SHA256


def test_a_second_drawing_is_identical(drawn: Glyphs) -> None:
    assert _all_bytes(glyphs.make()) == _all_bytes(drawn)


def test_make_refuses_other_bytes(drawn: Glyphs, monkeypatch: pytest.MonkeyPatch) -> None:
    images = drawn.test_images.copy()
    images[0, 0, 0] ^= 1
    changed = Glyphs(drawn.train_images, drawn.train_labels, images, drawn.test_labels)
    monkeypatch.setattr(glyphs, "_draw", lambda: changed)
    with pytest.raises(GlyphsMismatch, match=glyphs.SHA256):
        glyphs.make()


def test_shapes_and_types(drawn: Glyphs) -> None:
    arrays = (drawn.train_images, drawn.train_labels, drawn.test_images, drawn.test_labels)
    shapes = [array.shape for array in arrays]
    assert shapes == [(12_000, 28, 28), (12_000,), (2_000, 28, 28), (2_000,)]
    assert all(array.dtype == np.uint8 for array in arrays)
    assert all(array.flags.c_contiguous and array.flags.writeable for array in arrays)


def test_classes_are_balanced(drawn: Glyphs) -> None:
    assert "".join(glyphs.CLASSES) == "0123456789"
    assert np.bincount(drawn.train_labels).tolist() == [1_200] * 10
    assert np.bincount(drawn.test_labels).tolist() == [200] * 10


def test_file_order_is_already_random(drawn: Glyphs) -> None:
    # In 100 batches of 120 a class has 12 places on average, with deviation 3.3: six of them out
    # is less than one chance in a million, where sorted labels would give a class all 120 places.
    batches = drawn.train_labels.reshape(100, 120)
    counts = np.array([np.bincount(batch, minlength=10) for batch in batches])
    assert counts.max() <= 32
    repeats = np.mean(drawn.train_labels[1:] == drawn.train_labels[:-1])
    assert 0.08 < repeats < 0.12  # labels in turn would never repeat


def test_no_image_is_repeated_or_blank(drawn: Glyphs) -> None:
    images = np.concatenate([drawn.train_images, drawn.test_images]).reshape(14_000, -1)
    assert len({image.tobytes() for image in images}) == 14_000
    assert np.ptp(images.astype(np.int64), axis=1).min() > 60


def test_grey_runs_from_paper_to_ink(drawn: Glyphs) -> None:
    assert (drawn.train_images.min(), drawn.train_images.max()) == (0, 255)
    border = np.median(drawn.train_images[:, [0, -1], :])
    middle = np.median(drawn.train_images[:, 8:20, 10:18].max(axis=(1, 2)))
    assert border < 40 < 120 < middle


def test_learnable_but_hard(drawn: Glyphs) -> None:
    """Nearest class mean: far over one in ten, far under all."""
    train = drawn.train_images.reshape(12_000, 784).astype(np.float64) / 255
    test = drawn.test_images.reshape(2_000, 784).astype(np.float64) / 255
    means = np.array([train[drawn.train_labels == place].mean(axis=0) for place in range(10)])
    distances = ((test[:, None, :] - means[None, :, :]) ** 2).sum(axis=2)
    accuracy = np.mean(distances.argmin(axis=1) == drawn.test_labels)
    assert 0.5 < accuracy < 0.8


def test_load_writes_the_cache_and_reads_it_back(drawn: Glyphs, made: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there yet"
    first = glyphs.load(folder)
    second = glyphs.load(folder)
    assert made == ["made"]
    assert _all_bytes(first) == _all_bytes(second) == _all_bytes(drawn)
    assert second.train_images.shape == (12_000, 28, 28)
    assert [path.name for path in folder.iterdir()] == [CACHE_NAME]


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _array_missing(path: Path) -> None:
    with np.load(path) as stored:
        np.savez(path, train_images=stored["train_images"])


def _other_shape(path: Path) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name].reshape(-1) for name in stored.files}
    np.savez(path, **arrays)


def _other_labels(path: Path) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["test_labels"] = (arrays["test_labels"] + 1) % 10
    np.savez(path, **arrays)


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [_cut_short, _emptied, _one_bit_flipped, _array_missing, _other_shape, _other_labels, _a_pipe],
)
def test_a_damaged_cache_is_made_anew(
    damage: Callable[[Path], None], drawn: Glyphs, made: list[str], tmp_path: Path
) -> None:
    glyphs.load(tmp_path)
    damage(tmp_path / CACHE_NAME)
    healed = glyphs.load(tmp_path)
    assert len(made) == 2
    assert healed.train_images.shape == (12_000, 28, 28)
    assert _all_bytes(healed) == _all_bytes(drawn)
    glyphs.load(tmp_path)
    assert len(made) == 2  # the file was healed too


def test_a_cache_that_cannot_be_written_is_no_error(drawn: Glyphs, made: list[str], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    assert _all_bytes(glyphs.load(blocked / "below")) == _all_bytes(drawn)
    assert made == ["made"]
    assert blocked.read_text() == "a file, not a folder"


def test_a_write_that_fails_leaves_nothing_behind(
    drawn: Glyphs, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    assert _all_bytes(glyphs.load(tmp_path)) == _all_bytes(drawn)
    assert made == ["made"]
    assert list(tmp_path.iterdir()) == []
