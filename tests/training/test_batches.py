from __future__ import annotations

import torch
from torchvision.transforms.v2.functional import resize

from tests.conftest import Configure
from triplicate.datasets import Dataset
from triplicate.training.batches import Preprocess, Splits, everything, spans

PLAIN = Preprocess(torch.float64, None, None, None)
CPU = torch.device("cpu")


def test_pixels_are_scaled_as_totensor_and_normalize_do(configure: Configure, small: Dataset) -> None:
    config = configure("dataset.mean=[0.25]", "dataset.std=[0.5]")
    preprocess = Preprocess.of(config.dataset, torch.float64, CPU)
    expected = (small.test.pixels.double() / 255 - 0.25) / 0.5
    assert torch.equal(preprocess(small.test.pixels), expected)
    assert small.test.pixels.dtype == torch.uint8


def test_runs_of_one_seed_share_their_order_and_others_do_not(configure: Configure, small: Dataset) -> None:
    configs = [configure(f"seed={seed}") for seed in (0, 1, 0)]
    splits = Splits.of(configs, small.train, PLAIN)
    epoch = splits.epoch()
    pixels, labels = epoch.batch(epoch.indices[:, :50])
    assert pixels.shape == (3, 50, 1, 6, 5)
    assert torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[1])
    assert torch.equal(labels[0], labels[2])


def test_an_epoch_has_every_image_once_and_each_epoch_its_own_order(configure: Configure, small: Dataset) -> None:
    splits = Splits.of([configure("seed=3")], small.train, PLAIN)
    first, second = splits.epoch().indices[0], splits.epoch().indices[0]
    assert torch.equal(first.sort().values, torch.arange(256))
    assert torch.equal(second.sort().values, torch.arange(256))
    assert not torch.equal(first, second)


def test_without_shuffling_the_file_keeps_its_order(configure: Configure, small: Dataset) -> None:
    configs = [configure("train.shuffle=false", f"seed={seed}") for seed in (0, 1)]
    splits = Splits.of(configs, small.train, PLAIN)
    for _ in range(2):
        epoch = splits.epoch()
        _, labels = epoch.batch(epoch.indices)
        assert torch.equal(labels, small.train.labels.expand(2, 256))


def test_training_and_validation_share_no_image_and_miss_none(configure: Configure, small: Dataset) -> None:
    configs = [configure("dataset.validation=0.2", f"seed={seed}") for seed in (0, 1)]
    splits = Splits.of(configs, small.train, PLAIN)
    assert splits.validation is not None
    assert len(splits.validation) == 51
    for run in range(2):
        both = torch.cat([splits.training.indices[run], splits.validation.indices[run]])
        assert torch.equal(both.sort().values, torch.arange(256))
    assert not torch.equal(splits.validation.indices[0], splits.validation.indices[1])


def test_kept_runs_see_what_they_saw(configure: Configure, small: Dataset) -> None:
    splits = Splits.of([configure(f"seed={seed}") for seed in (0, 1, 2)], small.train, PLAIN)
    epoch = splits.epoch()
    kept = torch.tensor([2, 0])
    pixels, labels = epoch.batch(epoch.indices[:, 10:20])
    fewer = epoch.keep(kept)
    kept_pixels, kept_labels = fewer.batch(fewer.indices[:, 10:20])
    assert torch.equal(kept_pixels, pixels[kept])
    assert torch.equal(kept_labels, labels[kept])


def test_everything_is_all_images_for_each_run(small: Dataset) -> None:
    all_of_them = everything(small.test, PLAIN, 2)
    pixels, labels = all_of_them.batch(all_of_them.indices)
    assert torch.equal(labels, small.test.labels.expand(2, 96))
    assert torch.equal(pixels, (small.test.pixels.double() / 255).unsqueeze(0))  # all runs share them


def test_spans_cover_everything_once() -> None:
    assert list(spans(7, 3)) == [(0, 3), (3, 6), (6, 7)]
    assert list(spans(6, 3)) == [(0, 3), (3, 6)]


def test_images_are_scaled_up_as_torchvision_does(configure: Configure, small: Dataset) -> None:
    preprocess = Preprocess.of(configure("dataset.upscale=24").dataset, torch.float64, CPU)
    expected = resize(small.test.pixels.double() / 255, [24, 24], antialias=False)
    torch.testing.assert_close(preprocess(small.test.pixels), expected)
    assert preprocess.numbers(small.test) == 24 * 24


def test_points_are_taken_as_they_are(configure: Configure) -> None:
    points = torch.randn(5, 2)
    preprocess = Preprocess.of(configure("dataset=points").dataset, torch.float64, CPU)
    assert torch.equal(preprocess(points), points.double())
