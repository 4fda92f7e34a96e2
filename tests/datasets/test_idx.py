from __future__ import annotations

import functools
import gzip
import hashlib
import os
import struct
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torchvision

from triplicate.datasets import fashion_mnist, mnist
from triplicate.datasets.files import idx
from triplicate.errors import UserError

RANDOM = np.random.RandomState(0)
ARRAYS = {
    "train-images-idx3-ubyte": RANDOM.randint(0, 256, (5, 3, 2)).astype(np.uint8),
    "train-labels-idx1-ubyte": RANDOM.randint(0, 10, 5).astype(np.uint8),
    "t10k-images-idx3-ubyte": RANDOM.randint(0, 256, (4, 3, 2)).astype(np.uint8),
    "t10k-labels-idx1-ubyte": RANDOM.randint(0, 10, 4).astype(np.uint8),
}


def packed(array: idx.Bytes) -> bytes:
    """The IDX format as its authors describe it: two zeros, type 8 (unsigned byte), axes, sizes, data."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


CONTENT = {name: packed(array) for name, array in ARRAYS.items()}
TINY = idx.Source("MNIST", ("a", "b"), {name: hashlib.md5(c).hexdigest() for name, c in CONTENT.items()})


def lay_out(root: Path, *, packed_as_gz: bool = False, raw: bool = True) -> Path:
    folder = root / "MNIST" / "raw" if raw else root / "MNIST"
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        path = folder / (f"{name}.gz" if packed_as_gz else name)
        path.write_bytes(gzip.compress(content) if packed_as_gz else content)
    return folder


def check(files: idx.IdxFiles) -> None:
    read = (files.train_images, files.train_labels, files.test_images, files.test_labels)
    for array, expected in zip(read, ARRAYS.values(), strict=True):
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("packed_as_gz", [False, True])
@pytest.mark.parametrize("raw", [False, True])
def test_files_are_read_where_they_are(tmp_path: Path, packed_as_gz: bool, raw: bool) -> None:
    folder = lay_out(tmp_path / "data", packed_as_gz=packed_as_gz, raw=raw)
    before = sorted(folder.iterdir())
    check(idx.read(TINY, tmp_path / "data", tmp_path / "cache"))
    assert sorted(folder.iterdir()) == before


def test_the_environment_and_the_cache_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path / "cache")
    check(idx.read(TINY, None, tmp_path / "cache"))
    lay_out(tmp_path / "named")
    monkeypatch.setenv("TRIPLICATE_DATA", str(tmp_path / "named"))
    check(idx.read(TINY, None, tmp_path / "nothing"))


@pytest.mark.usefixtures("no_network")
def test_a_data_dir_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path / "named")
    lay_out(tmp_path / "cache")
    monkeypatch.setenv("TRIPLICATE_DATA", str(tmp_path / "named"))
    with pytest.raises(UserError, match=f"the download failed.*put the files into {tmp_path}/empty/MNIST/raw"):
        idx.read(TINY, tmp_path / "empty", tmp_path / "cache")


def _a_pipe(path: Path) -> None:
    os.mkfifo(path)


def _a_folder(path: Path) -> None:
    path.mkdir()


def _a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize(
    ("put", "problem"),
    [
        (_a_pipe, "it is not a regular file; remove it"),
        (_a_folder, "it is not a regular file; remove it"),
        (_a_link_to_nothing, r"it cannot be read \(No such file or directory\)"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_no_file_is_named_and_not_waited_for(
    tmp_path: Path, put: Callable[[Path], None], problem: str, suffix: str
) -> None:
    path = lay_out(tmp_path) / f"t10k-images-idx3-ubyte{suffix}"
    path.with_suffix("").unlink()
    put(path)
    with pytest.raises(UserError, match=problem) as caught:
        idx.read(TINY, tmp_path, tmp_path / "cache")
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("packed_as_gz", [False, True])
@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_a_damaged_file_is_named(tmp_path: Path, packed_as_gz: bool, harm: str) -> None:
    folder = lay_out(tmp_path, packed_as_gz=packed_as_gz)
    path = folder / ("t10k-labels-idx1-ubyte" + (".gz" if packed_as_gz else ""))
    content = path.read_bytes()
    harmed = {"cut": content[:-3], "flip": content[:-5] + b"?" + content[-4:], "empty": b""}[harm]
    path.write_bytes(harmed)
    with pytest.raises(UserError, match=r"cut short or damaged.*delete it") as caught:
        idx.read(TINY, tmp_path, tmp_path / "cache")
    assert caught.value.subject == str(path)


@pytest.mark.usefixtures("no_network")
def test_no_network_and_no_data_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the download failed.*TRIPLICATE_DATA"):
        idx.read(TINY, tmp_path / "empty", tmp_path / "cache")


@pytest.mark.real_data
@pytest.mark.parametrize("source", [fashion_mnist.SOURCE, mnist.SOURCE], ids=lambda s: s.folder)
def test_the_published_files_read_as_torchvision_reads_them(
    real_data: Path, tmp_path: Path, source: idx.Source
) -> None:
    files = idx.read(source, real_data, tmp_path)
    raw = tmp_path / source.folder / "raw"
    raw.mkdir(parents=True)
    for name in source.md5:
        packed_file = real_data / source.folder / "raw" / f"{name}.gz"
        raw.joinpath(name).write_bytes(gzip.decompress(packed_file.read_bytes()))
    kind = getattr(torchvision.datasets, source.folder)
    for train, images, labels in (
        (True, files.train_images, files.train_labels),
        (False, files.test_images, files.test_labels),
    ):
        oracle = kind(tmp_path, train=train)
        assert np.array_equal(oracle.data.numpy(), images)
        assert np.array_equal(oracle.targets.numpy(), labels)
        assert [c.split(" - ")[-1] for c in oracle.classes] == list(source.classes) or source.folder == "MNIST"


@pytest.mark.real_data
def test_a_download_is_torchvisions_own(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """From a server on this machine that has the published archives; the second time nothing is fetched."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            requests.append(self.path)

    requests: list[str] = []
    handler = functools.partial(Quiet, directory=str(real_data / "FashionMNIST" / "raw"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    try:
        first = idx.read(fashion_mnist.SOURCE, tmp_path / "data", tmp_path / "cache")
        asked = list(requests)
        second = idx.read(fashion_mnist.SOURCE, tmp_path / "data", tmp_path / "cache")
    finally:
        server.shutdown()
        server.server_close()
    assert set(asked) == {f"/{name}.gz" for name in fashion_mnist.SOURCE.md5}
    assert requests == asked
    assert "100%" in capfd.readouterr().err
    assert np.array_equal(first.train_images, second.train_images)
    assert first.train_images.shape == (60_000, 28, 28)
