"""Every published number of parameters, exactly."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import Configure
from triplicate.training.build import build

GREY, COLOUR, LARGE = (1, 28, 28), (3, 32, 32), (3, 224, 224)

PUBLISHED = [
    ("mlp_base", GREY, 669_706),
    ("mlp_deep", GREY, 830_090),
    ("mlp_wide", GREY, 1_863_690),
    ("mlp_three", GREY, 932_362),
    ("mlp_complex_base", GREY, 576_970),
    ("mlp_complex_wide", GREY, 1_505_738),
    ("mlp_complex_deep", GREY, 579_194),
    ("cnn", GREY, 20_490),
    ("cnn_basic", GREY, 421_642),
    ("cnn_complex", GREY, 858_506),
    ("cnn_a", COLOUR, 545_098),
    ("cnn_b", COLOUR, 1_080_042),
    ("cnn_c", COLOUR, 1_259_786),
    ("vgg16_bn", LARGE, 134_309_962),
    ("large_mlp", LARGE, 176_784_778),
]


@pytest.mark.parametrize(("preset", "shape", "parameters"), PUBLISHED)
def test_the_published_count(configure: Configure, preset: str, shape: tuple[int, int, int], parameters: int) -> None:
    with torch.device("meta"):
        model = build(configure(f"model={preset}"), shape, 10)
    assert sum(p.numel() for p in model.parameters()) == parameters
