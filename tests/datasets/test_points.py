from __future__ import annotations

import hashlib

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.conftest import Configure
from triplicate.datasets import Dataset, Images
from triplicate.errors import UserError


@pytest.fixture(scope="module")
def clouds(configure: Configure) -> Dataset:
    return configure("dataset=points").dataset.read(None)


def test_xor_is_the_exclusive_or(configure: Configure) -> None:
    cases = configure("dataset=xor").dataset.read(None)
    assert cases.classes == ("0", "1")
    assert cases.image_shape == (2,)
    assert cases.train.pixels.dtype == torch.float32
    assert cases.train.labels.dtype == torch.int64
    table = {tuple(map(int, case)): label for case, label in zip(*_lists(cases.train), strict=True)}
    assert table == {(a, b): a ^ b for a in (0, 1) for b in (0, 1)}
    assert torch.equal(cases.test.pixels, cases.train.pixels)
    assert torch.equal(cases.test.labels, cases.train.labels)


def _lists(images: Images) -> tuple[list[list[float]], list[int]]:
    return images.pixels.tolist(), images.labels.tolist()


def test_the_clouds_are_balanced_and_near_the_origin(clouds: Dataset) -> None:
    for images, count in ((clouds.train, 1_000), (clouds.test, 200)):
        assert images.pixels.shape == (count, 2)
        assert images.pixels.dtype == torch.float32
        assert images.labels.dtype == torch.int64
        assert images.labels.bincount().tolist() == [count // 2, count // 2]
        assert float(images.pixels.abs().max()) <= 2.5
    assert clouds.image_shape == (2,)


def test_the_clouds_are_the_same_bytes_everywhere(clouds: Dataset) -> None:
    tensors = [tensor for images in (clouds.train, clouds.test) for tensor in (images.pixels, images.labels)]
    content = b"".join(tensor.numpy().tobytes() for tensor in tensors)
    assert hashlib.sha256(content).hexdigest() == "f7b0805cf8cec8a14bf32bc30d7619072573cb9368274e3d72d8bfabdb810b00"


def test_the_clouds_keep_their_margin_and_their_names(clouds: Dataset) -> None:
    for images in (clouds.train, clouds.test):
        sides = images.labels * 2 - 1
        assert float((images.pixels.sum(dim=1) * sides).min()) >= 1  # √2 times the distance from x + y = 0
        assert torch.equal(images.pixels[:, 0] > 0, images.labels == 1)  # the right cloud is on the right


def test_a_line_that_scikit_learn_finds_separates_the_clouds(clouds: Dataset) -> None:
    line = LogisticRegression().fit(clouds.train.pixels.numpy(), clouds.train.labels.numpy())
    assert line.score(clouds.train.pixels.numpy(), clouds.train.labels.numpy()) == 1
    assert line.score(clouds.test.pixels.numpy(), clouds.test.labels.numpy()) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_perceptron_learns_the_clouds_in_three_epochs(clouds: Dataset, seed: int) -> None:
    """Rosenblatt's rule: a rate of 0.001, one point at a time in the file's order, weights that begin small."""
    rate = 0.001
    start = torch.Generator().manual_seed(seed)
    a, b, bias = (0.05 * torch.randn(3, generator=start, dtype=torch.float64)).tolist()
    coordinates, labels = _lists(clouds.train)
    for _ in range(3):
        for (x, y), label in zip(coordinates, labels, strict=True):
            side = 2 * label - 1
            if side * (a * x + b * y + bias) <= 0:
                a, b, bias = a + rate * side * x, b + rate * side * y, bias + rate * side
    scores = clouds.test.pixels.double() @ torch.tensor([a, b], dtype=torch.float64) + bias
    assert torch.equal(scores > 0, clouds.test.labels == 1)


def test_a_limit_keeps_points_of_both_clouds(configure: Configure) -> None:
    cut = configure("dataset=points", "dataset.limit=20").dataset.load(None)
    assert len(cut.train) == len(cut.test) == 20
    assert set(cut.train.labels.tolist()) == set(cut.test.labels.tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["points", "xor"])
@pytest.mark.parametrize("keys", [("mean=[0.5]", "std=[0.5]"), ("upscale=8",)])
def test_points_are_not_scaled(configure: Configure, name: str, keys: tuple[str, ...]) -> None:
    source = configure(f"dataset={name}", *(f"dataset.{key}" for key in keys)).dataset
    with pytest.raises(UserError, match=r"points are no images") as caught:
        source.load(None)
    assert caught.value.subject == f"dataset.{keys[0].partition('=')[0]}"


def test_both_are_loaded_by_name(configure: Configure) -> None:
    assert len(configure("dataset=xor").dataset.load(None).train) == 4
    assert len(configure("dataset=points").dataset.load(None).train) == 1_000
