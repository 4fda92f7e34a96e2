"""Passes that are called one after the other against torch's own graph of the same layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from triplicate.activations import Activation
from triplicate.parts import classes
from triplicate.training.network import Batched
from triplicate.training.seeding import generator

ACTIVATIONS = {name: cls() for name, cls in classes("activation").items() if cls.__module__.startswith("triplicate.")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_passes_a_gradient_back_as_torch_does(name: str, dtype: torch.dtype) -> None:
    activation = ACTIVATIONS[name]
    assert isinstance(activation, Activation)
    rule = activation.gradient_rule()
    assert rule is not None
    torch.manual_seed(0)
    edges = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 90.0, -90.0], dtype=dtype)
    inputs = torch.cat([torch.randn(200, dtype=dtype), edges]).requires_grad_()
    outputs, gradient = activation()(inputs), torch.randn(206, dtype=dtype)
    (expected,) = torch.autograd.grad(outputs, inputs, gradient)
    assert torch.equal(rule(gradient, inputs.detach(), outputs.detach()), expected)


def layers(kind: str) -> nn.Sequential:
    """Ten numbers to four, of which the first layer may have nothing to train."""
    relu, tanh = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
    return {
        "plain": lambda: nn.Sequential(nn.Flatten(), nn.Linear(10, 7), relu(), nn.Linear(7, 4)),
        "nested": lambda: nn.Sequential(
            nn.Sequential(nn.Linear(10, 7), tanh()), nn.Sequential(nn.Linear(7, 4), tanh())
        ),
        "norm": lambda: nn.Sequential(nn.Linear(10, 7), nn.BatchNorm1d(7), relu(), nn.LayerNorm(7), nn.Linear(7, 4)),
        "dropout": lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(10, 7), tanh(), nn.Dropout(0.5), nn.Linear(7, 4)),
        "activation first": lambda: nn.Sequential(tanh(), relu(), nn.Linear(10, 4)),
        "without a bias": lambda: nn.Sequential(nn.Linear(10, 7, bias=False), relu(), nn.Linear(7, 4, bias=False)),
    }[kind]().double()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", ["plain", "nested", "norm", "dropout", "activation first", "without a bias"])
def test_a_chain_gives_what_a_graph_gives(kind: str, shared: bool) -> None:
    torch.manual_seed(1)
    models = [layers(kind) for _ in range(4)]
    inputs = torch.randn(2 if shared else 4, 9, 10, dtype=torch.float64)
    gradient = torch.randn(4, 9, 4, dtype=torch.float64)
    found = []
    for by_hand in (True, False):
        network = Batched(copy.deepcopy(models), [generator(seed, "dropout") for seed in range(4)], by_hand=by_hand)
        for _ in range(2):  # what one pass has kept must not be in the next
            logits = network(inputs)
            network.backward(logits, gradient)
        assert logits.requires_grad is not by_hand
        found.append([logits.detach(), *network.gradients()])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-11, atol=1e-13)
