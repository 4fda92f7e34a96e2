from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.conftest import Configure
from tests.models.shapes import shapes_of
from triplicate.activations.relu import Relu
from triplicate.activations.silu import Silu
from triplicate.errors import UserError
from triplicate.models.layers.residual import Residual
from triplicate.models.separable_residual import SeparableResidual
from triplicate.training.build import build

PUBLISHED = (128, 128, 256, 512, 1028)


def config(channels: tuple[int, ...] = (6, 6, 8), convolutions: int = 2, pair_skips: bool = False) -> SeparableResidual:
    return SeparableResidual(4, channels, convolutions, pair_skips, 5, 0.2)


def hand_count(stem: int, channels: tuple[int, ...], convolutions: int, pair_skips: bool, hidden: int) -> int:
    """Parameters on images of 3 channels with 10 classes."""
    total = 3 * stem * 9 + 2 * stem
    widths = [stem, *channels]
    for before, after in pairwise(widths):
        total += 9 * before + before * after + 2 * after
        total += (convolutions - 1) * (9 * after + after * after + 2 * after)
        total += before * after if before != after else 0
    if pair_skips:
        total += sum(before * after for before, after in zip(widths[:-2:2], widths[2::2], strict=True))
    return total + widths[-1] * hidden + hidden + hidden * 10 + 10


@pytest.mark.parametrize(
    ("preset", "convolutions", "pair_skips", "parameters"),
    [("separable_residual_small", 2, False, 3_134_670), ("separable_residual_deep", 4, True, 6_088_006)],
)
def test_parameter_counts_of_the_presets(
    configure: Configure, preset: str, convolutions: int, pair_skips: bool, parameters: int
) -> None:
    model = build(configure(f"model={preset}"), (3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert hand_count(64, PUBLISHED, convolutions, pair_skips, hidden=256) == parameters


def test_layers_and_their_shapes() -> None:
    model = config(channels=(6, 6, 8, 7, 9)).build((3, 9, 12), 4, Relu())
    assert shapes_of(model, torch.randn(2, 3, 9, 12)) == {
        "stem": (4, 9, 12),
        "stage1": (6, 9, 12),
        "pool1": (6, 4, 6),
        "stage2": (7, 4, 6),
        "pool2": (7, 2, 3),
        "stage3": (9, 2, 3),
        "mean": (9, 1, 1),
        "flatten": (9,),
        "hidden": (5,),
        "activation": (5,),
        "dropout": (5,),
        "output": (4,),
    }


@pytest.mark.parametrize(("blocks", "pools"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)])
def test_pooling_follows_every_two_blocks(blocks: int, pools: int) -> None:
    model = config(channels=(5,) * blocks).build((1, 4, 4), 3, Relu())
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in model) == pools
    assert sum(isinstance(layer, Residual) for layer in model.modules()) == blocks
    assert model(torch.randn(2, 1, 4, 4)).shape == (2, 3)


def test_first_and_last_convolution_are_first_and_last_in_the_order_of_modules() -> None:
    model = config(pair_skips=True).build((3, 8, 8), 4, Relu())
    convolutions = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    assert convolutions[0] == "stem.convolution"
    assert convolutions[-1] == "stage2.block1.body.separable2.pointwise"


def test_a_separable_convolution_is_one_convolution_with_a_kernel_of_rank_one() -> None:
    model = config().build((3, 8, 8), 4, Relu())
    layer = model.get_submodule("stage1.block1.body.separable1")
    depthwise, pointwise = layer.depthwise.weight, layer.pointwise.weight
    images = torch.randn(2, 4, 8, 8)
    expected = functional.conv2d(images, pointwise * depthwise.transpose(0, 1), padding=1)
    torch.testing.assert_close(layer.pointwise(layer.depthwise(images)), expected)


@pytest.mark.parametrize("block", ["stage1.block1", "stage1.block2"])
def test_a_block_with_zeroed_convolutions_computes_its_skip(block: str) -> None:
    residual = config().build((3, 8, 8), 4, Relu()).get_submodule(block)
    images = torch.randn(2, 4 if block.endswith("1") else 6, 8, 8)
    for layer in residual.body.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
    assert isinstance(residual.skip, nn.Conv2d if block.endswith("1") else nn.Identity)
    expected = functional.conv2d(images, residual.skip.weight) if block.endswith("1") else images
    assert torch.equal(residual(images), expected)


def test_a_pair_adds_its_skip_to_what_its_blocks_give() -> None:
    torch.manual_seed(0)
    model = config(pair_skips=True).build((3, 8, 8), 4, Relu()).eval()
    plain = config().build((3, 8, 8), 4, Relu()).eval()
    weights = {name.replace("stage1.body.", "stage1."): tensor for name, tensor in model.state_dict().items()}
    skip = weights.pop("stage1.skip.weight")
    plain.load_state_dict(weights)
    images = torch.randn(2, 3, 8, 8)
    stem = model.stem(images)
    torch.testing.assert_close(model.stage1(stem), plain.stage1(stem) + functional.conv2d(stem, skip))
    assert not torch.allclose(model(images), plain(images))


def test_an_odd_last_block_has_no_skip_of_a_pair() -> None:
    model = config(pair_skips=True).build((3, 8, 8), 4, Relu())
    assert isinstance(model.stage1, Residual)
    assert not isinstance(model.stage2, Residual)


@pytest.mark.parametrize("pair_skips", [False, True])
def test_gradients_reach_every_parameter(pair_skips: bool) -> None:
    model = config(pair_skips=pair_skips).build((3, 8, 8), 4, Silu())
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
    assert sum(isinstance(layer, nn.SiLU) for layer in model.modules()) == 1 + 3 * 2 + 1


@pytest.mark.parametrize(("height", "width"), [(3, 3), (3, 9), (9, 3)])
def test_images_that_pooling_would_shrink_to_nothing(height: int, width: int) -> None:
    channels = (5,) * 4
    with pytest.raises(UserError, match=r"^model\.channels: pool2 .* a side of 1; .* images of 4 .* dataset\.upscale$"):
        config(channels).build((3, height, width), 4, Relu())
    assert config(channels).build((3, 4, 4), 4, Relu())(torch.randn(2, 3, 4, 4)).shape == (2, 4)


def test_points_are_no_images() -> None:
    with pytest.raises(UserError, match=r"^model\.name: .* 2 numbers; choose model=mlp$"):
        config().build((2,), 4, Relu())
