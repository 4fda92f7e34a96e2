from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10, ImageFolder

from tests.conftest import SHARED_DATA, Configure
from tests.datasets.pictures import fill, noise
from triplicate.datasets import cifar10
from triplicate.datasets.cifar10 import Cifar10
from triplicate.errors import UserError

BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


class OldArray:
    """Unpickles as the published arrays do under numpy 2.4.0 to 2.4.4: with a warning."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = array

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickled, (self.array.tobytes(), self.array.shape)


def _unpickled(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    warnings.warn("dtype(): align should be passed as a boolean", np.exceptions.VisibleDeprecationWarning, stacklevel=1)
    return np.frombuffer(content, np.uint8).reshape(shape)


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small random batches; torchvision expects their md5 sums instead of the published ones."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    draws = np.random.RandomState(0)
    sums = {}
    for name in [*BATCHES, "test_batch", "batches.meta"]:
        pixels = draws.randint(0, 256, (4, 3 * 32 * 32)).astype(np.uint8)
        images = {"data": OldArray(pixels), "labels": draws.randint(0, 10, 4).tolist()}
        content = pickle.dumps({"label_names": list(cifar10.CLASSES)} if name == "batches.meta" else images)
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in BATCHES])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    return tmp_path / "data"


def lay_out(root: Path, train: int = 2, test: int = 1) -> Path:
    """CIFAR10/{train,test}/<class>/<number>.png."""
    for place, name in enumerate(cifar10.CLASSES):
        fill(root / "CIFAR10" / "train" / name, train, 100 * place)
        fill(root / "CIFAR10" / "test" / name, test, 100 * place + 50)
    return root / "CIFAR10"


def test_batches_are_read_as_they_are(batches: Path, tmp_path: Path) -> None:
    loaded = cifar10.load(batches, tmp_path / "cache")
    assert loaded.train.pixels.shape == (20, 3, 32, 32)
    assert loaded.test.pixels.shape == (4, 3, 32, 32)
    assert loaded.train.pixels.dtype == torch.uint8
    assert loaded.train.labels.dtype == torch.int64
    assert loaded.classes == cifar10.CLASSES
    # As the authors describe a row: 1,024 red values, then green, then blue, each a row of the image after the other.
    draws = np.random.RandomState(0)
    for batch in (*loaded.train.pixels.split(4), loaded.test.pixels):
        assert np.array_equal(batch.numpy().reshape(4, -1), draws.randint(0, 256, (4, 3 * 32 * 32)))
        draws.randint(0, 10, 4)


def test_a_damaged_batch_is_named(batches: Path, tmp_path: Path) -> None:
    path = batches / "cifar-10-batches-py" / "data_batch_4"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=r"cut short or damaged: it does not have the published md5 sum.*delete"
    ) as told:
        cifar10.load(batches, tmp_path / "cache")
    assert told.value.subject == str(path)


def test_damaged_names_of_the_classes_are_named(batches: Path, tmp_path: Path) -> None:
    path = batches / "cifar-10-batches-py" / "batches.meta"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"cut short or damaged") as caught:
        cifar10.load(batches, tmp_path / "cache")
    assert caught.value.subject == str(path)


def test_folders_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "data")
    loaded = cifar10.load(tmp_path / "data", tmp_path / "cache")
    for split, images in (("train", loaded.train), ("test", loaded.test)):
        oracle = ImageFolder(str(root / split))
        expected = [np.moveaxis(np.array(image), -1, 0) for image, _ in oracle]
        assert np.array_equal(images.pixels.numpy(), np.stack(expected))
        assert images.labels.tolist() == oracle.targets
        assert loaded.classes == tuple(oracle.classes)
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1


def test_classes_of_another_set_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "zebra"):
            fill(tmp_path / "CIFAR10" / split / name, 1, 0)
    with pytest.raises(UserError, match=r"its classes are not those of CIFAR-10; name the folders airplane, auto"):
        cifar10.load(tmp_path, tmp_path / "cache")


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    path = lay_out(tmp_path) / "test" / "ship" / "0000.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"the image cannot be decoded") as caught:
        cifar10.load(tmp_path, tmp_path / "cache")
    assert caught.value.subject == str(path)


def test_the_environment_and_the_cache_are_looked_into(
    batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path / "cache" / "datasets", train=1)
    assert len(cifar10.load(None, tmp_path / "cache").train) == 10
    monkeypatch.setenv("TRIPLICATE_DATA", str(batches))
    assert len(cifar10.load(None, tmp_path / "cache").train) == 20
    assert len(cifar10.load(tmp_path / "cache" / "datasets", tmp_path / "cache").train) == 10


@pytest.mark.usefixtures("no_network")
def test_no_network_and_no_data_is_one_clear_error(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the download failed.*cifar-10-batches-py, or point.*TRIPLICATE_DATA") as told:
        configure("dataset=cifar10").dataset.load(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["cifar-10-batches-py/test_batch", "cifar-10-python.tar.gz"])
def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="it is not a regular file; remove it") as caught:
        cifar10.load(tmp_path, tmp_path / "cache")
    assert caught.value.subject == str(tmp_path / name)


def test_a_whole_check_trusts_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path)
    monkeypatch.setattr("triplicate.datasets.files.image_files._stamps", lambda files: np.zeros((len(files), 4), int))
    source = Cifar10(limit=None, validation=0, mean=None, std=None, upscale=None)
    first = source.load(tmp_path)
    noise(99).save(tmp_path / "CIFAR10" / "train" / "cat" / "0000.png")
    assert source.load(tmp_path).content == first.content
    assert source.load(tmp_path, whole=True).content != first.content


def test_a_download_is_torchvisions_own(batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchvision fetches into the first folder is what is read."""

    def fetch(url: str, root: Path, filename: str, md5: str) -> None:
        fetched.append(url)
        (batches / "cifar-10-batches-py").rename(Path(root) / "cifar-10-batches-py")

    fetched: list[str] = []
    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", fetch)
    (tmp_path / "chosen").mkdir()
    for _ in range(2):
        assert len(cifar10.load(tmp_path / "chosen", tmp_path / "cache").train) == 20
    assert fetched == [CIFAR10.url]


