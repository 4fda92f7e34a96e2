from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import Configure
from triplicate.errors import UserError


def test_glyphs_are_tensors_with_a_channel(configure: Configure) -> None:
    loaded = configure().dataset.load(None)
    assert loaded.train.pixels.shape == (12_000, 1, 28, 28)
    assert loaded.test.pixels.shape == (2_000, 1, 28, 28)
    assert loaded.train.pixels.dtype == torch.uint8
    assert loaded.train.labels.dtype == torch.int64
    assert loaded.image_shape == (1, 28, 28)
    assert loaded.classes == tuple("0123456789")


def test_a_limit_takes_images_in_even_steps(configure: Configure) -> None:
    whole = configure().dataset.load(None)
    cut = configure("dataset.limit=3000").dataset.load(None)
    assert torch.equal(cut.train.pixels, whole.train.pixels[::4])
    assert torch.equal(cut.train.labels, whole.train.labels[::4])
    assert len(cut.test) == 2_000


@pytest.mark.parametrize("name", ["glyphs", "xor", "mnist", "cifar10", "folder"])
def test_a_data_dir_that_is_no_folder_is_refused_whether_or_not_it_is_read(
    configure: Configure, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = configure(f"dataset={name}").dataset
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRIPLICATE_DATA", str(tmp_path))
    for given, problem in (("nowhere", "is not there"), ("file", "is a file, not a folder")):
        with pytest.raises(UserError) as caught:
            source.load(tmp_path / given)
        assert str(caught.value) == f"data_dir: {tmp_path / given} {problem}; make it, or name another folder"


def test_sources_without_a_cache_are_read_whole_as_ever(configure: Configure, tmp_path: Path) -> None:
    source = configure("dataset=xor").dataset
    assert source.load(tmp_path, whole=True).content == source.load(None).content


def test_all_keys_are_the_identity_of_a_data_set_without_files(configure: Configure) -> None:
    assert configure("dataset=glyphs", "dataset.limit=7").dataset.identity() == {
        "limit": 7,
        "validation": 0,
        "mean": None,
        "std": None,
        "upscale": None,
    }


def test_scaling_must_fit_the_channels(configure: Configure) -> None:
    config = configure("dataset.mean=[0.5,0.5,0.5]", "dataset.std=[0.5,0.5,0.5]")
    with pytest.raises(UserError, match=r"dataset\.mean: 3 numbers for images of 1 channel"):
        config.dataset.load(None)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "mean", "std"), [("fashion_mnist", 0.2860, 0.3530), ("mnist", 0.1307, 0.3081)])
def test_the_published_sets(configure: Configure, real_data: Path, name: str, mean: float, std: float) -> None:
    loaded = configure(f"dataset={name}").dataset.load(real_data)
    assert (len(loaded.train), len(loaded.test), loaded.image_shape) == (60_000, 10_000, (1, 28, 28))
    pixels = loaded.train.pixels.double() / 255
    assert float(pixels.mean()) == pytest.approx(mean, abs=5e-5)
    assert float(pixels.std()) == pytest.approx(std, abs=5e-5)
    assert torch.equal(loaded.test.labels.bincount(), torch.full((10,), 1_000)) or name == "mnist"
