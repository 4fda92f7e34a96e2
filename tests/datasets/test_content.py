"""The hash of a data set is equal where the data is, and only there."""

from __future__ import annotations

import copy
import hashlib
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from triplicate.datasets import Dataset, Images

CLASSES = ("a", "b", "c")
NUMBERS = st.integers(0, 255)


@st.composite
def images(draw: st.DrawFn) -> Images:
    count = draw(st.integers(1, 4))
    pixels = draw(st.lists(NUMBERS, min_size=count * 6, max_size=count * 6))
    labels = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    return Images(torch.tensor(pixels, dtype=torch.uint8).view(count, 1, 3, 2), torch.tensor(labels))


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    return Dataset(draw(images()), draw(images()), CLASSES)


def same(one: Dataset, other: Dataset) -> bool:
    pairs = [(getattr(one, split), getattr(other, split)) for split in ("train", "test")]
    tensors = [(getattr(a, name), getattr(b, name)) for a, b in pairs for name in ("pixels", "labels")]
    return one.classes == other.classes and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in tensors)


@settings(deadline=None)
@given(datasets(), datasets())
def test_it_differs_where_the_data_does(one: Dataset, other: Dataset) -> None:
    assert (one.content == other.content) == same(one, other)


@settings(deadline=None)
@given(datasets(), st.data())
def test_a_small_change_shows(dataset: Dataset, data: st.DataObject) -> None:
    split = data.draw(st.sampled_from(["train", "test"]))
    name = data.draw(st.sampled_from(["pixels", "labels"]))
    old: Images = getattr(dataset, split)
    changed: Tensor = getattr(old, name).clone()
    place = data.draw(st.integers(0, changed.numel() - 1))
    changed.view(-1)[place] = (changed.view(-1)[place] + 1) % 3
    other = replace(dataset, **{split: replace(old, **{name: changed})})
    assert other.content != dataset.content


@settings(deadline=None)
@given(datasets())
def test_splits_classes_and_order_count(dataset: Dataset) -> None:
    changes = [
        replace(dataset, train=dataset.test, test=dataset.train),
        replace(dataset, train=Images(dataset.train.pixels.flip(0), dataset.train.labels.flip(0))),
        replace(dataset, train=replace(dataset.train, pixels=dataset.train.pixels.reshape(-1, 1, 2, 3))),
    ]
    for change in changes:
        assert (change.content == dataset.content) == same(change, dataset)
    for classes in (("a", "b", "d"), ("b", "a", "c"), ("a", "bc"), ("ab", "c"), (*CLASSES, "d")):
        assert replace(dataset, classes=classes).content != dataset.content


@settings(deadline=None)
@given(datasets())
def test_how_it_is_stored_does_not_count(dataset: Dataset) -> None:
    def strided(images: Images) -> Images:
        pixels = images.pixels.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
        labels = torch.stack([images.labels, images.labels], 1)[:, 0]
        return Images(pixels, labels)

    assert replace(dataset, train=strided(dataset.train), test=strided(dataset.test)).content == dataset.content
    assert copy.deepcopy(replace(dataset)).content == dataset.content
    assert pickle.loads(pickle.dumps(dataset)).content == dataset.content
    assert dataset.to(torch.device("cpu")).content == dataset.content


@pytest.mark.cuda
def test_where_it_is_does_not_count(small: Dataset) -> None:
    assert small.to(torch.device("cuda")).content == small.content


def test_points_are_hashed_by_their_bits() -> None:
    def points(first: float) -> Dataset:
        split = Images(torch.tensor([[first, 1.0]]), torch.tensor([0]))
        return Dataset(split, split, CLASSES)

    assert points(0.5).content == points(0.5).content != points(0.50001).content


def test_it_is_what_can_be_computed_by_hand() -> None:
    """Runs of an older version are known by it, so it stays the same."""
    split = Images(torch.arange(12, dtype=torch.uint8).view(2, 1, 3, 2), torch.tensor([0, 1]))
    by_hand = b"torch.uint8 [2, 1, 3, 2]\n" + bytes(range(12)) + b"torch.int64 [2]\n" + struct.pack("<2q", 0, 1)
    expected = hashlib.sha256(b'["a", "b"]' + 2 * by_hand).hexdigest()[:16]
    assert Dataset(split, split, ("a", "b")).content == expected
