from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.conftest import Configure
from triplicate import models
from triplicate.models.mlp import mlp


@pytest.mark.parametrize(
    ("preset", "parameters"), [("mlp_base", 669_706), ("mlp_wide", 1_863_690), ("mlp_deep", 830_090)]
)
def test_published_parameter_counts(configure: Configure, preset: str, parameters: int) -> None:
    model = models.build(configure(f"model={preset}"), (1, 28, 28), 10)
    assert models.count_parameters(model) == parameters


def test_layers_and_their_names() -> None:
    model = mlp((2, 3, 3), (7, 5), 4, nn.Tanh)
    assert [name for name, _ in model.named_children()] == [
        "flatten",
        "linear1",
        "activation1",
        "linear2",
        "activation2",
        "output",
    ]
    assert model(torch.zeros(6, 2, 3, 3)).shape == (6, 4)


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid)])
def test_the_activation_is_the_one_named(configure: Configure, name: str, kind: type[nn.Module]) -> None:
    model = models.build(configure("model=mlp", f"activation={name}"), (1, 2, 2), 3)
    assert type(model.activation1) is kind
