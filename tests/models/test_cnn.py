from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.conftest import Configure
from triplicate.errors import UserError
from triplicate.training.build import build


def test_layers_their_order_and_their_names(configure: Configure) -> None:
    options = ("model.pool=[none,average,global]", "model.norm=[none,before,after]", "model.conv_dropout=[0,0.1,0]")
    config = configure("model=cnn", "model.filters=[4,5,6]", *options, "model.hidden=[7]", "model.hidden_norm=after")
    model = build(config, (2, 9, 8), 3)
    layers = {name: type(module).__name__ for name, module in model.named_children()}
    assert list(layers.items()) == [
        ("conv1", "Conv2d"),
        ("conv_activation1", "ReLU"),
        ("conv2", "Conv2d"),
        ("conv_norm2", "BatchNorm2d"),
        ("conv_activation2", "ReLU"),
        ("pool2", "AvgPool2d"),
        ("conv_dropout2", "Dropout"),
        ("conv3", "Conv2d"),
        ("conv_activation3", "ReLU"),
        ("conv_norm3", "BatchNorm2d"),
        ("pool3", "AdaptiveAvgPool2d"),
        ("flatten", "Flatten"),
        ("linear1", "Linear"),
        ("activation1", "ReLU"),
        ("norm1", "BatchNorm1d"),
        ("output", "Linear"),
    ]
    assert model(torch.randn(2, 2, 9, 8)).shape == (2, 3)


def test_it_computes_what_the_layers_compute(configure: Configure) -> None:
    """The CNN 1→16→32, written out."""
    config = configure("model=cnn")
    torch.manual_seed(2)
    model = config.model.build((1, 28, 28), 10, config.activation)
    torch.manual_seed(2)
    first, second, output = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1), nn.Linear(1568, 10)
    images = torch.randn(3, 1, 28, 28)
    hidden = nn.functional.max_pool2d(first(images).relu(), 2)
    hidden = nn.functional.max_pool2d(second(hidden).relu(), 2)
    torch.testing.assert_close(model(images), output(hidden.flatten(1)))


def test_vgg16_is_torchvisions(configure: Configure) -> None:
    """At 32×32, where its mean over 7×7 sees one pixel: narrow classifiers, the same features."""
    theirs = torchvision.models.vgg16_bn(weights=None, num_classes=10).features.eval()
    ours = build(configure("model=vgg16_bn", "model.hidden=[]"), (3, 32, 32), 10).eval()
    state = dict(zip((k for k in ours.state_dict() if "output" not in k), theirs.state_dict().values(), strict=True))
    ours.load_state_dict(state, strict=False)
    images = torch.randn(2, 3, 32, 32)
    ours_until_flatten = nn.Sequential(*[m for name, m in ours.named_children() if name not in ("flatten", "output")])
    torch.testing.assert_close(ours_until_flatten(images), theirs(images))


@given(
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
    pool=st.sampled_from(["none", "max", "average", "global"]),
    side=st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_either_the_image_fits_or_the_layer_is_named(
    configure: Configure, kernel: int, stride: int, padding: int, pool: str, side: int
) -> None:
    options = (f"model.kernel={kernel}", f"model.stride={stride}", f"model.padding={padding}", f"model.pool={pool}")
    config = configure("model=cnn", "model.filters=[2,3]", *options)
    failing = _first_layer_that_torch_refuses(kernel, stride, padding, pool, side)
    if failing is None:
        assert build(config, (1, side, side), 2)(torch.zeros(2, 1, side, side)).shape == (2, 2)
        return
    with pytest.raises(UserError, match=f"{failing} shrinks the image to nothing"):
        build(config, (1, side, side), 2)


def _first_layer_that_torch_refuses(kernel: int, stride: int, padding: int, pool: str, side: int) -> str | None:
    poolings = {
        "none": nn.Identity(),
        "max": nn.MaxPool2d(2),
        "average": nn.AvgPool2d(2),
        "global": nn.AdaptiveAvgPool2d(1),
    }
    images = torch.zeros(1, 1, side, side)
    for number in (1, 2):
        for name, layer in (("conv", nn.Conv2d(1, 1, kernel, stride, padding)), ("pool", poolings[pool])):
            try:
                images = layer(images)
            except RuntimeError:
                return f"{name}{number}"
    return None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.kernel=[3,3,3]"], r"model\.kernel: 3 values for 2 convolutions"),
        (["model.kernel=4"], r"model\.padding: same needs an odd kernel"),
        (["model.kernel=[3,9]", "model.padding=0"], r"model\.kernel: conv2 shrinks the image to nothing"),
        (["model.filters=[2,2,2]"], r"model\.pool: pool3 shrinks the image to nothing"),
    ],
)
def test_what_does_not_fit_is_named(configure: Configure, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(configure("model=cnn", *overrides), (1, 6, 6), 2)


def test_points_are_no_images(configure: Configure) -> None:
    with pytest.raises(UserError, match=r"model\.name: cnn needs images"):
        build(configure("model=cnn"), (2,), 2)
