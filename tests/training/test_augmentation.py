"""Augmentations against torchvision and SciPy, and runs that augment alone, in any stack, and as a tutorial does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scipy.ndimage
import torch

from tests.conftest import Configure
from tests.training.test_engine import BASE, SMALL_CNN, end, losses, train
from tests.training.tutorial import cropped, tutorial
from triplicate.augmentations.crop_flip import CropFlip
from triplicate.augmentations.rotation import Rotation
from triplicate.datasets import Dataset
from triplicate.training.batches import Preprocess, Splits
from triplicate.training.events import EpochEnd

CROP = ("augmentation=crop_flip", "augmentation.padding=2")
ROTATION = ("augmentation=rotation", "augmentation.degrees=25")
EXTRAS = ("loss.label_smoothing=0.1", "schedule=cosine", "schedule.warmup=2", "schedule.warmup_from=0.2")


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_crops_and_flips_are_torchvisions(padding: int, flip: bool) -> None:
    """Every crop and both sides, of images that are not square."""
    if padding == 0 and not flip:
        return
    sides = 2 * padding + 1
    places = [(top, left, side) for top in range(sides) for left in range(sides) for side in (0.2, 0.7)]
    drawn = torch.tensor([[(top + 0.5) / sides, (left + 0.5) / sides, side] for top, left, side in places])
    images = torch.rand(len(places), 3, 6, 5, generator=torch.Generator().manual_seed(0))
    found = CropFlip(padding, flip).augment(images, drawn)
    for image, numbers, augmented in zip(images, drawn, found, strict=True):
        expected = cropped(image, padding, numbers if flip else torch.tensor([*numbers[:2], 1.0]))
        assert torch.equal(augmented, expected)


def test_the_least_and_the_greatest_number_crop_at_the_borders() -> None:
    images, greatest = torch.rand(2, 1, 5, 5), 1 - 2**-24
    drawn = torch.tensor([[0.0, 0.0, 0.9], [greatest, greatest, greatest]])
    found = CropFlip(4, True).augment(images, drawn)
    assert torch.equal(found[0, 0, 4:, 4:], images[0, 0, :1, :1])
    assert torch.equal(found[1, 0, :1, :1], images[1, 0, 4:, 4:])


@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 8, 13)])
def test_rotation_is_scipys(shape: tuple[int, ...]) -> None:
    images = torch.rand(6, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = torch.tensor([[0.0], [0.1], [0.5], [0.75], [0.9], [1 - 2**-24]], dtype=torch.float64)
    found = Rotation(30.0).augment(images, drawn)
    middle = (torch.tensor(shape[1:]) - 1).double() / 2
    for image, number, rotated in zip(images, drawn, found, strict=True):
        angle = torch.deg2rad(30 * (2 * number[0] - 1))
        turn = torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]], dtype=torch.float64)
        offset = middle - turn @ middle
        for channel, expected in zip(rotated, image, strict=True):
            of_scipy = scipy.ndimage.affine_transform(
                expected.numpy(), turn.numpy(), offset.numpy(), order=1, mode="grid-constant"
            )
            torch.testing.assert_close(channel, torch.from_numpy(of_scipy), rtol=0, atol=1e-12)
    torch.testing.assert_close(found[2], images[2])  # an angle of zero


def test_alone_in_a_stack_and_in_a_tutorials_loop(configure: Configure, small: Dataset) -> None:
    """Crops, smoothed labels, a warm-up and clipped gradients of each run: 64 steps, float64, 1e-10."""
    rows = [("0.1", 0, "0.3"), ("0.05", 0, "null"), ("0.1", 1, "0.1"), ("0.02", 2, "1")]
    shared = (*BASE, *CROP, *EXTRAS, "optimizer.momentum=0.9", "train.epochs=4")
    configs = [configure(*shared, f"optimizer.lr={a}", f"seed={b}", f"optimizer.clip_norm={c}") for a, b, c in rows]
    stacked = train(configs, small)
    for run, config in enumerate(configs):
        plain = tutorial(config, small)
        assert len(plain) == 64
        assert (losses(train([config], small), 0) - plain).abs().max() < 1e-10
        assert (losses(stacked, run) - plain).abs().max() < 1e-10


@pytest.mark.parametrize("augmentation", [CROP, ROTATION])
@pytest.mark.parametrize(
    ("model", "more"), [(BASE, "train.shuffle=false"), (BASE, "dataset.validation=0.25"), (SMALL_CNN, "train.epochs=2")]
)
def test_a_run_does_not_depend_on_its_company(
    configure: Configure, small: Dataset, augmentation: tuple[str, ...], model: tuple[str, ...], more: str
) -> None:
    """As many runs of each seed, which share their images, or not; one leaves after its first epoch."""
    shared = (*model, *augmentation, more) + (() if "epochs" in more else ("train.epochs=2",))
    for rows in ([(0.1, 0), (0.01, 0), (1e300, 1), (0.01, 1)], [(0.1, 0), (0.01, 0), (0.01, 1)]):
        configs = [configure(*shared, f"optimizer.lr={lr}", f"seed={seed}") for lr, seed in rows]
        stacked = train(configs, small)
        for run, config in enumerate(configs):
            if rows[run][0] < 1:
                alone = losses(train([config], small, stacked=model is BASE), 0)
                assert (losses(stacked, run) - alone).abs().max() < 1e-10


def test_what_is_drawn_is_of_the_seed(configure: Configure, small: Dataset) -> None:
    configs = [configure(*CROP, "train.shuffle=false", f"seed={seed}") for seed in (0, 1, 0)]
    splits = Splits.of(configs, small.train, Preprocess(torch.float32, None, None, None))
    chosen = splits.training.indices[:, :50]
    plain = splits.training.batch(chosen)[0]
    first, second = (splits.training.batch(chosen, splits.augmenting)[0] for _ in range(2))
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], plain[0])


def test_black_is_padded_before_mean_and_std(configure: Configure, small: Dataset) -> None:
    config = configure("augmentation=crop_flip", "dataset.mean=[0.5]", "dataset.std=[0.25]")
    white = replace(small.train, pixels=torch.full_like(small.train.pixels, 255))
    splits = Splits.of([config], white, Preprocess.of(config.dataset, torch.float32, torch.device("cpu")))
    seen = splits.training.batch(splits.training.indices, splits.augmenting)[0]
    assert set(seen.unique().tolist()) == {-2.0, 2.0}


def test_what_is_evaluated_is_not_augmented(configure: Configure, small: Dataset) -> None:
    """At a rate that moves nothing."""
    still = (*BASE, "optimizer.lr=1e-300", "train.epochs=1", "train.evaluate_training=true", "dataset.validation=0.25")

    def measured(*more: str) -> dict[str, float | None]:
        event = next(e for e in train([configure(*still, *more)], small) if isinstance(e, EpochEnd))
        return event.metrics.columns()

    plain, augmented = measured(), measured(*CROP)
    assert {name for name in plain if plain[name] != augmented[name]} - {"seconds", "train_accuracy"} == {"train_loss"}


def test_numpy_trains_on_augmented_images(configure: Configure, small: Dataset) -> None:
    """With smoothed labels and clipped gradients too: as torch does."""
    shared = (*BASE, *CROP, *EXTRAS, "optimizer.clip_norm=0.2", "train.epochs=3", "seed=4")
    torchs, numpys = (train([configure(*shared, f"model.backend={name}")], small) for name in ("torch", "numpy"))
    assert (losses(torchs, 0) - losses(numpys, 0)).abs().max() < 1e-10
    assert end(numpys, 0).tested_epoch == 3
