from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.conftest import Configure
from tests.models.shapes import shapes_of
from triplicate.activations.relu import Relu
from triplicate.activations.silu import Silu
from triplicate.errors import UserError
from triplicate.models.inception_small import InceptionSmall
from triplicate.models.layers.inception import Inception
from triplicate.training.build import build


def config(branches: tuple[int, ...] = (2, 3)) -> InceptionSmall:
    return InceptionSmall(4, branches, 0.2)


def test_parameter_count_of_the_preset(configure: Configure) -> None:
    model = build(configure("model=inception_small"), (3, 32, 32), 10)
    expected, channels = 3 * 32 * 9 + 2 * 32, 32
    for filters in (16, 32, 64):
        expected += channels * filters * (1 + 9 + 25 + 1) + 4 * 2 * filters
        channels = 4 * filters
    assert sum(p.numel() for p in model.parameters()) == expected + 256 * 10 + 10 == 391_466


def test_layers_and_their_shapes() -> None:
    model = config((2, 3, 5)).build((3, 9, 12), 7, Relu())
    assert shapes_of(model, torch.randn(2, 3, 9, 12)) == {
        "stem": (4, 9, 12),
        "pool1": (4, 4, 6),
        "inception1": (8, 4, 6),
        "pool2": (8, 2, 3),
        "inception2": (12, 2, 3),
        "pool3": (12, 1, 1),
        "inception3": (20, 1, 1),
        "mean": (20, 1, 1),
        "flatten": (20,),
        "dropout": (20,),
        "output": (7,),
    }


def test_the_stem_has_the_first_convolution() -> None:
    model = config().build((3, 8, 8), 4, Relu())
    assert next(name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)) == "stem.convolution"


def test_the_branches_follow_one_another_in_the_channels() -> None:
    module = Inception(3, 2, Relu()).eval()
    images = torch.randn(4, 3, 6, 5)
    found = module(images).split(2, dim=1)
    scale = 1 / torch.tensor(1 + 1e-5).sqrt()  # the norm's own, before it has seen a batch

    def convolved(branch: str, images: torch.Tensor) -> torch.Tensor:
        weight = module.get_parameter(f"{branch}.convolution.weight")
        return torch.relu(functional.conv2d(images, weight, padding=weight.shape[-1] // 2) * scale)

    pooled = functional.max_pool2d(images, 3, stride=1, padding=1)
    for part, (branch, seen, side) in zip(
        found,
        [
            ("branch1x1", images, 1),
            ("branch3x3", images, 3),
            ("branch5x5", images, 5),
            ("branch_pool", pooled, 1),
        ],
        strict=True,
    ):
        assert module.get_parameter(f"{branch}.convolution.weight").shape == (2, 3, side, side)
        torch.testing.assert_close(part, convolved(branch, seen))


def test_gradients_reach_every_parameter() -> None:
    model = config().build((3, 8, 8), 4, Silu())
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_weights_are_drawn_from_the_global_generator() -> None:
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(config().build((3, 8, 8), 4, Relu()).parameters())

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_the_activation_is_the_one_given() -> None:
    model = config().build((3, 8, 8), 4, Silu())
    assert sum(isinstance(layer, nn.SiLU) for layer in model.modules()) == 1 + 2 * 4


@pytest.mark.parametrize(("height", "width"), [(3, 3), (3, 9), (9, 3)])
def test_images_that_pooling_would_shrink_to_nothing(height: int, width: int) -> None:
    with pytest.raises(UserError, match=r"^model\.branches: pool2 .* a side of 1; .* images of 4 .* dataset\.upscale$"):
        config().build((3, height, width), 4, Relu())
    assert config().build((3, 4, 4), 4, Relu())(torch.randn(2, 3, 4, 4)).shape == (2, 4)


def test_without_modules_the_stem_is_pooled_all_the_same() -> None:
    assert config(()).build((1, 2, 2), 4, Relu())(torch.randn(2, 1, 2, 2)).shape == (2, 4)
    with pytest.raises(UserError, match="pool1"):
        config(()).build((1, 1, 1), 4, Relu())


def test_points_are_no_images() -> None:
    with pytest.raises(UserError, match=r"^model\.name: .* 2 numbers; choose model=mlp$"):
        config().build((2,), 4, Relu())
