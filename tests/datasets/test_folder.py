"""Folders of images, beside torchvision's ImageFolder; and every mistake in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, PILToTensor, Resize

from tests.conftest import Configure
from tests.datasets.pictures import fill, noise
from triplicate.datasets import Dataset, Images
from triplicate.errors import UserError

Load = Callable[..., Dataset]


@pytest.fixture
def load(configure: Configure) -> Load:
    """A function from a folder and overrides below `dataset.` to the data set."""

    def one(path: Path, *overrides: str) -> Dataset:
        typed = [f"dataset.{override}" for override in (f"path='{path}'", *overrides)]
        return configure("dataset=folder", *typed).dataset.load(None)

    return one


def by_torchvision(root: Path, side: int) -> tuple[Images, list[str]]:
    oracle = ImageFolder(str(root), Compose([Resize((side, side)), PILToTensor()]))
    pixels, labels = zip(*(oracle[place] for place in range(len(oracle))), strict=True)
    return Images(torch.stack(pixels), torch.tensor(labels)), oracle.classes


def assert_same(images: Images, expected: Images) -> None:
    assert torch.equal(images.pixels, expected.pixels)
    assert torch.equal(images.labels, expected.labels)


def test_a_divided_folder_is_read_as_torchvision_reads_it(tmp_path: Path, load: Load) -> None:
    for split, count, seed in (("train", 3, 0), ("test", 2, 50)):
        for place, name in enumerate(("dog", "Cat", "ape")):
            fill(tmp_path / split / name, count + place, seed + 10 * place, side=20 + place)
    loaded = load(tmp_path, "size=16")
    for split, images in (("train", loaded.train), ("test", loaded.test)):
        expected, classes = by_torchvision(tmp_path / split, 16)
        assert_same(images, expected)
        assert loaded.classes == tuple(classes) == ("Cat", "ape", "dog")
    assert loaded.image_shape == (3, 16, 16)
    assert loaded.train.labels.dtype == torch.int64
    assert load(tmp_path, "size=16", "channels=grey").image_shape == (1, 16, 16)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_share_of_each_class_is_set_apart(tmp_path: Path, load: Load, share: float) -> None:
    for place, name in enumerate("abc"):
        fill(tmp_path / name, 10, 10 * place, side=8)
    loaded = load(tmp_path, "size=8", f"test={share}")
    assert loaded.test.labels.bincount().tolist() == [int(10 * share)] * 3
    whole, _ = by_torchvision(tmp_path, 8)
    expected = sorted((label, image.tolist()) for image, label in zip(whole.pixels, whole.labels.tolist(), strict=True))
    both = [*_pairs(loaded.train), *_pairs(loaded.test)]
    assert sorted((label, image.tolist()) for image, label in both) == expected


def _pairs(images: Images) -> list[tuple[torch.Tensor, int]]:
    return list(zip(images.pixels, images.labels.tolist(), strict=True))


def test_what_is_set_apart_is_the_same_every_time_and_no_matter_of_other_classes(tmp_path: Path, load: Load) -> None:
    fill(tmp_path / "a", 10, 0, side=8)
    fill(tmp_path / "b", 20, 50, side=8)
    first = load(tmp_path, "size=8")
    assert_same(load(tmp_path, "size=8").test, first.test)
    fill(tmp_path / "a new one", 6, 90, side=8)
    later = load(tmp_path, "size=8")
    assert torch.equal(later.test.pixels[later.test.labels == 0], first.test.pixels[first.test.labels == 0])
    assert torch.equal(later.test.pixels[later.test.labels == 2], first.test.pixels[first.test.labels == 1])


def test_what_is_no_image_or_hidden_is_left_out(tmp_path: Path, load: Load) -> None:
    for place, name in enumerate("ab"):
        fill(tmp_path / name, 4, 10 * place, side=8)
    before = load(tmp_path, "size=8", "test=0.5")
    (tmp_path / "readme.txt").write_text("about")
    (tmp_path / "a" / "notes.txt").write_text("about")
    (tmp_path / "a" / "png").write_text("a name without a dot before it")
    (tmp_path / "a" / ".0005.png").write_bytes(b"hidden")
    (tmp_path / "a" / "folder.png").mkdir()
    fill(tmp_path / ".hidden", 2, 90)
    after = load(tmp_path, "size=8", "test=0.5")
    assert_same(after.train, before.train)
    assert_same(after.test, before.test)
    assert after.classes == ("a", "b")


def test_suffixes_are_read_in_either_case(tmp_path: Path, load: Load) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for file in ("1.JPG", "2.jpeg", "3.Png", "4.TIF"):
            noise(1, 8).save(tmp_path / name / file)
    loaded = load(tmp_path, "size=8", "test=0.25")
    assert (len(loaded.train), len(loaded.test)) == (6, 2)


def test_classes_may_be_called_train(tmp_path: Path, load: Load) -> None:
    for place, name in enumerate(("bus", "train")):
        fill(tmp_path / name, 4, 10 * place, side=8)
    assert load(tmp_path, "size=8", "test=0.5").classes == ("bus", "train")


def test_a_second_load_decodes_nothing(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for place, name in enumerate("ab"):
        fill(tmp_path / "set" / name, 4, 10 * place, side=8)
    first = load(tmp_path / "set", "size=8", "test=0.5")
    assert len(list((tmp_path / "cache" / "triplicate" / "images").glob("*.safetensors"))) == 1
    monkeypatch.setattr("triplicate.datasets.files.image_files._decode", None)
    second = load(tmp_path / "set", "size=8", "test=0.5")
    assert_same(second.train, first.train)
    assert_same(second.test, first.test)


def _nothing(root: Path) -> Path:
    return root / "nowhere"


def _file(root: Path) -> Path:
    (root / "file").write_text("")
    return root / "file"


def _no_class_folders(root: Path) -> Path:
    noise(1).save(root / "1.png")
    return root


def _flat_splits(root: Path) -> Path:
    fill(root / "train", 2, 0)
    fill(root / "test", 2, 0)
    return root


def _no_images(root: Path) -> Path:
    (root / "a" / "below").mkdir(parents=True)
    (root / "b").mkdir()
    return root


def _an_empty_class(root: Path) -> Path:
    fill(root / "a", 5, 0)
    (root / "b").mkdir()
    return root


def _one_class(root: Path) -> Path:
    fill(root / "a", 5, 0)
    return root


def _no_test(root: Path) -> Path:
    fill(root / "train" / "a", 2, 0)
    fill(root / "train" / "b", 2, 0)
    return root


def _no_train(root: Path) -> Path:
    fill(root / "test" / "a", 2, 0)
    fill(root / "test" / "b", 2, 0)
    return root


def _other_classes(root: Path) -> Path:
    for name in ("train/a", "train/b", "train/c", "test/a", "test/b", "test/d"):
        fill(root / name, 1, 0)
    return root


def _fewer_classes(root: Path) -> Path:
    for name in ("train/a", "train/b", "train/c", "train/d", "train/e", "train/f", "test/a", "test/b"):
        fill(root / name, 1, 0)
    return root


def _too_few_to_test(root: Path) -> Path:
    fill(root / "a", 10, 0)
    fill(root / "b", 2, 0)
    return root


def _a_broken_link(root: Path) -> Path:
    fill(root / "a", 5, 0)
    fill(root / "b", 5, 0)
    (root / "b" / "link.png").symlink_to(root / "nowhere.png")
    return root


def _a_pipe(root: Path) -> Path:
    fill(root / "a", 5, 0)
    fill(root / "b", 5, 0)
    os.mkfifo(root / "b" / "pipe.png")
    return root


def _a_device(root: Path) -> Path:
    fill(root / "a", 5, 0)
    fill(root / "b", 5, 0)
    (root / "b" / "endless.png").symlink_to("/dev/zero")
    return root


def _a_link_to_itself(root: Path) -> Path:
    fill(root / "a", 5, 0)
    fill(root / "b", 5, 0)
    (root / "b" / "loop.png").symlink_to(root / "b" / "loop.png")
    return root


def _a_truncated_image(root: Path) -> Path:
    fill(root / "a", 5, 0)
    fill(root / "b", 5, 0)
    content = (root / "b" / "0003.png").read_bytes()
    (root / "b" / "0003.png").write_bytes(content[: len(content) // 2])
    return root


@pytest.mark.parametrize(
    ("lay_out", "subject", "problem"),
    [
        (_nothing, "dataset.path", r"nowhere is not there; name a folder"),
        (_file, "dataset.path", r"file is a file, not a folder; name a folder"),
        (_no_class_folders, "", r"it has no folders of classes; lay the images out as <class>/"),
        (_flat_splits, "/train", r"it has no folders of classes"),
        (_no_images, "", r"none of its folders \(a, b\) has an image; .*: png, jpg"),
        (_an_empty_class, "/b", r"the class has no image \(png, jpg.*\); add some"),
        (_one_class, "", r"it has one class alone, a; add another class"),
        (_no_test, "", r"it has train/ but no test/; add test/"),
        (_no_train, "", r"it has test/ but no train/; add train/"),
        (_other_classes, "", r"train/ and test/ have other classes: c in train/ alone; d in test/ alone"),
        (_fewer_classes, "", r"have other classes: c, d, e and 1 more in train/ alone; give both"),
        (_too_few_to_test, "dataset.test", r"0\.2 leaves class b \(2 images\) without test images; choose"),
        (_a_broken_link, "/b/link.png", r"it cannot be read \(No such file"),
        (_a_pipe, "/b/pipe.png", r"it is not a regular file; remove it$"),
        (_a_device, "/b/endless.png", r"it is not a regular file; remove it$"),
        (_a_link_to_itself, "/b/loop.png", r"it cannot be read \(Too many levels of symbolic links\)"),
        (_a_truncated_image, "/b/0003.png", r"the image cannot be decoded \(.*\); replace"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    tmp_path: Path, load: Load, lay_out: Callable[[Path], Path], subject: str, problem: str
) -> None:
    path = lay_out(tmp_path)
    with pytest.raises(UserError, match=problem) as caught:
        load(path)
    assert caught.value.subject == (subject if subject.startswith("dataset") else f"{tmp_path}{subject}")
    assert "\n" not in str(caught.value)


def test_a_share_that_leaves_nothing_to_train_on(tmp_path: Path, load: Load) -> None:
    fill(tmp_path / "a", 10, 0)
    fill(tmp_path / "b", 10, 0)
    with pytest.raises(UserError, match=r"0\.99 leaves class a \(10 images\) without training images"):
        load(tmp_path, "test=0.99")


def test_no_path_is_told(configure: Configure) -> None:
    with pytest.raises(UserError, match=r"dataset\.path: no folder is named; name a folder"):
        configure("dataset=folder").dataset.load(None)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(path: Path | str) -> object:
        if str(path) == str(tmp_path / "b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    fill(tmp_path / "a", 1, 0)
    (tmp_path / "b").mkdir()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)  # the rights of a folder do not bind root, and tests may run as root
    with pytest.raises(UserError, match=r"it cannot be read \(Permission denied\); make it readable") as caught:
        load(tmp_path)
    assert caught.value.subject == str(tmp_path / "b")


def test_a_whole_check_trusts_no_stamp(tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in enumerate("ab"):
        fill(tmp_path / name, 4, 10 * place, side=8)
    monkeypatch.setattr("triplicate.datasets.files.image_files._stamps", lambda files: np.zeros((len(files), 4), int))
    source = configure("dataset=folder", f"dataset.path='{tmp_path}'", "dataset.size=8", "dataset.test=0.5").dataset
    first = source.load(None)
    for image in tmp_path.rglob("*.png"):
        noise(99, 8).save(image)
    assert source.load(None).content == first.content
    assert torch.equal(source.load(None, whole=True).train.pixels[0], source.load(None, whole=True).test.pixels[0])
    assert source.load(None).content == source.load(None, whole=True).content != first.content


def test_where_the_images_are_is_no_part_of_the_identity(tmp_path: Path, configure: Configure) -> None:
    here, there, smaller = (
        configure("dataset=folder", f"dataset.path='{tmp_path / name}'", f"dataset.size={size}").dataset
        for name, size in (("here", 8), ("there", 8), ("here", 7))
    )
    assert here.identity() == there.identity() != smaller.identity()
    assert "path" not in here.identity()
    assert here.identity()["size"] == 8