def test_a_set_is_loaded_by_name_and_limited(configure: Configure, tmp_path: Path) -> None:
    lay_out(tmp_path)
    loaded = configure("dataset=cifar10", "dataset.limit=10").dataset.load(tmp_path)
    assert loaded.image_shape == (3, 32, 32)
    assert loaded.train.labels.tolist() == loaded.test.labels.tolist() == list(range(10))
    assert np.array_equal(loaded.train.pixels[3].numpy(), np.moveaxis(np.array(noise(300)), -1, 0))


@pytest.mark.real_data
def test_the_published_images(tmp_path: Path) -> None:
    """A few of each class, unpacked from the shared sheets: they look as CIFAR-10 does."""
    unpack = SHARED_DATA / "unpack.py"
    if not (unpack.is_file() and (SHARED_DATA / "CIFAR10").is_dir()):
        pytest.skip(f"no published data: {SHARED_DATA} has no CIFAR10")
    command = [sys.executable, str(unpack), str(tmp_path), "--only", "cifar10", "--per-class", "20"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    loaded = cifar10.load(tmp_path, tmp_path / "cache")
    assert loaded.train.labels.bincount().tolist() == loaded.test.labels.bincount().tolist() == [20] * 10
    assert loaded.image_shape == (3, 32, 32)
    pixels = loaded.train.pixels.double() / 255
    # Published for the whole set: 0.4914, 0.4822, 0.4465 and 0.2470, 0.2435, 0.2616. An image's own mean deviates by
    # about 0.12, so that of 200 images by 0.01.
    assert pixels.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.04)
    assert pixels.std(dim=(0, 2, 3)).tolist() == pytest.approx([0.2470, 0.2435, 0.2616], abs=0.03)
