from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from tests.conftest import Configure
from triplicate.activations.tanh import Tanh
from triplicate.models.mlp import Mlp
from triplicate.training.build import build


def test_layers_and_their_names() -> None:
    model = Mlp((7, 5), "none", 0.0, "torch").build((2, 3, 3), 4, Tanh())
    assert [name for name, _ in model.named_children()] == [
        "flatten",
        "linear1",
        "activation1",
        "linear2",
        "activation2",
        "output",
    ]
    assert model(torch.zeros(6, 2, 3, 3)).shape == (6, 4)


@pytest.mark.parametrize(
    ("norm", "order"),
    [
        ("before", ["linear1", "norm1", "activation1", "dropout1"]),
        ("after", ["linear1", "activation1", "norm1", "dropout1"]),
    ],
)
def test_where_the_norm_stands(norm: str, order: list[str]) -> None:
    model = Mlp((7,), norm, 0.25, "torch").build((3,), 4, Tanh())
    assert [name for name, _ in model.named_children()] == ["flatten", *order, "output"]
    assert model.dropout1.p == 0.25


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu", functional.gelu),
        ("gelu_tanh", functools.partial(functional.gelu, approximate="tanh")),
        ("leaky_relu", functional.leaky_relu),
        ("relu", torch.relu),
        ("sigmoid", torch.sigmoid),
        ("silu", functional.silu),
        ("tanh", torch.tanh),
    ],
)
def test_the_activation_is_the_one_named(
    configure: Configure, name: str, function: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    model = build(configure("model=mlp", f"activation={name}"), (1, 2, 2), 3)
    inputs = torch.linspace(-3, 3, 50)
    assert torch.equal(model.activation1(inputs), function(inputs))
